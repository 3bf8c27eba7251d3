//! Workers that wait to be told.

use winddown_core::{Budget, Milestone, Outcome, Priority, Reason};

use super::{Harness, Setup, set_up};
use crate::steps::{ms, secs};

/// Every milestone comes in its turn where the drain is late. Each worker is waited for: whoever is not told never ends.
pub(super) fn workers_are_told_at_each_milestone<H: Harness>() {
    use Milestone::{Closing, Done, HandBack, HighLate, LastCall, Refusing, Triggered};
    let budget = Budget::new(secs(11)).lame_duck(secs(1)).high(secs(2)).hand_back(secs(4));
    let mut program: H = set_up(Setup::new(budget));
    let milestones = [Triggered, Refusing, HighLate, HandBack, LastCall, Closing, Done];
    let workers = milestones.map(|milestone| program.worker(None, milestone));
    let held = [Priority::Critical, Priority::High].map(|class| program.enter(class, None));
    program.trigger(Reason::Requested);
    let reached = |program: &H| milestones.iter().filter(|&&milestone| program.has_reached(milestone)).count();
    // The driver sleeps until the lame duck is over, until High work is late, until work is handed back, until the last call, until
    // that is over.
    for (number, until) in [1_000, 3_000, 5_000, 9_000, 9_500].into_iter().enumerate() {
        program.sleeps_until(ms(until));
        assert_eq!(reached(&program), number + 1, "before {until} ms");
        program.join(workers[number]);
        program.run_until(ms(until));
    }
    program.finish();
    assert_eq!(reached(&program), 7);
    drop(held);
}

/// They finish what fits, and drop their passes before the drain's deadline.
pub(super) fn workers_that_hand_back_in_time_end_clean<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).hand_back(secs(3))));
    let workers = [None, Some("batch")].map(|label| {
        let pass = program.enter(Priority::Critical, label).expect("running");
        program.worker(Some(pass), Milestone::HandBack)
    });
    program.trigger(Reason::Signal(15));
    program.sleeps_until(secs(6));
    assert!(!program.has_reached(Milestone::HandBack), "3 s before the drain's deadline, and no sooner");
    program.advance(secs(6));
    for worker in workers {
        program.join(worker);
    }
    let summary = program.finish();
    summary.assert_clean();
    assert_eq!((summary.took, summary.draining, summary.at_work, summary.exit_code), (secs(6), secs(6), 0, 0));
}

pub(super) fn work_that_does_not_hand_back_is_cut_at_the_drains_deadline<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).hand_back(secs(3))));
    let pass = program.enter(Priority::Critical, Some("batch"));
    program.trigger(Reason::Signal(15));
    program.run_until(secs(6));
    program.sleeps_until(secs(9));
    assert!(program.has_reached(Milestone::HandBack) && !program.has_reached(Milestone::LastCall));
    program.run_until(secs(9));
    program.run_until(ms(9_500));
    let summary = program.finish();
    summary.assert(Outcome::DrainTimedOut);
    assert_eq!((summary.took, summary.stragglers.len(), summary.exit_code), (ms(9_500), 1, 11));
    drop(pass);
}

/// P1: whichever comes first stands in for no other.
pub(super) fn p1_hand_back_and_late_high_work_come_in_the_order_of_their_times<H: Harness>() {
    use Milestone::{HandBack, HighLate};
    // The drain's deadline is at 9.
    for (high, hand_back, order) in [(2, 3, [(2, HighLate), (6, HandBack)]), (5, 6, [(3, HandBack), (5, HighLate)])] {
        let mut program: H = set_up(Setup::new(Budget::new(secs(11)).high(secs(high)).hand_back(secs(hand_back))));
        let held = [Priority::Critical, Priority::High].map(|class| program.enter(class, None));
        let workers = order.map(|(_, milestone)| program.worker(None, milestone));
        program.trigger(Reason::Requested);
        for (index, (at, _)) in order.into_iter().enumerate() {
            program.run_until(secs(at));
            program.sleeps_until(secs(order.get(index + 1).map_or(9, |&(next, _)| next)));
            let reached = order.map(|(_, milestone)| program.has_reached(milestone));
            assert_eq!(reached, [true, index == 1], "at {at} s of {order:?}");
            program.join(workers[index]);
        }
        drop(held);
        program.finish().assert(Outcome::DrainTimedOut);
    }
}

/// P1: an interrupt skips the lame duck, so High work would be late before work is handed back. The plan's order stays.
pub(super) fn p1_an_interrupt_does_not_turn_hand_back_and_late_high_work_round<H: Harness>() {
    // The drain's deadline is at 9, and hand-back at 4. High work is late at 5, and without a lame duck at 2.
    let budget = Budget::new(secs(11)).lame_duck(secs(3)).high(secs(2)).hand_back(secs(5));
    for (reason, sleeps) in [(Reason::Signal(15), &[3, 4, 5, 9][..]), (Reason::Interrupt, &[4, 9])] {
        let mut program: H = set_up(Setup::new(budget));
        let held = [Priority::Critical, Priority::High].map(|class| program.enter(class, None));
        program.trigger(reason);
        for &until in sleeps {
            program.sleeps_until(secs(until));
            let reached = [Milestone::HandBack, Milestone::HighLate].map(|milestone| program.has_reached(milestone));
            let late = if reason.is_interrupt() { 4 } else { 5 };
            assert_eq!(reached, [until > 4, until > late], "{reason}: before {until} s");
            program.run_until(secs(until));
        }
        drop(held);
        program.finish().assert(Outcome::DrainTimedOut);
    }
}

pub(super) fn a_hand_back_longer_than_the_drain_is_refused_at_once<H: Harness>() {
    let with = |budget: Budget| H::set_up(Setup::new(budget.lame_duck(secs(1))));
    assert!(with(Budget::new(secs(11)).hand_back(secs(8))).is_ok(), "from the refusal on");
    for (budget, drain) in [(Budget::new(secs(11)), "8s"), (Budget::new(secs(11)).drain(secs(3)), "3s")] {
        let refused = with(budget.hand_back(ms(8_001))).err().expect("too long");
        assert!(refused.contains("8.001s") && refused.contains(&format!("at most {drain}:")), "{refused}");
    }
}

pub(super) fn a_later_milestone_stands_in_for_one_that_is_never_reached<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11))));
    for milestone in [Milestone::HighLate, Milestone::LastCall] {
        program.worker(None, milestone);
    }
    program.trigger(Reason::Requested);
    program.finish().assert_clean();
    assert!(program.told(Priority::High) && program.told(Priority::Critical));
}

/// The work of all classes ends as soon as it is told, and the last of it in the last call.
pub(super) fn work_of_each_class_is_told_to_stop_in_its_time<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).lame_duck(secs(1)).high(secs(2))));
    let workers = Priority::ALL.map(|class| {
        let pass = program.enter(class, Some("until told")).expect("running");
        program.worker(Some(pass), class.told_at())
    });
    let [_, high, low] = workers;
    program.trigger(Reason::Signal(15));
    for (until, worker, expected) in [
        (1_000, Some(low), [false, false, true]),
        (3_000, None, [false, false, true]),
        (9_000, Some(high), [false, true, true]),
    ] {
        program.sleeps_until(ms(until));
        assert_eq!(Priority::ALL.map(|class| program.told(class)), expected, "before {until} ms");
        if let Some(worker) = worker {
            program.join(worker);
        }
        program.run_until(ms(until));
    }
    let summary = program.finish();
    assert_eq!((summary.took, summary.at_work, summary.exit_code), (secs(9), 0, 11));
    let late: Vec<_> = summary.stragglers.iter().map(|late| (late.class, late.let_go)).collect();
    assert_eq!(late, [(Priority::High, true), (Priority::Critical, true)]);
}

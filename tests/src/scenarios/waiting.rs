//! Workers that wait to be told.

use winddown_core::{Budget, Milestone, Priority, Reason};

use super::{Harness, Setup, set_up};
use crate::steps::{ms, secs};

/// Every milestone comes in its turn where the drain is late. Each worker is waited for: whoever is not told never ends.
pub(super) fn workers_are_told_at_each_milestone<H: Harness>() {
    use Milestone::{Closing, Done, HighLate, LastCall, Refusing, Triggered};
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).lame_duck(secs(1)).high(secs(2))));
    let milestones = [Triggered, Refusing, HighLate, LastCall, Closing, Done];
    let workers = milestones.map(|milestone| program.worker(None, milestone));
    let held = [Priority::Critical, Priority::High].map(|class| program.enter(class, None));
    program.trigger(Reason::Requested);
    let reached = |program: &H| milestones.iter().filter(|&&milestone| program.has_reached(milestone)).count();
    // The driver sleeps until the lame duck is over, until High work is late, until the last call, until that is over.
    for (number, until) in [1_000, 3_000, 9_000, 9_500].into_iter().enumerate() {
        program.sleeps_until(ms(until));
        assert_eq!(reached(&program), number + 1, "before {until} ms");
        program.join(workers[number]);
        program.run_until(ms(until));
    }
    program.finish();
    assert_eq!(reached(&program), 6);
    drop(held);
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

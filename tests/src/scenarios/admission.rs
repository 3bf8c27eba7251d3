//! Who is let in, and whom the drain waits for.

use std::time::Duration;

use winddown_core::{Budget, InFlight, Milestone, Outcome, Phase, Priority, Reason, Refused, Repeats};

use super::{Harness, Setup, set_up};
use crate::steps::{ms, secs};

/// 10 s in all, no lame duck, no stages: drains until 9, last call until 9.5, flushes until 10.
fn setup() -> Setup {
    Setup::new(Budget::new(secs(11)))
}

pub(super) fn p1_the_first_reason_wins_and_later_ones_join<H: Harness>() {
    let mut program: H = set_up(setup());
    let pass = program.enter(Priority::Critical, None);
    assert_eq!((program.phase(), program.has_reached(Milestone::Triggered)), (Phase::Running, false));
    assert!(program.trigger(Reason::Failure));
    assert!(!program.trigger(Reason::Requested));
    assert!(!program.trigger(Reason::Signal(15)));
    assert_eq!(program.phase(), Phase::Draining);
    drop(pass);
    let summary = program.finish();
    summary.assert_clean();
    assert_eq!((summary.reason, summary.exit_code), (Reason::Failure, 1));
    assert_eq!(summary.repeats, Repeats { others: 2, ..Repeats::default() });
}

pub(super) fn p1_the_first_message_is_kept<H: Harness>() {
    let mut program: H = set_up(setup());
    let pass = program.enter(Priority::Critical, None);
    assert!(program.trigger_with(Reason::Failure, "disk full"));
    assert!(!program.trigger_with(Reason::Requested, "too late"));
    drop(pass);
    assert_eq!(program.finish().message.as_deref(), Some("disk full"));
}

/// P2, K2: admitting through the lame duck, and then never again.
pub(super) fn p2_the_lame_duck_admits_and_then_nobody_is<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).lame_duck(secs(2))));
    program.trigger(Reason::Signal(15));
    program.sleeps_until(secs(2));
    assert_eq!([Milestone::Triggered, Milestone::Refusing].map(|at| program.has_reached(at)), [true, false]);
    let pass = program.enter(Priority::Critical, None).expect("a lame duck admits");
    program.advance(secs(2));
    program.reach(Milestone::Refusing);
    for class in Priority::ALL {
        for label in [None, Some("late")] {
            assert_eq!(program.enter(class, label).err(), Some(Refused::Closed));
        }
    }
    let part = H::split(&pass).expect("it was admitted");
    drop(pass);
    program.sleeps_until(secs(9));
    drop(part);
    let summary = program.finish();
    summary.assert_clean();
    assert_eq!((summary.refused, summary.in_flight), (6, InFlight { critical: 1, high: 0, low: 0 }));
    assert_eq!((summary.lame_duck, summary.draining), (secs(2), Duration::ZERO));
    assert_eq!(program.enter(Priority::Critical, None).err(), Some(Refused::Closed), "and when it is over");
}

/// P2, P3, P4: workers that enter and leave without a pause, a trigger in the middle, and a clock that never moves: only
/// a wake ends the drain. Whoever was admitted has left when it is over.
pub(super) fn p2_p3_p4_a_storm_of_work_is_drained_to_the_last<H: Harness>() {
    for round in 0..200 {
        let mut program: H = set_up(setup());
        for class in Priority::ALL {
            program.storm(class);
        }
        program.go_on(round);
        program.trigger(Reason::Requested);
        let summary = program.finish();
        summary.assert_clean();
        assert_eq!((summary.at_work, summary.took), (0, Duration::ZERO));
        assert!(summary.refused <= 3, "each stops when it is refused: {summary:#?}");
    }
}

/// P3: up to the deadline, to the nanosecond.
pub(super) fn p3_a_pass_keeps_the_drain_waiting<H: Harness>() {
    let mut program: H = set_up(setup());
    let pass = program.enter(Priority::Critical, None);
    program.trigger(Reason::Requested);
    program.sleeps_until(secs(9));
    program.advance(secs(9).saturating_sub(Duration::from_nanos(1)));
    program.sleeps_until(secs(9));
    assert_eq!(program.phase(), Phase::Draining);
    drop(pass);
    program.finish().assert_clean();
}

pub(super) fn p3_p5_high_work_has_its_cap_and_critical_work_the_rest<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).high(secs(3))));
    let [critical, high] = [Priority::Critical, Priority::High].map(|class| program.enter(class, None));
    program.trigger(Reason::Requested);
    program.run_until(secs(3));
    // High work has had its time; the critical is waited for.
    program.sleeps_until(secs(9));
    assert_eq!(Priority::ALL.map(|class| program.told(class)), [false, true, true]);
    assert_eq!(program.phase(), Phase::Draining);
    drop(high);
    program.sleeps_until(secs(9));
    assert_eq!(program.phase(), Phase::Draining, "for the critical one");
    drop(critical);
    let summary = program.finish();
    summary.assert(Outcome::DrainTimedOut);
    assert_eq!((summary.unlabelled, summary.exit_code), (InFlight { critical: 0, high: 1, low: 0 }, 11));

    // In time, it is no matter that it was High.
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).high(secs(3))));
    let high = program.enter(Priority::High, None);
    program.trigger(Reason::Requested);
    program.sleeps_until(secs(3));
    program.advance(ms(2_999));
    drop(high);
    program.finish().assert_clean();
}

pub(super) fn p3_low_work_is_told_named_and_not_waited_for_and_the_code_is_0<H: Harness>() {
    let mut program: H = set_up(setup());
    let low = [Some("cache"), None].map(|label| program.enter(Priority::Low, label));
    program.trigger(Reason::Requested);
    program.reach(Milestone::Triggered);
    assert!(program.told(Priority::Low));
    let summary = program.finish();
    summary.assert_clean();
    assert_eq!((summary.exit_code, summary.took), (0, Duration::ZERO));
    let [late] = &*summary.stragglers else { panic!("{summary:#?}") };
    assert_eq!((&*late.label, late.class, late.let_go), ("cache", Priority::Low, false));
    assert_eq!(summary.unlabelled, InFlight { critical: 0, high: 0, low: 1 });
    drop(low);
}

/// P3 for work that is passed on, split after the refusal and ended in parts.
pub(super) fn p3_a_part_of_the_work_is_waited_for_like_the_whole<H: Harness>() {
    let mut program: H = set_up(setup());
    let pass = program.enter(Priority::Critical, None).expect("running");
    program.worker(Some(pass), Milestone::Refusing);
    program.trigger(Reason::Requested);
    let summary = program.finish();
    summary.assert_clean();
    assert_eq!(summary.at_work, 0, "the worker had done its part");
}

/// P4: by workers of their own, while the driver begins to refuse; and the clock never moves.
pub(super) fn p4_the_last_pass_of_every_class_wakes_the_driver<H: Harness>() {
    for _ in 0..500 {
        let mut program: H = set_up(setup());
        for class in [Priority::Critical, Priority::High] {
            let pass = program.enter(class, None).expect("running");
            program.worker(Some(pass), Milestone::Triggered);
        }
        program.trigger(Reason::Requested);
        let summary = program.finish();
        summary.assert_clean();
        assert_eq!((summary.at_work, summary.took), (0, Duration::ZERO));
    }
}

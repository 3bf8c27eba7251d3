//! Who may take how long, and who was late. Every deadline is seen as the time until which the wind-down sleeps.

use std::time::Duration;

use winddown_core::{Budget, Fate, InFlight, Milestone, Outcome, Phase, Priority, Reason};

use super::{Does, Harness, Setup, Stage, Summary, set_up};
use crate::steps::{ms, secs};

/// 10 s in all, no lame duck, no stages: drains until 9, last call until 9.5, flushes until 10.
fn setup() -> Setup {
    Setup::new(Budget::new(secs(11)))
}

pub(super) fn p5_p6_every_deadline_is_counted_from_the_trigger<H: Harness>() {
    let setup = Setup::new(Budget::new(secs(11)).lame_duck(secs(1)).high(secs(2)));
    let setup = setup.stage(Stage::new("second", Does::Hangs)).stage(Stage::new("first", Does::Hangs));
    let mut program: H = set_up(setup);
    program.advance(secs(100));
    let held = [(Priority::Critical, Some("report 7")), (Priority::High, None), (Priority::Low, Some("prefetch"))]
        .map(|(class, label)| program.enter(class, label));
    program.trigger(Reason::Requested);
    // Lame duck until 101, High until 103, all until 107, last call until 107.5, stages until 108.5 and 109.5.
    for until in [101_000, 103_000, 107_000, 107_500, 108_500, 109_500] {
        program.run_until(ms(until));
    }
    let summary = program.finish();
    summary.assert(Outcome::StageAbandoned);
    assert_eq!((summary.begun(), summary.took, summary.exit_code), (vec!["first", "second"], ms(9_500), 12));
    assert!(summary.stages.iter().all(|row| row.fate == Fate::Abandoned && row.took == secs(1)), "{summary:#?}");
    assert_eq!((summary.lame_duck, summary.draining, summary.closing), (secs(1), ms(6_500), secs(2)));
    assert_eq!(summary.in_flight, InFlight { critical: 1, high: 1, low: 1 });
    assert_eq!(summary.unlabelled, InFlight { critical: 0, high: 1, low: 0 });
    let expected = [("report 7", Priority::Critical, secs(7)), ("prefetch", Priority::Low, ms(9_500))];
    assert_eq!(named(&summary), expected);
    drop(held);
}

/// P5: what the drain and a stage leave over is the next one's.
pub(super) fn p5_a_part_that_ends_early_gives_its_time_to_the_rest<H: Harness>() {
    let setup = setup().stage(Stage::new("second", Does::Waits));
    let mut program: H = set_up(setup.stage(Stage::new("first", Does::Waits).reserve(secs(2))));
    let pass = program.enter(Priority::Critical, None);
    program.trigger(Reason::Requested);
    // 9.5 less what is kept for the two, and for the last call.
    program.sleeps_until(secs(6));
    program.advance(secs(1));
    drop(pass);
    program.sleeps_until(ms(8_500));
    program.advance(secs(4));
    program.release("first");
    program.sleeps_until(ms(9_500));
    program.advance(secs(4));
    program.release("second");
    let summary = program.finish();
    summary.assert_clean();
    let times = |row: &super::Row| (row.began, row.took);
    assert_eq!(times(summary.stage("first")), (Some(secs(1)), secs(4)));
    assert_eq!(times(summary.stage("second")), (Some(secs(5)), secs(4)));
    assert_eq!((summary.draining, summary.closing, summary.took), (secs(1), secs(8), secs(9)));
}

pub(super) fn p5_a_drain_never_eats_what_the_stages_have_reserved<H: Harness>() {
    let setup = setup().stage(Stage::new("second", Does::Returns).reserve(secs(2)));
    let mut program: H = set_up(setup.stage(Stage::new("first", Does::Hangs).reserve(secs(3))));
    let pass = program.enter(Priority::Critical, None);
    program.trigger(Reason::Requested);
    for until in [secs(4), ms(4_500), ms(7_500)] {
        program.run_until(until);
    }
    let summary = program.finish();
    summary.assert(Outcome::StageAbandoned);
    assert_eq!((summary.stage("first").began, summary.stage("first").took), (Some(ms(4_500)), secs(3)));
    assert_eq!(summary.stage("second").fate, Fate::Completed);
    drop(pass);
}

pub(super) fn p5_a_drain_may_have_a_limit_of_its_own<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).lame_duck(secs(1)).drain(secs(3))));
    let pass = program.enter(Priority::Critical, None);
    program.trigger(Reason::Requested);
    program.run_until(secs(1));
    program.run_until(secs(4));
    program.run_until(ms(4_500));
    let summary = program.finish();
    summary.assert(Outcome::DrainTimedOut);
    assert_eq!((summary.took, summary.unlabelled.critical, summary.exit_code), (ms(4_500), 1, 11));
    drop(pass);
}

pub(super) fn p5_a_stage_has_no_more_than_its_limit<H: Harness>() {
    let setup = setup().stage(Stage::new("second", Does::Returns));
    let mut program: H = set_up(setup.stage(Stage::new("first", Does::Hangs).limit(secs(2))));
    program.trigger(Reason::Requested);
    program.run_until(secs(2));
    let summary = program.finish();
    summary.assert(Outcome::StageAbandoned);
    assert_eq!((summary.fates(), summary.took), (vec![Fate::Completed, Fate::Abandoned], secs(2)));
}

/// P5: a part of the program that asks hears of the same moment at every time, before the driver has run and after the end.
pub(super) fn p5_the_deadlines_are_known_from_the_trigger_on_and_do_not_move<H: Harness>() {
    for (reason, lame_duck) in [(Reason::Signal(15), 1), (Reason::Interrupt, 0)] {
        let setup = Setup::new(Budget::new(secs(11)).lame_duck(secs(1)).drain(secs(4)));
        let mut program: H = set_up(setup.stage(Stage::new("close", Does::Waits)));
        program.advance(secs(100));
        assert!(program.has_left(None), "it runs");
        let pass = program.enter(Priority::Critical, None);
        program.trigger(reason);
        assert!(program.has_left(Some([secs(lame_duck + 4), secs(10)])), "{reason}");
        if lame_duck > 0 {
            program.run_until(secs(101));
        }
        program.sleeps_until(secs(104 + lame_duck));
        assert!(program.has_left(Some([secs(4), secs(10 - lame_duck)])), "{reason}: after the refusal");
        program.advance(secs(3));
        drop(pass);
        program.sleeps_until(ms(109_500));
        program.trigger(Reason::Requested);
        assert!(program.has_left(Some([secs(1), secs(7 - lame_duck)])), "{reason}: the drain is over early");
        program.release("close");
        program.finish();
        assert!(program.has_left(Some([secs(1), secs(7 - lame_duck)])), "{reason}: it is over");
    }
}

pub(super) fn p5_what_cannot_fit_is_refused_at_once<H: Harness>() {
    let two = |reserve: u64| {
        let stage = |name| Stage::new(name, Does::Returns).reserve(secs(reserve));
        Setup::new(Budget::new(secs(11)).lame_duck(secs(3))).stage(stage("second")).stage(stage("first"))
    };
    assert!(H::set_up(two(3)).is_ok(), "3 s + 0.5 s + 6 s + 0.5 s are 10 s");
    let refused = H::set_up(two(4)).err().expect("12 s");
    assert!(refused.contains("the budget has 10s") && refused.contains("need 12s"), "{refused}");
}

/// P6: no sum of times stops the driver.
pub(super) fn p6_a_budget_without_end_is_no_matter<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(Duration::MAX)).stage(Stage::new("close", Does::Returns)));
    program.advance(secs(3_600));
    program.trigger(Reason::Requested);
    program.finish().assert_clean();
}

pub(super) fn p6_a_forgotten_pass_is_waited_for_to_the_deadline_and_counted<H: Harness>() {
    let mut program: H = set_up(setup());
    std::mem::forget(program.enter(Priority::Critical, None));
    program.trigger(Reason::Requested);
    program.run_until(secs(9));
    program.sleeps_until(ms(9_500));
    assert_eq!(program.phase(), Phase::Draining, "it is the last call");
    program.advance(ms(500));
    let summary = program.finish();
    summary.assert(Outcome::DrainTimedOut);
    assert_eq!((summary.unlabelled, summary.exit_code), (InFlight { critical: 1, high: 0, low: 0 }, 11));
    assert_eq!((summary.took, summary.stragglers.len()), (ms(9_500), 0));
}

/// P6: passes and hooks of every kind, and none of them ever ends.
pub(super) fn p6_when_everything_hangs_it_is_over_all_the_same<H: Harness>() {
    let mut setup = setup();
    for name in ["third", "second", "first"] {
        setup = setup.stage(Stage::new(name, Does::Hangs).and(Does::Hangs));
    }
    let mut program: H = set_up(setup);
    for class in Priority::ALL {
        std::mem::forget(program.enter(class, Some("lost")));
        std::mem::forget(program.enter(class, None));
    }
    program.trigger(Reason::Requested);
    // High until 5, all until 6, last call until 6.5.
    for until in [5_000, 6_000, 6_500, 7_500, 8_500, 9_500] {
        program.run_until(ms(until));
    }
    let summary = program.finish();
    summary.assert(Outcome::StageAbandoned);
    assert_eq!((summary.took, summary.fates()), (ms(9_500), vec![Fate::Abandoned; 3]));
    assert!(summary.stages.iter().all(|row| row.problems.len() == 2), "P7: each hook is named: {summary:#?}");
    let expected = [Priority::High, Priority::Critical, Priority::Low];
    assert_eq!(summary.stragglers.iter().map(|late| late.class).collect::<Vec<_>>(), expected);
    assert_eq!(summary.unlabelled, InFlight { critical: 1, high: 1, low: 1 });
}

/// P6, P7, G3: a process that was stopped till after its end. What has not begun does not, and is named.
pub(super) fn p6_p7_a_clock_that_jumps_to_the_end_begins_nothing<H: Harness>() {
    let setup = Setup::new(Budget::new(secs(11)).lame_duck(secs(2)));
    let stages = setup.stage(Stage::new("second", Does::Returns)).stage(Stage::new("first", Does::Returns));
    let mut program: H = set_up(stages);
    program.trigger(Reason::Requested);
    program.sleeps_until(secs(2));
    program.advance(secs(3_600));
    let summary = program.finish();
    summary.assert(Outcome::StageAbandoned);
    assert_eq!((summary.fates(), summary.begun()), (vec![Fate::NotStarted; 2], vec![]));
    assert!(summary.stages.iter().all(|row| row.problems.len() == 1), "{summary:#?}");
}

pub(super) fn stragglers_are_named_and_so_is_who_lets_go_at_the_last_call<H: Harness>() {
    let mut program: H = set_up(setup());
    let slow = program.enter(Priority::Critical, Some("slow")).expect("running");
    let slow = program.worker(Some(slow), Milestone::LastCall);
    program.advance(secs(1));
    let stuck = program.enter(Priority::Critical, Some("stuck"));
    program.trigger(Reason::Requested);
    program.run_until(secs(10));
    program.join(slow);
    program.run_until(ms(10_500));
    let summary = program.finish();
    summary.assert(Outcome::DrainTimedOut);
    let expected = [("slow", Priority::Critical, secs(10)), ("stuck", Priority::Critical, secs(9))];
    assert_eq!(named(&summary), expected);
    assert_eq!(summary.stragglers.iter().map(|late| late.let_go).collect::<Vec<_>>(), [true, false]);
    assert_eq!((summary.unlabelled, summary.exit_code), (InFlight::NONE, 11));
    drop(stuck);
}

fn named(summary: &Summary) -> Vec<(&str, Priority, Duration)> {
    summary.stragglers.iter().map(|late| (&*late.label, late.class, late.age)).collect()
}

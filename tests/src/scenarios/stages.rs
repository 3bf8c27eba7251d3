//! In which order the stages run, and what their hooks may get up to.

use std::time::Duration;

use winddown_core::{Budget, Fate, Outcome, Phase, Priority, Reason};

use super::{Does, Harness, Row, Setup, Stage, Summary, set_up};
use crate::steps::{ms, secs};

/// 10 s in all, no lame duck: the stages end by 9.5.
fn setup() -> Setup {
    Setup::new(Budget::new(secs(11)))
}

/// With no `after` anywhere: what was set up last is taken down first.
pub(super) fn stages_run_one_at_a_time_in_reverse<H: Harness>() {
    let mut setup = setup().stage(Stage::empty("logs"));
    for name in ["database", "workers", "http"] {
        setup = setup.stage(Stage::new(name, Does::Waits));
    }
    let mut program: H = set_up(setup);
    let pass = program.enter(Priority::Critical, None);
    program.trigger(Reason::Requested);
    program.sleeps_until(secs(5));
    assert_eq!(program.phase(), Phase::Draining, "no stage before the work is done");
    drop(pass);
    for (name, deadline) in [("http", 6_500), ("workers", 7_500), ("database", 8_500)] {
        program.sleeps_until(ms(deadline));
        assert_eq!(program.phase(), Phase::Closing);
        program.advance(ms(100));
        program.release(name);
    }
    let summary = program.finish();
    summary.assert_clean();
    assert_eq!(summary.begun(), ["http", "workers", "database", "logs"]);
    let began = |row: &Row| row.began;
    assert_eq!(summary.stages.iter().map(began).collect::<Vec<_>>(), [300, 200, 100, 0].map(|at| Some(ms(at))));
}

/// With any `after`: each begins when those before it have ended, in any way, and not earlier.
pub(super) fn with_after_the_order_is_as_written<H: Harness>() {
    // "roof" after both walls, and those after "base", which fails; "alone" after nothing.
    let setup = setup()
        .stage(Stage::new("roof", Does::Returns).after("left").after("right"))
        .stage(Stage::new("left", Does::Waits).after("base"))
        .stage(Stage::new("base", Does::Fails("cracks")))
        .stage(Stage::new("right", Does::Hangs).after("base").limit(secs(3)))
        .stage(Stage::new("alone", Does::Waits));
    let mut program: H = set_up(setup);
    program.trigger(Reason::Requested);
    // "right", which is begun when "base" has ended, has the earliest deadline; "left" and "alone" run beside it.
    program.sleeps_until(secs(3));
    program.advance(secs(1));
    program.release("alone");
    program.release("left");
    program.sleeps_until(secs(3));
    program.advance(secs(2));
    let summary = program.finish();
    summary.assert(Outcome::StageAbandoned);
    let expected = [
        ("roof", Fate::Completed, Some(secs(3))),
        ("left", Fate::Completed, Some(Duration::ZERO)),
        ("base", Fate::Failed, Some(Duration::ZERO)),
        ("right", Fate::Abandoned, Some(Duration::ZERO)),
        ("alone", Fate::Completed, Some(Duration::ZERO)),
    ];
    let rows: Vec<_> = summary.stages.iter().map(|row| (&*row.name, row.fate, row.began)).collect();
    assert_eq!(rows, expected);
    assert_eq!(summary.begun().last(), Some(&"roof"));
}

/// Hooks of one stage, and stages that wait for the same: each of these waits for all the others.
pub(super) fn what_may_run_side_by_side_does<H: Harness>() {
    let setup = setup()
        .stage(Stage::empty("first"))
        .stage(Stage::new("left", Does::Meets).and(Does::Meets).after("first"))
        .stage(Stage::new("right", Does::Meets).after("first"));
    let mut program: H = set_up(setup);
    program.trigger(Reason::Requested);
    program.finish().assert_clean();
}

/// P6, P7: the stage behind it is none the worse.
pub(super) fn p6_p7_a_hung_hook_is_abandoned_and_the_rest_goes_on<H: Harness>() {
    let setup = setup().stage(Stage::new("database", Does::Returns));
    let mut program: H = set_up(setup.stage(Stage::new("workers", Does::Hangs)));
    program.trigger(Reason::Requested);
    program.run_until(ms(8_500));
    let summary = program.finish();
    summary.assert(Outcome::StageAbandoned);
    assert_eq!(summary.fates(), [Fate::Completed, Fate::Abandoned]);
    assert_eq!((summary.stage("workers").took, summary.exit_code), (ms(8_500), 12));
    assert!(summary.stage("workers").problems[0].contains("did not end"), "{summary:#?}");
    assert_eq!(summary.stage("database").began, Some(ms(8_500)));
}

pub(super) fn p7_failed_and_panicked_hooks_stop_nobody_and_are_named<H: Harness>() {
    let setup = setup()
        .stage(Stage::new("last", Does::Returns))
        .stage(Stage::new("text", Does::Fails("just words")).and(Does::Returns))
        .stage(Stage::new("burst", Does::Panics("too hot")).and(Does::Fails("and this")));
    let mut program: H = set_up(setup);
    program.trigger(Reason::Requested);
    let summary = program.finish();
    summary.assert(Outcome::Failed);
    assert_eq!((summary.begun(), summary.exit_code), (vec!["burst", "text", "last"], 10));
    assert_eq!(told(&summary, "last"), (Fate::Completed, String::new()));
    assert_eq!(told(&summary, "text"), (Fate::Failed, "just words".to_owned()));
    let (fate, problems) = told(&summary, "burst");
    assert_eq!(fate, Fate::Panicked);
    assert!(problems.contains("too hot") && problems.contains("and this"), "{problems}");
}

/// P7: the outcome is clean, and the program has failed all the same.
pub(super) fn p7_a_clean_end_after_a_failure_is_no_success<H: Harness>() {
    for (reason, code) in [(Reason::Failure, 1), (Reason::Requested, 0), (Reason::Signal(15), 0)] {
        let mut program: H = set_up(setup().stage(Stage::new("close", Does::Returns)));
        program.trigger(reason);
        let summary = program.finish();
        summary.assert_clean();
        assert_eq!(summary.exit_code, code);
    }
}

pub(super) fn hooks_can_be_given_later_until_their_stage_begins<H: Harness>() {
    let mut program: H = set_up(setup().stage(Stage::empty("last")).stage(Stage::new("close", Does::Waits)));
    assert!(program.hook("cloze", "misspelt").unwrap_err().contains("there is no stage \"cloze\""));
    program.hook("close", "in time").unwrap();
    program.trigger(Reason::Requested);
    program.sleeps_until(ms(8_500));
    assert!(program.hook("close", "too late").unwrap_err().contains("stage \"close\" has begun"));
    program.hook("last", "just in time").unwrap();
    program.release("close");
    let summary = program.finish();
    summary.assert(Outcome::Failed);
    assert!(program.hook("last", "too late").unwrap_err().contains("stage \"last\" has begun"));
    assert_eq!(told(&summary, "close"), (Fate::Failed, "in time".to_owned()));
    assert_eq!(told(&summary, "last"), (Fate::Failed, "just in time".to_owned()));
}

fn told(summary: &Summary, stage: &str) -> (Fate, String) {
    let Row { fate, problems, .. } = summary.stage(stage);
    (*fate, problems.join("; "))
}

/// Before the wind-down and in it; and of each class. Work without a label is the program's own.
pub(super) fn p7_work_that_panics_with_a_labelled_pass_is_named_and_fails_the_wind_down<H: Harness>() {
    let mut program: H = set_up(setup());
    for (class, label) in [(Priority::Critical, Some("import")), (Priority::Low, Some("cache")), (Priority::High, None)]
    {
        let pass = program.enter(class, label).expect("running");
        program.panic(pass);
    }
    let last = program.enter(Priority::High, Some("upload")).expect("running");
    program.trigger(Reason::Requested);
    program.panic(last);
    let summary = program.finish();
    summary.assert(Outcome::Failed);
    assert_eq!(summary.exit_code, 10);
    assert_eq!(summary.failures.len(), 3, "{summary:#?}");
    for (failure, label) in summary.failures.iter().zip(["import", "cache", "upload"]) {
        assert!(failure.starts_with("a panic dropped admitted work: thread "), "{failure}");
        assert!(failure.contains(&format!("held \"{label}\" from ")), "{failure}");
    }
}

//! The times of a wind-down, as a program asks for them: before it as a table, in it as deadlines.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use winddown::{Budget, Builder, Milestone, Reason, Shutdown, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

/// A default reserve of 1 s for each of three stages takes 3 of 7 s.
#[test]
fn a_timetable_names_what_each_stage_takes_from_the_drain() {
    let budget = Budget::new(secs(9)).lame_duck(secs(1)).high(secs(1)).hand_back(ms(1_500));
    let stages = [Stage::new("log"), Stage::new("db").reserve(ms(1_500)), Stage::new("http").limit(ms(250))];
    let builder = stages.into_iter().fold(Shutdown::builder().budget(budget), Builder::stage);
    let built = builder.timetable().unwrap();
    let expected = "   0.000 s  triggered
   1.000 s  refusing
   2.000 s  idle connections are not waited for any more
   2.000 s  work of class High is late
   2.750 s  hand back what does not fit into 1.5s
   4.250 s  last call: work is cut
   4.750 s  stage \"http\" (reserve 250ms)
   5.000 s  stage \"db\" (reserve 1.5s)
   6.500 s  stage \"log\" (default reserve 1s)
   7.500 s  flush: observers tell the end
   8.000 s  end: 1s of the grace is left
";
    assert_eq!(built.to_string(), expected);
    let shutdown = builder.build().unwrap();
    assert_eq!(shutdown.timetable().to_string(), expected, "as long as it runs");
    shutdown.trigger(Reason::Interrupt);
    let interrupted = shutdown.timetable();
    assert_eq!((interrupted.times.refusing, interrupted.times.last_call), (secs(0), ms(4_250)));
    assert_eq!(interrupted.stages[2].begins_by, ms(4_750));
}

/// What is never reached is in no table.
#[test]
fn a_timetable_leaves_out_what_a_short_drain_never_reaches() {
    let told = Shutdown::builder().budget(Budget::new(secs(9)).drain(ms(400))).timetable().unwrap().to_string();
    assert!(!told.contains("High") && !told.contains("idle") && !told.contains("hand back"), "{told}");
    let error = Shutdown::builder().stage(Stage::new("slow").reserve(secs(60))).timetable().unwrap_err();
    assert!(error.to_string().contains("\"slow\" (reserve 60s)"), "{error}");
}

/// P5: on the system's clock, from any thread, and `run` keeps to it.
#[test]
fn p5_p6_the_deadlines_are_known_at_once_and_run_keeps_to_them() {
    must_end(|| {
        let (stuck, never) = mpsc::channel::<()>();
        let stage = Stage::new("hangs").reserve(ms(100)).hook(move || never.recv());
        let shutdown = Shutdown::builder().budget(Budget::new(ms(1_600)).drain(ms(50))).stage(stage).build().unwrap();
        assert_eq!((shutdown.deadline(), shutdown.drain_deadline()), (None, None));
        let before = Instant::now();
        shutdown.trigger(Reason::Requested);
        let after = Instant::now();
        let (deadline, drain) = (shutdown.deadline().unwrap(), shutdown.drain_deadline().unwrap());
        assert!((before + ms(1_200)..=after + ms(1_200)).contains(&deadline), "1.6 s, less a quarter");
        assert_eq!(deadline - drain, ms(1_150));
        let token = shutdown.token_at(Milestone::Done);
        let theirs = thread::spawn(move || (token.deadline(), token.child().drain_deadline())).join().unwrap();
        assert_eq!(theirs, (Some(deadline), Some(drain)));
        let exit = shutdown.run();
        assert_eq!((exit.report.exit_code(), shutdown.deadline()), (12, Some(deadline)), "the stage was abandoned");
        // The last 200 ms are the observers', and there are none.
        assert!(Instant::now() + ms(200) >= deadline, "the stage had all of its time");
        drop(stuck);
    });
}

/// An instant has an end.
#[test]
fn p6_a_budget_without_end_has_no_deadline_to_tell() {
    let shutdown = Shutdown::builder().budget(Budget::new(std::time::Duration::MAX)).build().unwrap();
    shutdown.trigger(Reason::Requested);
    assert_eq!((shutdown.deadline(), shutdown.drain_deadline()), (None, None));
    let _ = shutdown.run();
}

//! A task or a hook that blocks the thread of an executor: the wind-down is over in time all the same (P6), and so is the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use smol::LocalExecutor;
use winddown::testing::assert_outcome;
use winddown_smol::{AtEnd, Fate, Outcome, Reason, Stage};
use winddown_tests::child::Child;
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{Place, Several, running, timed};

/// `block_on` and `LocalExecutor`: there is nobody left to await `run`. The exit is there on another thread.
#[test]
fn p6_a_hook_that_blocks_the_only_thread_is_named_and_over_in_time() {
    for place in [Place::BlockOn, Place::Local] {
        must_end(move || {
            let (clock, builder) = timed();
            let (blocks, is_blocked) = mpsc::channel();
            let (go, gone) = mpsc::channel::<()>();
            let line = line!() + 1;
            let stage = Stage::new("hung").hook(async move {
                blocks.send(()).unwrap();
                gone.recv().unwrap();
            });
            let shutdown = builder.stage(stage).build().unwrap();
            let run = place.start(running(&shutdown));
            shutdown.trigger(Reason::Requested);
            is_blocked.recv().unwrap();
            clock.wait_for_sleeper(ms(9_500));
            clock.advance(ms(9_500));
            let report = shutdown.threads().run().report;
            assert_outcome(&report, Outcome::StageAbandoned);
            assert_eq!((report.took, report.stages[0].fate), (ms(9_500), Fate::Abandoned));
            let place = format!("the hook from {}:{}:", file!(), line);
            assert!(report.stages[0].problems[0].starts_with(&place), "{report}");
            assert!(!run.is_finished());
            go.send(()).unwrap();
            assert!(Arc::ptr_eq(&run.join().unwrap().report, &report), "the same, when it gets there");
        });
    }
}

#[test]
fn p6_a_task_that_blocks_the_only_thread_is_named_and_over_in_time() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.stage(Stage::new("hook").hook(async {})).build().unwrap();
        let (blocks, is_blocked) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let theirs = shutdown.clone();
        let local = thread::spawn(move || {
            let local = LocalExecutor::new();
            let blocking = async {
                blocks.send(()).unwrap();
                gone.recv().unwrap();
                5
            };
            let task = local.spawn(theirs.work().label("import").track(blocking).unwrap());
            let exit = smol::block_on(local.run(theirs.run()));
            (exit.code(), smol::block_on(local.run(task)))
        });
        is_blocked.recv().unwrap();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(8));
        clock.advance(secs(8));
        clock.wait_for_sleeper(ms(8_500));
        clock.advance(ms(500));
        // The hook is `run`'s to poll, which is on this thread.
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(secs(1));
        let report = shutdown.threads().run().report;
        assert_outcome(&report, Outcome::StageAbandoned);
        assert!(report.stages[0].problems[0].contains(file!()), "{report}");
        let [late] = &*report.stragglers else { panic!("{report}") };
        assert_eq!((&*late.label, late.at_end, late.location.file()), ("import", AtEnd::StillHeld, file!()));
        go.send(()).unwrap();
        // It was ready at its poll: that is its result, late as it is.
        assert_eq!(local.join().unwrap(), (12, Ok(5)));
    });
}

/// There is another thread, for `run`.
#[test]
fn p6_a_task_that_never_yields_is_named_and_run_ends_beside_it() {
    must_end(|| {
        let (clock, builder) = timed();
        let executor = Several::new();
        let (stage, hooked) = {
            let (sender, hooked) = mpsc::channel();
            (Stage::new("hook").hook(async move { sender.send(()) }), hooked)
        };
        let shutdown = builder.stage(stage).build().unwrap();
        let (spins, is_spinning) = mpsc::channel();
        let enough = Arc::new(AtomicBool::new(false));
        let theirs = enough.clone();
        let task = executor.tasks(&shutdown).label("spinner").spawn(async move {
            spins.send(()).unwrap();
            while !theirs.load(Ordering::Relaxed) {
                thread::yield_now();
            }
        });
        is_spinning.recv().unwrap();
        let run = executor.executor().spawn(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(8));
        clock.advance(secs(8));
        clock.wait_for_sleeper(ms(8_500));
        clock.advance(ms(500));
        let report = smol::block_on(run).report;
        hooked.recv().unwrap();
        assert_outcome(&report, Outcome::DrainTimedOut);
        let [late] = &*report.stragglers else { panic!("{report}") };
        assert_eq!((&*late.label, late.at_end, report.took), ("spinner", AtEnd::StillHeld, ms(8_500)));
        enough.store(true, Ordering::Relaxed);
        smol::block_on(task.unwrap()).unwrap();
    });
}

/// The main thread joins the executor's threads, and is itself one of them, or is not. Without the watchdog neither program ends.
#[test]
fn p6_a_usual_main_of_smol_with_a_stuck_task_on_every_thread_ends_with_the_report_s_code() {
    for main in ["smol-macros-main", "easy-parallel-main"] {
        let mut child = Child::start(env!("CARGO_BIN_EXE_victim"), &[main]);
        child.wait_for("a task is stuck");
        child.wait_for("a task is stuck");
        child.signal(libc::SIGTERM);
        child.end().assert_code(11).assert_said("finished: drain timed out");
    }
}

/// A future cannot notice that nothing will wake it. So the clock writes to standard error.
#[test]
fn a_smol_run_on_a_clock_that_no_thread_advances_does_not_hang_without_a_word() {
    let victim = env!("CARGO_BIN_EXE_victim");
    let mut child = Child::start("sh", &["-c", "exec \"$0\" standing-clock 2>&1", victim]);
    let line = child.wait_for("on a ManualClock that stands at 0ns");
    assert!(line.starts_with("winddown: the wind-down sleeps until 28s "), "{line}");
    assert!(line.contains("call `advance` from another thread, or set more `patience`"), "{line}");
}

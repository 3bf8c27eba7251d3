//! Hooks whose time is over: dropped, and named. Those that block a thread are `stuck`'s.

use std::future::pending;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use winddown::testing::assert_outcome;
use winddown_smol::{Fate, Forced, Outcome, Reason, Report, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{Dropped, Place, apart, endless, running, timed};

#[track_caller]
fn assert_abandoned(report: &Report, line: u32) {
    let hung = report.stage("hung").unwrap();
    assert_eq!(hung.fate, Fate::Abandoned, "{report}");
    let [problem] = &*hung.problems else { panic!("{report}") };
    let place = format!("the hook from {}:{line}:", file!());
    assert!(problem.starts_with(&place) && problem.ends_with("did not end"), "{problem}");
}

/// P6: at its deadline, not when all is over; P7: by its place in the source. Another hook of the stage has ended, and the
/// next stage has what time there is.
#[test]
fn p6_p7_a_hook_that_is_pending_for_ever_is_dropped_and_named() {
    for place in Place::ALL {
        must_end(move || {
            let (clock, builder) = timed();
            let (hook, polled, gone) = endless();
            let line = line!() + 1;
            let stage = Stage::new("hung").limit(secs(2)).hook(async {}).hook(hook);
            let (go, gone_on) = mpsc::channel();
            // On a thread, so that nobody is woken for it.
            let next = winddown::Stage::new("next").hook(move || gone_on.recv());
            let shutdown = builder.stage(next).stage(stage).build().unwrap();
            let run = place.start(running(&shutdown));
            shutdown.trigger(Reason::Requested);
            polled.recv().unwrap();
            clock.wait_for_sleeper(secs(2));
            clock.advance(secs(2));
            gone.recv().unwrap();
            go.send(()).unwrap();
            let report = run.join().unwrap().report;
            assert_outcome(&report, Outcome::StageAbandoned);
            assert_eq!((report.exit_code(), report.took), (12, secs(2)));
            assert_abandoned(&report, line);
            assert_eq!(report.stage("next").unwrap().fate, Fate::Completed);
        });
    }
}

#[test]
fn p6_p7_so_is_one_on_a_thread_of_its_own() {
    must_end(|| {
        let (clock, builder) = timed();
        let (hook, polled, gone) = endless();
        let line = line!() + 1;
        let shutdown = builder.stage(Stage::new("hung").hook(hook)).build().unwrap();
        shutdown.trigger(Reason::Requested);
        polled.recv().unwrap();
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(9_500));
        gone.recv().unwrap();
        let report = shutdown.threads().run().report;
        assert_outcome(&report, Outcome::StageAbandoned);
        assert_abandoned(&report, line);
    });
}

#[test]
fn a_force_drops_it_too_and_what_has_not_begun() {
    for place in Place::ALL {
        must_end(move || {
            let (hook, polled, gone) = endless();
            let (never, never_polled, never_gone) = endless();
            let line = line!() + 1;
            let hung = Stage::new("hung").hook(hook);
            let shutdown = timed().1.stage(Stage::new("never").hook(never)).stage(hung).build().unwrap();
            let run = place.start(running(&shutdown));
            shutdown.trigger(Reason::Requested);
            polled.recv().unwrap();
            assert!(shutdown.force());
            gone.recv().unwrap();
            never_gone.recv().unwrap();
            let report = run.join().unwrap().report;
            assert_outcome(&report, Outcome::Forced(Forced::Call));
            assert_abandoned(&report, line);
            assert_eq!(report.stage("never").unwrap().fate, Fate::NotStarted);
            assert!(never_polled.recv().is_err());
        });
    }
}

/// A destructor that panics is nobody else's trouble.
#[test]
fn p7_a_destructor_that_panics_keeps_nothing_from_being_dropped() {
    struct Bad(#[expect(dead_code, reason = "held")] Dropped);
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }
    must_end(|| {
        let (clock, builder) = timed();
        let (sender, gone) = mpsc::channel();
        let (polled, is_polled) = mpsc::channel();
        let hook = |sender: mpsc::Sender<()>| {
            let polled = polled.clone();
            async move {
                let _bad = Bad(Dropped(sender));
                polled.send(()).unwrap();
                pending::<()>().await;
            }
        };
        let (hung, next) = (Stage::new("hung"), Stage::new("next").hook(async {}));
        let hung = hung.limit(secs(2)).hook(hook(sender.clone())).hook(hook(sender.clone())).hook(hook(sender));
        let shutdown = builder.stage(next).stage(hung).build().unwrap();
        let run = apart(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        assert_eq!(is_polled.iter().take(3).count(), 3);
        clock.wait_for_sleeper(secs(2));
        clock.advance(secs(2));
        let report = run.join().unwrap().report;
        assert_eq!(gone.iter().count(), 3);
        assert_outcome(&report, Outcome::StageAbandoned);
        assert_eq!(report.stage("hung").unwrap().problems.len(), 3);
        assert_eq!(report.stage("next").unwrap().fate, Fate::Completed);
    });
}

/// A hook that says that it has ended when nobody waits for it any more is not heard: what was told stays true.
#[test]
fn p7_the_end_of_an_abandoned_hook_changes_nothing() {
    must_end(|| {
        let (clock, builder) = timed();
        let handle = Arc::new(Mutex::new(None));
        let theirs = handle.clone();
        // Ended by its own abandoning: its stage is over when it hears of that.
        let hook = async move {
            let done =
                theirs.lock().unwrap().take().map(|shutdown: winddown_smol::Shutdown| {
                    shutdown.token_at(winddown_smol::Milestone::Done).cancelled()
                });
            done.unwrap().await;
        };
        let shutdown = builder.stage(Stage::new("hung").hook(hook)).build().unwrap();
        *handle.lock().unwrap() = Some(shutdown.clone());
        let run = apart(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(9_500));
        let report = run.join().unwrap().report;
        assert_outcome(&report, Outcome::StageAbandoned);
        assert_eq!(report.stages[0].fate, Fate::Abandoned);
    });
}

/// One that blocks cannot be dropped: it is named, and goes on.
#[test]
fn p6_a_blocking_hook_that_is_late_goes_on_and_is_named() {
    must_end(|| {
        let (clock, builder) = timed();
        let (blocks, is_blocked) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let (sender, went_on) = mpsc::channel();
        let hook = move || {
            blocks.send(()).unwrap();
            gone.recv().unwrap();
            sender.send(()).unwrap();
        };
        let line = line!() + 1;
        let shutdown = builder.stage(Stage::new("hung").blocking(hook)).build().unwrap();
        let run = apart(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        is_blocked.recv().unwrap();
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(9_500));
        let report = run.join().unwrap().report;
        assert_outcome(&report, Outcome::StageAbandoned);
        assert_abandoned(&report, line);
        go.send(()).unwrap();
        went_on.recv().unwrap();
    });
}

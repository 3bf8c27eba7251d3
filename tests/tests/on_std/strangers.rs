//! Other people's code: hooks, kickers, observers, destructors, and what they may get up to.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use winddown::testing::{assert_clean, assert_outcome, assert_stages};
use winddown::{Budget, Event, Fate, Forced, Notice, Observer, Outcome, Part, Reason, Report, Shutdown, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{hang, timed};

#[derive(Debug)]
pub(crate) struct Broken(pub(crate) io::Error);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool is broken")
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn p7_errors_are_told_with_their_causes_and_panics_without_words_too() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder
            .stage(Stage::new("pool").hook(|| Err(Broken(io::Error::other("no space")))))
            .stage(Stage::new("burst").hook(|| -> () { std::panic::panic_any(7) }))
            .build()
            .unwrap();
        shutdown.trigger(Reason::Requested);
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::Failed);
        assert_stages(&report, &["burst", "pool"]);
        let problems = |name| report.stage(name).map(|stage| stage.problems.join("; ")).unwrap();
        assert_eq!(problems("pool"), "the pool is broken: no space");
        assert!(problems("burst").contains("no string") && problems("burst").contains(file!()), "{report}");
    });
}

/// Panics or hangs when it is dropped.
struct Trap(fn());

impl Drop for Trap {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// P6: strangers' destructors run neither on the driver's thread nor, after the end, on that of the last handle.
#[test]
fn p6_destructors_that_hang_or_panic_hold_nobody_up() {
    must_end(|| {
        let (clock, builder) = timed();
        let (trap, bomb) = (Trap(hang), Trap(|| panic!("dropped")));
        let shutdown = builder
            .budget(Budget::new(secs(11)).lame_duck(secs(1)))
            .stage(Stage::new("never").hook(move || drop(trap)))
            .stage(Stage::new("burst").hook(move || drop(bomb)))
            .build()
            .unwrap();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(1));
        shutdown.force();
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::Forced(Forced::Call));
        assert!(report.stages.iter().all(|stage| stage.fate == Fate::NotStarted));
        assert_eq!(report.exit_code(), 13);
        drop(shutdown);
    });
}

#[test]
fn p6_a_hung_kicker_is_waited_for_like_a_pass_and_named() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (begins, has_begun) = mpsc::channel();
        let _hung = shutdown.kicker(move || {
            begins.send(()).unwrap();
            hang();
        });
        shutdown.trigger(Reason::Requested);
        has_begun.recv().unwrap();
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        let [failure] = &*report.failures else { panic!("{report}") };
        assert_eq!(failure.part, Part::Kicker);
        let what = " held up the drain to its end, and ran for 9.50 s, and did not return";
        assert!(failure.what.contains(file!()) && failure.what.ends_with(what), "{}", failure.what);
        assert!(report.to_string().contains(&failure.what), "{report}");
    });
}

/// It ran on after the drain's deadline, so it is the reason why the drain timed out.
#[test]
fn p7_a_kicker_that_returns_after_the_drains_deadline_is_named() {
    must_end(|| {
        let (clock, builder) = timed();
        let (go, gone) = mpsc::channel();
        let shutdown = builder.build().unwrap();
        let (begins, has_begun) = mpsc::channel();
        let _slow = shutdown.kicker(move || {
            begins.send(()).unwrap();
            gone.recv().unwrap();
        });
        shutdown.trigger(Reason::Requested);
        has_begun.recv().unwrap();
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        clock.wait_for_sleeper(ms(9_500));
        go.send(()).unwrap();
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        let [failure] = &*report.failures else { panic!("{report}") };
        assert_eq!(failure.part, Part::Kicker);
        let what = " held up the drain to its end, and ran for 9 s";
        assert!(failure.what.contains(file!()) && failure.what.ends_with(what), "{}", failure.what);
    });
}

/// Hangs or panics, as it is told, when it hears the end.
struct Rude(fn());

impl Observer for Rude {
    fn notice(&mut self, _: &Notice) {}

    fn finished(&mut self, _: &Report) {
        (self.0)();
    }
}

#[test]
fn p6_p7_an_observer_that_hangs_is_waited_for_as_long_as_the_flush_and_named() {
    must_end(|| {
        let (clock, builder) = timed();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let theirs = seen.clone();
        let (sender, heard_the_end) = mpsc::channel();
        let shutdown = builder
            .observer(Rude(hang))
            .observer(move |notice: &Notice| {
                theirs.lock().unwrap().push(notice.to_string());
                if matches!(notice.event, Event::Finished { .. }) {
                    sender.send(()).unwrap();
                }
            })
            .build()
            .unwrap();
        clock.advance(secs(7));
        shutdown.trigger(Reason::Requested);
        heard_the_end.recv().unwrap();
        clock.wait_for_sleeper(ms(7_500));
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::Failed);
        assert_eq!(report.failures[0].part, Part::Observer);
        assert_eq!(
            report.failures[0].what,
            "observer 0 was late: it did not handle the last notice within Budget::flush"
        );
        assert_eq!(report.took, Duration::ZERO, "the drain and the stages had ended");
        let seen = seen.lock().unwrap();
        assert!(seen[0].contains("request: winding down"), "{seen:?}");
        assert!(seen.last().unwrap().contains("finished: clean"), "{seen:?}");
    });
}

#[test]
fn p7_observers_that_panic_are_named_and_nobody_waits_for_them() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder
            .observer(|_: &Notice| panic!("at the first word"))
            .observer(Rude(|| panic!("at the last")))
            .build()
            .unwrap();
        shutdown.trigger(Reason::Requested);
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::Failed);
        let failures: Vec<_> = report.failures.iter().map(|failure| &*failure.what).collect();
        assert_eq!(failures, ["observer 0 panicked: at the first word", "observer 1 panicked: at the last"]);
    });
}

/// Sets up and takes down another shutdown when it is dropped, signals and all.
struct Builds;

impl Drop for Builds {
    fn drop(&mut self) {
        drop(Shutdown::builder().signal(libc::SIGUSR2).build().unwrap());
    }
}

/// P9: signal-hook has a lock of its own, which is not to be held while a stranger's destructor runs.
#[test]
fn p9_destructors_may_meet_signals() {
    must_end(|| {
        let (clock, builder) = timed();
        let builds = Builds;
        let shutdown = builder
            .budget(Budget::new(secs(11)).lame_duck(secs(1)))
            .signal(libc::SIGUSR1)
            .stage(Stage::new("never").hook(move || drop(builds)))
            .build()
            .unwrap();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(1));
        shutdown.force();
        drop(shutdown.run());
        drop(shutdown);
    });
}

/// Calls back in when it is dropped.
struct OnDrop(Shutdown);

impl Drop for OnDrop {
    fn drop(&mut self) {
        drop(self.0.kicker_at_last_call(|| ()));
    }
}

/// P9: kickers, observers and destructors that call back in, from under no lock.
#[test]
fn p9_strangers_may_call_back_in() {
    must_end(|| {
        let (_, builder) = timed();
        let handle = Arc::new(std::sync::OnceLock::<Shutdown>::new());
        let (observed, hooked) = (handle.clone(), handle.clone());
        let call = |shutdown: &Shutdown| {
            shutdown.trigger(Reason::Requested);
            drop(shutdown.work().label("again").enter());
            drop(shutdown.kicker(|| ()));
            drop(shutdown.kicker_at_last_call(|| ()));
            let _ =
                (shutdown.token().wait_timeout(Duration::ZERO), shutdown.hook("close", || ()), shutdown.in_flight());
        };
        let shutdown = builder
            .observer(move |_: &Notice| call(observed.get().unwrap()))
            .stage(Stage::new("close").hook(move || call(hooked.get().unwrap())))
            .build()
            .unwrap();
        handle.set(shutdown.clone()).unwrap();
        let theirs = shutdown.clone();
        shutdown.kicker(move || call(&theirs)).keep();
        let theirs = shutdown.clone();
        // Taken back: the closure's destructor calls in.
        let guard = OnDrop(theirs);
        drop(shutdown.kicker(move || drop(guard)));
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
    });
}

/// It might own a handle, and keep what it is kept by.
#[test]
fn a_kicker_whose_time_cannot_come_is_dropped() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        let owned = Arc::new(());
        let theirs = owned.clone();
        shutdown.kicker_at_last_call(move || drop(theirs)).keep();
        assert_eq!(Arc::strong_count(&owned), 1);
    });
}

#[test]
fn kickers_run_once_in_their_turn_and_not_at_all_when_taken_back() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.budget(Budget::new(secs(11)).lame_duck(secs(1))).build().unwrap();
        let (sender, kicks) = mpsc::channel();
        let kick = |what| {
            let sender = sender.clone();
            move || sender.send(what).unwrap()
        };
        drop(shutdown.kicker(kick("taken back")));
        let _trigger = shutdown.kicker(kick("triggered"));
        let _refusal = shutdown.kicker_at_refusal(kick("refusing"));
        let _last = shutdown.kicker_at_last_call(kick("last call"));
        let _panics = shutdown.kicker(|| panic!("kicked too hard"));
        shutdown.trigger(Reason::Requested);
        assert_eq!(kicks.recv(), Ok("triggered"));
        clock.wait_for_sleeper(secs(1));
        let _late = shutdown.kicker(kick("late"));
        assert_eq!(kicks.try_recv(), Ok("late"), "it ran right there");
        clock.advance(secs(1));
        let report = shutdown.run().report;
        assert_eq!(kicks.try_iter().collect::<Vec<_>>(), ["refusing"], "nobody was late");
        assert_outcome(&report, Outcome::Failed);
        assert!(report.failures[0].what.ends_with("panicked: kicked too hard"), "{report}");
    });
}

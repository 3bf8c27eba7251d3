//! A test's clock that no thread advances. Not here: all the tests that do advance it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use winddown::testing::{ManualClock, assert_clean};
use winddown::{Budget, Reason, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

fn with_patience() -> (ManualClock, Shutdown) {
    let clock = ManualClock::new().patience(ms(20));
    let shutdown = Shutdown::builder().budget(Budget::new(secs(11))).manual_clock(&clock).build().unwrap();
    (clock, shutdown)
}

/// 9 s: the drain's deadline.
#[test]
fn a_run_that_sleeps_on_a_clock_that_no_thread_advances_panics_and_says_until_when_it_sleeps() {
    must_end(|| {
        let (clock, shutdown) = with_patience();
        clock.advance(secs(1));
        let pass = shutdown.enter().unwrap();
        shutdown.trigger(Reason::Requested);
        let panic = catch_unwind(AssertUnwindSafe(|| shutdown.run())).expect_err("it cannot end");
        let message = panic.downcast::<String>().unwrap();
        let parts = ["sleeps until 10s on a ManualClock that stands at 1s", "call `advance`", "more `patience`"];
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        drop(pass);
        assert_clean(&shutdown.run().report);
    });
}

/// While the program runs, nothing sleeps on the clock. Time passes here: five times the patience.
#[test]
fn a_run_that_waits_for_a_trigger_does_not_panic() {
    must_end(|| {
        let (_, shutdown) = with_patience();
        let theirs = shutdown.clone();
        let run = thread::spawn(move || theirs.run());
        thread::sleep(ms(100));
        shutdown.trigger(Reason::Requested);
        assert_clean(&run.join().unwrap().report);
    });
}

#[test]
fn a_test_that_waits_for_no_sleeper_panics_with_its_patience() {
    must_end(|| {
        let (clock, _shutdown) = with_patience();
        let panic = catch_unwind(AssertUnwindSafe(|| clock.wait_for_sleeper(secs(7)))).expect_err("there is none");
        assert!(panic.downcast::<String>().unwrap().contains("until 7s"));
    });
}

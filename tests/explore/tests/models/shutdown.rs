//! The thread binding whole: those who wait, those who cancel, and the driver that the wind-down is handed to. A wake that
//! is lost, a lock that is held too long and a thread that is left behind are deadlocks to loom.

#[cfg(unix)]
use std::io::Read;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::TryRecvError;
use loom::thread;
use winddown::testing::{ManualClock, assert_clean, assert_outcome, grant_the_barrier};
use winddown::{Budget, Counting, Forced, Milestone, Outcome, Phase, Priority, Reason, Shutdown};

use crate::explore::{Witness, explore};

const SECOND: Duration = Duration::from_secs(1);

fn shutdown_by(clock: &ManualClock) -> Shutdown {
    Shutdown::builder().budget(Budget::new(30 * SECOND)).manual_clock(clock).build().unwrap()
}

fn shutdown() -> Shutdown {
    shutdown_by(&ManualClock::new())
}

/// P4: a wait that is registered against the trigger.
#[test]
fn a_token_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let before = Arc::new(Witness::new());
        let (token, theirs) = (shutdown.token(), before.clone());
        let waiter = thread::spawn(move || {
            token.wait();
            assert_eq!(theirs.seen(), 1, "told, and cannot see why");
            assert!(token.should_stop());
        });
        before.note(1);
        assert!(shutdown.trigger(Reason::Requested));
        waiter.join().unwrap();
        assert_clean(&shutdown.run().report);
    });
}

/// P5: a thread that finds the program shutting down finds its deadline, even before the driver has run.
#[test]
fn a_deadline_against_the_trigger() {
    explore(Some(1), || {
        let clock = ManualClock::new();
        // A time that is not known yet is not the time of the trigger.
        clock.advance(SECOND);
        let shutdown = shutdown_by(&clock);
        let token = shutdown.token();
        let asker = thread::spawn(move || {
            let (is_shutting_down, before) = (token.should_stop(), Instant::now());
            let Some(deadline) = token.deadline() else {
                assert!(!is_shutting_down, "asked for, and without a deadline");
                return;
            };
            let latest = Instant::now() + 29 * SECOND;
            assert!((before + 29 * SECOND..=latest).contains(&deadline), "counted from never");
        });
        shutdown.trigger(Reason::Requested);
        asker.join().unwrap();
        assert_clean(&shutdown.run().report);
    });
}

/// P4: work that goes on until it is told to stop, and that the driver waits for.
#[test]
fn work_until_the_refusal_against_the_driver() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let (pass, refusing) = (shutdown.enter_owned().unwrap(), shutdown.token_at(Milestone::Refusing));
        let before = Arc::new(Witness::new());
        let theirs = before.clone();
        let worker = thread::spawn(move || {
            refusing.wait();
            assert_eq!(theirs.seen(), 1, "told, and cannot see why");
            drop(pass);
        });
        before.note(1);
        assert!(shutdown.trigger(Reason::Requested));
        assert_clean(&shutdown.run().report);
        worker.join().unwrap();
    });
}

/// P2, P3, P4: work that comes while the driver closes the gates, on a thread of its own.
#[test]
fn a_pass_against_the_driver() {
    work_against_the_driver(Priority::Critical);
}

/// The same for the class that has a cap of its own, within which it is waited for.
#[test]
fn a_pass_of_class_high_against_the_driver() {
    work_against_the_driver(Priority::High);
}

fn work_against_the_driver(class: Priority) {
    explore(Some(1), move || {
        let shutdown = shutdown();
        let work = Arc::new(Witness::new());
        let (theirs, handle) = (work.clone(), shutdown.clone());
        let worker = thread::spawn(move || match handle.work().priority(class).enter() {
            Ok(_pass) => {
                assert_ne!(handle.phase(), Phase::Done, "over, with somebody inside");
                theirs.note(1);
                true
            }
            Err(_) => {
                assert!(handle.is_shutting_down(), "refused while running");
                false
            }
        });
        assert!(shutdown.trigger(Reason::Requested));
        let exit = shutdown.run();
        let (seen, report) = (work.seen(), &exit.report);
        let admitted = worker.join().unwrap();
        assert_clean(report);
        assert!(!admitted || seen == 1, "over, and the work is not seen");
        assert!(report.refused <= u64::from(!admitted), "refused somebody who was admitted");
    });
}

/// P2, P3, P4: a pass is taken on one thread and dropped on another, which asks for a second pass. So passes are counted on two
/// stripes: shared ones, or ones that the threads own (with full fences).
#[test]
fn passes_on_two_shared_stripes_against_the_driver() {
    passes_on_two_stripes_against_the_driver(false);
}

#[test]
fn passes_on_two_owned_stripes_against_the_driver() {
    passes_on_two_stripes_against_the_driver(true);
}

fn passes_on_two_stripes_against_the_driver(owned: bool) {
    explore(Some(1), move || {
        grant_the_barrier(owned);
        let shutdown = shutdown();
        let pass = shutdown.enter_owned().unwrap();
        let work = Arc::new(Witness::new());
        let (theirs, handle) = (work.clone(), shutdown.clone());
        let worker = thread::spawn(move || {
            let another = handle.enter();
            assert!(another.is_ok() || handle.is_shutting_down(), "refused while running");
            assert_ne!(handle.phase(), Phase::Done, "over, with a pass alive");
            theirs.note(1);
            drop(pass);
            if another.is_ok() {
                assert_ne!(handle.phase(), Phase::Done, "over, with a pass alive");
                theirs.note(2);
            }
            1 + usize::from(another.is_ok())
        });
        assert!(shutdown.trigger(Reason::Requested));
        let exit = shutdown.run();
        let seen = work.seen();
        assert_eq!(seen, worker.join().unwrap(), "over, and the work is not seen");
        assert_clean(&exit.report);
        let counting = if owned { Counting::Striped } else { Counting::Shared };
        assert_eq!((exit.report.counting, exit.report.admitted), (counting, seen as u64));
    });
}

/// P6: whoever triggered before the last handle was gone is heard, and with nobody left to ask the driver goes home.
#[test]
fn the_last_handles_against_a_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let done = shutdown.token_at(Milestone::Done);
        let other = shutdown.clone();
        let other = thread::spawn(move || drop(other));
        assert!(shutdown.trigger(Reason::Requested));
        drop(shutdown);
        done.wait();
        other.join().unwrap();
    });
    explore(None, || drop(shutdown()));
}

/// P1, and what goes with the reason.
#[test]
fn two_who_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let other = shutdown.clone();
        let other = thread::spawn(move || other.trigger_with(Reason::Failure, "the other"));
        let first = shutdown.trigger_with(Reason::Requested, "this one");
        let report = &shutdown.run().report;
        assert_ne!(first, other.join().unwrap(), "one was the first");
        let expected = if first { (Reason::Requested, "this one") } else { (Reason::Failure, "the other") };
        let told = (report.reason, report.message.as_deref());
        assert_eq!(told, (expected.0, Some(expected.1)), "the first one is told");
    });
}

/// P6: an end by force, of a wait that nothing else ends.
#[test]
fn a_force_against_the_driver() {
    explore(Some(1), || {
        let shutdown = shutdown();
        std::mem::forget(shutdown.enter());
        assert!(shutdown.trigger(Reason::Requested));
        assert!(shutdown.force());
        assert_outcome(&shutdown.run().report, Outcome::Forced(Forced::Call));
    });
}

/// P5, P6: time that passes while the driver lies down to sleep.
#[test]
fn a_deadline_against_the_driver() {
    explore(Some(2), || {
        let clock = ManualClock::new();
        let budget = Budget::new(30 * SECOND).drain(SECOND).force_close(Duration::ZERO).flush(Duration::ZERO);
        let shutdown = Shutdown::builder().budget(budget).manual_clock(&clock).build().unwrap();
        std::mem::forget(shutdown.enter());
        assert!(shutdown.trigger(Reason::Requested));
        clock.advance(SECOND);
        assert_outcome(&shutdown.run().report, Outcome::DrainTimedOut);
    });
}

/// A kicker that is taken back while it is its turn: it has run whole, or was taken back, and never both or neither.
#[test]
fn a_kicker_taken_back_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let runs = Arc::new(AtomicUsize::new(0));
        let (theirs, before) = (runs.clone(), Arc::new(Witness::new()));
        let seen = before.clone();
        before.note(1);
        let kicker = shutdown.kicker(move || {
            assert_eq!(seen.seen(), 1);
            theirs.fetch_add(1, Ordering::Relaxed);
            theirs.fetch_add(1, Ordering::Relaxed);
        });
        let counted = runs.clone();
        let canceller = thread::spawn(move || {
            drop(kicker);
            assert!(counted.load(Ordering::Relaxed) != 1, "runs after it was dropped");
            drop(counted);
        });
        assert!(shutdown.trigger(Reason::Requested));
        assert_clean(&shutdown.run().report);
        let when_over = runs.load(Ordering::Relaxed);
        canceller.join().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), when_over, "ran after the end");
        assert_eq!(Arc::strong_count(&runs), 1, "neither run nor dropped");
    });
}

/// P9: a kicker, and what it owns, may come back to the shutdown, where it is kicked and where it is taken back.
#[test]
fn a_kicker_that_comes_back() {
    struct Farewell(Shutdown);
    impl Drop for Farewell {
        fn drop(&mut self) {
            drop(self.0.kicker(|| ()));
            assert!(!self.0.trigger(Reason::Failure), "it is dropped after the trigger");
        }
    }
    explore(Some(1), || {
        let shutdown = shutdown();
        let [one, two] = [(); 2].map(|()| Farewell(shutdown.clone()));
        let other = shutdown.kicker_at_last_call(move || drop(one));
        let kicker = shutdown.kicker(move || drop((other, two)));
        assert!(shutdown.trigger(Reason::Requested));
        assert_clean(&shutdown.run().report);
        drop(kicker);
    });
}

/// P4: a channel that is asked for while its time comes.
#[test]
fn a_channel_against_the_trigger() {
    explore(Some(2), || {
        let shutdown = shutdown();
        let theirs = shutdown.clone();
        let asker = thread::spawn(move || theirs.token().receiver());
        assert!(shutdown.trigger(Reason::Requested));
        assert_clean(&shutdown.run().report);
        let receiver = asker.join().unwrap();
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected, "asked for, and never told");
    });
}

/// P4: a descriptor that is asked for while its time comes, by two threads of which one makes the pipe.
#[cfg(unix)]
#[test]
fn a_descriptor_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let askers = [(); 2].map(|()| {
            let theirs = shutdown.clone();
            thread::spawn(move || theirs.token().descriptor().unwrap())
        });
        assert!(shutdown.trigger(Reason::Requested));
        assert_clean(&shutdown.run().report);
        let [one, other] = askers.map(|asker| asker.join().unwrap());
        assert_eq!(one.as_raw_fd(), other.as_raw_fd(), "two pipes were made");
        let mut reader = UnixStream::from(one.as_fd().try_clone_to_owned().unwrap());
        reader.set_nonblocking(true).unwrap();
        assert_eq!(reader.read(&mut [0]).ok(), Some(0), "asked for, and never told");
    });
}

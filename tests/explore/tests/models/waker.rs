//! Tasks that wait: their wakers against the trigger and against the driver. A wake that is lost is a deadlock to loom; so is
//! a waker that is woken, cloned or dropped under the lock that it needs.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use loom::thread;
use winddown::testing::{ManualClock, assert_clean};
use winddown::{Budget, Cancelled, Milestone, Reason, Shutdown};

use crate::bell::{Bell, poll};
use crate::explore::{Witness, explore};

fn shutdown() -> Shutdown {
    Shutdown::builder().budget(Budget::default()).manual_clock(&ManualClock::new()).build().unwrap()
}

/// P4: a task that registers while it is asked.
#[test]
fn a_task_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let before = Arc::new(Witness::new());
        let (token, theirs) = (shutdown.token(), before.clone());
        let task = thread::spawn(move || {
            let bell = Bell::new();
            bell.run(&mut token.cancelled());
            assert!(token.should_stop(), "told before it was asked for");
            assert_eq!(theirs.seen(), 1, "told, and cannot see why");
            bell
        });
        before.note(1);
        assert!(shutdown.trigger(Reason::Requested));
        let bell = task.join().unwrap();
        assert_clean(&shutdown.run().report);
        assert!(bell.times() <= 1, "woken twice");
        assert_eq!(Arc::strong_count(&bell), 1, "neither woken nor dropped");
    });
}

/// P4: a task that registers for what the driver reaches, and that the driver waits for.
#[test]
fn a_task_against_the_driver() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let (pass, mut refusing) =
            (shutdown.enter_owned().unwrap(), shutdown.token_at(Milestone::Refusing).cancelled());
        let before = Arc::new(Witness::new());
        let theirs = before.clone();
        let task = thread::spawn(move || {
            Bell::new().run(&mut refusing);
            assert_eq!(theirs.seen(), 1, "told, and cannot see why");
            drop(pass);
        });
        before.note(1);
        assert!(shutdown.trigger(Reason::Requested));
        assert_clean(&shutdown.run().report);
        task.join().unwrap();
    });
}

/// P4: of the wakers that a task has had, the last one is woken.
#[test]
fn another_waker_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let (first, mut cancelled) = (Bell::new(), shutdown.token().cancelled());
        assert!(poll(&mut cancelled, &first.clone().into()).is_pending());
        let task = thread::spawn(move || Bell::new().run(&mut cancelled));
        assert!(shutdown.trigger(Reason::Requested));
        task.join().unwrap();
        assert_clean(&shutdown.run().report);
        assert!(first.times() <= 1, "woken twice");
        assert_eq!(Arc::strong_count(&first), 1, "neither woken nor dropped");
    });
}

/// P4: a task that goes while it is asked, and one that comes in its place.
#[test]
fn one_that_is_dropped_and_one_that_comes_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let (bell, mut first, mut second) = (Bell::new(), shutdown.token().cancelled(), shutdown.token().cancelled());
        assert!(poll(&mut first, &bell.clone().into()).is_pending());
        let theirs = bell.clone();
        let tasks = thread::spawn(move || {
            drop(first);
            let before = theirs.times();
            Bell::new().run(&mut second);
            before
        });
        assert!(shutdown.trigger(Reason::Requested));
        let before = tasks.join().unwrap();
        assert_clean(&shutdown.run().report);
        assert!(before <= bell.times() && bell.times() <= 1, "woken twice");
        assert_eq!(Arc::strong_count(&bell), 1, "neither woken nor dropped");
    });
}

/// P9: a waker may come back to the shutdown, where it is woken and where it is dropped.
#[test]
fn a_waker_that_comes_back() {
    struct ComesBack(Shutdown, Mutex<Option<Cancelled>>);
    impl ComesBack {
        fn come_back(&self) {
            let mut done = self.0.token_at(Milestone::Done).cancelled();
            let _ = poll(&mut done, Waker::noop());
            drop(self.1.lock().unwrap().take());
        }
    }
    impl Wake for ComesBack {
        fn wake(self: Arc<Self>) {
            self.come_back();
        }
    }
    impl Drop for ComesBack {
        fn drop(&mut self) {
            self.come_back();
        }
    }
    explore(Some(1), || {
        let shutdown = shutdown();
        let comes_back = || -> Waker {
            let mut other = shutdown.token().cancelled();
            assert!(poll(&mut other, Waker::noop()).is_pending());
            Arc::new(ComesBack(shutdown.clone(), Mutex::new(Some(other)))).into()
        };
        let [mut replaced, mut dropped, mut woken] = [(); 3].map(|()| shutdown.token().cancelled());
        for cancelled in [&mut replaced, &mut dropped, &mut woken] {
            assert!(poll(cancelled, &comes_back()).is_pending());
        }
        assert!(poll(&mut replaced, Waker::noop()).is_pending());
        drop(dropped);
        assert!(shutdown.trigger(Reason::Requested));
    });
}

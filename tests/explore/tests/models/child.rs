//! Children of tokens: who waits for one is told with the whole and with the part, however close the two are.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use loom::thread;
use winddown::testing::{ManualClock, assert_clean};
use winddown::{Budget, Cancelled, Child, Reason, Shutdown};

use crate::bell::{Bell, poll};
use crate::explore::{Witness, explore};

fn shutdown() -> Shutdown {
    Shutdown::builder().budget(Budget::default()).manual_clock(&ManualClock::new()).build().unwrap()
}

/// What was done before is seen by whoever is told.
fn told(child: &Child, before: &Witness) {
    assert!(child.should_stop(), "told before it was asked for");
    assert_eq!(before.seen(), 1, "told, and cannot see why");
}

/// P4: a task of a child that registers while the whole is asked.
#[test]
fn a_task_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let before = Arc::new(Witness::new());
        let (child, theirs) = (shutdown.token().child(), before.clone());
        let task = thread::spawn(move || {
            let bell = Bell::new();
            bell.run(&mut child.cancelled());
            told(&child, &theirs);
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

/// P4: a thread that lies down to sleep while the whole is asked.
#[test]
fn a_thread_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let before = Arc::new(Witness::new());
        let (child, theirs) = (shutdown.token().child(), before.clone());
        let waiter = thread::spawn(move || {
            child.wait();
            told(&child, &theirs);
        });
        before.note(1);
        assert!(shutdown.trigger(Reason::Requested));
        waiter.join().unwrap();
        assert_clean(&shutdown.run().report);
    });
}

/// P4: a task and a thread while their part is stopped. The whole hears nothing of it.
#[test]
fn a_task_and_a_thread_against_the_stop() {
    explore(Some(2), || {
        let shutdown = shutdown();
        let before = Arc::new(Witness::new());
        let child = shutdown.token().child();
        let (one, other) = ((child.clone(), before.clone()), (child.clone(), before.clone()));
        let task = thread::spawn(move || {
            Bell::new().run(&mut one.0.cancelled());
            told(&one.0, &one.1);
        });
        let waiter = thread::spawn(move || {
            other.0.wait();
            told(&other.0, &other.1);
        });
        before.note(1);
        child.stop(Reason::Requested);
        task.join().unwrap();
        waiter.join().unwrap();
        assert!(!shutdown.is_shutting_down(), "the part is not the whole");
    });
}

/// P4: a part that is stopped while the whole is asked: its task is woken for one of the two, and the report waits for nobody
/// who is not there.
#[test]
fn the_stop_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let (bell, child) = (Bell::new(), shutdown.token().child());
        let mut cancelled = child.cancelled();
        assert!(bell.poll(&mut cancelled).is_pending());
        let stopper = thread::spawn(move || child.stop(Reason::Requested));
        assert!(shutdown.trigger(Reason::Requested));
        bell.run(&mut cancelled);
        assert_clean(&shutdown.run().report);
        stopper.join().unwrap();
        assert_eq!(bell.times(), 1, "of the two, one wakes");
        drop(cancelled);
        assert_eq!(Arc::strong_count(&bell), 1, "neither woken nor dropped");
    });
}

/// P4, P9: a child that goes, with the task that waits for it, while the whole is asked; and one that stays.
#[test]
fn one_that_is_dropped_and_one_that_stays_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let bell = Bell::new();
        let [goes, stays] = [(); 2].map(|()| shutdown.token().child());
        let mut cancelled = goes.cancelled();
        assert!(bell.poll(&mut cancelled).is_pending());
        let task = thread::spawn(move || {
            drop((goes, cancelled));
            Bell::new().run(&mut stays.cancelled());
        });
        assert!(shutdown.trigger(Reason::Requested));
        task.join().unwrap();
        assert_clean(&shutdown.run().report);
        assert!(bell.times() <= 1, "woken twice");
        assert_eq!(Arc::strong_count(&bell), 1, "neither woken nor dropped");
    });
}

/// P4: a child's child, whose thread sleeps and whose task waits.
#[test]
fn a_grandchild_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let child = shutdown.token().child();
        let grandchild = child.child();
        let task = thread::spawn(move || {
            grandchild.wait();
            assert!(child.should_stop(), "the grandchild knows before the child");
        });
        assert!(shutdown.trigger(Reason::Requested));
        task.join().unwrap();
        assert_clean(&shutdown.run().report);
    });
}

/// P4: the same, when the part between is stopped.
#[test]
fn a_grandchild_against_the_stop() {
    explore(Some(2), || {
        let shutdown = shutdown();
        let child = shutdown.token().child();
        let grandchild = child.child();
        let task = thread::spawn(move || Bell::new().run(&mut grandchild.cancelled()));
        child.stop(Reason::Requested);
        task.join().unwrap();
        assert!(!shutdown.is_shutting_down(), "the part is not the whole");
    });
}

/// P4: a child that is made while the whole is asked.
#[test]
fn one_that_is_made_against_the_trigger() {
    explore(Some(1), || {
        let shutdown = shutdown();
        let token = shutdown.token();
        let task = thread::spawn(move || {
            let child = token.child();
            Bell::new().run(&mut child.cancelled());
            child.wait();
        });
        assert!(shutdown.trigger(Reason::Requested));
        task.join().unwrap();
        assert_clean(&shutdown.run().report);
    });
}

/// P4: a child that is made while its parent is stopped.
#[test]
fn a_child_made_against_the_stop_of_its_parent() {
    explore(Some(2), || {
        let shutdown = shutdown();
        let parent = shutdown.token().child();
        let theirs = parent.token();
        let task = thread::spawn(move || hears(&theirs.child()));
        parent.stop(Reason::Failure);
        task.join().unwrap();
        assert!(!shutdown.is_shutting_down(), "the part is not the whole");
    });
}

/// P4: a child of a child that is made while the topmost of them is stopped.
#[test]
fn a_grandchild_made_against_the_stop_of_its_grandparent() {
    explore(Some(2), || {
        let shutdown = shutdown();
        let grandparent = shutdown.token().child();
        let parent = grandparent.child();
        let task = thread::spawn(move || hears(&parent.child()));
        grandparent.stop(Reason::Failure);
        task.join().unwrap();
    });
}

/// Returns when a task and a thread of this child have been told, and the reason is its parent's.
fn hears(child: &Child) {
    Bell::new().run(&mut child.cancelled());
    child.wait();
    assert_eq!(child.reason(), Some(Reason::Failure));
}

/// P4: a child that is dropped, with the task that waits for it and with a child of its own, while the parent is stopped; and
/// one that stays.
#[test]
fn a_child_dropped_against_the_stop_of_its_parent() {
    explore(Some(2), || {
        let shutdown = shutdown();
        let bell = Bell::new();
        let parent = shutdown.token().child();
        let [goes, stays] = [(); 2].map(|()| parent.child());
        let below = goes.child();
        let mut cancelled = below.cancelled();
        assert!(bell.poll(&mut cancelled).is_pending());
        let task = thread::spawn(move || {
            drop((goes, below, cancelled));
            hears(&stays);
        });
        parent.stop(Reason::Failure);
        task.join().unwrap();
        assert!(bell.times() <= 1, "woken twice");
        assert_eq!(Arc::strong_count(&bell), 1, "neither woken nor dropped");
    });
}

/// When a stop returns, all descendants know, even if another thread is stopping them.
#[test]
fn two_stops_of_one_family() {
    explore(Some(2), || {
        let shutdown = shutdown();
        let grandparent = shutdown.token().child();
        let parent = grandparent.child();
        let (child, theirs) = (parent.child(), parent.clone());
        let stopper = thread::spawn(move || theirs.stop(Reason::Failure));
        grandparent.stop(Reason::Requested);
        assert!(child.should_stop() && parent.should_stop(), "stopped, and a descendant does not know");
        stopper.join().unwrap();
        assert_eq!(child.reason(), Some(Reason::Failure), "the nearest");
    });
}

/// A task that finds the parent stopped, told or not yet, finds the child stopped.
#[test]
fn a_task_of_the_parent_asks_the_child() {
    explore(Some(2), || {
        let shutdown = shutdown();
        let parent = shutdown.token().child();
        let (child, theirs) = (parent.child(), parent.token());
        let waiter = thread::spawn(move || {
            Bell::new().run(&mut theirs.cancelled());
            assert!(child.should_stop(), "told, and a descendant does not know");
        });
        parent.stop(Reason::Requested);
        waiter.join().unwrap();
    });
}

/// P9: a waker that stops parts and drops them, where it is woken and where it is dropped.
#[test]
fn a_waker_that_comes_back() {
    struct ComesBack(Child, Mutex<Option<(Child, Cancelled)>>);
    impl ComesBack {
        fn come_back(&self) {
            drop(self.0.child());
            let other = self.1.lock().unwrap().take();
            if let Some((other, cancelled)) = other {
                other.stop(Reason::Requested);
                drop(cancelled);
            }
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
        let child = shutdown.token().child();
        let comes_back = || -> Waker {
            let other = child.child();
            let mut cancelled = other.cancelled();
            assert!(poll(&mut cancelled, Waker::noop()).is_pending());
            Arc::new(ComesBack(child.clone(), Mutex::new(Some((other, cancelled))))).into()
        };
        let [mut dropped, mut woken] = [(); 2].map(|()| child.cancelled());
        for cancelled in [&mut dropped, &mut woken] {
            assert!(poll(cancelled, &comes_back()).is_pending());
        }
        drop(dropped);
        let theirs = child.clone();
        let stopper = thread::spawn(move || theirs.stop(Reason::Requested));
        assert!(shutdown.trigger(Reason::Requested));
        stopper.join().unwrap();
        assert!(poll(&mut woken, Waker::noop()).is_ready());
        assert_clean(&shutdown.run().report);
    });
}

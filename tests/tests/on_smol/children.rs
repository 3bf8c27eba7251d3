//! Children of tokens: who is told, and who is not; blocked threads, tasks and channels alike.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, JoinHandle};

use crossbeam_channel::TryRecvError;
use winddown::Part;
use winddown::testing::{assert_clean, assert_outcome};
use winddown_smol::{Budget, Cancelled, Child, Milestone, Outcome, Reason, Token};
use winddown_tests::patience::must_end;
use winddown_tests::steps::secs;
use winddown_tests::waker::{counted, poll};

use crate::{apart, timed};

/// A waker that does what it is told.
struct Does<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(does: impl Fn() + Send + Sync + 'static) -> Waker {
    Arc::new(Does(does)).into()
}

fn registered(token: &Token, waker: &Waker) -> Cancelled {
    let mut cancelled = token.cancelled();
    assert_eq!(poll(&mut cancelled, waker), Poll::Pending);
    cancelled
}

/// Everything that can wait for a token, each on a thread of its own.
fn waiting(token: &Token) -> Vec<JoinHandle<()>> {
    let [thread, timed, task, work, receiver] = [(); 5].map(|()| token.clone());
    vec![
        thread::spawn(move || thread.wait()),
        thread::spawn(move || assert!(timed.wait_timeout(secs(3_600)))),
        apart(async move { task.cancelled().await }),
        apart(async move { assert_eq!(work.run_until(std::future::pending::<()>()).await, None) }),
        thread::spawn(move || assert!(receiver.receiver().recv().is_err())),
    ]
}

fn all_return(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_stop_is_heard_by_the_child_and_its_children_only() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let token = shutdown.token();
        let [one, other] = [token.child(), token.child()];
        let [grandchild, second] = [one.child(), one.child()];
        let threads: Vec<_> = [&one, &grandchild, &second].into_iter().flat_map(|child| waiting(child)).collect();
        let (noop, counts) = counted();
        let deaf: Vec<_> = [&token, &other].map(|token| registered(token, &noop)).into();
        let receivers = [&token, &*other].map(Token::receiver);
        one.stop(Reason::Requested);
        all_return(threads);
        assert!([&one, &grandchild, &second].iter().all(|child| child.should_stop()));
        assert!(!token.should_stop() && !other.should_stop() && !shutdown.is_shutting_down());
        assert!(receivers.iter().all(|receiver| receiver.try_recv() == Err(TryRecvError::Empty)));
        assert_eq!(counts.wakes(), 0);
        one.stop(Reason::Requested);
        drop(deaf);
    });
}

#[test]
fn a_grandchild_stops_alone() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let child = shutdown.token().child();
        let [grandchild, other] = [child.child(), child.child()];
        let threads = waiting(&grandchild);
        // From any clone.
        grandchild.clone().stop(Reason::Requested);
        all_return(threads);
        assert!(grandchild.should_stop() && !child.should_stop() && !other.should_stop());
    });
}

#[test]
fn the_parent_s_time_is_every_child_s() {
    for milestone in [Milestone::Triggered, Milestone::Refusing, Milestone::Done] {
        must_end(move || {
            let (clock, builder) = timed();
            let shutdown = builder.budget(Budget::new(secs(11)).lame_duck(secs(1))).build().unwrap();
            let child = shutdown.token_at(milestone).child();
            let great_grandchild = child.child().child();
            // Only its tokens are left: of the one in between nobody has a handle.
            let threads: Vec<_> = [child.token(), great_grandchild.token()].iter().flat_map(waiting).collect();
            shutdown.trigger(Reason::Requested);
            clock.wait_for_sleeper(secs(1));
            assert_eq!(great_grandchild.should_stop(), milestone == Milestone::Triggered);
            clock.advance(secs(1));
            all_return(threads);
            assert_clean(&shutdown.threads().run().report);
            drop((child, great_grandchild));
        });
    }
}

#[test]
fn a_child_that_comes_after_the_stop_tells_at_once() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let child = shutdown.token().child();
        child.stop(Reason::Requested);
        let of_child = child.child();
        let of_grandchild = of_child.child();
        shutdown.trigger(Reason::Requested);
        let of_root = shutdown.token().child();
        assert_clean(&shutdown.threads().run().report);
        let of_the_end = shutdown.token_at(Milestone::Done).child();
        for late in [of_child, of_grandchild, of_root, of_the_end] {
            assert!(late.should_stop());
            all_return(waiting(&late));
            late.stop(Reason::Requested);
            all_return(waiting(&late));
        }
    });
}

/// Made while the parent is told: whichever comes first.
#[test]
fn p4_a_child_that_comes_with_the_stop_is_told() {
    must_end(|| {
        for _ in 0..300 {
            let shutdown = timed().1.build().unwrap();
            let (parent, root) = (shutdown.token().child(), shutdown.token());
            let (its, own) = (parent.clone(), root.clone());
            let threads = [
                thread::spawn(move || {
                    let child = its.child();
                    assert!(child.receiver().recv().is_err() && child.should_stop());
                }),
                thread::spawn(move || {
                    let child = own.child();
                    assert!(child.receiver().recv().is_err() && child.should_stop());
                }),
            ];
            parent.stop(Reason::Requested);
            shutdown.trigger(Reason::Requested);
            all_return(threads);
        }
    });
}

/// What is kept of those who wait, by their waker's shares.
#[test]
fn children_keep_the_wakers_of_those_who_wait_and_no_longer() {
    let shutdown = timed().1.build().unwrap();
    let share = Arc::new(Does(|| ()));
    let waker: Waker = share.clone().into();
    let families: Vec<Child> = (0..10).map(|_| shutdown.token().child().child()).collect();
    let waiting: Vec<_> = families.iter().map(|child| registered(child, &waker)).collect();
    assert_eq!(Arc::strong_count(&share), 2 + 10);
    drop(families);
    assert_eq!(Arc::strong_count(&share), 2 + 10, "those who wait keep what they wait for");
    drop(waiting);
    assert_eq!(Arc::strong_count(&share), 2);
    let stopped = shutdown.token().child();
    let waiting = registered(&stopped, &waker);
    stopped.stop(Reason::Requested);
    assert_eq!(Arc::strong_count(&share), 2, "woken by value");
    drop(waiting);
    shutdown.trigger(Reason::Requested);
}

/// Stopped by itself, and by the parent on the trigger's thread and on the wakers' own.
#[test]
fn p7_a_waker_of_a_child_that_panics_is_reported_and_keeps_nobody_from_being_woken() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (good, counts) = counted();
        let children = [Milestone::Triggered, Milestone::Triggered, Milestone::Closing]
            .map(|milestone| shutdown.token_at(milestone).child());
        let kept: Vec<_> = children
            .iter()
            .flat_map(|child| {
                let bad = waker(|| panic!("woken at the wrong moment"));
                let grandchild = child.child();
                [registered(child, &good), registered(child, &bad), registered(&grandchild, &bad)]
                    .into_iter()
                    .chain([registered(&grandchild, &good), registered(child, &good)])
            })
            .collect();
        children[0].stop(Reason::Requested);
        assert_eq!(counts.wakes(), 3);
        shutdown.trigger(Reason::Requested);
        let report = shutdown.threads().run().report;
        assert_eq!(counts.wakes(), 9);
        assert_outcome(&report, Outcome::Failed);
        let [failure] = &*report.failures else { panic!("{report}") };
        assert_eq!((failure.part, report.exit_code()), (Part::Waker, 10));
        assert_eq!(failure.what, "6 wakers panicked, the first: woken at the wrong moment");
        drop(kept);
    });
}

/// P9: no lock is held, of the child nor of its parent.
#[test]
fn p9_a_waker_of_a_child_may_register_stop_and_drop() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let root = shutdown.token();
        let [child, other] = [root.child(), root.child()];
        let (noop, counts) = counted();
        let others = Arc::new(Mutex::new(vec![registered(&root, &noop), registered(&child, &noop)]));
        let heard = registered(&other, &noop);
        let (own, theirs, stops, polls) = (child.token(), others.clone(), other.clone(), noop.clone());
        let (sender, done) = mpsc::channel();
        let does = waker(move || {
            // Its own is told already, and one that is made now.
            assert_eq!(poll(&mut own.cancelled(), &polls), Poll::Ready(()));
            assert!(own.child().should_stop());
            stops.stop(Reason::Requested);
            let mut others = theirs.lock().unwrap();
            drop((others.pop(), others.pop()));
            others.push(registered(&root, &polls));
            others.push(registered(&root.child(), &polls));
            sender.send(()).unwrap();
        });
        let kept = [registered(&child, &does), registered(&child.child(), &does)];
        child.stop(Reason::Requested);
        assert_eq!(done.try_iter().count(), 2);
        assert!(other.should_stop());
        // The one of `other`; the one of `child`, which was due already.
        assert_eq!(counts.wakes(), 2);
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.threads().run().report);
        assert_eq!(counts.wakes(), 4);
        others.lock().unwrap().clear();
        drop((kept, heard));
    });
}

/// By a waker that the trigger wakes: the child is taken from the parent's list while that is told.
#[test]
fn p9_a_waker_of_the_parent_may_drop_and_stop_its_children() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let root = shutdown.token();
        let (noop, counts) = counted();
        let [dropped, stopped] = [root.child(), root.child()];
        let heard = registered(&stopped, &noop);
        let family = Mutex::new(Some((registered(&dropped, &noop), dropped)));
        let stops = stopped.clone();
        let does = waker(move || {
            drop(family.lock().unwrap().take());
            stops.stop(Reason::Requested);
        });
        let kept = registered(&root, &does);
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.threads().run().report);
        assert!((1..=2).contains(&counts.wakes()), "the one that was dropped may have been on its way");
        assert!(stopped.should_stop());
        drop((kept, heard));
    });
}

/// A task that is woken before the child is told, in the order in which they came, finds that it should stop.
#[test]
fn a_child_knows_at_once_what_its_parent_knows() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let child = Arc::new(Mutex::new(None::<Child>));
        let (asked, knew) = mpsc::channel();
        let asks = child.clone();
        let waker = waker(move || asked.send(asks.lock().unwrap().as_ref().unwrap().should_stop()).unwrap());
        let _first = registered(&shutdown.token(), &waker);
        *child.lock().unwrap() = Some(shutdown.token().child());
        shutdown.trigger(Reason::Requested);
        assert!(knew.recv().unwrap());
        assert_clean(&shutdown.threads().run().report);
    });
}

#[test]
fn a_child_keeps_the_first_reason_it_was_stopped_for_and_else_has_its_parents() {
    let shutdown = timed().1.build().unwrap();
    let _pass = shutdown.enter().unwrap();
    let (one, other) = (shutdown.token().child(), shutdown.token().child());
    let grandchild = one.child();
    assert_eq!((one.reason(), shutdown.token().reason()), (None, None));
    one.stop(Reason::Failure);
    one.stop(Reason::Interrupt);
    assert_eq!([one.reason(), grandchild.reason()], [Some(Reason::Failure); 2]);
    shutdown.trigger(Reason::Signal(15));
    assert_eq!([one.reason(), other.reason()], [Some(Reason::Failure), Some(Reason::Signal(15))]);
    assert_eq!(shutdown.token().reason(), Some(Reason::Signal(15)));
    // Stopped after its parent: its own call came too late to be the reason for which it stopped, but it is kept.
    other.stop(Reason::Interrupt);
    assert_eq!(shutdown.token_at(Milestone::Closing).reason(), None);
}

//! Tokens as futures: who is woken, how often, on whose thread, and what a waker may get up to.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Wake, Waker};
use std::thread;

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Budget, Cancelled, Milestone, Outcome, Part, Reason, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::waker::{block_on, counted, poll};

use crate::{hang, timed};

/// A waker that does what it is told.
struct Does<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

pub(crate) fn waker(does: impl Fn() + Send + Sync + 'static) -> Waker {
    Arc::new(Does(does)).into()
}

/// Polled once, and with that registered.
pub(crate) fn registered(shutdown: &Shutdown, at: Milestone, waker: &Waker) -> Cancelled {
    let mut cancelled = shutdown.token_at(at).cancelled();
    assert_eq!(poll(&mut cancelled, waker), Poll::Pending);
    cancelled
}

#[test]
fn a_registration_lasts_over_polls_and_is_ready_for_ever_after() {
    let shutdown = timed().1.build().unwrap();
    let (waker, counts) = counted();
    let mut cancelled = registered(&shutdown, Milestone::Triggered, &waker);
    for _ in 0..1_000 {
        assert_eq!(poll(&mut cancelled, &waker), Poll::Pending);
    }
    assert_eq!((counts.clones(), counts.alive()), (1, 2));
    assert!(shutdown.trigger(Reason::Requested));
    assert_eq!((counts.clones(), counts.alive(), counts.wakes()), (1, 1, 1), "woken by value");
    for _ in 0..2 {
        assert_eq!(poll(&mut cancelled, &waker), Poll::Ready(()));
        assert_eq!(poll(&mut shutdown.token().cancelled(), &waker), Poll::Ready(()));
    }
    assert_clean(&shutdown.run().report);
    assert_eq!((counts.clones(), counts.wakes()), (1, 1));
}

#[test]
fn a_waker_is_replaced_only_by_one_that_wakes_another_task() {
    let shutdown = timed().1.build().unwrap();
    let ((first, one), (second, other)) = (counted(), counted());
    let mut cancelled = registered(&shutdown, Milestone::Triggered, &first);
    let alike = first.clone();
    assert_eq!((one.clones(), one.alive()), (2, 3));
    assert_eq!(poll(&mut cancelled, &alike), Poll::Pending);
    assert_eq!((one.clones(), one.alive()), (2, 3), "it would wake the same task");
    assert_eq!(poll(&mut cancelled, &second), Poll::Pending);
    assert_eq!((one.alive(), other.alive()), (2, 2), "the one in its place is gone");
    shutdown.trigger(Reason::Requested);
    assert_eq!((one.wakes(), other.wakes()), (0, 1), "the last one is woken");
}

#[test]
fn one_that_is_dropped_is_not_woken_and_keeps_nothing() {
    let shutdown = timed().1.build().unwrap();
    let (waker, counts) = counted();
    for milestone in [Milestone::Triggered, Milestone::Closing] {
        let [first, second] = [(); 2].map(|()| registered(&shutdown, milestone, &waker));
        drop(first);
        let third = registered(&shutdown, milestone, &waker);
        drop((second, third));
    }
    assert_eq!((counts.clones(), counts.alive()), (6, 1));
    let kept = registered(&shutdown, Milestone::Triggered, &waker);
    assert!(format!("{kept:?}").contains("registered: true"));
    shutdown.trigger(Reason::Requested);
    assert_eq!(counts.wakes(), 1, "the one that was kept");
    assert_clean(&shutdown.run().report);
    drop(kept);
    assert_eq!((counts.wakes(), counts.alive()), (1, 1));
}

#[test]
fn of_20_000_half_are_dropped_and_the_others_are_woken_once() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let milestones = [Milestone::Triggered, Milestone::Refusing, Milestone::LastCall, Milestone::Done];
        let mut all: Vec<_> = (0..20_000)
            .map(|number| {
                let (waker, counts) = counted();
                (Some(registered(&shutdown, milestones[number % 4], &waker)), counts)
            })
            .collect();
        // A prime, so that it is all over the place, and nobody twice.
        for number in (0..10_000).map(|step| step * 7_919 % 20_000) {
            assert!(all[number].0.take().is_some());
        }
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        for (number, (kept, counts)) in all.iter().enumerate() {
            assert_eq!((counts.wakes(), counts.alive()), (kept.is_some().into(), 0), "number {number}");
        }
    });
}

#[test]
fn tasks_wait_for_each_milestone_and_a_later_one_stands_in() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let milestones = [Milestone::Triggered, Milestone::Refusing, Milestone::HighLate, Milestone::LastCall];
        let tasks: Vec<_> = milestones
            .into_iter()
            .chain([Milestone::Closing, Milestone::Done])
            .map(|milestone| shutdown.token_at(milestone))
            .map(|token| {
                thread::spawn(move || {
                    block_on(token.cancelled());
                    assert!(token.should_stop());
                })
            })
            .collect();
        shutdown.trigger(Reason::Requested);
        for task in tasks {
            task.join().unwrap();
        }
        assert_clean(&shutdown.run().report);
    });
}

/// Where nobody can ask any more, it waits on, and lets go without anybody.
#[test]
fn a_future_may_outlive_the_handles() {
    fn anywhere<T: Send + Sync + Unpin + 'static>(_: &T) {}
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (waker, counts) = counted();
        let mut cancelled = registered(&shutdown, Milestone::Triggered, &waker);
        anywhere(&cancelled);
        drop(shutdown);
        assert_eq!(poll(&mut cancelled, &waker), Poll::Pending);
        drop(cancelled);
        // The waker that was registered is dropped by one of the library's threads.
        while counts.alive() != 1 {
            thread::yield_now();
        }
        assert_eq!(counts.wakes(), 0);
    });
}

/// Both ways: on the triggering thread, and on the wakers' own.
#[test]
fn p7_wakers_that_panic_keep_nobody_from_being_woken_and_are_in_the_report() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (good, counts) = counted();
        let kept: Vec<_> = [Milestone::Triggered, Milestone::Closing]
            .iter()
            .flat_map(|&at| {
                let bad = waker(|| panic!("woken at the wrong moment"));
                [&good, &bad, &good, &bad, &good].map(|waker| registered(&shutdown, at, waker))
            })
            .collect();
        assert!(shutdown.trigger(Reason::Requested));
        let report = shutdown.run().report;
        assert_eq!(counts.wakes(), 6);
        assert_outcome(&report, Outcome::Failed);
        let [failure] = &*report.failures else { panic!("{report}") };
        assert_eq!(failure.part, Part::Waker);
        assert_eq!(failure.what, "4 wakers panicked, the first: woken at the wrong moment");
        drop(kept);
    });
}

/// P9: no lock is held.
#[test]
fn p9_a_waker_may_poll_register_drop_and_trigger() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let others = Arc::new(Mutex::new(Vec::new()));
        let (noop, counts) = counted();
        others.lock().unwrap().push(registered(&shutdown, Milestone::Done, &noop));
        let (theirs, again, polls) = (others.clone(), shutdown.clone(), noop.clone());
        let comes_back = waker(move || {
            assert!(!again.trigger(Reason::Failure), "it was triggered");
            drop(theirs.lock().unwrap().pop());
            assert_eq!(poll(&mut again.token().cancelled(), &polls), Poll::Ready(()));
            // Another one of the same milestone would be woken in its turn, for ever; so one of the last.
            let mut last = again.token_at(Milestone::Done).cancelled();
            let _ = poll(&mut last, &polls);
            theirs.lock().unwrap().push(last);
        });
        let kept = [Milestone::Triggered, Milestone::Closing].map(|at| registered(&shutdown, at, &comes_back));
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        others.lock().unwrap().clear();
        drop((kept, shutdown, comes_back));
        assert_eq!(counts.alive(), 1, "only this one is left");
    });
}

/// P6: neither one on the triggering thread nor one on the wakers' own.
#[test]
fn p6_a_waker_that_hangs_is_waited_for_as_long_as_the_flush_and_named() {
    for at in [Milestone::Triggered, Milestone::Refusing, Milestone::Done] {
        must_end(move || {
            let (clock, builder) = timed();
            let shutdown = builder.build().unwrap();
            let (sender, hangs) = mpsc::channel();
            let kept = registered(
                &shutdown,
                at,
                &waker(move || {
                    sender.send(()).unwrap();
                    hang();
                }),
            );
            let theirs = shutdown.clone();
            thread::spawn(move || theirs.trigger(Reason::Requested));
            hangs.recv().unwrap();
            clock.wait_for_sleeper(ms(500));
            clock.advance(ms(500));
            let report = shutdown.run().report;
            assert_outcome(&report, Outcome::Failed);
            let [failure] = &*report.failures else { panic!("{report}") };
            assert_eq!((failure.part, &*failure.what), (Part::Waker, "a waker did not return"));
            drop(kept);
        });
    }
}

/// What a waker says when it panics is in the report, however late it is woken: the report waits for it.
#[test]
fn the_report_waits_for_wakers_under_way() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.budget(Budget::new(secs(11)).lame_duck(secs(1))).build().unwrap();
        let (go, gone) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let kept = registered(
            &shutdown,
            Milestone::Refusing,
            &waker(move || {
                gone.lock().unwrap().recv().unwrap();
                panic!("at last");
            }),
        );
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(1));
        clock.advance(secs(1));
        // It is over but for the waker.
        clock.wait_for_sleeper(ms(1_500));
        go.send(()).unwrap();
        let report = shutdown.run().report;
        assert_eq!(
            report.failures.first().map(|failure| &*failure.what),
            Some("a waker panicked: at last"),
            "{report}"
        );
        drop(kept);
    });
}

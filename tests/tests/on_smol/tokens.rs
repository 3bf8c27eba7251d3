//! Tokens in tasks: in races, in loops, many of them, and around a future. What wakers may get up to is `on_std`'s.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Waker};

use futures_lite::future::{or, yield_now};
use smol::{block_on, channel};
use winddown::testing::assert_clean;
use winddown_smol::{Milestone, Reason};
use winddown_tests::patience::must_end;
use winddown_tests::waker::{counted, poll};

use crate::{Place, apart, endless, timed};

/// Another `cancelled()` at each turn of a loop, dropped when the other side wins: nothing is lost, and nothing is left.
#[test]
fn p4_cancelled_may_lose_any_number_of_races() {
    for place in Place::ALL {
        must_end(move || {
            let shutdown = timed().1.build().unwrap();
            let token = shutdown.token();
            let (jobs, queue) = channel::bounded(1);
            let worker = place.start(async move {
                let mut done = 0;
                let stop = || async {
                    token.cancelled().await;
                    None
                };
                while let Some(job) = or(async { queue.recv().await.ok() }, stop()).await {
                    done += job;
                }
                done
            });
            for _ in 0..1_000 {
                jobs.send_blocking(1).unwrap();
            }
            // The last one has been taken, or is in the queue: a race prefers its first side.
            shutdown.trigger(Reason::Requested);
            assert_eq!(worker.join().unwrap(), 1_000);
        });
    }
}

/// The same one over and over, in place.
#[test]
fn one_cancelled_may_be_kept_over_a_loop() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let mut cancelled = shutdown.token().cancelled();
        let trigger = shutdown.clone();
        let turns = block_on(async move {
            let mut turns = 0;
            loop {
                let stopped = async {
                    (&mut cancelled).await;
                    true
                };
                let turn = async {
                    yield_now().await;
                    false
                };
                if or(stopped, turn).await {
                    return turns;
                }
                turns += 1;
                if turns == 100 {
                    trigger.trigger(Reason::Requested);
                }
            }
        });
        assert_eq!(turns, 100);
    });
}

#[test]
fn a_task_may_wait_with_many_of_them() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (waker, counts) = counted();
        let all = [Milestone::Triggered, Milestone::Refusing, Milestone::Done];
        let mut many: Vec<_> = (0..300).map(|number| shutdown.token_at(all[number % 3]).cancelled()).collect();
        for cancelled in &mut many {
            assert_eq!(poll(cancelled, &waker), Poll::Pending);
        }
        assert_eq!(counts.alive(), 301);
        // Half of them go. The others have another task from now on.
        many.truncate(150);
        assert_eq!(counts.alive(), 151);
        let waiting = apart(async move {
            for cancelled in many {
                cancelled.await;
            }
        });
        shutdown.trigger(Reason::Requested);
        waiting.join().unwrap();
        assert_clean(&block_on(shutdown.run()).report);
        assert_eq!(counts.alive(), 1, "taken back or replaced, every one");
    });
}

#[test]
fn run_until_polls_no_future_when_it_is_time_to_stop_already() {
    let shutdown = timed().1.build().unwrap();
    let (token, child) = (shutdown.token(), shutdown.token().child());
    assert_eq!(block_on(token.run_until(ready(0))), Some(0));
    let polled = || -> std::future::Ready<()> { unreachable!("polled") };
    let (early, late) =
        (token.run_until(async move { polled().await }), child.run_until(async move { polled().await }));
    shutdown.trigger(Reason::Requested);
    assert_eq!((block_on(early), block_on(late), block_on(token.run_until(pending::<()>()))), (None, None, None));
    // So a loop whose futures are always ready ends.
    block_on(async { while token.run_until(ready(1)).await.is_some() {} });
    assert_clean(&block_on(shutdown.run()).report);
}

#[test]
fn run_until_loses_nothing_when_both_are_ready() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (sender, receiver) = channel::bounded(1);
        let token = shutdown.token();
        let mut both = Box::pin(token.run_until(async move { receiver.recv().await.unwrap() }));
        assert_eq!(poll(&mut both, Waker::noop()), Poll::Pending);
        shutdown.trigger(Reason::Requested);
        sender.try_send(17).unwrap();
        assert_eq!(poll(&mut both, Waker::noop()), Poll::Ready(Some(17)));
    });
}

#[test]
fn run_until_wakes_at_the_trigger_and_has_dropped_the_future_by_then() {
    for place in Place::ALL {
        must_end(move || {
            let shutdown = timed().1.build().unwrap();
            let token = shutdown.token();
            let (never, polled, gone) = endless();
            let task = place.start(async move {
                let result = token.run_until(never).await;
                (result, gone.try_recv())
            });
            polled.recv().unwrap();
            shutdown.trigger(Reason::Requested);
            assert_eq!(task.join().unwrap(), (None, Ok(())));
        });
    }
}

/// It does not keep the token: a loop may make one at each turn.
#[test]
fn run_until_in_a_loop_ends_it() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let token = shutdown.token();
        let (ticks, ticking) = channel::unbounded();
        let turns = Arc::new(AtomicUsize::new(0));
        let counts = turns.clone();
        let ticker = apart(async move {
            while let Some(Ok(())) = token.run_until(ticking.recv()).await {
                counts.fetch_add(1, Relaxed);
            }
            ticking.len()
        });
        for _ in 0..100 {
            ticks.send_blocking(()).unwrap();
        }
        shutdown.trigger(Reason::Requested);
        let left = ticker.join().unwrap();
        assert_eq!(turns.load(Relaxed) + left, 100, "none is taken and lost");
        drop(ticks);
    });
}

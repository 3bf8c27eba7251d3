//! Triggering, entering, and what the drain waits for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use winddown::testing::assert_clean;
use winddown::{Budget, Milestone, Phase, Priority, Reason, Refused};
use winddown_tests::patience::must_end;
use winddown_tests::steps::secs;

use crate::timed;

#[test]
fn p1_the_first_trigger_wins_with_its_message_and_later_ones_join() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let pass = shutdown.enter();
        assert_eq!((shutdown.phase(), shutdown.reason(), shutdown.is_shutting_down()), (Phase::Running, None, false));
        assert!(shutdown.trigger_with(Reason::Failure, "disk full"));
        assert!(!shutdown.trigger_with(Reason::Requested, "too late"));
        assert!(!shutdown.clone().trigger(Reason::Signal(15)));
        assert!(shutdown.is_shutting_down());
        drop(pass);
        let exit = shutdown.run();
        assert_eq!((exit.report.reason, exit.report.message.as_deref()), (Reason::Failure, Some("disk full")));
        assert_eq!((exit.report.repeats.others, exit.code()), (2, 1));
        assert_eq!(shutdown.phase(), Phase::Done);
        assert!(!shutdown.trigger(Reason::Requested), "it is over, and stays so");
    });
}

/// P2, K2: admitting through the lame duck, and then never again.
#[test]
fn p2_the_lame_duck_admits_and_then_nobody_is() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.budget(Budget::new(secs(11)).lame_duck(secs(2))).build().unwrap();
        shutdown.trigger(Reason::Signal(15));
        clock.wait_for_sleeper(secs(2));
        let (refusing, triggered) = (shutdown.token_at(Milestone::Refusing), shutdown.token());
        assert!(triggered.should_stop() && !refusing.should_stop());
        let pass = shutdown.enter().expect("a lame duck admits");
        clock.advance(secs(2));
        refusing.wait();
        assert_eq!(shutdown.enter().unwrap_err(), Refused::Closed);
        assert_eq!(shutdown.enter_owned().unwrap_err(), Refused::Closed);
        assert!(Priority::ALL.iter().all(|&class| shutdown.work().priority(class).label("x").enter().is_err()));
        let part = pass.split().expect("it was admitted");
        drop((pass, part));
        let exit = shutdown.run();
        assert_clean(&exit.report);
        assert_eq!((exit.report.refused, exit.report.in_flight.critical), (5, 1));
        assert_eq!((exit.report.lame_duck, exit.report.draining), (secs(2), Duration::ZERO));
    });
}

/// P2, P3, P4: threads that enter and leave without a pause, a trigger in the middle, and a clock that never moves: only
/// a wake ends the drain. Whoever was admitted has left when `run` returns.
#[test]
fn p2_p3_p4_a_storm_of_work_is_drained_to_the_last() {
    must_end(|| {
        for round in 0..200 {
            let (_, builder) = timed();
            let shutdown = builder.build().unwrap();
            let (inside, start) = (AtomicUsize::new(0), Barrier::new(4));
            thread::scope(|scope| {
                for class in Priority::ALL {
                    let (shutdown, inside, start) = (&shutdown, &inside, &start);
                    scope.spawn(move || {
                        start.wait();
                        while let Ok(pass) = shutdown.work().priority(class).enter() {
                            if class != Priority::Low {
                                inside.fetch_add(1, Ordering::Relaxed);
                                thread::yield_now();
                                inside.fetch_sub(1, Ordering::Relaxed);
                            }
                            drop(pass);
                        }
                    });
                }
                start.wait();
                (0..round).for_each(|_| std::hint::spin_loop());
                shutdown.trigger(Reason::Requested);
                let exit = shutdown.run();
                assert_eq!(inside.load(Ordering::Relaxed), 0);
                assert_clean(&exit.report);
            });
        }
    });
}

/// P3: up to the deadline, to the nanosecond.
#[test]
fn p3_a_pass_keeps_the_drain_waiting() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let pass = shutdown.enter();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9).saturating_sub(Duration::from_nanos(1)));
        clock.wait_for_sleeper(secs(9));
        assert_eq!(shutdown.phase(), Phase::Draining);
        drop(pass);
        assert_clean(&shutdown.run().report);
    });
}

#[test]
fn p4_the_last_pass_of_every_class_wakes_the_driver() {
    must_end(|| {
        for _ in 0..500 {
            let (_, builder) = timed();
            let shutdown = builder.build().unwrap();
            let (one, two) = (shutdown.enter_owned(), shutdown.work().priority(Priority::High).enter_owned());
            let threads = [thread::spawn(move || drop(one)), thread::spawn(move || drop(two))];
            shutdown.trigger(Reason::Requested);
            assert_clean(&shutdown.run().report);
            for thread in threads {
                thread.join().unwrap();
            }
        }
    });
}

#[test]
fn p3_low_work_is_told_named_and_not_waited_for_and_the_code_is_0() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let low = shutdown.work().priority(Priority::Low).label("cache").enter();
        shutdown.trigger(Reason::Requested);
        let exit = shutdown.run();
        assert_eq!(exit.code(), 0);
        assert_eq!(exit.report.stragglers[0].label, "cache");
        assert!(!exit.report.stragglers[0].let_go);
        drop(low);
    });
}

/// P2 for threads that pass work on: the work of a request is admitted with it.
#[test]
fn an_owned_pass_is_waited_for_on_another_thread() {
    must_end(|| {
        let (_, builder) = timed();
        let finished = Arc::new(AtomicBool::new(false));
        let shutdown = builder.build().unwrap();
        let pass = shutdown.enter_owned().unwrap();
        let (token, sets) = (shutdown.token_at(Milestone::Refusing), finished.clone());
        let worker = thread::spawn(move || {
            token.wait();
            let part = pass.split();
            drop(pass);
            sets.store(true, Ordering::Relaxed);
            drop(part);
        });
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        assert!(finished.load(Ordering::Relaxed));
        worker.join().unwrap();
    });
}

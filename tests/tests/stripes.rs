//! Passes and the threads that they are taken and dropped on, where counting is by threads.

use std::cell::RefCell;
use std::env;
use std::mem;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use winddown::testing::{ManualClock, assert_clean};
use winddown::{Counting, Outcome, OwnedPass, Reason, Report, Shutdown};
use winddown_tests::child::{Child, build_example};
use winddown_tests::patience::must_end;
use winddown_tests::sys::Library;

fn victim(scenario: &str) -> Child {
    Child::start(env!("CARGO_BIN_EXE_victim"), &[scenario])
}

fn shutdown() -> Shutdown {
    Shutdown::builder().manual_clock(&ManualClock::new()).build().unwrap()
}

fn wind_down(shutdown: &Shutdown) -> Arc<Report> {
    shutdown.trigger(Reason::Requested);
    shutdown.run().report.clone()
}

#[test]
fn p3_a_pass_is_taken_on_one_thread_and_dropped_on_another() {
    must_end(|| {
        let shutdown = shutdown();
        let (passes, taken) = mpsc::channel();
        let dropper = thread::spawn(move || taken.into_iter().take(1_000).for_each(drop::<OwnedPass>));
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| (0..101).for_each(|_| drop(passes.send(shutdown.enter_owned().unwrap()))));
            }
        });
        dropper.join().unwrap();
        // What was sent and not received is dropped with the channel: on this thread, which has taken none.
        drop(passes);
        assert_eq!(shutdown.in_flight().total(), 0);
        let report = wind_down(&shutdown);
        assert_clean(&report);
        assert_eq!(report.admitted, 1_010);
    });
}

thread_local! {
    static KEPT: RefCell<Option<OwnedPass>> = const { RefCell::new(None) };
}

/// P3, P4: by a destructor that comes before the one that gives the thread's stripe back, and by one that comes after.
#[test]
fn p4_a_pass_is_dropped_while_its_thread_is_taken_down() {
    for kept_first in [true, false] {
        must_end(move || {
            let shutdown = shutdown();
            let theirs = shutdown.clone();
            let taken = thread::spawn(move || {
                if kept_first {
                    KEPT.set(None);
                }
                KEPT.set(Some(theirs.enter_owned().unwrap()));
                let token = theirs.token_at(winddown::Milestone::Refusing);
                drop(theirs);
                token.wait();
            });
            while shutdown.in_flight().total() == 0 {
                thread::yield_now();
            }
            assert_clean(&wind_down(&shutdown));
            taken.join().unwrap();
        });
    }
}

/// P3, P4: while a destructor of a thread that ends is still busy with passes, the thread's stripe goes on to the next one.
#[test]
fn p4_a_stripe_goes_on_while_its_thread_is_taken_down() {
    const PASSES: usize = 2_000;
    struct Busy(Shutdown);
    impl Drop for Busy {
        fn drop(&mut self) {
            (0..PASSES).for_each(|_| drop(self.0.enter()));
        }
    }
    thread_local! {
        static BUSY: RefCell<Option<Busy>> = const { RefCell::new(None) };
    }
    must_end(|| {
        let shutdown = shutdown();
        let theirs = shutdown.clone();
        let thread_that_ends = move || {
            // Set before the thread has a stripe, so that it goes after that was given back.
            BUSY.set(Some(Busy(theirs.clone())));
            (0..PASSES).for_each(|_| drop(theirs.enter()));
        };
        // The one before may still be busy: `is_finished` comes before the destructors, and `join` after them.
        let mut ending = Vec::new();
        for _ in 0..500 {
            let thread = thread::spawn(thread_that_ends.clone());
            while !thread.is_finished() {
                thread::yield_now();
            }
            ending.push(thread);
        }
        for thread in ending {
            thread.join().unwrap();
        }
        assert_eq!(shutdown.in_flight().total(), 0);
        let report = wind_down(&shutdown);
        assert_clean(&report);
        assert_eq!(report.admitted, 500 * 2 * PASSES as u64);
    });
}

/// More threads at once than there are stripes, each of which holds a pass when the program refuses.
#[test]
fn p3_more_threads_than_stripes() {
    const THREADS: usize = 200;
    must_end(|| {
        let shutdown = shutdown();
        for round in 1..=3_u64 {
            let holding = Barrier::new(THREADS + 1);
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let pass = shutdown.enter().unwrap();
                        holding.wait();
                        holding.wait();
                        drop(pass);
                    });
                }
                holding.wait();
                assert_eq!(shutdown.in_flight().total(), THREADS);
                if round == 3 {
                    shutdown.trigger(Reason::Requested);
                    shutdown.token_at(winddown::Milestone::Refusing).wait();
                    assert!(shutdown.enter().is_err());
                }
                holding.wait();
            });
        }
        let report = shutdown.run().report.clone();
        assert_clean(&report);
        assert_eq!((report.in_flight.total(), report.admitted), (THREADS, 3 * THREADS as u64));
    });
}

#[test]
fn p3_a_million_passes_forgotten_are_a_million_stragglers() {
    const FORGOTTEN: usize = 1_000_000;
    must_end(|| {
        let clock = ManualClock::new();
        let shutdown = Shutdown::builder().manual_clock(&clock).build().unwrap();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..FORGOTTEN / 2).for_each(|_| mem::forget(shutdown.enter().unwrap())));
            }
        });
        drop(shutdown.enter());
        assert_eq!(shutdown.in_flight().critical, FORGOTTEN);
        shutdown.trigger(Reason::Requested);
        clock.advance(std::time::Duration::from_secs(3_600));
        let report = shutdown.run().report.clone();
        assert_eq!((report.outcome, report.unlabelled.critical), (Outcome::DrainTimedOut, FORGOTTEN));
    });
}

/// A handle that lives as long as the program gives passes that go anywhere.
#[test]
fn a_pass_of_a_leaked_handle_goes_anywhere() {
    must_end(|| {
        let shutdown: &'static Shutdown = Box::leak(Box::new(shutdown()));
        let pass = shutdown.enter().unwrap();
        thread::spawn(move || drop(pass)).join().unwrap();
        assert_clean(&wind_down(shutdown));
    });
}

#[test]
fn many_handles_meet_at_one_gate() {
    must_end(|| {
        let shutdown = shutdown();
        let start = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (shutdown, start) = (shutdown.clone(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    (0..10_000).filter(|_| shutdown.enter().is_ok_and(|pass| pass.split().is_ok())).count()
                })
            })
            .collect();
        let passes: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        let report = wind_down(&shutdown);
        assert_clean(&report);
        assert_eq!((passes, report.admitted), (80_000, 160_000), "each was split");
    });
}

#[test]
fn where_membarrier_is_refused_from_the_start_everybody_shares() {
    victim("unfenced")
        .end()
        .assert_code(0)
        .assert_said("note: admitting work was slower than it can be, because membarrier(2) is not available");
}

#[test]
fn where_membarrier_is_refused_later_the_driver_takes_its_time() {
    victim("unfenced-later")
        .end()
        .assert_code(0)
        .assert_said("note: membarrier(2) was refused after the program had started");
}

#[test]
fn a_forked_child_has_its_threads_stripe_and_the_barrier() {
    victim("forked-counting").end().assert_code(0);
}

/// A library that has its own copy of everything, its stripes among it, loaded, used, dropped and loaded again.
#[test]
#[expect(unsafe_code, reason = "a function that is found by its name")]
fn a_loaded_library_has_stripes_of_its_own() {
    must_end(|| {
        let folder = build_example(env!("CARGO_BIN_EXE_victim"), "winddown-tests", "plugin");
        let file = folder.join(format!("{}plugin{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX));
        let here = shutdown();
        drop(here.enter());
        for _ in 0..3 {
            let plugin = Library::load(&file);
            // SAFETY: `examples/plugin.rs` has this function, with these arguments.
            assert_eq!(unsafe { plugin.call(c"wind_down", 70, 1_000) }, 0);
        }
        let report = wind_down(&here);
        assert_eq!((report.admitted, report.counting), (1, Counting::Striped));
    });
}

//! Storms: threads that enter, split, leave, close and trigger without a pause, and plain data that they hand over with
//! nothing in between but that. `tests/thread-sanitizer` sees an order that is missing even where the values come out
//! right. With `WINDDOWN_STRESS_SECONDS` set, each storm goes on for so long.
#![expect(unsafe_code, reason = "plain data: each use says which promise orders it")]

mod membarrier;
mod thread_locals;

use std::array;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use winddown::testing::{ManualClock, assert_clean};
use winddown::{Shutdown, Stage};
use winddown_core::{Forced, Gate, Lifecycle, Notify, Phase, Reason, Refused};
use winddown_tests::patience::must_end;
use winddown_tests::racy::{Racy, Work};

const ROUNDS: u32 = 200;
const WORKERS: usize = 2;

/// So many rounds, and so many again until the time is over.
fn storm(round: fn(u32)) {
    let seconds = std::env::var("WINDDOWN_STRESS_SECONDS").map_or(0, |value| value.parse().expect("whole seconds"));
    let began = Instant::now();
    loop {
        must_end(move || (1..=ROUNDS).for_each(round));
        if began.elapsed() >= Duration::from_secs(seconds) {
            return;
        }
    }
}

/// Some time, another in each round.
fn dawdle(round: u32) {
    (0..round % 64).for_each(|_| std::hint::spin_loop());
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Looks at the work when it is rung.
struct Bell<'a> {
    work: &'a Work<WORKERS>,
    heard: Racy<u32>,
    rung: AtomicUsize,
}

impl Notify for Bell<'_> {
    fn notify(&self) {
        self.heard.set(self.work.passes());
        self.rung.fetch_add(1, Ordering::Relaxed);
    }
}

/// P2, P3, P4. What was done under passes is handed to whoever sees the gate drained, closed and empty, or hears the bell;
/// what was done before the close, to whoever is refused or sees it closed.
#[test]
fn handover_through_a_gate() {
    storm(|round| {
        // SAFETY: steps are taken under passes, and counted by whoever sees that there is none (P3). The notice is put up
        // before the close, and read by who is refused or sees the gate closed (P2). The bell rings once, by P4; what it
        // heard is read when all threads are joined.
        let (work, notice, heard) = unsafe { (Work::new(), Racy::new(0), Racy::new(0)) };
        let start = Barrier::new(WORKERS + 3);
        let bell = Bell { work: &work, heard, rung: AtomicUsize::new(0) };
        let gate = Gate::with_notify(&bell);
        let read_notice = || {
            assert_eq!(notice.get(), round);
            assert_eq!(gate.enter().unwrap_err(), Refused::Closed, "once closed, closed for all");
        };
        let works = |worker| {
            start.wait();
            let mut passes = 0;
            while let Ok(pass) = gate.enter() {
                work.step(worker);
                let part = pass.split().unwrap();
                drop(pass);
                work.step(worker);
                drop(part);
                passes += 1;
            }
            read_notice();
            passes
        };
        thread::scope(|scope| {
            let workers: [_; WORKERS] = array::from_fn(|worker| scope.spawn(move || works(worker)));
            scope.spawn(|| {
                start.wait();
                dawdle(round);
                notice.set(round);
                assert!(gate.close() && !gate.close());
                read_notice();
            });
            let sees = scope.spawn(|| {
                start.wait();
                until(|| gate.is_closed());
                read_notice();
                until(|| gate.in_flight() == 0);
                work.passes()
            });
            start.wait();
            until(|| gate.is_drained());
            let passes = work.passes();
            assert_eq!((sees.join().unwrap(), gate.in_flight(), gate.is_drained()), (passes, 0, true));
            assert_eq!(workers.map(|worker| worker.join().unwrap()).iter().sum::<u32>(), passes);
        });
        assert_eq!((bell.rung.load(Ordering::Relaxed), bell.heard.get()), (1, work.passes()));
    });
}

/// P1. What the first of many triggers' callers did before is handed to all who see the trigger, and so at each phase.
#[test]
fn handover_through_the_phases() {
    const ASKERS: usize = 3;
    const SIGNAL: u8 = 10; // and those that follow: no interrupts
    storm(|round| {
        let (life, start) = (Lifecycle::new(), Barrier::new(ASKERS + 2));
        // SAFETY: each puts up its own before it asks, and the first one's is read by who sees its reason (P1). The first
        // alone writes `closing`, before it begins to close; it is read by who sees that it has begun.
        let (notices, closing) = unsafe { ([const { Racy::new(0) }; ASKERS], Racy::new(0)) };
        let read_notice = || {
            let Some(Reason::Signal(first)) = life.load().reason() else { panic!("{life:?}") };
            assert_eq!(notices[usize::from(first - SIGNAL)].get(), round);
        };
        let asks = |asker: u8| {
            start.wait();
            notices[usize::from(asker)].set(round);
            let first = life.trigger(Reason::Signal(SIGNAL + asker)).is_first();
            let forced = life.force(Forced::Call);
            if first {
                closing.set(round);
                assert!(life.begin_closing() && !life.begin_closing());
            }
            read_notice();
            [first, forced]
        };
        thread::scope(|scope| {
            let askers = [0, 1, 2].map(|asker| scope.spawn(move || asks(asker)));
            scope.spawn(|| {
                start.wait();
                until(|| life.finish());
                assert_eq!(closing.get(), round);
            });
            start.wait();
            until(|| life.load().phase() != Phase::Running);
            read_notice();
            until(|| matches!(life.load().phase(), Phase::Closing | Phase::Done));
            assert_eq!(closing.get(), round);
            let asked = askers.map(|asker| asker.join().unwrap());
            let [firsts, forces] = [0, 1].map(|which| asked.iter().filter(|did| did[which]).count());
            assert_eq!((firsts, forces), (1, 1));
        });
        assert_eq!((life.load().phase(), usize::from(life.load().repeats().others)), (Phase::Done, ASKERS - 1));
    });
}

/// P1 to P4, through all of it: what was done before the trigger is handed to whoever is refused, sees the trigger or has
/// waited for it; what was done under passes, to the stages; and what those did, to whoever has waited for the end.
#[test]
fn handover_through_a_shutdown() {
    struct Shared {
        work: Work<WORKERS>,
        notice: Racy<u32>,
        flushed: Racy<u32>,
    }
    storm(|round| {
        // SAFETY: steps are taken under passes, and counted by the stage and after the end, when there is none (P3). The
        // notice is put up before the trigger, and read by who is refused, sees the trigger or was woken by it (P2, P4).
        // The stage's figure is written once, and read after the end.
        let shared = unsafe { Shared { work: Work::new(), notice: Racy::new(0), flushed: Racy::new(0) } };
        let (shared, start) = (Arc::new(shared), Barrier::new(WORKERS + 2));
        let flush = shared.clone();
        let stage = Stage::new("flush").hook(move || flush.flushed.set(flush.work.passes()));
        let shutdown = Shutdown::builder().manual_clock(&ManualClock::new()).stage(stage).build().unwrap();
        let read_notice = || assert_eq!(shared.notice.get(), round);
        let works = |worker| {
            start.wait();
            while let Ok(pass) = shutdown.enter() {
                shared.work.step(worker);
                if shutdown.is_shutting_down() {
                    read_notice();
                }
                shared.work.step(worker);
                drop(pass);
            }
            read_notice();
            assert!(shutdown.enter().is_err() && !shutdown.trigger(Reason::Requested));
        };
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                scope.spawn(move || works(worker));
            }
            scope.spawn(|| {
                start.wait();
                shutdown.token().wait();
                read_notice();
            });
            start.wait();
            dawdle(round);
            shared.notice.set(round);
            assert!(shutdown.trigger(Reason::Requested));
            assert_clean(&shutdown.run().report);
            assert_eq!(shared.flushed.get(), shared.work.passes());
        });
    });
}

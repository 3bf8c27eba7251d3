//! Threads that all do the same thing again and again, and what one time of it costs.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::threads;

/// How often it is done before a thread says so.
const BURST: u64 = 256;

/// Something that has a cache line to itself, and the one that is fetched along with it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// So many threads, looked at for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) threads: usize,
    pub(crate) window: Duration,
}

impl Crowd {
    /// What doing it once costs, in nanoseconds of a core's time: the time of all cores that the crowd has, divided by how
    /// often it was done. For no more threads than there are cores that is what each of them waits for it.
    ///
    /// `once` is told which of the threads it is.
    pub(crate) fn cost<D: Sync>(self, on: &D, once: impl Fn(&D, usize) + Sync) -> f64 {
        let has_core_of_its_own = self.threads <= threads::cores();
        let done: Vec<Padded<AtomicU64>> = (0..self.threads).map(|_| Padded::default()).collect();
        // Relaxed, all: these are figures.
        let sum = || done.iter().map(|done| done.0.load(Ordering::Relaxed)).sum::<u64>();
        let is_over = AtomicBool::new(false);
        let start = Barrier::new(self.threads + 1);
        let (once, start, is_over_there) = (&once, &start, &is_over);
        thread::scope(|scope| {
            for (thread, done) in done.iter().enumerate() {
                scope.spawn(move || {
                    if has_core_of_its_own {
                        threads::keep_to_core(thread);
                    }
                    // Whoever keeps something for each thread has met all of them before it counts.
                    once(on, thread);
                    start.wait();
                    while !is_over_there.load(Ordering::Relaxed) {
                        for _ in 0..BURST {
                            once(on, thread);
                        }
                        done.0.store(done.0.load(Ordering::Relaxed) + BURST, Ordering::Relaxed);
                    }
                });
            }
            start.wait();
            thread::sleep(self.window / 4);
            let (before, since) = (sum(), Instant::now());
            thread::sleep(self.window);
            let (after, time) = (sum(), since.elapsed());
            is_over.store(true, Ordering::Relaxed);
            let cores = self.threads.min(threads::cores());
            time.as_secs_f64() * 1e9 * cores as f64 / (after - before) as f64
        })
    }
}

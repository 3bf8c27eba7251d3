//! How a thread sleeps until something has changed. Not here: clocks and deadlines (`clock`).

use std::task::Wake;
use std::time::Duration;

use crate::sync::{Arc, AtomicU32, Ordering};

// What is explored is the portable one; the kernel's futex does the same inside.
#[cfg_attr(
    all(any(target_os = "linux", target_os = "android"), not(any(winddown_loom, winddown_shuttle))),
    path = "event_count/futex.rs"
)]
#[cfg_attr(
    any(not(any(target_os = "linux", target_os = "android")), winddown_loom, winddown_shuttle),
    path = "event_count/condvar.rs"
)]
mod imp;
use imp::Sleepers;

/// A count of what has happened that threads can sleep on.
///
/// The one who waits takes the [`key`](Self::key), then looks whether what it waits for has come about, and only then
/// [`wait`](Self::wait)s with that key. The one who brings it about changes the state first and then calls
/// [`notify`](Self::notify). A notification after the key was taken makes the wait return at once, so none is lost (P4).
/// (A thread that stalls between key and wait while exactly 2^32 notifications pass would miss them.)
///
/// On Linux a notification is one addition and one `futex` call, without a lock, an allocation or a touch of `errno`:
/// legal in a signal handler (G1, P8). Elsewhere it takes a lock, and signals are heard by a thread instead.
#[derive(Default)]
pub(crate) struct EventCount {
    count: AtomicU32,
    sleepers: Sleepers,
}

impl EventCount {
    /// What to wait with. Acquire pairs with the release in `notify`: the state behind a notification that is counted
    /// in the key is seen.
    pub(crate) fn key(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Wakes everyone who waits, and everyone who has a key and is about to.
    pub(crate) fn notify(&self) {
        // Release pairs with the acquire in `key`.
        self.count.fetch_add(1, Ordering::Release);
        self.sleepers.wake_all(&self.count);
    }

    /// Sleeps until a notification after `key` was taken, at most for `timeout`. May also return early.
    pub(crate) fn wait(&self, key: u32, timeout: Option<Duration>) {
        self.sleepers.wait(&self.count, key, timeout);
    }
}

/// Wakes a thread that polls.
impl Wake for EventCount {
    fn wake(self: Arc<Self>) {
        self.notify();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify();
    }
}

/// Rung by the last pass of a gate: wakes the driver.
pub(crate) struct Bell(pub(crate) Arc<EventCount>);

impl winddown_core::Notify for Bell {
    fn notify(&self) {
        self.0.notify();
    }
}

// An explorer has models of it.
#[cfg(all(test, not(any(winddown_loom, winddown_shuttle))))]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::sync::AtomicU64;

    const SLEEPERS: u64 = 6;
    const ROUNDS: u64 = 5_000;
    /// Long enough for any machine: no sleeper's time runs out.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A number that only grows, and an event count that announces it.
    #[derive(Default)]
    struct Figure {
        value: AtomicU64,
        changed: EventCount,
    }

    impl Figure {
        fn add_one(&self) {
            // Relaxed: published by `notify`, and brought by `key`.
            self.value.fetch_add(1, Ordering::Relaxed);
            self.changed.notify();
        }

        /// Sleeps until the number is at least `value`, for at most `timeout` at a time.
        fn wait_for(&self, value: u64, timeout: Duration) {
            let began = Instant::now();
            loop {
                let key = self.changed.key();
                if self.value.load(Ordering::Relaxed) >= value {
                    return;
                }
                assert!(began.elapsed() < PATIENCE, "P4: asleep beyond a notification");
                self.changed.wait(key, Some(timeout));
            }
        }
    }

    /// P4: each turn of one notifier wakes all sleepers, and the notifier sleeps until each of them has notified it. Every third
    /// sleeper sleeps for moments only, again and again. With `WINDDOWN_STRESS_SECONDS` set it goes on for so long.
    #[test]
    fn p4_no_sleeper_sleeps_beyond_a_notification() {
        let seconds = std::env::var("WINDDOWN_STRESS_SECONDS").map_or(0, |value| value.parse().expect("whole seconds"));
        let began = Instant::now();
        while {
            let (turn, told) = (Figure::default(), Figure::default());
            thread::scope(|scope| {
                for sleeper in 0..SLEEPERS {
                    let (turn, told) = (&turn, &told);
                    scope.spawn(move || {
                        for round in 1..=ROUNDS {
                            let moment = Duration::from_micros(round % 50);
                            turn.wait_for(round, if sleeper % 3 == 0 { moment } else { PATIENCE });
                            told.add_one();
                        }
                    });
                }
                for round in 1..=ROUNDS {
                    turn.add_one();
                    told.wait_for(round * SLEEPERS, PATIENCE);
                }
            });
            began.elapsed() < Duration::from_secs(seconds)
        } {}
    }

    #[test]
    fn a_wait_with_an_old_key_returns_at_once() {
        let event = EventCount::default();
        let key = event.key();
        event.notify();
        let began = Instant::now();
        event.wait(key, Some(PATIENCE));
        assert!(began.elapsed() < PATIENCE);
    }
}

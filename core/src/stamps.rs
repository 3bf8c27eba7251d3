//! The times that go with the phase word: when it was asked for, and when an interrupt last counted. Not here: the word
//! (`lifecycle`), and who reads the clock.

use core::time::Duration;

use crate::Escalation;
use crate::sync::{AtomicU64, Ordering, const_unless_loom};

/// No time: later than any.
const NEVER: u64 = u64::MAX;

/// # Invariants
///
/// 1. Nothing here locks, allocates, blocks or frees (P8).
/// 2. `asked_at` is the least of the stamps of those who asked, and the first trigger's caller has stamped before it: it is
///    never later than the trigger, and the deadline that follows from it is never late (P5). (If each caller that sees the
///    phase Running stored it, it could be late, because a load of the phase may be out of date.)
#[derive(Debug)]
pub(crate) struct Stamps {
    /// Nanoseconds.
    asked_at: AtomicU64,
    /// When the last interrupt that counted came; nanoseconds, or `NEVER`.
    interrupt_at: AtomicU64,
}

impl Stamps {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { asked_at: AtomicU64::new(NEVER), interrupt_at: AtomicU64::new(NEVER) }
        }
    }

    /// Stamps a trigger that may be the first.
    pub(crate) fn ask(&self, now: Duration) {
        // Relaxed: published by the release of the trigger that follows, in `Lifecycle::ask`.
        self.asked_at.fetch_min(nanos(now), Ordering::Relaxed);
    }

    pub(crate) fn asked_at(&self) -> Option<Duration> {
        // Relaxed: the caller's `Lifecycle::load` is the acquire.
        time(self.asked_at.load(Ordering::Relaxed))
    }

    /// Returns whether an interrupt at `now` counts. If so, the next one is measured from it.
    pub(crate) fn interrupt_counts(&self, now: Duration, escalation: &Escalation) -> bool {
        // Relaxed, both: only this word is decided here, and its modification order does that.
        let last = self.interrupt_at.load(Ordering::Relaxed);
        let swap = || self.interrupt_at.compare_exchange(last, nanos(now), Ordering::Relaxed, Ordering::Relaxed);
        escalation.counts(time(last), now) && swap().is_ok()
    }
}

/// As a word: 584 years are enough.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).map_or(NEVER - 1, |nanos| nanos.min(NEVER - 1))
}

fn time(nanos: u64) -> Option<Duration> {
    (nanos != NEVER).then(|| Duration::from_nanos(nanos))
}

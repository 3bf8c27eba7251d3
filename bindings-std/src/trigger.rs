//! Being asked to stop, from anywhere: what a signal handler may touch, and nothing it may not.

use std::time::Duration;

use winddown_core::{Escalate, Escalation, Forced, Lifecycle, Phase, Reason, Triggered};

use crate::clock::Clock;
use crate::event_count::EventCount;
use crate::sync::{Arc, AtomicU64, Ordering};

/// No time at all: later than any.
const NEVER: u64 = u64::MAX;

/// The part of a shutdown that a signal handler reaches.
///
/// # Invariants
///
/// 1. Nothing here locks, allocates, blocks or frees (P8, G1).
/// 2. `asked_at` is the least of the stamps of those who asked, and whoever was the first has stamped before: it is never
///    later than the trigger, and the deadline that follows from it is never late (P5). (Simply stored by whoever sees
///    the phase Running it may be late, since a load of the phase may be out of date.)
pub(crate) struct Trigger {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) clock: Clock,
    /// The driver sleeps on this.
    pub(crate) driver: Arc<EventCount>,
    escalation: Escalation,
    /// Nanoseconds on the clock.
    asked_at: AtomicU64,
    /// When the last interrupt that counted came; nanoseconds, or `NEVER`.
    interrupt_at: AtomicU64,
}

impl Trigger {
    pub(crate) fn new(clock: Clock, escalation: Escalation) -> Self {
        Self {
            lifecycle: Lifecycle::new(),
            clock,
            driver: Arc::default(),
            escalation,
            asked_at: AtomicU64::new(NEVER),
            interrupt_at: AtomicU64::new(NEVER),
        }
    }

    /// Asks to stop: one stamp of the clock and its minimum, one read-modify-write of the lifecycle, one wake of the
    /// driver. (An interrupt takes another read-modify-write, so that two at the same moment count as one.)
    /// Async-signal-safe.
    ///
    /// Says what the caller has to do about an interrupt.
    pub(crate) fn fire(&self, reason: Reason) -> Escalate {
        let (_, escalate) = self.ask(reason);
        self.driver.notify();
        escalate
    }

    /// As `fire`, but the driver is the caller's to wake. Says also whether this call began the wind-down.
    pub(crate) fn ask(&self, reason: Reason) -> (bool, Escalate) {
        let now = self.clock.now();
        // Who comes later has a later stamp, and nothing to add.
        if self.lifecycle.load().phase() == Phase::Running {
            // Relaxed: published by the release of the trigger below.
            self.asked_at.fetch_min(nanos(now), Ordering::Relaxed);
        }
        let counts = reason.is_interrupt() && self.interrupt_counts(now);
        let triggered = if counts || !reason.is_interrupt() {
            self.lifecycle.trigger(reason)
        } else {
            self.lifecycle.trigger_uncounted(reason)
        };
        let escalate = match triggered {
            Triggered::Joined(repeats) if counts => self.escalation.decide(repeats.interrupts),
            Triggered::First if counts => self.escalation.decide(1),
            _ => Escalate::Join,
        };
        if escalate == Escalate::Force {
            // Who forced first is of no account here: the driver is woken either way.
            let _ = self.lifecycle.force(Forced::Interrupt);
        }
        (triggered.is_first(), escalate)
    }

    /// Whether an interrupt at `now` counts; if so, the next one is measured from it.
    fn interrupt_counts(&self, now: Duration) -> bool {
        // Relaxed, both: only this word is decided here, and its modification order does that.
        let last = self.interrupt_at.load(Ordering::Relaxed);
        let spaced = self.escalation.counts((last != NEVER).then(|| Duration::from_nanos(last)), now);
        let swap = || self.interrupt_at.compare_exchange(last, nanos(now), Ordering::Relaxed, Ordering::Relaxed);
        spaced && swap().is_ok()
    }

    /// When it was asked for. Call it after having seen a phase other than Running (an acquire, which pairs with the
    /// release of the trigger that followed the first one's stamp).
    pub(crate) fn asked_at(&self) -> Duration {
        Duration::from_nanos(self.asked_at.load(Ordering::Relaxed))
    }
}

/// As a word: 584 years are enough.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER - 1)
}

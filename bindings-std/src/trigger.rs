//! Being asked to stop, from anywhere: what a signal handler may touch, and nothing it may not. Not here: the time that is kept,
//! which interrupts count and what they end (core's `Lifecycle::trigger_at`).

use std::time::Duration;

use winddown_core::{Escalate, Escalation, Lifecycle, Reason};

use crate::clock::Clock;
use crate::event_count::EventCount;
use crate::sync::Arc;

/// The part of a shutdown that a signal handler reaches. Nothing here locks, allocates, blocks or frees (P8, G1).
pub(crate) struct Trigger {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) clock: Clock,
    /// The driver sleeps on this.
    pub(crate) driver: Arc<EventCount>,
    pub(crate) escalation: Escalation,
}

impl Trigger {
    pub(crate) fn new(clock: Clock, escalation: Escalation) -> Self {
        Self { lifecycle: Lifecycle::new(), clock, driver: Arc::default(), escalation }
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
        let (triggered, escalate) = self.lifecycle.trigger_at(now, reason, &self.escalation);
        (triggered.is_first(), escalate)
    }

    /// Returns when it was asked for. Call it after having seen a phase other than Running, as `Lifecycle::asked_at` wants it.
    pub(crate) fn asked_at(&self) -> Duration {
        // Every trigger is stamped.
        self.lifecycle.asked_at().unwrap_or_default()
    }
}

//! What happened, for observers. Everything worth telling is here; who tells it, and to whom, is the binding's.

use core::time::Duration;

use crate::{Escalate, Fate, Forced, InFlight, Milestone, Outcome, Reason, Repeats};

/// One thing that happened: in a wind-down, or before it to a part of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A listener is out of order, or its accept loop panicked, before the program refused. This may come before the wind-down.
    ListenerFailed,
    /// Another part of the program has installed a handler for a signal that the shutdown listens to. This may come before the wind-down.
    SignalTaken {
        /// The signal's number.
        signal: u8,
    },
    /// The wind-down began.
    Triggered {
        /// Why.
        reason: Reason,
    },
    /// It was asked for again.
    Repeated {
        /// How often by now.
        repeats: Repeats,
    },
    /// Interrupts came too soon after the last one that counted. They have no effect: to escalate, interrupt again. Told at most once
    /// in the time that interrupts have to be apart.
    InterruptTooSoon {
        /// How far apart interrupts have to be to count.
        spacing: Duration,
    },
    /// An interrupt ended the drain or all waiting, or the program ended all waiting.
    EndedEarly {
        /// Who ended it, and how much of it.
        by: Forced,
        /// What one more interrupt ends; [`Escalate::Join`] if it ends nothing.
        next: Escalate,
    },
    /// A milestone after the first was reached.
    Reached {
        /// Which.
        milestone: Milestone,
        /// What was in flight then.
        in_flight: InFlight,
    },
    /// A stage began.
    StageStarted {
        /// Its index.
        stage: usize,
        /// How long it may take.
        within: Duration,
    },
    /// A stage is over, in whichever way.
    StageEnded {
        /// Its index.
        stage: usize,
        /// How.
        fate: Fate,
    },
    /// The wind-down is over. Always the last.
    Finished {
        /// How it went.
        outcome: Outcome,
    },
}

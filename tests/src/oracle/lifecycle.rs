//! The life of a program, in fields of their own.

use std::time::Duration;

use winddown_core::{Escalate, Escalation, Forced, Phase, Reason, Repeats, State, Triggered};

use super::escalation;

/// What a lifecycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// The phase.
    pub phase: Phase,
    /// The first trigger's reason.
    pub reason: Option<Reason>,
    /// Who forced it.
    pub forced: Option<Forced>,
    /// Whether an interrupt ended the drain.
    pub drain_ended: bool,
    /// How often it was asked for, as it is told.
    pub repeats: Repeats,
    /// When it was asked for, if the time was told.
    pub asked_at: Option<Duration>,
    /// When an interrupt last counted, if the time was told.
    counted_at: Option<Duration>,
}

impl Lifecycle {
    /// The count of interrupts stays at this.
    const INTERRUPTS: u8 = 7;
    /// The count of those that came too soon stays at this.
    const TOO_SOON: u8 = 31;
    /// The count of other triggers stays at this.
    const OTHERS: u16 = 511;
    /// The latest time that is kept.
    const LATEST: Duration = Duration::from_nanos(u64::MAX - 1);

    /// Running, and never asked.
    #[must_use]
    pub const fn new() -> Self {
        let repeats = Repeats { interrupts: 0, too_soon: 0, others: 0 };
        let (asked_at, counted_at) = (None, None);
        Self { phase: Phase::Running, reason: None, forced: None, drain_ended: false, repeats, asked_at, counted_at }
    }

    /// P1: the first one wins; each later one is counted, as an interrupt if it `counts` as one.
    pub fn trigger(&mut self, reason: Reason, counts: bool) -> Triggered {
        let interrupt = counts && reason.is_interrupt();
        let first = self.phase == Phase::Running;
        if first {
            self.phase = Phase::Draining;
            self.reason = Some(reason);
        }
        if interrupt {
            self.repeats.interrupts = Self::INTERRUPTS.min(self.repeats.interrupts + 1);
        } else if !first && reason.is_interrupt() {
            self.repeats.too_soon = Self::TOO_SOON.min(self.repeats.too_soon + 1);
        } else if !first {
            self.repeats.others = Self::OTHERS.min(self.repeats.others + 1);
        }
        if first { Triggered::First } else { Triggered::Joined(self.repeats) }
    }

    /// The same at a time: the first trigger's is kept, an interrupt counts when spaced, and then ends what the policy says.
    pub fn trigger_at(&mut self, now: Duration, reason: Reason, policy: &Escalation) -> (Triggered, Escalate) {
        if self.phase == Phase::Running {
            self.asked_at = Some(now.min(Self::LATEST));
        }
        let counts = reason.is_interrupt() && escalation::counts(policy, self.counted_at, now);
        if counts {
            self.counted_at = Some(now.min(Self::LATEST));
        }
        let triggered = self.trigger(reason, counts);
        if triggered.is_first() || !counts {
            return (triggered, Escalate::Join);
        }
        let escalate = escalation::decide(policy, self);
        let did_it = match escalate {
            Escalate::EndDrain => self.force(Forced::Drain),
            Escalate::Force => self.force(Forced::Interrupt),
            Escalate::Join | Escalate::Exit => true,
        };
        debug_assert!(did_it, "there is nothing to end");
        (triggered, escalate)
    }

    /// Once, and only between the trigger and the end; the drain, only while it lasts and nothing else was ended.
    pub fn force(&mut self, by: Forced) -> bool {
        if by == Forced::Drain {
            let possible = !self.drain_ended && self.forced.is_none() && self.phase == Phase::Draining;
            self.drain_ended |= possible;
            return possible;
        }
        let possible = self.forced.is_none() && (self.phase == Phase::Draining || self.phase == Phase::Closing);
        if possible {
            self.forced = Some(by);
        }
        possible
    }

    /// From one phase to the next, and from no other.
    pub fn step(&mut self, from: Phase, to: Phase) -> bool {
        let possible = self.phase == from;
        if possible {
            self.phase = to;
        }
        possible
    }

    /// Whether a state that was loaded says the same.
    #[must_use]
    pub fn is(&self, state: State) -> bool {
        let seen = Self {
            phase: state.phase(),
            reason: state.reason(),
            forced: state.forced(),
            drain_ended: state.is_drain_ended(),
            repeats: state.repeats(),
            ..*self
        };
        *self == seen
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

//! The life of a program, in fields of their own.

use winddown_core::{Forced, Phase, Reason, Repeats, State, Triggered};

/// What a lifecycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// The phase.
    pub phase: Phase,
    /// The first trigger's reason.
    pub reason: Option<Reason>,
    /// Who forced it.
    pub forced: Option<Forced>,
    /// How often it was asked for, as it is told.
    pub repeats: Repeats,
}

impl Lifecycle {
    /// The count of interrupts stays at this.
    const INTERRUPTS: u8 = 7;
    /// The count of other triggers stays at this.
    const OTHERS: u16 = 32_767;

    /// Running, and never asked.
    #[must_use]
    pub const fn new() -> Self {
        let repeats = Repeats { interrupts: 0, others: 0 };
        Self { phase: Phase::Running, reason: None, forced: None, repeats }
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
        } else if !first {
            self.repeats.others = Self::OTHERS.min(self.repeats.others + 1);
        }
        if first { Triggered::First } else { Triggered::Joined(self.repeats) }
    }

    /// Once, and only between the trigger and the end.
    pub fn force(&mut self, by: Forced) -> bool {
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
        let seen =
            Self { phase: state.phase(), reason: state.reason(), forced: state.forced(), repeats: state.repeats() };
        *self == seen
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

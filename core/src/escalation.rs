//! What a person who asks again gets. Not here: reading the clock, and ending the process.

use core::time::Duration;

/// The policy for repeated interrupts.
///
/// Only interrupts escalate: a repeated SIGTERM is legitimate (a restarted kubelet starts over) and joins. A storm of
/// interrupts counts as one: another counts only [`spacing`](Self::spacing) after the last one that counted.
///
/// ```
/// use core::time::Duration;
/// use winddown_core::{Escalate, Escalation};
///
/// let usual = Escalation::default();
/// assert_eq!(usual.decide(1), Escalate::Join);
/// assert_eq!(usual.decide(2), Escalate::Force);
/// assert_eq!(usual.decide(3), Escalate::Exit);
/// assert_eq!(Escalation::NEVER.decide(7), Escalate::Join);
/// assert!(!usual.counts(Some(Duration::from_secs(5)), Duration::from_millis(5_299)));
/// assert!(usual.counts(Some(Duration::from_secs(5)), Duration::from_millis(5_300)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// An interrupt counts when at least this long has passed since the last one that counted.
    pub spacing: Duration,
    /// How many interrupts it takes to end all waiting; the first trigger's counts. They are counted up to 7.
    pub force_at: Option<u8>,
    /// How many it takes to end the process at once.
    pub exit_at: Option<u8>,
}

/// What follows from an interrupt that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Escalate {
    /// Nothing more: it begins or joins the wind-down.
    Join,
    /// Every wait ends.
    Force,
    /// The process ends, from where the interrupt is handled.
    Exit,
}

impl Escalation {
    /// Interrupts join, however many there are.
    pub const NEVER: Self = Self { spacing: Duration::ZERO, force_at: None, exit_at: None };

    /// Whether an interrupt at `now` counts, given when the last one that counted came.
    #[must_use]
    pub fn counts(&self, last: Option<Duration>, now: Duration) -> bool {
        last.is_none_or(|last| now.saturating_sub(last) >= self.spacing)
    }

    /// What follows from the interrupt that made the count `interrupts`.
    pub const fn decide(&self, interrupts: u8) -> Escalate {
        match (self.force_at, self.exit_at) {
            (_, Some(at)) if interrupts >= at => Escalate::Exit,
            (Some(at), _) if interrupts >= at => Escalate::Force,
            _ => Escalate::Join,
        }
    }
}

/// 300 ms apart; the second forces, the third ends the process.
impl Default for Escalation {
    fn default() -> Self {
        Self { spacing: Duration::from_millis(300), force_at: Some(2), exit_at: Some(3) }
    }
}

//! What a person who interrupts again gets. Not here: reading the clock, counting (`lifecycle`), and ending the process.

use core::time::Duration;

use crate::{Forced, State};

/// The policy for repeated interrupts.
///
/// The first interrupt begins the wind-down, or joins it; it never ends anything early. Each later one ends the next level
/// that has something left to end:
///
/// | level | by default with interrupt | it ends |
/// |---|---|---|
/// | drain | 2 | the lame duck and the drain: work in flight is cut and named in the report, and the stages run within their limits |
/// | force | 3 | all waiting: stages that run are abandoned, and no other begins |
/// | exit | 4 | the process, with exit code 130 |
///
/// A level with nothing left to end is skipped, and the next one takes its turn: if the drain was over before the second
/// interrupt, that one forces, and the third ends the process. When the wind-down is over, the second one ends the process.
///
/// Only interrupts escalate: a repeated SIGTERM is legitimate (a restarted kubelet starts over) and joins. Interrupts less than
/// [`spacing`](Self::spacing) after the last one that counted do not count.
///
/// ```
/// use core::time::Duration;
/// use winddown_core::{Escalate, Escalation, Lifecycle, Reason};
///
/// let usual = Escalation::default();
/// let press = |life: &Lifecycle, at| life.trigger_at(Duration::from_secs(at), Reason::Interrupt, &usual).1;
///
/// let life = Lifecycle::new();
/// assert_eq!(press(&life, 1), Escalate::Join);
/// assert_eq!(press(&life, 2), Escalate::EndDrain);
/// assert_eq!(press(&life, 3), Escalate::Force);
/// assert_eq!(press(&life, 4), Escalate::Exit);
///
/// let life = Lifecycle::new();
/// assert_eq!(press(&life, 1), Escalate::Join);
/// assert!(life.begin_closing());
/// assert_eq!(press(&life, 2), Escalate::Force);
/// assert_eq!(press(&life, 3), Escalate::Exit);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// An interrupt counts when at least this long has passed since the last one that counted.
    pub spacing: Duration,
    /// How many interrupts it takes to end the drain, the first trigger's included. They are counted up to 7, and less than 2
    /// is 2. A level whose number is not below a later level's never has a turn.
    pub drain_at: Option<u8>,
    /// How many it takes to end all waiting.
    pub force_at: Option<u8>,
    /// How many it takes to end the process at once.
    pub exit_at: Option<u8>,
}

/// What follows from an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Escalate {
    /// Nothing more: it begins or joins the wind-down.
    Join,
    /// The drain ends.
    EndDrain,
    /// Every wait ends.
    Force,
    /// The process ends, from where the interrupt is handled.
    Exit,
}

impl Escalate {
    /// Returns what it ends of a wind-down.
    pub(crate) const fn ends(self) -> Option<Forced> {
        match self {
            Self::EndDrain => Some(Forced::Drain),
            Self::Force => Some(Forced::Interrupt),
            Self::Join | Self::Exit => None,
        }
    }
}

impl Escalation {
    /// Interrupts join, however many there are.
    pub const NEVER: Self = Self { spacing: Duration::ZERO, drain_at: None, force_at: None, exit_at: None };

    /// Whether an interrupt at `now` counts, given when the last one that counted came.
    #[must_use]
    pub fn counts(&self, last: Option<Duration>, now: Duration) -> bool {
        last.is_none_or(|last| now.saturating_sub(last) >= self.spacing)
    }

    /// Decides what follows from an interrupt that counted, given the state that counts it.
    ///
    /// Each level has a turn, at its number of interrupts. As long as fewer levels were taken by interrupts than have had their
    /// turns, the next one with something left to end is taken.
    pub fn decide(&self, state: State) -> Escalate {
        let levels =
            [(self.exit_at, Escalate::Exit), (self.force_at, Escalate::Force), (self.drain_at, Escalate::EndDrain)];
        let (mut next, mut turns, mut below) = (Escalate::Join, 0, u8::MAX);
        for (at, level) in levels {
            let Some(at) = at.map(|at| at.max(2)).filter(|&at| at < below) else { continue };
            below = at;
            turns += u8::from(state.repeats().interrupts >= at);
            if level.ends().is_none_or(|by| state.ended(by).is_some()) {
                next = level;
            }
        }
        let taken = u8::from(state.is_drain_ended()) + u8::from(state.forced() == Some(Forced::Interrupt));
        if turns > taken { next } else { Escalate::Join }
    }

    /// Returns what one more interrupt would end, if it counted.
    ///
    /// ```
    /// use winddown_core::{Escalate, Escalation, Lifecycle, Reason};
    ///
    /// let life = Lifecycle::new();
    /// let _ = life.trigger(Reason::Interrupt);
    /// assert_eq!(Escalation::default().next(life.load()), Escalate::EndDrain);
    /// assert_eq!(Escalation::NEVER.next(life.load()), Escalate::Join);
    /// ```
    pub fn next(&self, state: State) -> Escalate {
        self.decide(state.interrupted())
    }
}

/// 300 ms apart; the second ends the drain, the third all waiting, the fourth the process.
impl Default for Escalation {
    fn default() -> Self {
        Self { spacing: Duration::from_millis(300), drain_at: Some(2), force_at: Some(3), exit_at: Some(4) }
    }
}

//! The phase word. Not here: admission (`gate`), and what happens in each phase (`sequence`).

use crate::sync::{AtomicU32, Ordering, const_unless_loom, update};
use crate::{Forced, Phase, Reason};

/// The life of a program in one word: phase, first reason, who forced it, and how often it was asked again.
///
/// Every transition is one read-modify-write that says whether *this* call brought it about; the phase never goes back
/// (P1). Lock-free and without allocation, so it may be called from a signal handler or an interrupt (P8).
///
/// | bits | meaning |
/// |---|---|
/// | 0-1 | phase: 0 Running, 1 Draining, 2 Closing, 3 Done |
/// | 2-3 | forced: 0 no, 1 by an interrupt, 2 by a call. Never set while Running |
/// | 4-5 | reason: 0 Requested, 1 Failure, 2 Interrupt, 3 Signal. Written once, on leaving Running |
/// | 6-13 | the signal's number, 0 unless the reason is a signal |
/// | 14-16 | interrupts that counted, the first trigger's included; stays at 7 |
/// | 17-31 | other triggers after the first; stays at 32,767 |
///
/// While Running the whole word is 0.
///
/// ```
/// use winddown_core::{Lifecycle, Phase, Reason};
///
/// static LIFE: Lifecycle = Lifecycle::new();
///
/// assert!(LIFE.trigger(Reason::Signal(15)).is_first());
/// assert!(!LIFE.trigger(Reason::Requested).is_first());
/// assert_eq!(LIFE.load().reason(), Some(Reason::Signal(15)));
/// assert_eq!(LIFE.load().phase(), Phase::Draining);
/// ```
#[derive(Debug)]
pub struct Lifecycle {
    word: AtomicU32,
}

/// A field of the word: where it begins and how many bits it has.
struct Field(u32, u32);

const PHASE: Field = Field(0, 2);
const FORCED: Field = Field(2, 2);
const REASON: Field = Field(4, 2);
const SIGNAL: Field = Field(6, 8);
const INTERRUPTS: Field = Field(14, 3);
const OTHERS: Field = Field(17, 15);

impl Field {
    const fn max(&self) -> u32 {
        (1 << self.1) - 1
    }

    const fn of(&self, word: u32) -> u32 {
        word >> self.0 & self.max()
    }

    const fn set(&self, word: u32, value: u32) -> u32 {
        word & !(self.max() << self.0) | value << self.0
    }

    /// One more, or the same where there is no room for more.
    const fn count(&self, word: u32) -> u32 {
        if self.of(word) < self.max() { word + (1 << self.0) } else { word }
    }
}

/// What a call to [`Lifecycle::trigger`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a first trigger has to be followed by a wake of the driver"]
pub enum Triggered {
    /// This call began the wind-down.
    First,
    /// It had begun before; this one has joined it.
    Joined(Repeats),
}

impl Triggered {
    /// Whether this call began the wind-down.
    #[must_use]
    pub const fn is_first(self) -> bool {
        matches!(self, Self::First)
    }
}

/// How often a wind-down was asked for. Saturating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Repeats {
    /// Interrupts that counted, the first trigger's included; at most 7.
    pub interrupts: u8,
    /// Triggers after the first that were no interrupt or did not count as one; at most 32,767.
    pub others: u16,
}

/// What a [`Lifecycle`] held at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(u32);

impl State {
    /// The phase.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match PHASE.of(self.0) {
            0 => Phase::Running,
            1 => Phase::Draining,
            2 => Phase::Closing,
            _ => Phase::Done,
        }
    }

    /// The reason of the first trigger; `None` while running.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the field has 8 bits")]
    pub const fn reason(self) -> Option<Reason> {
        if PHASE.of(self.0) == 0 {
            return None;
        }
        Some(match REASON.of(self.0) {
            0 => Reason::Requested,
            1 => Reason::Failure,
            2 => Reason::Interrupt,
            _ => Reason::Signal(SIGNAL.of(self.0) as u8),
        })
    }

    /// Who ended all waiting, if anyone did.
    #[must_use]
    pub const fn forced(self) -> Option<Forced> {
        match FORCED.of(self.0) {
            0 => None,
            1 => Some(Forced::Interrupt),
            _ => Some(Forced::Call),
        }
    }

    /// How often it was asked for.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the fields have 3 and 15 bits")]
    pub const fn repeats(self) -> Repeats {
        Repeats { interrupts: INTERRUPTS.of(self.0) as u8, others: OTHERS.of(self.0) as u16 }
    }
}

impl Lifecycle {
    const_unless_loom! {
        /// A program that is running.
        #[must_use]
        pub fn new() -> Self {
            Self { word: AtomicU32::new(0) }
        }
    }

    /// Phase, reason and counts as of one moment.
    ///
    /// Acquire: pairs with the release of whichever transition wrote what it sees, so what the trigger's caller did
    /// before triggering is visible.
    #[inline]
    #[must_use]
    pub fn load(&self) -> State {
        State(self.word.load(Ordering::Acquire))
    }

    /// Whether the program was asked to stop. One load (P10); it pairs as [`load`](Self::load) does.
    #[inline]
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.word.load(Ordering::Acquire) != 0
    }

    /// Asks the program to stop. The first call wins (P1); later ones are counted, an interrupt as an interrupt.
    ///
    /// # Concurrency
    ///
    /// Exactly one of all the calls ever made gets [`Triggered::First`]. Whoever sees the new phase also sees what that
    /// caller wrote before.
    pub fn trigger(&self, reason: Reason) -> Triggered {
        self.ask(reason, reason.is_interrupt())
    }

    /// As [`trigger`](Self::trigger), but an interrupt does not count as one: the first counts nowhere, a later one among
    /// the other triggers. For one that comes too soon after the last to be another press of a key.
    pub fn trigger_uncounted(&self, reason: Reason) -> Triggered {
        self.ask(reason, false)
    }

    fn ask(&self, reason: Reason, counts_as_interrupt: bool) -> Triggered {
        let asked = |word| {
            if PHASE.of(word) == 0 {
                let (kind, signal) = match reason {
                    Reason::Requested => (0, 0),
                    Reason::Failure => (1, 0),
                    Reason::Interrupt => (2, 0),
                    Reason::Signal(number) => (3, u32::from(number)),
                };
                let first = PHASE.set(0, 1) | REASON.set(0, kind) | SIGNAL.set(0, signal);
                if counts_as_interrupt { INTERRUPTS.count(first) } else { first }
            } else if counts_as_interrupt {
                INTERRUPTS.count(word)
            } else {
                OTHERS.count(word)
            }
        };
        // Releases to every `load`; acquires from the trigger that it joins.
        match update(&self.word, |word| Some(asked(word))) {
            Ok(0) => Triggered::First,
            Ok(before) | Err(before) => Triggered::Joined(State(asked(before)).repeats()),
        }
    }

    /// Ends all waiting: what is not done is abandoned. Says whether this call did it; it does nothing while Running,
    /// when Done, and the second time.
    #[must_use = "whoever forced first has to wake the driver"]
    pub fn force(&self, by: Forced) -> bool {
        let by = match by {
            Forced::Interrupt => 1,
            Forced::Call => 2,
        };
        // Releases to every `load`; acquires from the trigger.
        update(&self.word, |word| {
            let open = matches!(State(word).phase(), Phase::Draining | Phase::Closing);
            (open && FORCED.of(word) == 0).then(|| FORCED.set(word, by))
        })
        .is_ok()
    }

    /// Draining -> Closing. Says whether this call did it.
    #[must_use = "false: the phase was another"]
    pub fn begin_closing(&self) -> bool {
        self.step(1)
    }

    /// Closing -> Done. Says whether this call did it.
    #[must_use = "false: the phase was another"]
    pub fn finish(&self) -> bool {
        self.step(2)
    }

    fn step(&self, from: u32) -> bool {
        // Releases to every `load`; acquires from the step before.
        update(&self.word, |word| (PHASE.of(word) == from).then(|| PHASE.set(word, from + 1))).is_ok()
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

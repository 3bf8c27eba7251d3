//! The phase word. Not here: the times of those who ask (`stamps`), what repeated interrupts end (`escalation`), admission
//! (`gate`), and what happens in each phase (`sequence`).

#[cfg(target_has_atomic = "64")]
use core::time::Duration;

#[cfg(target_has_atomic = "64")]
use crate::stamps::Stamps;
use crate::sync::{AtomicU32, Ordering, const_unless_loom, update};
use crate::{Escalate, Escalation, Forced, Phase, Reason};

/// The life of a program in one word: phase, first reason, what was ended early, and how often it was asked again.
///
/// Every transition is one read-modify-write that says whether *this* call brought it about; the phase never goes back
/// (P1). Lock-free and without allocation, so it may be called from a signal handler or an interrupt (P8).
///
/// | bits | meaning |
/// |---|---|
/// | 0-1 | phase: 0 Running, 1 Draining, 2 Closing, 3 Done |
/// | 2-3 | all waiting was ended: 0 no, 1 by an interrupt, 2 by a call. Never set while Running |
/// | 4-5 | reason: 0 Requested, 1 Failure, 2 Interrupt, 3 Signal. Written once, on leaving Running |
/// | 6-13 | the signal's number, 0 unless the reason is a signal |
/// | 14-16 | interrupts that counted, the first trigger's included; stays at 7 |
/// | 17 | an interrupt ended the drain. Set only while Draining |
/// | 18-22 | interrupts that came too soon to count; stays at 31 |
/// | 23-31 | other triggers after the first; stays at 511 |
///
/// While Running the whole word is 0.
///
/// Where the target has 64-bit atomics, two times go with the word: see [`trigger_at`](Self::trigger_at).
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
    #[cfg(target_has_atomic = "64")]
    stamps: Stamps,
}

/// A field of the word: where it begins and how many bits it has.
struct Field(u32, u32);

const PHASE: Field = Field(0, 2);
const FORCED: Field = Field(2, 2);
const REASON: Field = Field(4, 2);
const SIGNAL: Field = Field(6, 8);
const INTERRUPTS: Field = Field(14, 3);
const DRAIN_ENDED: Field = Field(17, 1);
const TOO_SOON: Field = Field(18, 5);
const OTHERS: Field = Field(23, 9);

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
    /// Interrupts after the first trigger that came too soon after the last one that counted; at most 31.
    pub too_soon: u8,
    /// Triggers after the first that were no interrupt; at most 511.
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

    /// Who ended all waiting: [`Forced::Call`] or [`Forced::Interrupt`].
    #[must_use]
    pub const fn forced(self) -> Option<Forced> {
        match FORCED.of(self.0) {
            0 => None,
            1 => Some(Forced::Interrupt),
            _ => Some(Forced::Call),
        }
    }

    /// Returns whether an interrupt ended the drain.
    #[must_use]
    pub const fn is_drain_ended(self) -> bool {
        DRAIN_ENDED.of(self.0) != 0
    }

    /// How often it was asked for.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the fields have 3, 5 and 9 bits")]
    pub const fn repeats(self) -> Repeats {
        Repeats {
            interrupts: INTERRUPTS.of(self.0) as u8,
            too_soon: TOO_SOON.of(self.0) as u8,
            others: OTHERS.of(self.0) as u16,
        }
    }

    /// Returns the state in which one more interrupt has counted.
    pub(crate) const fn interrupted(self) -> Self {
        Self(INTERRUPTS.count(self.0))
    }

    /// Returns the state in which what `by` ends is ended; `None` if nothing of it is left to end.
    pub(crate) const fn ended(self, by: Forced) -> Option<Self> {
        if self.forced().is_some() {
            return None;
        }
        Some(Self(match (by, self.phase()) {
            (Forced::Drain, Phase::Draining) if !self.is_drain_ended() => DRAIN_ENDED.set(self.0, 1),
            (Forced::Interrupt, Phase::Draining | Phase::Closing) => FORCED.set(self.0, 1),
            (Forced::Call, Phase::Draining | Phase::Closing) => FORCED.set(self.0, 2),
            _ => return None,
        }))
    }
}

impl Lifecycle {
    const_unless_loom! {
        /// A program that is running.
        #[must_use]
        pub fn new() -> Self {
            Self {
                word: AtomicU32::new(0),
                #[cfg(target_has_atomic = "64")]
                stamps: Stamps::new(),
            }
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

    /// Asks the program to stop. The first call wins (P1); later ones are counted, an interrupt as an interrupt. It ends
    /// nothing early: [`trigger_at`](Self::trigger_at) does.
    ///
    /// # Concurrency
    ///
    /// Exactly one of all the calls ever made gets [`Triggered::First`]. Whoever sees the new phase also sees what that
    /// caller wrote before.
    pub fn trigger(&self, reason: Reason) -> Triggered {
        self.ask(reason, true, &Escalation::NEVER).0
    }

    /// Asks as [`trigger`](Self::trigger) does, but an interrupt does not count as one: the first counts nowhere, a later one
    /// as [too soon](Repeats::too_soon). For one that comes too soon after the last to be another press of a key.
    pub fn trigger_uncounted(&self, reason: Reason) -> Triggered {
        self.ask(reason, false, &Escalation::NEVER).0
    }

    /// Asks as [`trigger`](Self::trigger) does, at `now`, and escalates. All that a signal handler has to do, but for waking
    /// the driver and ending the process ([`Escalate::Exit`]), is in this call.
    ///
    /// - The time of the first trigger is kept: [`asked_at`](Self::asked_at).
    /// - An interrupt counts if it is [spaced](Escalation::counts) from the last one that counted. Two at the same moment count
    ///   as one.
    /// - What an interrupt that counts [ends](Escalation::decide) is decided and marked in the read-modify-write that counts
    ///   it.
    ///
    /// Times are counted from an epoch of the caller's choice, and kept as nanoseconds in 64 bits (584 years). It takes 64-bit
    /// atomics; on a target without them, decide about the spacing with [`Escalation::counts`], call `trigger` or
    /// [`trigger_uncounted`](Self::trigger_uncounted), and then [`force`](Self::force) as [`Escalation::decide`] says.
    ///
    /// ```
    /// use core::time::Duration;
    /// use winddown_core::{Escalate, Escalation, Lifecycle, Reason};
    ///
    /// let (life, usual) = (Lifecycle::new(), Escalation::default());
    /// let press = |at| life.trigger_at(Duration::from_millis(at), Reason::Interrupt, &usual).1;
    /// assert_eq!(press(1_000), Escalate::Join);
    /// assert_eq!(press(1_100), Escalate::Join, "too soon");
    /// assert_eq!(press(1_300), Escalate::EndDrain);
    /// assert_eq!(life.asked_at(), Some(Duration::from_millis(1_000)));
    /// ```
    #[cfg(target_has_atomic = "64")]
    pub fn trigger_at(&self, now: Duration, reason: Reason, escalation: &Escalation) -> (Triggered, Escalate) {
        // A later trigger has a later stamp, and nothing to add.
        if self.load().phase() == Phase::Running {
            self.stamps.ask(now);
        }
        let counts = reason.is_interrupt() && self.stamps.interrupt_counts(now, escalation);
        self.ask(reason, counts, escalation)
    }

    /// Returns the time of the first [`trigger_at`](Self::trigger_at): never a later one. If several threads were the first at
    /// once, it is the earliest of theirs. `None` if there was none.
    ///
    /// Call it after having seen a phase other than Running: that is an acquire, which pairs with the release of the trigger
    /// that followed the stamp.
    #[cfg(target_has_atomic = "64")]
    #[must_use]
    pub fn asked_at(&self) -> Option<Duration> {
        self.stamps.asked_at()
    }

    fn ask(&self, reason: Reason, counts: bool, escalation: &Escalation) -> (Triggered, Escalate) {
        let asked = |word| {
            if PHASE.of(word) == 0 {
                let (kind, signal) = match reason {
                    Reason::Requested => (0, 0),
                    Reason::Failure => (1, 0),
                    Reason::Interrupt => (2, 0),
                    Reason::Signal(number) => (3, u32::from(number)),
                };
                let first = PHASE.set(0, 1) | REASON.set(0, kind) | SIGNAL.set(0, signal);
                // The first interrupt ends nothing.
                (if counts && reason.is_interrupt() { INTERRUPTS.count(first) } else { first }, Escalate::Join)
            } else if !reason.is_interrupt() {
                (OTHERS.count(word), Escalate::Join)
            } else if !counts {
                (TOO_SOON.count(word), Escalate::Join)
            } else {
                let counted = State(word).interrupted();
                let escalate = escalation.decide(counted);
                (escalate.ends().and_then(|by| counted.ended(by)).unwrap_or(counted).0, escalate)
            }
        };
        // Releases to every `load`; acquires from the trigger that it joins.
        let (Ok(before) | Err(before)) = update(&self.word, |word| Some(asked(word).0));
        let (after, escalate) = asked(before);
        let triggered = if before == 0 { Triggered::First } else { Triggered::Joined(State(after).repeats()) };
        (triggered, escalate)
    }

    /// Ends all waiting: what is not done is abandoned. With [`Forced::Drain`] it ends the drain alone. Says whether this call
    /// did it; it does nothing while Running, when Done, and the second time.
    #[must_use = "whoever forced first has to wake the driver"]
    pub fn force(&self, by: Forced) -> bool {
        // Releases to every `load`; acquires from the trigger.
        update(&self.word, |word| State(word).ended(by).map(|state| state.0)).is_ok()
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

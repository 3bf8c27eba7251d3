//! What can be refused. One small type an operation.

use core::fmt;
use core::time::Duration;

/// Why no pass was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The gate is closed and stays so: the program is winding down.
    Closed,
    /// As many passes as can be counted are alive.
    Full,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "refused: winding down",
            Self::Full => "refused: too many passes are alive",
        })
    }
}

impl core::error::Error for Refused {}

/// Why a [`Plan`](crate::Plan) cannot be. Stages are named by their index; whoever gave them names can say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// There are more stages than a plan holds ([`MAX_STAGES`](crate::MAX_STAGES)).
    TooManyStages {
        /// How many were given.
        given: usize,
    },
    /// A stage comes after one that does not exist.
    UnknownStage {
        /// The stage that has the wish.
        stage: usize,
        /// The index that there is no stage for.
        after: usize,
    },
    /// A stage has a limit of 0, and could never begin.
    ZeroLimit {
        /// The stage.
        stage: usize,
    },
    /// These stages wait for one another in a ring.
    Cycle {
        /// One bit a stage of the ring.
        ring: u64,
    },
    /// What has to fit does not fit into the time there is.
    DoesNotFit {
        /// The time there is: [`Budget::total`](crate::Budget::total).
        total: Duration,
        /// The lame duck's part.
        lame_duck: Duration,
        /// The forced close's part.
        force_close: Duration,
        /// The part of the longest chain of stages.
        stages: Duration,
        /// The part of the observers.
        flush: Duration,
        /// One bit for each stage of that chain.
        chain: u64,
    },
    /// The time to hand back is longer than the drain can be.
    HandBackTooLong {
        /// The time: [`Budget::hand_back`](crate::Budget::hand_back).
        hand_back: Duration,
        /// The most time that the drain can have.
        drain: Duration,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyStages { given } => {
                write!(f, "{given} stages were given, a plan holds at most {}", crate::MAX_STAGES)
            }
            Self::UnknownStage { stage, after } => write!(f, "stage {stage} comes after {after}, which does not exist"),
            Self::ZeroLimit { stage } => write!(f, "stage {stage} has a limit of 0, and could never begin"),
            Self::Cycle { ring } => {
                f.write_str("stages wait for one another in a ring:")?;
                (0..u64::BITS).filter(|stage| ring & 1 << stage != 0).try_for_each(|stage| write!(f, " {stage}"))
            }
            Self::DoesNotFit { total, lame_duck, force_close, stages, flush, .. } => write!(
                f,
                "the budget has {total:?}, but lame duck {lame_duck:?} + forced close {force_close:?} + longest chain of \
                 stages {stages:?} + flush {flush:?} need {:?}",
                lame_duck.saturating_add(*force_close).saturating_add(*stages).saturating_add(*flush)
            ),
            Self::HandBackTooLong { hand_back, drain } => write!(
                f,
                "work is to be handed back from {hand_back:?} before the drain's deadline on, but the drain has at most \
                 {drain:?}: shorten the hand-back, or lengthen the grace (or the drain's own limit)"
            ),
        }
    }
}

impl core::error::Error for PlanError {}

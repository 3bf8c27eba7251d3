//! The errors of setting a shutdown up, and how an error is printed with its causes. Everything is returned; nothing is logged. Not here:
//! the errors of core (`winddown_core::PlanError`) and of the environment (`env`).

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;

use winddown_core::PlanError;

use crate::timetable::Reserved;

/// Why a [`Shutdown`](crate::Shutdown) could not be built. Nothing of it stays behind.
///
/// Its `Debug` is its `Display` with the [`source`](Error::source) after it, for programs that return it from `main`. (`Display` leaves the
/// source out, so a chain of errors names each once.)
#[non_exhaustive]
pub enum BuildError {
    /// Two stages have this name.
    DuplicateStage(String),
    /// A stage comes after one that does not exist.
    UnknownStage {
        /// The stage.
        stage: String,
        /// The name that there is no stage of.
        after: String,
    },
    /// A stage has a limit of 0, and could never begin.
    ZeroLimit(String),
    /// These stages wait for one another in a ring.
    Cycle(Vec<String>),
    /// There are more than [`MAX_STAGES`](crate::MAX_STAGES) stages.
    TooManyStages {
        /// How many.
        given: usize,
    },
    /// The budget has too little time.
    DoesNotFit {
        /// For what.
        error: PlanError,
        /// The stages of the longest chain, and what is kept for each.
        chain: Vec<Reserved>,
    },
    /// The budget's time to hand back is longer than its drain can be.
    HandBackTooLong(PlanError),
    /// A signal could not be listened to.
    Signal(SignalError),
    /// A thread could not be started.
    Thread(io::Error),
}

/// Why a signal cannot be listened to. Its `Debug` is its `Display` with the [`source`](Error::source) after it.
#[non_exhaustive]
pub enum SignalError {
    /// There is no signal of this number.
    Unknown {
        /// The number.
        signal: i32,
    },
    /// This signal cannot be caught, or not with profit (KILL, STOP, ILL, FPE, SEGV).
    Forbidden {
        /// The number.
        signal: i32,
    },
    /// Another shutdown of this process listens to it, or, for Ctrl-C, another user of the crate `ctrlc`.
    Taken {
        /// The number.
        signal: i32,
    },
    /// The operating system would not have it.
    Os {
        /// The number.
        signal: i32,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self))
    }
}

impl fmt::Debug for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self))
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateStage(name) => write!(f, "two stages are named {name:?}"),
            Self::UnknownStage { stage, after } => {
                write!(f, "stage {stage:?} comes after {after:?}, which does not exist")
            }
            Self::ZeroLimit(stage) => write!(f, "stage {stage:?} has a limit of 0, and could never begin"),
            Self::Cycle(ring) => write!(f, "stages wait for one another in a ring: {ring:?}"),
            Self::DoesNotFit { error, chain } => {
                write!(f, "{error}")?;
                let words = ["; the longest chain of stages is "].into_iter().chain(iter::repeat(", "));
                chain.iter().zip(words).try_for_each(|(stage, word)| write!(f, "{word}{stage}"))
            }
            Self::HandBackTooLong(error) => fmt::Display::fmt(error, f),
            Self::TooManyStages { given } => PlanError::TooManyStages { given: *given }.fmt(f),
            Self::Signal(error) => fmt::Display::fmt(error, f),
            Self::Thread(_) => f.write_str("could not start a thread"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Not the signal's error itself: its text is this one's.
            Self::Signal(error) => error.source(),
            Self::Thread(source) => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { signal } => write!(f, "there is no signal {signal}"),
            Self::Forbidden { signal } => write!(f, "signal {signal} cannot be listened to"),
            Self::Taken { signal } => {
                write!(f, "signal {signal} is listened to already, by another part of this process")
            }
            Self::Os { signal, .. } => write!(f, "signal {signal} could not be listened to"),
        }
    }
}

impl Error for SignalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Returns an error and its causes, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

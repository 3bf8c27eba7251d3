//! What can go wrong while a shutdown is set up. Everything is returned; nothing is logged.

use std::error::Error;
use std::fmt;
use std::io;

use winddown_core::PlanError;

/// Why a [`Shutdown`](crate::Shutdown) could not be built. Nothing of it stays behind.
///
/// Its `Debug` is its `Display`, for programs that return it from `main`.
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
        /// The stages of the longest chain.
        chain: Vec<String>,
    },
    /// A signal could not be listened to.
    Signal(SignalError),
    /// A thread could not be started.
    Thread(io::Error),
}

/// Why a signal cannot be listened to. Its `Debug` is its `Display`.
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
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
                if chain.is_empty() { Ok(()) } else { write!(f, "; the longest chain of stages is {chain:?}") }
            }
            Self::TooManyStages { given } => PlanError::TooManyStages { given: *given }.fmt(f),
            Self::Signal(error) => fmt::Display::fmt(error, f),
            Self::Thread(source) => write!(f, "could not start a thread: {source}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Signal(SignalError::Os { source, .. }) | Self::Thread(source) => Some(source),
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
            Self::Os { signal, source } => write!(f, "signal {signal} could not be listened to: {source}"),
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

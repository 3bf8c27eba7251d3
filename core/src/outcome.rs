//! How it went, in fixed numbers. Not here: names and messages, which are the binding's.

use core::fmt;

use crate::Reason;

/// Who ended waiting early, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forced {
    /// The program itself ended all waiting.
    Call,
    /// A person at a terminal, by interrupting again, ended the drain. The stages then had their time.
    Drain,
    /// A person at a terminal, by interrupting once more, ended all waiting.
    Interrupt,
}

/// How a wind-down went as a whole: the worst thing that happened. Ordered, the better the less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Everything that was admitted was finished, and every stage completed.
    Clean,
    /// A stage, a task, a kicker, an observer or a waker failed or panicked, or a thread with admitted work panicked; the rest went on.
    Failed,
    /// Work of class Critical or High was still in flight when its time was over.
    DrainTimedOut,
    /// A client sent something that the program never read, and got no answer; or it is not known whether there is such a
    /// client. See [`Unserved`](crate::Unserved).
    ClientsLost,
    /// A stage was abandoned at its deadline, or there was no time left to begin it.
    StageAbandoned,
    /// All waiting was ended early, or the drain was, with work of class Critical or High in flight, a request that had
    /// begun to arrive, or a client that was lost for it.
    Forced(Forced),
}

impl Outcome {
    /// The process exit code that tells the truth.
    ///
    /// | outcome | code |
    /// |---|---|
    /// | Clean | 0, or 1 where the reason was [`Reason::Failure`] |
    /// | Failed | 10 |
    /// | `DrainTimedOut` | 11 |
    /// | `ClientsLost` | 15 |
    /// | `StageAbandoned` | 12 |
    /// | Forced by a call | 13 |
    /// | Forced by an interrupt, or the drain ended by one | 130 (128 + SIGINT, as a shell says it) |
    ///
    /// 14 is left to a watchdog that has to end a process after a wind-down that was clean. 101 is a Rust panic's, and
    /// 143 and 137 are what a supervisor shows for a death by SIGTERM and SIGKILL.
    #[must_use]
    pub const fn exit_code(self, reason: Reason) -> u8 {
        self.exit_code_or(reason, None)
    }

    /// Returns the exit code, where the program has chosen one for a wind-down that is clean.
    ///
    /// The chosen code takes the place of 0 and of 1. The code of an outcome that is not clean outranks it. A chosen 0 does not take the
    /// place of 1: a [`Reason::Failure`] never ends with 0.
    ///
    /// ```
    /// use winddown_core::{Outcome, Reason};
    ///
    /// assert_eq!(Outcome::Clean.exit_code_or(Reason::Signal(2), Some(130)), 130);
    /// assert_eq!(Outcome::Failed.exit_code_or(Reason::Signal(2), Some(130)), 10);
    /// assert_eq!(Outcome::Clean.exit_code_or(Reason::Failure, Some(0)), 1);
    /// ```
    #[must_use]
    pub const fn exit_code_or(self, reason: Reason, chosen: Option<u8>) -> u8 {
        match (self, chosen) {
            (Self::Clean, Some(code)) if code != 0 => return code,
            _ => {}
        }
        match self {
            Self::Clean if matches!(reason, Reason::Failure) => 1,
            Self::Clean => 0,
            Self::Failed => 10,
            Self::DrainTimedOut => 11,
            Self::ClientsLost => 15,
            Self::StageAbandoned => 12,
            Self::Forced(Forced::Call) => 13,
            Self::Forced(Forced::Drain | Forced::Interrupt) => 130,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clean => "clean",
            Self::Failed => "something failed",
            Self::DrainTimedOut => "drain timed out",
            Self::ClientsLost => "clients were lost",
            Self::StageAbandoned => "a stage was abandoned",
            Self::Forced(Forced::Call) => "forced by the program",
            Self::Forced(Forced::Drain) => "the drain was ended by an interrupt",
            Self::Forced(Forced::Interrupt) => "forced by an interrupt",
        })
    }
}

/// What became of one stage. Every stage has exactly one (P7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It ended, and well.
    Completed,
    /// It ended with an error.
    Failed,
    /// It ended with a panic.
    Panicked,
    /// It was still running at its deadline and is not waited for.
    Abandoned,
    /// There was no time left to begin it.
    NotStarted,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Abandoned => "abandoned",
            Self::NotStarted => "not started",
        })
    }
}

//! The words for where a wind-down is and why it began. Not here: the word in memory that holds them (`lifecycle`).

use core::fmt;

/// Where a program is in its life. Phases only ever go forward (P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Not asked to stop.
    Running,
    /// Asked to stop: first, for the lame-duck time, still admitting; then refusing and waiting for what is in flight.
    Draining,
    /// Nothing is waited for any more; the stages run.
    Closing,
    /// Over.
    Done,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Closing => "closing",
            Self::Done => "done",
        })
    }
}

/// Why a program was asked to stop. The first one is kept (P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The program itself asked.
    Requested,
    /// Something the program cannot go on without has failed. Even a clean wind-down then ends with a code that is not 0.
    Failure,
    /// A person at a console asked, by a way that has no signal number (Ctrl-C on Windows).
    Interrupt,
    /// A signal, by its number on this system.
    Signal(u8),
}

impl Reason {
    /// SIGINT has this number on every Unix (POSIX `kill -2`).
    const SIGINT: u8 = 2;

    /// Whether a person at a terminal asked. They get no lame duck, and asking again escalates
    /// (see [`Escalation`](crate::Escalation)).
    #[must_use]
    pub const fn is_interrupt(self) -> bool {
        matches!(self, Self::Interrupt | Self::Signal(Self::SIGINT))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The numbers below are the same on every Unix (POSIX lists them for `kill`).
        match self {
            Self::Requested => f.write_str("request"),
            Self::Failure => f.write_str("failure"),
            Self::Interrupt => f.write_str("interrupt"),
            Self::Signal(1) => f.write_str("SIGHUP"),
            Self::Signal(Self::SIGINT) => f.write_str("SIGINT"),
            Self::Signal(3) => f.write_str("SIGQUIT"),
            Self::Signal(15) => f.write_str("SIGTERM"),
            Self::Signal(number) => write!(f, "signal {number}"),
        }
    }
}

/// The points of a wind-down that one can wait for, in the order in which they are reached.
///
/// [`HighLate`](Self::HighLate), [`HandBack`](Self::HandBack) and [`LastCall`](Self::LastCall) are reached only by a drain that is
/// late; a later point stands in for them (whoever waits for a point is released when that point *or a later one* is reached).
///
/// Which of `HighLate` and `HandBack` is the later one depends on the budget, and is fixed when the plan is made
/// ([`Plan::released_by`](crate::Plan::released_by)). The order of the values themselves has `HighLate` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Milestone {
    /// Asked to stop. Work of class Low is told to stop.
    Triggered = 1,
    /// The lame duck is over: from now on nothing is admitted.
    Refusing,
    /// Work of class High has had its time. It is told to stop and counts as abandoned.
    HighLate,
    /// The time to [hand back](crate::Budget::hand_back) has begun: admitted work finishes what fits before the drain's deadline
    /// and hands back the rest. It is not late yet, and nothing is cut. Not reached unless the budget has such a time.
    HandBack,
    /// The drain's deadline, or an interrupt or a force before it: work of class Critical is told to stop, connections are cut.
    LastCall,
    /// Nothing is waited for any more; the stages begin.
    Closing,
    /// Every stage has ended.
    Done,
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Triggered => "triggered",
            Self::Refusing => "refusing",
            Self::HighLate => "high-priority work is late",
            Self::HandBack => "hand back",
            Self::LastCall => "last call",
            Self::Closing => "closing",
            Self::Done => "done",
        })
    }
}

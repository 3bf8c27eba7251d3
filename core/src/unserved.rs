//! Clients that got no answer, counted, and which of them make a wind-down unclean. Not here: how they are found, which
//! takes sockets.

use crate::Outcome;

/// Clients that a wind-down left without an answer.
///
/// ```
/// use winddown_core::{Outcome, Unserved};
///
/// let mut unserved = Unserved::UNUSED; // a health check, say
/// assert_eq!(unserved.outcome(), Outcome::Clean);
/// unserved.add(Unserved::LOST);
/// assert_eq!(unserved.outcome(), Outcome::ClientsLost);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Unserved {
    /// Clients that sent at least one byte that the program never read, and that got no answer.
    ///
    /// A connection that had a guard after the refusal counts as answered. Where the last descriptor is gone, every client that
    /// is left in an accept queue counts as lost, by the kernel's length of the queue. Where the system does not say how many bytes
    /// are unread (it does on Unix), only accept queues are counted.
    pub lost: u64,
    /// There may be more lost clients than were counted: an accept queue could not be examined, or not in time.
    pub unknown: bool,
    /// Clients whose request had begun to arrive and was still not whole when its time was over.
    pub incomplete: u64,
    /// Connections left in an accept queue whose client sent nothing: health checks, connections opened in advance.
    pub unused: u64,
}

impl Unserved {
    /// No client at all.
    pub const NONE: Self = Self { lost: 0, unknown: false, incomplete: 0, unused: 0 };

    /// One lost client.
    pub const LOST: Self = Self { lost: 1, ..Self::NONE };

    /// There may be more lost clients than were counted.
    pub const UNKNOWN: Self = Self { unknown: true, ..Self::NONE };

    /// One client whose request did not arrive whole.
    pub const INCOMPLETE: Self = Self { incomplete: 1, ..Self::NONE };

    /// One client that sent nothing.
    pub const UNUSED: Self = Self { unused: 1, ..Self::NONE };

    /// The best outcome that a wind-down with these clients can have: [`Outcome::ClientsLost`] if a client was lost or
    /// may have been, else [`Outcome::Clean`].
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        if self.lost > 0 || self.unknown { Outcome::ClientsLost } else { Outcome::Clean }
    }

    /// Adds the clients of another count.
    pub const fn add(&mut self, other: Self) {
        self.lost = self.lost.saturating_add(other.lost);
        self.unknown |= other.unknown;
        self.incomplete = self.incomplete.saturating_add(other.incomplete);
        self.unused = self.unused.saturating_add(other.unused);
    }
}

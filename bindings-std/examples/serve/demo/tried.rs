//! One request as its client has seen it.

use std::time::Instant;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Order,
    /// An order that was answered before, by its index among the tries of the same thread.
    Show {
        order: usize,
    },
    Slow,
    Large,
    /// An order with more body than is allowed.
    TooLarge,
    Alive,
    Ready,
    /// On a connection of its own, at the moments that matter.
    Rush,
}

pub(super) struct Tried {
    pub(super) id: String,
    pub(super) kind: Kind,
    /// When it was made, and the connection asked for, if there was none.
    pub(super) began: Instant,
    pub(super) end: End,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It has not.
    Open,
    /// With a whole answer.
    Answered { status: u16, body: String, at: Instant },
    /// No connection came about.
    NoConnection,
    /// An answer before it, on the same connection, said that it was the last one.
    Told,
    /// An open connection was taken away, before any byte of the answer or in the midst of it.
    Cut { any_bytes: bool, how: Cut },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    Reset,
    Ended,
    /// Nothing came for long.
    Silent,
    /// What came was not the answer to this.
    Nonsense,
}

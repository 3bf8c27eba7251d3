//! Tokens for a part of the program: they tell with the whole, or before it. Not here: how children are told (`wait/children`).

use std::fmt;
use std::iter;
use std::ops::Deref;

use winddown_core::{Milestone, Reason};

use super::Token;
use crate::sync::{Arc, OnceLock};
use crate::wait::{STOPPED, Waiters};

/// Stops a part of the program. From [`Token::child`]; it is a [`Token`] of that part, to be cloned for those who wait.
///
/// They are told when the parent is, or when somebody calls [`stop`](Self::stop); the parent and its other children hear nothing
/// of that. To drop this stops nobody. A child can have children, at any depth.
///
/// [`should_stop`](Token::should_stop) knows of the parent's time at once. Threads that sleep are woken, and channels and
/// descriptors are told, by the thread that wakes the parent's tasks (see [`Cancelled`](crate::Cancelled)), before any task.
///
/// # Cost
///
/// Making a child, dropping it and asking whether it should stop take the same time at any depth, and among any number of
/// children. [`stop`](Self::stop) visits each descendant, on the calling thread. [`reason`](Token::reason) visits the ancestors up
/// to the nearest that has one.
///
/// ```
/// use winddown::{Reason, Shutdown};
///
/// let shutdown = Shutdown::builder().build()?;
/// let (one, other) = (shutdown.token().child(), shutdown.token().child());
/// one.stop(Reason::Requested);
/// assert_eq!(one.reason(), Some(Reason::Requested));
/// assert!(one.should_stop() && !other.should_stop());
/// shutdown.trigger(Reason::Requested);
/// assert!(other.should_stop());
/// # Ok::<(), winddown::BuildError>(())
/// ```
#[derive(Clone)]
#[must_use = "without it nobody is stopped"]
pub struct Child {
    token: Token,
    branch: Arc<Branch>,
}

/// What the tokens of a child share.
pub(super) struct Branch {
    waiters: Arc<Waiters>,
    /// Why the child was stopped; unset if it was not, or along with its parent.
    reason: OnceLock<Reason>,
    /// `None` only while this is dropped.
    parent: Option<Token>,
}

impl Child {
    pub(super) fn new(parent: &Token) -> Self {
        let (theirs, milestone) = parent.list();
        let waiters = theirs.add_child(milestone);
        let branch = Arc::new(Branch { waiters, reason: OnceLock::new(), parent: Some(parent.clone()) });
        let Token { inner, milestone, .. } = parent;
        Self { token: Token { inner: inner.clone(), milestone: *milestone, branch: Some(branch.clone()) }, branch }
    }

    /// Tells everything that waits for this child or for a descendant of it. When a waiter is told, and when this returns, the
    /// child and all of its descendants [should stop](Token::should_stop). Tasks are woken last, on the calling thread. The first
    /// call's reason is kept, for [`Token::reason`].
    pub fn stop(&self, reason: Reason) {
        // A second one is too late.
        let _ = self.branch.reason.set(reason);
        let inner = &self.token.inner;
        inner.wake_part(self.branch.waiters.stop(&inner.stops));
    }

    /// What to wait with.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token.clone()
    }
}

impl Deref for Child {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.token
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("should_stop", &self.should_stop()).finish_non_exhaustive()
    }
}

impl Branch {
    /// Returns whether it was stopped, or told along with its parent.
    #[inline]
    pub(super) fn has_stopped(&self) -> bool {
        self.waiters.has_reached(STOPPED)
    }

    /// Returns its own reason, or that of the nearest ancestor that has one.
    pub(super) fn reason(&self) -> Option<Reason> {
        let mut line = iter::successors(Some(self), |branch| branch.parent.as_ref()?.branch.as_deref());
        line.find_map(|branch| branch.reason.get().copied())
    }

    pub(super) fn list(&self) -> (&Waiters, Milestone) {
        (&self.waiters, STOPPED)
    }

    /// Leaves the parent, and returns it if it is a child.
    fn leave(&mut self) -> Option<Arc<Self>> {
        let parent = self.parent.take()?;
        let (theirs, milestone) = parent.list();
        theirs.remove_child(milestone, &self.waiters);
        parent.branch
    }
}

/// Drops the ancestors that only this kept, one after the other: nested destructors would need stack for each level.
impl Drop for Branch {
    fn drop(&mut self) {
        let mut parent = self.leave();
        while let Some(mut last) = parent.and_then(Arc::into_inner) {
            parent = last.leave();
        }
    }
}

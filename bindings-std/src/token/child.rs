//! Tokens for a part of the program: they tell with the whole, or before it.

use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::task::{Context, Wake, Waker};

use winddown_core::{Milestone, Reason};

use super::{Cancelled, Token};
use crate::inner::Inner;
use crate::sync::{Arc, OnceLock};
use crate::wait::Waiters;

/// Stops a part of the program. From [`Token::child`]; it is a [`Token`] of that part, to be cloned for those who wait.
///
/// They are told when the parent is, or when somebody calls [`stop`](Self::stop); the parent and its other children hear nothing
/// of that. To drop this stops nobody. A child can have children.
///
/// A child waits for its parent as a task does ([`Cancelled`]): [`should_stop`](Token::should_stop) knows at once, but those
/// who sleep are woken along with the tasks.
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
    knot: Arc<Knot>,
}

/// What the tokens of a child share.
pub(super) struct Branch {
    knot: Arc<Knot>,
    /// Keeps the knot among those who wait for the parent, and takes it out when this is dropped.
    parent: Cancelled,
}

/// Those who wait for the child. The parent's lists have a share of it, as a waker.
struct Knot {
    inner: Arc<Inner>,
    waiters: Waiters,
    /// Why the child was stopped; unset if it was not, or along with its parent.
    reason: OnceLock<Reason>,
}

/// The only milestone that a child knows.
const STOPPED: Milestone = Milestone::Triggered;

impl Child {
    pub(super) fn new(parent: &Token) -> Self {
        let inner = parent.inner.clone();
        let knot = Arc::new(Knot { inner: inner.clone(), waiters: Waiters::default(), reason: OnceLock::new() });
        let mut cancelled = parent.cancelled();
        if pin!(&mut cancelled).poll(&mut Context::from_waker(&Waker::from(knot.clone()))).is_ready() {
            // Nobody will wake it. Those who sleep or poll would ask the parent first, but a channel is only told.
            knot.stop();
        }
        let branch = Arc::new(Branch { knot: knot.clone(), parent: cancelled });
        let token = Token { inner, milestone: parent.milestone, branch: Some(branch) };
        Self { token, knot }
    }

    /// Tells everybody who waits for this child, or for a child of it. Tasks are woken on the calling thread. The first call's
    /// reason is kept, for [`Token::reason`].
    pub fn stop(&self, reason: Reason) {
        // A second one is too late.
        let _ = self.knot.reason.set(reason);
        self.knot.stop();
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
    pub(super) fn has_stopped(&self) -> bool {
        self.knot.waiters.has_reached(STOPPED) || self.parent.token().should_stop()
    }

    /// Its own reason, or its parent's.
    pub(super) fn reason(&self) -> Option<Reason> {
        // Pairs with the release in `reach`, after the reason was set.
        let own = self.knot.waiters.has_reached(STOPPED).then(|| self.knot.reason.get().copied()).flatten();
        own.or_else(|| self.parent.token().reason())
    }

    pub(super) fn list(&self) -> (&Waiters, Milestone) {
        (&self.knot.waiters, STOPPED)
    }
}

impl Knot {
    /// The second time there is nobody left to tell.
    fn stop(&self) {
        self.inner.wake_branch(&self.waiters, self.waiters.reach(STOPPED));
    }
}

/// Woken by the parent.
impl Wake for Knot {
    fn wake(self: Arc<Self>) {
        self.stop();
    }
}

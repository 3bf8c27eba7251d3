//! Waiting for a group to be done, under the name people look for. All of its substance is the gate's.

use core::fmt;

use crate::sync::const_unless_loom;
use crate::{Gate, Notify, Pass, Refused};

/// A group that is joined, sealed, and then waited for until every member has left.
///
/// How to wait is the caller's: [`wait_with`](Self::wait_with) takes a closure that sleeps until the group's [`Notify`]
/// rings. (`winddown::WaitGroup` is this with threads.)
///
/// ```
/// use winddown_core::WaitGroup;
///
/// let group = WaitGroup::new();
/// let member = group.join()?;
/// let mut member = Some(member);
/// group.wait_with(|| drop(member.take())); // a real one would sleep here
/// assert!(group.is_done());
/// # Ok::<(), winddown_core::Refused>(())
/// ```
pub struct WaitGroup<N: Notify = ()> {
    gate: Gate<N>,
}

impl WaitGroup {
    const_unless_loom! {
        /// An empty group that rings nothing.
        #[must_use]
        pub fn new() -> Self {
            Self { gate: Gate::new() }
        }
    }
}

impl<N: Notify> WaitGroup<N> {
    const_unless_loom! {
        /// An empty group that rings `bell` when, sealed, its last member has left.
        #[must_use]
        pub fn with_notify(bell: N) -> Self {
            Self { gate: Gate::with_notify(bell) }
        }
    }

    /// One more member, until it is dropped.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] once the group is sealed (members may still [`split`](Pass::split));
    /// [`Refused::Full`] as for [`Gate::enter`].
    pub fn join(&self) -> Result<Member<'_, N>, Refused> {
        self.gate.enter()
    }

    /// The gate that it is built on, for [`Gate::enter_owned`].
    #[must_use]
    pub const fn gate(&self) -> &Gate<N> {
        &self.gate
    }

    /// How many members there are at the moment.
    #[must_use]
    pub fn members(&self) -> usize {
        self.gate.in_flight()
    }

    /// Lets nobody join any more. `true` for the one call that did it.
    pub fn seal(&self) -> bool {
        self.gate.close()
    }

    /// Whether the group is sealed and every member has left. What they did has then happened.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.gate.is_drained()
    }

    /// Seals the group and calls `sleep` until every member has left.
    ///
    /// `sleep` may return early; it has to return once the bell has rung, also if that was before it was called.
    pub fn wait_with(&self, mut sleep: impl FnMut()) {
        self.seal();
        while !self.is_done() {
            sleep();
        }
    }
}

/// A member of a [`WaitGroup`]: gone when dropped.
pub type Member<'a, N = ()> = Pass<'a, Gate<N>>;

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Notify> fmt::Debug for WaitGroup<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("members", &self.members()).field("done", &self.is_done()).finish()
    }
}

//! The wait group, for threads.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use winddown_core::{Gate, OwnedPass, Refused};

use crate::clock::Clock;
use crate::event_count::{Bell, EventCount};
use crate::sync::Arc;

/// A group of threads, or of anything, that one can wait for. Clones are the same group.
///
/// It is sealed by the first wait: from then on [`join`](Self::join) is refused, and when the last member has left the wait is over.
/// So "done" is final, and every wait ends. In a group that admitted new members while a thread waits (crossbeam's does), a member
/// that joins after the last one left would belong to no wait. A member's own parts are admitted all the same: [`Member::split`].
///
/// ```
/// let workers = winddown::WaitGroup::new();
/// for _ in 0..4 {
///     let member = workers.join().expect("not sealed yet");
///     std::thread::spawn(move || {
///         // ... work ...
///         drop(member);
///     });
/// }
/// workers.wait();
/// assert_eq!(workers.members(), 0);
/// ```
#[derive(Clone)]
pub struct WaitGroup {
    shared: Arc<Shared>,
}

struct Shared {
    group: winddown_core::WaitGroup<Bell>,
    event: Arc<EventCount>,
}

/// A member of a [`WaitGroup`]: gone when dropped.
#[must_use = "dropped at once, it is no member"]
pub struct Member(OwnedPass<Holder>);

#[derive(Clone)]
struct Holder(Arc<Shared>);

impl Deref for Holder {
    type Target = Gate<Bell>;

    fn deref(&self) -> &Gate<Bell> {
        self.0.group.gate()
    }
}

impl WaitGroup {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        let event = Arc::<EventCount>::default();
        let group = winddown_core::WaitGroup::with_notify(Bell(event.clone()));
        Self { shared: Arc::new(Shared { group, event }) }
    }

    /// One more member.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] once somebody has begun to wait.
    pub fn join(&self) -> Result<Member, Refused> {
        Gate::enter_owned(Holder(self.shared.clone())).map(Member)
    }

    /// How many members there are at the moment.
    #[must_use]
    pub fn members(&self) -> usize {
        self.shared.group.members()
    }

    /// Seals the group and sleeps until every member has left. What they did has then happened.
    pub fn wait(&self) {
        let event = &self.shared.event;
        let mut key = event.key();
        self.shared.group.wait_with(|| {
            event.wait(key, None);
            key = event.key();
        });
    }

    /// As [`wait`](Self::wait), at most for `timeout`. Whether every member has left; the group stays sealed if not.
    #[must_use = "the time may have run out"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let Shared { group, event } = &*self.shared;
        let clock = Clock::system();
        group.seal();
        loop {
            let key = event.key();
            if group.is_done() || clock.now() >= timeout {
                return group.is_done();
            }
            clock.wait(event, key, Some(timeout));
        }
    }
}

impl Member {
    /// Another member for a part of the same work, also when the group is sealed.
    ///
    /// # Errors
    ///
    /// [`Refused::Full`], where there are as many as can be counted.
    pub fn split(&self) -> Result<Self, Refused> {
        self.0.split().map(Self)
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("members", &self.members()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").finish_non_exhaustive()
    }
}

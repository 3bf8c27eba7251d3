//! Work on listeners, connections and late holders that the wind-down asks for, done by a helper, because there may be many of them and
//! it makes system calls. Not here: when it is asked for (core's `sequence`), and what is done to each (`connections`, `doors`,
//! `label`).

use std::time::Duration;

use crate::hook::{Panicked, caught};
use crate::inner::Inner;
use crate::sync::Arc;

/// A piece of work.
pub(crate) enum Job {
    /// The program refuses: shut the listeners' doors.
    #[cfg(unix)]
    ShutDoors,
    /// The linger is over: settle what is idle.
    SettleIdle,
    /// The head time is over for connections that have been awaited since then or longer: end them.
    EndIncomplete { since: Duration },
    /// The time of a class is over: name those that are late.
    NameLate,
    /// The drain is over: cut the connections that are left, and name those at work.
    Cut,
    /// The drain is over: count the clients that are left in the accept queues.
    #[cfg(unix)]
    CountQueues,
    /// The wind-down is over: put the stragglers in order.
    SortStragglers,
}

impl Inner {
    /// Has the work done, behind what was asked for before. The driver's to call.
    pub(crate) fn attend(self: &Arc<Self>, job: Job) {
        let inner = self.clone();
        let handed = self.attendant.hand(move || {
            // A connection's last share may go here, and with it the owner's waker.
            if let Err(Panicked(message)) = caught(|| inner.carry_out(&job)) {
                inner.waiters.note_panic(message);
            }
        });
        self.note_no_helper(handed);
    }

    /// Whether work is waiting or under way. When this is `false`, whatever the work changed is seen.
    pub(crate) fn is_attending(&self) -> bool {
        self.attendant.are_busy()
    }

    fn carry_out(self: &Arc<Self>, job: &Job) {
        let owners = match *job {
            #[cfg(unix)]
            Job::ShutDoors => return self.doors.shut_all(),
            #[cfg(unix)]
            Job::CountQueues => return self.count_unserved(self.doors.count_queues()),
            Job::NameLate => return self.labels.name_late(),
            Job::Cut => self.connections.cut(),
            Job::SortStragglers => return self.labels.stragglers.sort(),
            Job::SettleIdle => {
                #[cfg(unix)]
                self.doors.linger_all();
                self.connections.settle_idle()
            }
            Job::EndIncomplete { since } => self.connections.end_incomplete(since),
        };
        self.wake_apart(self.waiters.owe(owners));
    }
}

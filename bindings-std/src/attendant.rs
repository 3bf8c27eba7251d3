//! Work on listeners and connections that the wind-down asks for, done off the driver's thread, because it makes system calls for
//! each of them. Not here: when it is asked for (core's `sequence`), and what is done to each
//! (`connections`, `doors`).

use std::collections::VecDeque;
use std::time::Duration;

use crate::hook;
use crate::inner::Inner;
use crate::sync::{Arc, Mutex};

/// A piece of work.
pub(crate) enum Job {
    /// The program refuses: shut the listeners' doors.
    #[cfg(unix)]
    ShutDoors,
    /// The linger is over: settle what is idle.
    SettleIdle,
    /// The head time is over for connections that have been awaited since then or longer: end them.
    EndIncomplete { since: Duration },
    /// The drain is over: count the clients that are left in the accept queues.
    #[cfg(unix)]
    CountQueues,
}

/// The work there is. One thread does it, in order, and ends when there is no more.
#[derive(Default)]
pub(crate) struct Attendant {
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// There is a thread that takes what waits.
    running: bool,
}

impl Inner {
    /// Has the work done. The driver's to call; only where no thread is available it does the work itself: better a driver that
    /// may be held up than connections that are never told.
    pub(crate) fn attend(self: &Arc<Self>, job: Job) {
        let mut jobs = self.attendant.jobs.lock();
        jobs.waiting.push_back(job);
        if std::mem::replace(&mut jobs.running, true) {
            return;
        }
        drop(jobs);
        let inner = self.clone();
        if let Err((error, work)) = hook::spawn_or_return("attendant", move || inner.work_off(), |_| ()) {
            self.faults.note("attendant", || {
                format!("could not start a thread for listeners and connections ({error}): the driver did their work")
            });
            work();
        }
    }

    /// Whether work is waiting or under way. When this is `false`, whatever the work changed is seen.
    pub(crate) fn is_attending(&self) -> bool {
        self.attendant.jobs.lock().running
    }

    fn work_off(self: &Arc<Self>) {
        while let Some(job) = self.next_job() {
            self.carry_out(&job);
        }
        self.trigger.driver.notify();
    }

    fn next_job(&self) -> Option<Job> {
        let mut jobs = self.attendant.jobs.lock();
        let job = jobs.waiting.pop_front();
        jobs.running = job.is_some();
        job
    }

    fn carry_out(self: &Arc<Self>, job: &Job) {
        let owners = match *job {
            #[cfg(unix)]
            Job::ShutDoors => return self.doors.shut_all(),
            #[cfg(unix)]
            Job::CountQueues => return self.count_unserved(self.doors.count_queues()),
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

//! With a lock and a condition variable.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU32, Condvar, Mutex, Ordering};

#[derive(Default)]
pub(super) struct Sleepers {
    lock: Mutex<()>,
    bell: Condvar,
}

impl Sleepers {
    pub(super) fn wake_all(&self, _: &AtomicU32) {
        // With the lock taken once after the count has changed, nobody is between looking at it and sleeping.
        drop(self.lock.lock());
        self.bell.notify_all();
    }

    pub(super) fn wait(&self, count: &AtomicU32, key: u32, timeout: Option<Duration>) {
        let until = timeout.and_then(|time| Instant::now().checked_add(time));
        let mut lock = self.lock.lock();
        // Relaxed: the caller looks again with `key`.
        while count.load(Ordering::Relaxed) == key {
            match until {
                None => self.bell.wait(&mut lock),
                Some(until) => {
                    if self.bell.wait_until(&mut lock, until).timed_out() {
                        return;
                    }
                }
            }
        }
    }
}

//! How a thread sleeps until something has changed. Not here: clocks and deadlines (`clock`).

use std::time::Duration;

use crate::sync::{Arc, AtomicU32, Ordering};

/// A count of what has happened that threads can sleep on.
///
/// The one who waits takes the [`key`](Self::key), then looks whether what it waits for has come about, and only then
/// [`wait`](Self::wait)s with that key. The one who brings it about changes the state first and then calls
/// [`notify`](Self::notify). A notification after the key was taken makes the wait return at once, so none is lost (P4).
/// (A thread that stalls between key and wait while exactly 2^32 notifications pass would miss them.)
///
/// On Linux a notification is one addition and one `futex` call, without a lock, an allocation or a touch of `errno`:
/// legal in a signal handler (G1, P8). Elsewhere it takes a lock, and signals are heard by a thread instead.
#[derive(Default)]
pub(crate) struct EventCount {
    count: AtomicU32,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    sleepers: imp::Sleepers,
}

impl EventCount {
    /// What to wait with. Acquire pairs with the release in `notify`: the state behind a notification that is counted
    /// in the key is seen.
    pub(crate) fn key(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Wakes everyone who waits, and everyone who has a key and is about to.
    pub(crate) fn notify(&self) {
        // Release pairs with the acquire in `key`.
        self.count.fetch_add(1, Ordering::Release);
        imp::wake_all(self);
    }

    /// Sleeps until a notification after `key` was taken, at most for `timeout`. May also return early.
    pub(crate) fn wait(&self, key: u32, timeout: Option<Duration>) {
        imp::wait(self, key, timeout);
    }
}

/// Rung by the last pass of a gate: wakes the driver.
pub(crate) struct Bell(pub(crate) Arc<EventCount>);

impl winddown_core::Notify for Bell {
    fn notify(&self) {
        self.0.notify();
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::time::Duration;

    use rustix::thread::futex::{self, Flags};

    use super::EventCount;

    pub(super) fn wake_all(event: &EventCount) {
        // `i32::MAX` is how futex(2) says "all". The call cannot fail: the address is good and aligned.
        let _ = futex::wake(&event.count, Flags::PRIVATE, i32::MAX.unsigned_abs());
    }

    pub(super) fn wait(event: &EventCount, key: u32, timeout: Option<Duration>) {
        // A time beyond what a timespec holds is no limit. Errors are the reasons to return early: the count has moved
        // on, a signal came, the time is over.
        let timeout = timeout.and_then(|time| time.try_into().ok());
        let _ = futex::wait(&event.count, Flags::PRIVATE, key, timeout.as_ref());
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use std::time::{Duration, Instant};

    use super::EventCount;
    use crate::sync::{Condvar, Mutex, Ordering};

    #[derive(Default)]
    pub(super) struct Sleepers {
        lock: Mutex<()>,
        bell: Condvar,
    }

    pub(super) fn wake_all(event: &EventCount) {
        // With the lock taken once after the count has changed, nobody is between looking at it and sleeping.
        drop(event.sleepers.lock.lock());
        event.sleepers.bell.notify_all();
    }

    pub(super) fn wait(event: &EventCount, key: u32, timeout: Option<Duration>) {
        let until = timeout.and_then(|time| Instant::now().checked_add(time));
        let mut lock = event.sleepers.lock.lock();
        // Relaxed: the caller looks again with `key`.
        while event.count.load(Ordering::Relaxed) == key {
            match until {
                None => event.sleepers.bell.wait(&mut lock),
                Some(until) => {
                    if event.sleepers.bell.wait_until(&mut lock, until).timed_out() {
                        return;
                    }
                }
            }
        }
    }
}

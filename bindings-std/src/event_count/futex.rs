//! With `futex(2)`.

use std::time::Duration;

use rustix::thread::futex::{self, Flags};

use crate::sync::AtomicU32;

/// The kernel knows them by the count's address.
#[derive(Default)]
pub(super) struct Sleepers;

impl Sleepers {
    #[expect(clippy::unused_self, reason = "the other one needs it")]
    pub(super) fn wake_all(&self, count: &AtomicU32) {
        // `i32::MAX` is how futex(2) says "all". The call cannot fail: the address is good and aligned.
        let _ = futex::wake(count, Flags::PRIVATE, i32::MAX.unsigned_abs());
    }

    #[expect(clippy::unused_self, reason = "the other one needs it")]
    pub(super) fn wait(&self, count: &AtomicU32, key: u32, timeout: Option<Duration>) {
        // A time beyond what a timespec holds is no limit. Errors are the reasons to return early: the count has moved
        // on, a signal came, the time is over.
        let timeout = timeout.and_then(|time| time.try_into().ok());
        let _ = futex::wait(count, Flags::PRIVATE, key, timeout.as_ref());
    }
}

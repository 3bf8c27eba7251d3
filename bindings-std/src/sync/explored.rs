//! Threads, locks and atomics whose interleavings are explored, in the shapes that this crate uses.
//!
//! Nothing here ever times out: where time is explored, it is a [`ManualClock`](crate::testing::ManualClock)'s.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

#[cfg(winddown_loom)]
pub(crate) use loom as explorer;
#[cfg(winddown_shuttle)]
pub(crate) use shuttle as explorer;

pub(crate) use explorer::sync::Arc as CountedArc;
pub(crate) use explorer::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
// No explorer has a barrier that reaches other threads. So the light barrier is a full fence, too.
pub(crate) use explorer::sync::atomic::{fence as full_fence, fence as light_fence};
pub(crate) use explorer::sync::mpsc;
pub(crate) use explorer::thread;

/// A look at a word that orders nothing. It changes nothing, either, but loom never moves a plain load behind a store that
/// came later in the execution that it began with (tokio-rs/loom 166).
pub(crate) fn look(word: &AtomicU64) -> u64 {
    word.fetch_add(0, super::Ordering::Relaxed)
}

/// Declares statics that begin anew with every execution.
macro_rules! statics {
    ($($(#[$attr:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $crate::sync::explorer::lazy_static! { $($(#[$attr])* static ref $name: $type = $value;)* }
    };
}
pub(crate) use statics;

/// Declares thread-locals.
macro_rules! thread_locals {
    ($($(#[$attr:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $crate::sync::explorer::thread_local! { $($(#[$attr])* static $name: $type = $value;)* }
    };
}
pub(crate) use thread_locals;

/// In the shape of `parking_lot::Mutex`.
pub(crate) struct Mutex<T>(explorer::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(explorer::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)))
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

/// Empty only while its thread waits on a condvar.
pub(crate) struct MutexGuard<'a, T>(Option<explorer::sync::MutexGuard<'a, T>>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the thread does not wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("the thread does not wait")
    }
}

/// In the shape of `parking_lot::Condvar`.
pub(crate) struct Condvar(explorer::sync::Condvar);

impl Condvar {
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let woken = self.0.wait(guard.0.take().expect("the thread does not wait"));
        guard.0 = Some(woken.unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) -> NeverTimedOut {
        self.wait(guard);
        NeverTimedOut
    }

    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> NeverTimedOut {
        self.wait(guard);
        NeverTimedOut
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self(explorer::sync::Condvar::new())
    }
}

pub(crate) struct NeverTimedOut;

impl NeverTimedOut {
    #[expect(clippy::unused_self, reason = "the shape of parking_lot's")]
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// In the shape of `std::sync::OnceLock`: the flag is what orders, and what is explored.
pub(crate) struct OnceLock<T> {
    set: AtomicBool,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { set: AtomicBool::new(false), value: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // Pairs with the release in `set`.
        if self.set.load(super::Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.value.set(value)?;
        // Pairs with the acquire in `get`.
        self.set.store(true, super::Ordering::Release);
        Ok(())
    }
}

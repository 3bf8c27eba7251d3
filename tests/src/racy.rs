//! Plain data that threads hand over with nothing in between but what is tested.
#![expect(unsafe_code, reason = "shared without a lock, which is what it is for; see each use")]

use std::cell::UnsafeCell;
use std::fmt;

/// A value that one thread writes and others read: the witness to an order that the library promises.
///
/// It does nothing for that order itself. Where the order is broken, `ThreadSanitizer` reports a data race; without it an
/// old value may be read, or nothing be seen at all.
#[derive(Default)]
pub struct Racy<T>(UnsafeCell<T>);

// SAFETY: no two threads use a value at a time with one of them writing: each test says which promise sees to that, and
// fails where it does not. Nothing of the value is lent out; it is copied in and out.
unsafe impl<T: Copy + Send> Sync for Racy<T> {}

impl<T> Racy<T> {
    /// Holds it.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
}

impl<T: Copy> Racy<T> {
    /// Reads it.
    pub fn get(&self) -> T {
        // SAFETY: nobody writes it meanwhile; see above.
        unsafe { *self.0.get() }
    }

    /// Writes it.
    pub fn set(&self, value: T) {
        // SAFETY: nobody reads or writes it meanwhile; see above.
        unsafe { *self.0.get() = value };
    }
}

impl<T> fmt::Debug for Racy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Racy").finish_non_exhaustive()
    }
}

/// What each of some workers has done under its passes, in two steps a pass: the witness to there being none alive.
#[derive(Debug)]
pub struct Work<const WORKERS: usize>([Racy<u32>; WORKERS]);

impl<const WORKERS: usize> Default for Work<WORKERS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const WORKERS: usize> Work<WORKERS> {
    /// Nothing is done yet.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { Racy::new(0) }; WORKERS])
    }

    /// The first or the second step of a pass.
    pub fn step(&self, worker: usize) {
        self.0[worker].set(self.0[worker].get() + 1);
    }

    /// How many passes there were.
    ///
    /// # Panics
    ///
    /// When one is alive.
    #[must_use]
    pub fn passes(&self) -> u32 {
        let mut passes = 0;
        for steps in &self.0 {
            let steps = steps.get();
            assert!(steps % 2 == 0, "a pass is alive");
            passes += steps / 2;
        }
        passes
    }
}

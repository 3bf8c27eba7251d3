//! Wakers that do nothing but count: what calling them costs is next to nothing, and the same for everybody.
#![expect(unsafe_code, reason = "a waker without an allocation; see the use")]

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};

static CALLED: AtomicUsize = AtomicUsize::new(0);

/// A waker that is another one than those with other numbers.
pub(crate) fn counting(number: usize) -> Waker {
    // SAFETY: the functions below never follow the pointer, so whatever it is, they keep the contract of a waker: they may
    // be called on any thread, and there is nothing to keep alive or to free.
    unsafe { Waker::new(ptr::without_provenance(number), &VTABLE) }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(same, count, count, nothing);

fn same(number: *const ()) -> RawWaker {
    RawWaker::new(number, &VTABLE)
}

fn count(_number: *const ()) {
    // Release pairs with the acquire in `called`: who sees the count sees what was done before.
    CALLED.fetch_add(1, Ordering::Release);
}

fn nothing(_number: *const ()) {}

/// How many were called since this was last said to be 0.
pub(crate) fn called() -> usize {
    CALLED.load(Ordering::Acquire)
}

pub(crate) fn none_called() {
    CALLED.store(0, Ordering::Relaxed);
}

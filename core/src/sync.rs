//! The one place in this crate that names atomics.
//!
//! Every other module takes them from here, so that another implementation (a model checker, an emulation for targets
//! without compare-and-swap) is put in place in this file and nowhere else.

pub(crate) use core::sync::atomic::Ordering;
#[cfg(not(feature = "portable-atomic"))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicUsize};
#[cfg(feature = "portable-atomic")]
pub(crate) use portable_atomic::{AtomicU32, AtomicUsize};

/// One read-modify-write that stores what `next` makes of the current value: the value replaced, or `Err` with the
/// value that `next` declined.
///
/// Lock-free: a round is lost only to another caller's success. Success is `AcqRel`, so that whoever loads the new
/// value with Acquire sees what this caller did before, and this caller sees what its predecessors did.
pub(crate) fn update(word: &AtomicU32, next: impl FnMut(u32) -> Option<u32>) -> Result<u32, u32> {
    word.fetch_update(Ordering::AcqRel, Ordering::Acquire, next)
}

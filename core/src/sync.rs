//! The one place in this crate that names atomics.
//!
//! Every other module takes them from here, so that another implementation is put in place in this file and nowhere
//! else: an emulation for targets without compare-and-swap (`portable-atomic`), a model checker's, which sees every
//! interleaving (`winddown_loom`), or a scheduler's that a fuzzer leads (`winddown_shuttle`). CONTRIBUTING.md says how the
//! last two are run.

#[cfg(not(any(winddown_loom, winddown_shuttle, feature = "portable-atomic")))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
// A target that has it needs no emulation.
#[cfg(all(target_has_atomic = "64", not(any(winddown_loom, winddown_shuttle))))]
pub(crate) use core::sync::atomic::AtomicU64;
#[cfg(winddown_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(all(feature = "portable-atomic", not(any(winddown_loom, winddown_shuttle))))]
pub(crate) use portable_atomic::{AtomicU32, AtomicUsize, Ordering};
#[cfg(winddown_shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// One read-modify-write that stores what `next` makes of the current value: the value replaced, or `Err` with the
/// value that `next` declined.
///
/// Lock-free: a round is lost only to another caller's success. Success is `AcqRel`, so that whoever loads the new
/// value with Acquire sees what this caller did before, and this caller sees what its predecessors did. To be declined
/// orders nothing.
pub(crate) fn update(word: &AtomicU32, mut next: impl FnMut(u32) -> Option<u32>) -> Result<u32, u32> {
    let mut current = first_look(word);
    while let Some(new) = next(current) {
        match word.compare_exchange_weak(current, new, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(before) => return Ok(before),
            Err(now) => current = now,
        }
    }
    Err(current)
}

/// Relaxed: whatever is made of it is stored only if it is still so.
#[cfg(not(winddown_loom))]
fn first_look(word: &AtomicU32) -> u32 {
    word.load(Ordering::Relaxed)
}

/// loom never moves a thread's plain load behind its own later swap (tokio-rs/loom 166), and so would not see what a
/// swap with too weak an order lets pass. A read-modify-write that changes and orders nothing leaves that to the swap.
#[cfg(winddown_loom)]
fn first_look(word: &AtomicU32) -> u32 {
    word.fetch_or(0, Ordering::Relaxed)
}

/// Makes a function `const`, but for loom, whose atomics begin their lives at run time.
macro_rules! const_unless_loom {
    ($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty $body:block) => {
        $(#[$attr])*
        #[cfg(not(winddown_loom))]
        $vis const fn $name($($arg: $type),*) -> $result $body

        $(#[$attr])*
        #[cfg(winddown_loom)]
        $vis fn $name($($arg: $type),*) -> $result $body
    };
}
pub(crate) use const_unless_loom;

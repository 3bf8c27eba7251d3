//! The one place in this crate that names threads, locks and atomics.
//!
//! Every other module takes them from here, so that others are put in their place in this file and nowhere else: a model
//! checker's (`winddown_loom`), or those of a scheduler that a fuzzer leads (`winddown_shuttle`). CONTRIBUTING.md says
//! how the two are run.

#[cfg(any(windows, feature = "ctrlc"))]
pub(crate) use std::sync::Weak;
pub(crate) use std::sync::{Arc, atomic::Ordering};

// `Arc` is the standard library's in all builds, and what it orders is not seen by a model checker. Where something
// depends on that, it is a `CountedArc`: what was done before any drop is seen by the last.
#[cfg(not(any(winddown_loom, winddown_shuttle)))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
    pub(crate) use std::sync::atomic::{compiler_fence as light_fence, fence as full_fence};
    pub(crate) use std::sync::{Arc as CountedArc, OnceLock, mpsc};
    pub(crate) use std::thread;

    pub(crate) use parking_lot::{Condvar, Mutex};

    /// A look at a word that orders nothing.
    pub(crate) fn look(word: &AtomicU64) -> u64 {
        word.load(super::Ordering::Relaxed)
    }

    /// Declares statics of types that the explorers replace.
    macro_rules! statics {
        ($($(#[$attr:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
            $($(#[$attr])* static $name: $type = $value;)*
        };
    }
    pub(crate) use statics;

    /// Declares thread-locals of types that the explorers replace, each with a constant to begin with.
    macro_rules! thread_locals {
        ($($(#[$attr:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
            std::thread_local! { $($(#[$attr])* static $name: $type = const { $value };)* }
        };
    }
    pub(crate) use thread_locals;
}
#[cfg(not(any(winddown_loom, winddown_shuttle)))]
pub(crate) use real::*;

#[cfg(any(winddown_loom, winddown_shuttle))]
mod explored;
#[cfg(any(winddown_loom, winddown_shuttle))]
pub(crate) use explored::*;

/// A lock of which nothing is explored: no thread does anything that an explorer sees while it holds one.
pub(crate) use parking_lot::Mutex as Leaf;

/// For statics, which belong to the process and outlive every exploration.
pub(crate) mod of_process {
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    pub(crate) use std::sync::atomic::AtomicI32;
    #[cfg(all(target_os = "linux", not(target_env = "ohos"), not(any(winddown_loom, winddown_shuttle))))]
    pub(crate) use std::sync::atomic::AtomicU8;
    pub(crate) use std::sync::atomic::AtomicUsize;
    #[cfg(unix)]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32};

    #[cfg(any(windows, feature = "ctrlc"))]
    pub(crate) use parking_lot::Mutex;
}

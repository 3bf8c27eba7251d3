//! The one place in this crate that names threads, locks and atomics.
//!
//! Every other module takes them from here, so that a model checker is put in their place in this file and nowhere else.

#[cfg(any(unix, windows))]
pub(crate) use std::sync::Weak;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, OnceLock, mpsc};
pub(crate) use std::thread;

pub(crate) use parking_lot::{Condvar, Mutex};

/// A value on cache lines of its own: 128 bytes, because current processors fetch lines in pairs.
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

//! The calling thread's mask: signals that the program was started with blocked. Not here: handlers (`handlers`).

use std::mem::MaybeUninit;
use std::ptr;

use libc::{c_int, sigset_t};

/// Signals that the calling thread takes while this exists, whatever its mask was before.
pub(crate) struct Unblocked {
    before: sigset_t,
    /// The mask is the thread's own.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Unblocked {
    /// Unblocks signals on the calling thread. One that was pending for the thread or the process is delivered before this returns.
    ///
    /// A mask survives `exec`, and each thread begins with that of the thread that started it. So in a program whose launcher has blocked
    /// SIGTERM no thread takes it, until one unblocks it.
    pub(crate) fn new(signals: impl IntoIterator<Item = c_int>) -> Self {
        let mut set = MaybeUninit::<sigset_t>::uninit();
        let mut before = MaybeUninit::<sigset_t>::uninit();
        // SAFETY: `sigemptyset` initialises the set, `sigaddset` changes it, and refuses a number that is no signal. `pthread_sigmask`
        // reads it and writes the whole of the former mask; it fails only for an unknown first argument.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), before.as_mut_ptr());
            Self { before: before.assume_init(), _not_send: std::marker::PhantomData }
        }
    }
}

impl Drop for Unblocked {
    fn drop(&mut self) {
        // SAFETY: the mask is one that the system has told. A null former mask is allowed.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

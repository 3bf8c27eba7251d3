//! How the core tells the outside that something it waits for has come about. Not here: how the outside sleeps.

/// The outside's bell: rung when the last pass of a closed [`Gate`](crate::Gate) is gone, or a
/// [`WaitGroup`](crate::WaitGroup) is done.
///
/// `notify` is called by whichever thread, interrupt or signal handler brings that about, after the state has changed
/// and with no lock held (P9). It is called exactly once for each gate.
///
/// # Requirements
///
/// - It must not block, and a notification that comes while nobody waits must not be lost: the next wait returns at
///   once (a flag, an event count, a futex, `SEV`).
/// - Where passes are dropped or gates closed inside a signal handler, it must be async-signal-safe: no lock, no
///   allocation, `errno` as it was. Atomics, `futex`, and `write(2)` on a non-blocking descriptor are.
/// - It should not panic: the panic would surface in whoever dropped the last pass.
///
/// ```
/// use core::sync::atomic::{AtomicBool, Ordering};
/// use winddown_core::{Gate, Notify};
///
/// struct Bell(AtomicBool);
/// impl Notify for Bell {
///     fn notify(&self) {
///         self.0.store(true, Ordering::Release);
///     }
/// }
///
/// static BELL: Bell = Bell(AtomicBool::new(false));
/// static GATE: Gate<&Bell> = Gate::with_notify(&BELL);
///
/// let pass = GATE.enter().unwrap();
/// GATE.close();
/// assert!(!BELL.0.load(Ordering::Acquire));
/// drop(pass);
/// assert!(BELL.0.load(Ordering::Acquire));
/// ```
pub trait Notify {
    /// Rings the bell. See the trait for what it may do.
    fn notify(&self);
}

/// Tells nobody: for those who ask, as [`Gate::is_drained`](crate::Gate::is_drained) lets them.
impl Notify for () {
    #[inline]
    fn notify(&self) {}
}

impl<N: Notify + ?Sized> Notify for &N {
    #[inline]
    fn notify(&self) {
        (**self).notify();
    }
}

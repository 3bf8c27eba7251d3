//! The state that this process keeps for each signal: the shutdown that listens, and the handlers that are followed.
//! Not here: the handlers in the system's table (`handlers`).

use std::ptr;
use std::thread;

use libc::{c_int, c_void, siginfo_t};
use signal_hook::consts::FORBIDDEN;
use winddown_core::{Escalate, Reason};

use crate::SignalError;
use crate::inner::Inner;
use crate::sync::of_process::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};
use crate::sync::{Arc, Ordering};
use crate::watchdog::exit_now;

/// Signal numbers are below this on every system that this code is built for (`_NSIG` is 65 on Linux; FreeBSD's last is 126).
pub(super) const SIGNALS: usize = 128;

/// The most threads that handle one signal at the same time and are told apart. On one more the handler of `front` does not call
/// the other part's.
const THREADS: usize = 4;

/// The state of one signal.
pub(super) struct Slot {
    /// A shutdown has asked for it. Only one at a time may.
    claimed: AtomicBool,
    /// A shutdown listens: the default action is not taken.
    armed: AtomicBool,
    /// The shutdown that listens, from `Arc::into_raw`; null if none does.
    listener: AtomicPtr<Inner>,
    /// How many handlers use `listener`.
    readers: AtomicU32,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) wake_pipe: super::wake_pipe::WakePipe,
    /// How many deliveries the shutdowns have heard.
    pub(super) deliveries: AtomicU32,
    /// The entry whose handler hears for the shutdown, as it was installed or found; null if there is none but `front`. Never freed.
    pub(super) ours: AtomicPtr<Replaced>,
    /// The entry that `front` has replaced last, and follows after the shutdown has heard; null if there is none. Never freed.
    pub(super) replaced: AtomicPtr<Replaced>,
    /// The entry that was given back last; null if none was. Used again if the next one says the same.
    pub(super) spare: AtomicPtr<Replaced>,
    /// The threads that are in `front`.
    threads: [Thread; THREADS],
}

static SLOTS: [Slot; SIGNALS] = [const { Slot::new() }; SIGNALS];

/// The slot of a signal, if there may be such a signal.
pub(super) fn slot(signal: c_int) -> Option<&'static Slot> {
    usize::try_from(signal).ok().filter(|&number| number > 0).and_then(|number| SLOTS.get(number))
}

/// Counts a delivery that another crate's handler has heard for a shutdown.
#[cfg(feature = "ctrlc")]
pub(crate) fn count_heard(signal: c_int) {
    if let Some(slot) = slot(signal) {
        slot.deliveries.fetch_add(1, Ordering::Relaxed); // see `Slot::count_delivery`
    }
}

/// The right to a signal, given back when dropped.
pub(crate) struct Claim(&'static Slot);

impl Claim {
    pub(crate) fn new(signal: c_int) -> Result<Self, SignalError> {
        let slot = slot(signal).ok_or(SignalError::Unknown { signal })?;
        if FORBIDDEN.contains(&signal) {
            return Err(SignalError::Forbidden { signal });
        }
        // Acquire pairs with the release in `drop`: the former owner no longer uses the slot.
        if slot.claimed.swap(true, Ordering::Acquire) {
            return Err(SignalError::Taken { signal });
        }
        Ok(Self(slot))
    }

    pub(super) fn slot(&self) -> &'static Slot {
        self.0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Release pairs with the acquire in `new`.
        self.0.claimed.store(false, Ordering::Release);
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            claimed: AtomicBool::new(false),
            armed: AtomicBool::new(false),
            listener: AtomicPtr::new(ptr::null_mut()),
            readers: AtomicU32::new(0),
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            wake_pipe: super::wake_pipe::WakePipe::new(),
            deliveries: AtomicU32::new(0),
            ours: AtomicPtr::new(ptr::null_mut()),
            replaced: AtomicPtr::new(ptr::null_mut()),
            spare: AtomicPtr::new(ptr::null_mut()),
            threads: [const { Thread::new() }; THREADS],
        }
    }

    /// Says whether a delivery has its default action if no handler was there before.
    pub(super) fn set_armed(&self, armed: bool) {
        // Release pairs with the acquire in `is_armed`. It orders nothing else: a handler sees one or the other.
        self.armed.store(armed, Ordering::Release);
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire) // pairs with `set_armed`
    }

    /// Has this shutdown hear the signal from now on.
    pub(super) fn listen(&self, inner: &Arc<Inner>) {
        let inner = Arc::into_raw(inner.clone()).cast_mut();
        // Release pairs with the load in `hear`. The former listener is gone, as `Claim` says.
        self.listener.store(inner, Ordering::Release);
    }

    /// Nothing hears the signal from now on. Waits for the handlers that are running.
    pub(super) fn stop_listening(&self) {
        // Sequentially consistent, with the accesses in `hear`: either a handler sees null, or this sees that it is there.
        let inner = self.listener.swap(ptr::null_mut(), Ordering::SeqCst);
        if inner.is_null() {
            return;
        }
        // SAFETY: from `into_raw` in `listen`; only this call took it out.
        let inner = unsafe { Arc::from_raw(inner.cast_const()) };
        while self.readers.load(Ordering::SeqCst) != 0 {
            if inner.is_forked() {
                // A handler that was running on another thread at the fork does not exist here, and never ends.
                std::mem::forget(inner);
                self.readers.store(0, Ordering::SeqCst);
                return;
            }
            thread::yield_now();
        }
    }

    /// Has the shutdown hear a delivery, once, however many handlers it is passed through. Async-signal-safe: atomics, a reading of the
    /// clock and one system call (P8).
    // Not inlined: its frame lies below that of `front`, which calls it.
    #[inline(never)]
    pub(super) fn hear(&self, signal: c_int) {
        if !self.count_delivery() {
            return;
        }
        // Sequentially consistent, both: see `stop_listening`.
        self.readers.fetch_add(1, Ordering::SeqCst);
        let inner = self.listener.load(Ordering::SeqCst);
        // SAFETY: null, or from `into_raw` in `listen`. `stop_listening` takes the pointer away first, and frees it when there are no
        // readers: this is one.
        let escalate = unsafe { inner.as_ref() }.map(|inner| {
            let number = u8::try_from(signal).expect("below SIGNALS");
            self.ask(inner, Reason::Signal(number))
        });
        // Release, at least, pairs with the load in `stop_listening`: it frees what this has used.
        self.readers.fetch_sub(1, Ordering::SeqCst);
        if escalate == Some(Escalate::Exit) {
            exit_now(128 + signal);
        }
    }

    /// Asks to stop, and wakes the driver.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[expect(clippy::unused_self, reason = "other systems use it")]
    fn ask(&self, inner: &Inner, reason: Reason) -> Escalate {
        inner.trigger.fire(reason)
    }

    /// Asks to stop, and has a thread wake the driver.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn ask(&self, inner: &Inner, reason: Reason) -> Escalate {
        let (_, escalate) = inner.trigger.ask(reason);
        self.wake_pipe.write();
        escalate
    }

    /// Returns whether the delivery that the calling thread handles was not counted yet.
    fn count_delivery(&self) -> bool {
        let here = 0_u8;
        let id = this_thread();
        let inside = |thread: &&Thread| thread.is(id) && thread.is_around(ptr::from_ref(&here).addr());
        if let Some(thread) = self.threads.iter().find(inside) {
            if thread.counted.swap(true, Ordering::Relaxed) {
                return false;
            }
        }
        // Relaxed: `Registration` compares it with an earlier value. No other memory depends on it.
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Returns which kind a call of `front` on the calling thread is. `frame`: an address in its frame; `arguments`: of the delivery.
    pub(super) fn enter_front(&self, frame: usize, arguments: (*mut siginfo_t, *mut c_void)) -> FrontCall<'_> {
        let id = this_thread();
        let own = self.threads.iter().find(|thread| thread.is(id));
        if let Some(thread) = own.filter(|thread| thread.is_around(frame)) {
            return FrontCall::Again(thread);
        }
        let free = |thread: &&Thread| thread.id.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        // The thread's own mark is left from an earlier delivery if a handler did not return (`siglongjmp`).
        let Some(thread) = own.or_else(|| self.threads.iter().find(free)) else { return FrontCall::Crowded };
        thread.frame.store(frame, Ordering::Relaxed);
        thread.info.store(arguments.0, Ordering::Relaxed);
        thread.context.store(arguments.1, Ordering::Relaxed);
        thread.counted.store(false, Ordering::Relaxed);
        // Acquire pairs with the release in `handlers::take`: what the pointer points to is seen.
        thread.next.store(self.replaced.load(Ordering::Acquire), Ordering::Relaxed);
        FrontCall::First(InFront(thread))
    }
}

/// An entry of the system's table that `front` has replaced.
pub(super) struct Replaced {
    pub(super) action: libc::sigaction,
    /// The entry that it had replaced before.
    pub(super) older: *mut Replaced,
}

/// A thread that is in `front`. Relaxed, all accesses: but for a free `id`, only the thread itself acts on it.
pub(super) struct Thread {
    /// `this_thread()`; 0 if it is free.
    id: AtomicUsize,
    /// An address in the frame of the first `front`. Those of the handlers that it calls lie below.
    frame: AtomicUsize,
    /// The arguments that the system has passed. A handler of one argument that calls the handler before it has lost them.
    info: AtomicPtr<siginfo_t>,
    context: AtomicPtr<c_void>,
    /// The delivery was counted.
    counted: AtomicBool,
    /// The entry that the next call of `front` for this delivery follows.
    pub(super) next: AtomicPtr<Replaced>,
}

impl Thread {
    const fn new() -> Self {
        Self {
            id: AtomicUsize::new(0),
            frame: AtomicUsize::new(0),
            info: AtomicPtr::new(ptr::null_mut()),
            context: AtomicPtr::new(ptr::null_mut()),
            counted: AtomicBool::new(false),
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Whether a frame at this address is one of a call that `front` has made. (Stacks grow downwards on every such system.)
    fn is_around(&self, address: usize) -> bool {
        address < self.frame.load(Ordering::Relaxed)
    }

    /// Returns the arguments that the system has passed for this delivery.
    pub(super) fn arguments(&self) -> (*mut siginfo_t, *mut c_void) {
        (self.info.load(Ordering::Relaxed), self.context.load(Ordering::Relaxed))
    }

    fn is(&self, id: usize) -> bool {
        self.id.load(Ordering::Relaxed) == id
    }
}

/// The kinds of a call of `front`, by the calls on the same thread.
pub(super) enum FrontCall<'a> {
    /// The first for this delivery. The thread is marked until it returns.
    First(InFront<'a>),
    /// Another part's handler has called the one before it, which is `front`.
    Again(&'a Thread),
    /// Too many threads handle the signal to tell whether it is the first.
    Crowded,
}

/// The mark of a thread that is in `front`, taken away when dropped.
pub(super) struct InFront<'a>(pub(super) &'a Thread);

impl Drop for InFront<'_> {
    fn drop(&mut self) {
        self.0.id.store(0, Ordering::Relaxed);
    }
}

/// A number for the calling thread, which is not 0.
///
/// On the systems that this is built for it is the address of a structure of the C library's. Async-signal-safe (POSIX 2024, 2.4.3).
#[allow(clippy::cast_possible_truncation, reason = "an address, on 32-bit systems too")]
fn this_thread() -> usize {
    // SAFETY: it has no preconditions.
    (unsafe { libc::pthread_self() }) as usize
}

//! The only code that meets operating-system signals. Unsafe code is here, in `fork` and in `sockopt`, each use with its reason.

use crate::SignalError;
use crate::inner::Inner;
#[cfg(any(windows, feature = "ctrlc"))]
use crate::interrupt;
use crate::sync::Arc;

/// What a program asked to hear.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) signals: Vec<i32>,
    #[cfg(any(windows, feature = "ctrlc"))]
    pub(crate) ctrl_c: bool,
}

/// The signals that a shutdown hears. Dropped, they have their default action again (G6).
#[derive(Default)]
pub(crate) struct Signals {
    #[cfg(unix)]
    installed: Vec<unix::Installed>,
    #[cfg(any(windows, feature = "ctrlc"))]
    ctrl_c: Option<interrupt::Installed>,
}

impl Signals {
    /// Hears them from now on. They are the shutdown's to give back, also where there is an error on the way.
    pub(crate) fn install(wanted: &Wanted, inner: &Arc<Inner>) -> Result<(), SignalError> {
        let mut signals = Self::default();
        let heard = signals.hear(wanted, inner);
        inner.keep_signals(signals);
        heard
    }

    fn hear(&mut self, wanted: &Wanted, inner: &Arc<Inner>) -> Result<(), SignalError> {
        #[cfg(unix)]
        for &signal in &wanted.signals {
            self.installed.push(unix::Installed::new(signal, inner)?);
        }
        #[cfg(any(windows, feature = "ctrlc"))]
        if wanted.ctrl_c {
            self.ctrl_c = Some(interrupt::Installed::new(inner)?);
        }
        // Where there is nothing to hear.
        let _ = (self, wanted, inner);
        Ok(())
    }
}

#[cfg(unix)]
pub(crate) use unix::raise;
#[cfg(all(unix, feature = "ctrlc"))]
pub(crate) use unix::{Claim, unheard};

#[cfg(unix)]
#[expect(unsafe_code, reason = "signals cannot be met without; see each use")]
mod unix {
    use std::io;
    use std::mem::MaybeUninit;
    use std::process;

    use libc::c_int;
    use signal_hook::consts::FORBIDDEN;
    use signal_hook::low_level;
    use winddown_core::{Escalate, Reason};

    use crate::SignalError;
    use crate::inner::Inner;
    use crate::sync::of_process::AtomicBool;
    use crate::sync::{Arc, Ordering};
    use crate::watchdog::exit_now;

    /// Signal numbers are below this everywhere (`_NSIG` is 65 on Linux, 33 or less on the BSDs, 129 nowhere we run).
    const SIGNALS: usize = 65;

    /// What this process has done about a signal.
    struct Slot {
        /// A shutdown has asked for it. One at a time may.
        claimed: AtomicBool,
        /// A shutdown hears it: no default action.
        armed: AtomicBool,
    }

    static SLOTS: [Slot; SIGNALS] =
        [const { Slot { claimed: AtomicBool::new(false), armed: AtomicBool::new(false) } }; SIGNALS];

    /// The right to a signal, given back when dropped.
    pub(crate) struct Claim(&'static Slot);

    impl Claim {
        pub(crate) fn new(signal: c_int) -> Result<Self, SignalError> {
            let slot = usize::try_from(signal).ok().filter(|&number| number > 0).and_then(|number| SLOTS.get(number));
            let slot = slot.ok_or(SignalError::Unknown { signal })?;
            if FORBIDDEN.contains(&signal) {
                return Err(SignalError::Forbidden { signal });
            }
            // Acquire pairs with the release in `drop`: the former owner is done with the slot.
            if slot.claimed.swap(true, Ordering::Acquire) {
                return Err(SignalError::Taken { signal });
            }
            Ok(Self(slot))
        }
    }

    impl Drop for Claim {
        fn drop(&mut self) {
            // Release pairs with the acquire in `new`.
            self.0.claimed.store(false, Ordering::Release);
        }
    }

    /// A signal that one shutdown hears.
    pub(crate) struct Installed {
        ear: Ear,
        // Given back last.
        claim: Claim,
    }

    impl Installed {
        pub(crate) fn new(signal: c_int, inner: &Arc<Inner>) -> Result<Self, SignalError> {
            let claim = Claim::new(signal)?;
            let failed = |source| SignalError::Os { signal, source };
            settle(signal).map_err(failed)?;
            let ear = Ear::new(signal, inner).map_err(failed)?;
            // Last: one that comes before, on another thread, has its default action, as it would have had. Release, here
            // and in `drop`, pairs with the acquire in `unheard`; it orders nothing else, a handler sees one or the other.
            claim.0.armed.store(true, Ordering::Release);
            Ok(Self { ear, claim })
        }
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            // First: one that comes from now on has its default action.
            self.claim.0.armed.store(false, Ordering::Release);
            self.ear.remove();
        }
    }

    /// Puts in place what a signal that nobody hears does, if that is the default action. An ignored signal stays ignored;
    /// the second time there is a handler, this one, and nothing to do.
    ///
    /// signal-hook chains to the handler that it finds, at every moment from its own installation on, and for good. With
    /// the default action it finds none: then a signal is swallowed that comes while it sets itself up, and every one
    /// after its last action is removed (G6).
    fn settle(signal: c_int) -> io::Result<()> {
        extern "C" fn chained(signal: c_int) {
            unheard(signal);
        }
        let mut action = disposition(signal)?;
        if action.sa_sigaction != libc::SIG_DFL {
            return Ok(());
        }
        action.sa_sigaction = chained as extern "C" fn(c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: `action` is the whole of what the system has told, with a handler of the kind that goes with its flags;
        // what that does is async-signal-safe, as `unheard` says. A null old action is allowed.
        match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Does what the signal does where no handler is installed, unless a shutdown hears it. Async-signal-safe: it loads
    /// an atomic, sets a disposition and a mask, raises, and exits.
    pub(crate) fn unheard(signal: c_int) {
        const HARMLESS: [c_int; 7] =
            [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        let slot = usize::try_from(signal).ok().and_then(|number| SLOTS.get(number));
        // Pairs with the releases in `Installed`.
        if slot.is_none_or(|slot| slot.armed.load(Ordering::Acquire)) {
            return;
        }
        // For process 1 the kernel drops signals whose action is the default (K7), and raising one would come to nothing.
        // A signal that signal-hook does not know (a real-time one) ends a process, too.
        let first = process::id() == 1;
        if first && HARMLESS.contains(&signal) {
            return;
        }
        if first || low_level::emulate_default_handler(signal).is_err() {
            exit_now(128 + signal);
        }
    }

    /// Sends a signal to the calling thread again, which was heard for nothing.
    pub(crate) fn raise(signal: u8) {
        // It can only fail for a number that is no signal; this one was.
        let _ = low_level::raise(signal.into());
    }

    fn disposition(signal: c_int) -> io::Result<libc::sigaction> {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: a null new action only asks; `action` is valid for the write.
        if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it has written the whole of it.
        Ok(unsafe { action.assume_init() })
    }

    /// What hearing a signal does, and nothing else (P8).
    fn heard(signal: c_int, inner: &Inner) {
        let number = u8::try_from(signal).expect("below SIGNALS");
        if inner.trigger.fire(Reason::Signal(number)) == Escalate::Exit {
            exit_now(128 + signal);
        }
    }

    /// In the handler itself: the driver is woken by a system call that is legal there.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    struct Ear(signal_hook::SigId);

    #[cfg(any(target_os = "linux", target_os = "android"))]
    impl Ear {
        fn new(signal: c_int, inner: &Arc<Inner>) -> io::Result<Self> {
            let inner = inner.clone();
            // SAFETY: the action is async-signal-safe. `Trigger::fire` reads the clock, does lock-free operations on
            // atomics and one futex call; `exit_now` is `_exit`. Nothing is locked, allocated or freed, and nothing
            // panics: `signal` fits, as `Claim::new` has seen. The `Arc` is dropped by `remove`, not in a handler:
            // signal-hook waits until no handler uses it.
            unsafe { low_level::register(signal, move || heard(signal, &inner)) }.map(Self)
        }

        fn remove(&self) {
            low_level::unregister(self.0);
        }
    }

    /// On a thread of its own, for want of such a call.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    struct Ear(signal_hook::iterator::Handle, crate::Process);

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    impl Ear {
        fn new(signal: c_int, inner: &Arc<Inner>) -> io::Result<Self> {
            let mut signals = signal_hook::iterator::Signals::new([signal])?;
            let handle = signals.handle();
            let inner = inner.clone();
            let listen = move || signals.forever().for_each(|signal| heard(signal, &inner));
            crate::sync::thread::Builder::new().name(crate::hook::thread_name("signal")).spawn(listen)?;
            Ok(Self(handle, crate::Process::current()))
        }

        fn remove(&self) {
            // In a forked child the thread, and the pipe that this writes to, are the parent's.
            if self.1.is_current() {
                self.0.close();
            }
        }
    }
}

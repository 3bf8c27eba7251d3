//! The signals that a shutdown listens to. Not here: Ctrl-C through the crate `ctrlc` (`interrupt`), and what follows from a signal
//! (`trigger`).
//!
//! Unsafe code of this crate is in the files of this folder, in `fork` and in `sockopt`, each use with its reason.

#![cfg_attr(any(winddown_loom, winddown_shuttle), allow(dead_code, reason = "no signals come in an exploration"))]

use crate::SignalError;
use crate::inner::Inner;
#[cfg(any(windows, feature = "ctrlc"))]
use crate::interrupt;
use crate::sync::Arc;

#[cfg(unix)]
#[expect(unsafe_code, reason = "the system's table of handlers; see each use")]
mod handlers;
#[cfg(unix)]
#[expect(unsafe_code, reason = "a thread's mask; see each use")]
mod mask;
#[cfg(unix)]
#[expect(unsafe_code, reason = "an action of a handler; see the use")]
mod registration;
#[cfg(unix)]
#[expect(unsafe_code, reason = "memory that a handler uses; see each use")]
mod slot;
#[cfg(all(test, unix, not(any(winddown_loom, winddown_shuttle))))]
mod tests;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
#[expect(unsafe_code, reason = "a handler writes; see the use")]
mod wake_pipe;
#[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
mod watch;

#[cfg(all(unix, feature = "ctrlc"))]
pub(crate) use handlers::{Disposition, is_heard_by_front, run_on_alternate_stack, unheard};
#[cfg(unix)]
pub(crate) use mask::Unblocked;
#[cfg(unix)]
pub(crate) use registration::Registration;
#[cfg(all(unix, feature = "ctrlc"))]
pub(crate) use slot::{Claim, count_heard};

/// The signals that a program asked to hear, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    #[cfg(unix)]
    pub(crate) signals: Vec<i32>,
    /// Even those that were ignored on purpose when the program began.
    #[cfg(unix)]
    pub(crate) ignored: bool,
    /// Our handler is installed again when another part of the program has installed one.
    #[cfg(unix)]
    pub(crate) take_back: bool,
    #[cfg(any(windows, feature = "ctrlc"))]
    pub(crate) ctrl_c: bool,
}

/// The signals that a shutdown hregistrations. Dropped, they have again the action that they had before (G6).
#[derive(Default)]
pub(crate) struct Signals {
    #[cfg(any(windows, feature = "ctrlc"))]
    ctrl_c: Option<interrupt::Installed>,
    #[cfg(unix)]
    registrations: Vec<Registration>,
    #[cfg(unix)]
    take_back: bool,
}

impl Signals {
    /// Hregistrations them from now on. They are the shutdown's to give back, even if there is an error on the way.
    pub(crate) fn install(wanted: &Wanted, inner: &Arc<Inner>) -> Result<(), SignalError> {
        let mut signals = Self::default();
        let heard = signals.hear(wanted, inner);
        #[cfg(unix)]
        let numbers = signals.numbers();
        #[cfg(unix)]
        let _ = inner.signal_numbers.set(numbers.clone());
        inner.keep_signals(signals);
        // A signal that was pending when the program began, on this thread or for the process, is heard now. (A signal that is pending on
        // another thread is delivered to no other.)
        #[cfg(unix)]
        drop(Unblocked::new(numbers));
        heard
    }

    fn hear(&mut self, wanted: &Wanted, inner: &Arc<Inner>) -> Result<(), SignalError> {
        #[cfg(unix)]
        {
            self.take_back = wanted.take_back;
            for &signal in &wanted.signals {
                let ignored = || handlers::is_ignored_on_purpose(signal);
                if wanted.ignored || !ignored().map_err(|source| SignalError::Os { signal, source })? {
                    self.registrations.push(Registration::new(signal, inner)?);
                }
            }
        }
        #[cfg(any(windows, feature = "ctrlc"))]
        if wanted.ctrl_c {
            #[cfg(unix)]
            let ignored = || handlers::is_ignored_on_purpose(libc::SIGINT);
            #[cfg(unix)]
            if wanted.ignored || !ignored().map_err(interrupt::failed)? {
                let (installed, registration) = interrupt::Installed::new(inner)?;
                self.ctrl_c = Some(installed);
                self.registrations.push(registration);
            }
            #[cfg(not(unix))]
            {
                self.ctrl_c = Some(interrupt::Installed::new(inner)?);
            }
        }
        // Where there is nothing to hear.
        let _ = (self, wanted, inner);
        Ok(())
    }
}

#[cfg(unix)]
impl Signals {
    /// The numbers of the signals, for the mask of a thread.
    fn numbers(&self) -> Vec<i32> {
        self.registrations.iter().map(|it| it.signal).collect()
    }

    /// Looks whether other parts of the program have installed handlers, and takes the signals back if that was asked for.
    pub(crate) fn check(&mut self) -> Vec<Taken> {
        let take_back = self.take_back;
        let look = |it: &mut Registration| {
            let foreign = it.check()?;
            let back = take_back && it.take(foreign).is_ok();
            Some(Taken { signal: it.signal, back })
        };
        self.registrations.iter_mut().filter_map(look).collect()
    }

    /// The signals that the shutdown did not hear, as far as is known, because of another part's handler.
    pub(crate) fn deaf_to(&self) -> Vec<i32> {
        self.registrations.iter().filter(|it| it.is_deaf()).map(|it| it.signal).collect()
    }
}

/// A signal for which another part of the program has installed a handler since the shutdown was built.
#[cfg(unix)]
pub(crate) struct Taken {
    pub(crate) signal: i32,
    /// Ours was put in its place again, and calls it.
    pub(crate) back: bool,
}

/// Sends a signal to the calling thread again, which was heard for nothing.
#[cfg(unix)]
pub(crate) fn raise(signal: u8) {
    // It can only fail for a number that is no signal; this one was.
    let _ = signal_hook::low_level::raise(signal.into());
}

/// Two steps of a drop, with a signal between them that a test sends. If the steps are in the wrong order, it is swallowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    #[cfg(unix)]
    ArmedAndUnregistered,
    #[cfg(unix)]
    UnregisteredAndClaim,
    OrphanedAndLetGo,
}

impl Between {
    pub(crate) fn reach(self) {
        #[cfg(all(test, unix, not(any(winddown_loom, winddown_shuttle))))]
        tests::reach(self);
        let _ = self;
    }
}

/// No handlers are looked for where there are none, and in an exploration no signals come.
#[cfg(not(all(unix, not(any(winddown_loom, winddown_shuttle)))))]
impl Inner {
    #[expect(clippy::unused_self, reason = "with handlers it is used")]
    pub(crate) fn check_signals(&self) {}

    #[expect(clippy::unused_self, reason = "with handlers it is used")]
    pub(crate) fn signal_failures(&self) -> Vec<crate::report::Failure> {
        Vec::new()
    }
}

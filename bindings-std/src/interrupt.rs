//! Ctrl-C through the crate `ctrlc`: all there is on Windows, and on Unix for programs that ask for it. A thread of that crate
//! runs this, so nothing here has to be async-signal-safe.

use std::io;

use winddown_core::{Escalate, Forced, Outcome, Reason};

use crate::SignalError;
use crate::inner::Inner;
#[cfg(unix)]
use crate::signal::{
    Claim, Disposition, Registration, count_heard, is_heard_by_front, run_on_alternate_stack, unheard,
};
use crate::sync::of_process::Mutex;
use crate::sync::{Arc, Weak};
use crate::watchdog::exit_now;

/// The number of Ctrl-C's signal, also where it has none.
const SIGINT: i32 = 2;

/// The entry of `ctrlc` in the system's table of handlers.
#[cfg(unix)]
type Entry = Disposition;
#[cfg(not(unix))]
type Entry = ();

struct Listener {
    /// As `ctrlc` has installed it. The crate can neither remove a handler nor take a second one: the first stays for good.
    entry: Option<Entry>,
    /// Whether SIGINT was ignored before that handler: without an owner it is ignored again.
    ignored: bool,
    owner: Weak<Inner>,
}

static LISTENER: Mutex<Listener> = Mutex::new(Listener { entry: None, ignored: false, owner: Weak::new() });

/// Interrupts that one shutdown hears. Dropped, they have their default action again, by imitation.
pub(crate) struct Installed;

impl Installed {
    #[cfg(unix)]
    pub(crate) fn new(inner: &Arc<Inner>) -> Result<(Self, Registration), SignalError> {
        let claim = Claim::new(SIGINT)?;
        let (installed, entry) = Self::listen(inner)?;
        let registration = Registration::beside(SIGINT, claim, inner, entry).map_err(failed)?;
        Ok((installed, registration))
    }

    #[cfg(not(unix))]
    pub(crate) fn new(inner: &Arc<Inner>) -> Result<Self, SignalError> {
        Self::listen(inner).map(|(installed, _)| installed)
    }

    fn listen(inner: &Arc<Inner>) -> Result<(Self, Entry), SignalError> {
        let mut listener = LISTENER.lock();
        if listener.owner.strong_count() > 0 {
            return Err(SignalError::Taken { signal: SIGINT });
        }
        let entry = if let Some(entry) = listener.entry {
            entry
        } else {
            let (entry, ignored) = install()?;
            listener.ignored = ignored;
            *listener.entry.insert(entry)
        };
        listener.owner = Arc::downgrade(inner);
        Ok((Self, entry))
    }
}

pub(crate) fn failed(source: io::Error) -> SignalError {
    SignalError::Os { signal: SIGINT, source }
}

/// Installs the handler of `ctrlc`, for SIGINT only. Returns its entry, and whether SIGINT was ignored before.
///
/// With its feature `termination`, which any crate of the program may switch on, it takes SIGTERM and SIGHUP as well, and does not say
/// which signal came. So those get back the entries that they had. (A SIGTERM that arrives between the two counts as an interrupt.)
#[cfg(unix)]
fn install() -> Result<(Entry, bool), SignalError> {
    let before = Disposition::of(SIGINT).map_err(failed)?;
    if !before.is_default() && !before.is_ignored() {
        return Err(SignalError::Taken { signal: SIGINT });
    }
    let others = [libc::SIGTERM, libc::SIGHUP].map(|signal| (signal, Disposition::of(signal)));
    let handler = set_handler();
    let entry = Disposition::of(SIGINT).map_err(failed)?;
    for (signal, before) in others {
        let restore = |before: Disposition| match Disposition::of(signal)? {
            now if now.address() == entry.address() => before.install(signal).map(drop),
            _ => Ok(()),
        };
        before.and_then(restore).map_err(|source| SignalError::Os { signal, source })?;
    }
    handler?;
    run_on_alternate_stack(SIGINT).map_err(failed)?;
    let entry = Disposition::of(SIGINT).map_err(failed)?;
    Ok((entry, before.is_ignored()))
}

#[cfg(not(unix))]
fn install() -> Result<(Entry, bool), SignalError> {
    set_handler().map(|()| ((), false))
}

fn set_handler() -> Result<(), SignalError> {
    ctrlc::set_handler(heard).map_err(|error| match error {
        ctrlc::Error::System(source) => failed(source),
        ctrlc::Error::MultipleHandlers => SignalError::Taken { signal: SIGINT },
        other @ ctrlc::Error::NoSuchSignal(_) => failed(io::Error::other(other)),
    })
}

impl Drop for Installed {
    fn drop(&mut self) {
        LISTENER.lock().owner = Weak::new();
    }
}

fn heard() {
    #[cfg(unix)]
    if is_heard_by_front(SIGINT) {
        // The handler of another part has called the one before it.
        return;
    }
    // Held while asking: an owner that goes away goes before, or has been asked.
    let listener = LISTENER.lock();
    let escalate = listener.owner.upgrade().map(|inner| (inner.trigger.ask(Reason::Interrupt).1, inner));
    let ignored = listener.ignored;
    drop(listener);
    match escalate {
        Some((Escalate::Exit, _)) => exit_now(Outcome::Forced(Forced::Interrupt).exit_code(Reason::Interrupt).into()),
        Some((_, inner)) => {
            #[cfg(unix)]
            count_heard(SIGINT);
            inner.trigger.driver.notify();
        }
        None if ignored => {}
        #[cfg(unix)]
        None => unheard(SIGINT),
        // STATUS_CONTROL_C_EXIT, as Windows' own handler has it.
        #[cfg(not(unix))]
        None => exit_now(i32::from_ne_bytes(0xC000_013A_u32.to_ne_bytes())),
    }
}

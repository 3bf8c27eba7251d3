//! Ctrl-C through the crate `ctrlc`: all there is on Windows, and on Unix for who asks for it. A thread of that crate's
//! runs this, so nothing here has to be async-signal-safe.

use std::io;

use winddown_core::{Escalate, Forced, Outcome, Reason};

use crate::SignalError;
use crate::inner::Inner;
use crate::sync::of_process::Mutex;
use crate::sync::{Arc, Weak};
use crate::watchdog::exit_now;

/// The number of Ctrl-C's signal, also where it has none.
const SIGINT: i32 = 2;

struct Ear {
    /// `ctrlc` can neither remove a handler nor take a second one: the first stays for good.
    installed: bool,
    owner: Weak<Inner>,
}

static EAR: Mutex<Ear> = Mutex::new(Ear { installed: false, owner: Weak::new() });

/// Interrupts that one shutdown hears. Dropped, they have their default action again, by imitation.
pub(crate) struct Installed {
    /// Given back when dropped.
    #[cfg(unix)]
    _sigint: crate::signal::Claim,
}

impl Installed {
    pub(crate) fn new(inner: &Arc<Inner>) -> Result<Self, SignalError> {
        #[cfg(unix)]
        let sigint = crate::signal::Claim::new(SIGINT)?;
        let mut ear = EAR.lock();
        if ear.owner.strong_count() > 0 {
            return Err(SignalError::Taken { signal: SIGINT });
        }
        if !ear.installed {
            ctrlc::try_set_handler(heard).map_err(|error| match error {
                ctrlc::Error::System(source) => SignalError::Os { signal: SIGINT, source },
                ctrlc::Error::MultipleHandlers => SignalError::Taken { signal: SIGINT },
                other @ ctrlc::Error::NoSuchSignal(_) => {
                    SignalError::Os { signal: SIGINT, source: io::Error::other(other) }
                }
            })?;
            ear.installed = true;
        }
        ear.owner = Arc::downgrade(inner);
        Ok(Self {
            #[cfg(unix)]
            _sigint: sigint,
        })
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        EAR.lock().owner = Weak::new();
    }
}

fn heard() {
    // Held while asking: an owner that goes away goes before, or has been asked.
    let ear = EAR.lock();
    let escalate = ear.owner.upgrade().map(|inner| (inner.trigger.ask(Reason::Interrupt).1, inner));
    drop(ear);
    match escalate {
        Some((Escalate::Exit, _)) => exit_now(Outcome::Forced(Forced::Interrupt).exit_code(Reason::Interrupt).into()),
        Some((_, inner)) => inner.trigger.driver.notify(),
        #[cfg(unix)]
        None => crate::signal::unheard(SIGINT),
        // STATUS_CONTROL_C_EXIT, as Windows' own handler has it.
        #[cfg(not(unix))]
        None => exit_now(i32::from_ne_bytes(0xC000_013A_u32.to_ne_bytes())),
    }
}

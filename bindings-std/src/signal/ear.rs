//! A signal that one shutdown hears: the order in which that begins and ends. Not here: what a delivery does (`slot`).

use std::io;

use libc::c_int;
use signal_hook::SigId;
use signal_hook::low_level;

use super::Between;
use super::handlers::{self, Disposition};
use super::slot::{Claim, Slot};
use crate::SignalError;
use crate::inner::Inner;
use crate::sync::{Arc, Ordering};

/// A signal that one shutdown hears. Dropped, it has again the action that it had before (G6).
pub(crate) struct Ear {
    pub(super) signal: c_int,
    /// signal-hook's; `None`: another crate's handler hears the signal, unless `front` takes its place.
    action: Option<SigId>,
    /// Wakes the driver where a handler may not.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    _bell: super::bell::Bell,
    /// How often the signal had been heard when no handler of another part was seen last.
    heard: u32,
    /// The handler of another part that was reported: its address, and `heard` then.
    reported: Option<(usize, u32)>,
    // Given back last.
    claim: Claim,
}

impl Ear {
    pub(crate) fn new(signal: c_int, inner: &Arc<Inner>) -> Result<Self, SignalError> {
        let claim = Claim::new(signal)?;
        Self::install(signal, claim, inner).map_err(|source| SignalError::Os { signal, source })
    }

    fn install(signal: c_int, claim: Claim, inner: &Arc<Inner>) -> io::Result<Self> {
        let slot = claim.slot();
        handlers::settle(signal)?;
        let before = Disposition::of(signal)?;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let bell = super::bell::Bell::new(slot, inner)?;
        slot.listen(inner);
        let action = register(signal, slot).inspect_err(|_| slot.stop_listening())?;
        let ear = Self {
            signal,
            action: Some(action),
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            _bell: bell,
            heard: slot.heard.load(Ordering::Relaxed), // see `Slot::hear`
            reported: None,
            claim,
        };
        // Last but one: a delivery that comes before, on another thread, has its default action, as it would have had.
        slot.set_armed(true);
        handlers::own(signal, slot, &before)?;
        Ok(ear)
    }

    /// For a signal that another crate hears for this shutdown, with this handler. If that is not in the table any more, `front` hears the
    /// signal.
    #[cfg(feature = "ctrlc")]
    pub(crate) fn beside(signal: c_int, claim: Claim, inner: &Arc<Inner>, handler: Disposition) -> io::Result<Self> {
        let slot = claim.slot();
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let bell = super::bell::Bell::new(slot, inner)?;
        handlers::set_ours(slot, handler);
        slot.listen(inner);
        let ear = Self {
            signal,
            action: None,
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            _bell: bell,
            heard: slot.heard.load(Ordering::Relaxed), // see `Slot::hear`
            reported: None,
            claim,
        };
        slot.set_armed(true);
        let now = Disposition::of(signal)?;
        handlers::own(signal, slot, &now)?;
        Ok(ear)
    }

    /// Returns the handler that another part of the program has installed since, if this was not reported yet.
    pub(super) fn check(&mut self) -> Option<Disposition> {
        let slot = self.claim.slot();
        // Before the look: a delivery that the other handler has passed on already is not in this count.
        let heard = slot.heard.load(Ordering::Relaxed); // see `Slot::hear`
        let Some(foreign) = handlers::foreign(self.signal, slot) else {
            self.heard = heard;
            return None;
        };
        let news = self.reported.is_none_or(|(address, _)| address != foreign.address());
        if news {
            self.reported = Some((foreign.address(), self.heard));
        }
        news.then_some(foreign)
    }

    /// Whether a handler of another part has kept the signal from the shutdown, as far as is known: it is still there, and the shutdown
    /// has not heard since the last look that did not see it.
    pub(super) fn is_deaf(&self) -> bool {
        let slot = self.claim.slot();
        let silent = self.reported.is_some_and(|(_, heard)| slot.heard.load(Ordering::Relaxed) == heard);
        silent && handlers::foreign(self.signal, slot).is_some()
    }

    /// Has the shutdown hear the signal again, and then the handler of the other part.
    pub(super) fn take(&mut self, foreign: Disposition) -> io::Result<()> {
        self.reported = None;
        handlers::take(self.signal, self.claim.slot(), foreign)
    }
}

fn register(signal: c_int, slot: &'static Slot) -> io::Result<SigId> {
    // SAFETY: the action is async-signal-safe, as `Slot::hear` says. It panics at nothing: `signal` is below 256, as `Claim::new` has
    // seen.
    unsafe { low_level::register(signal, move || slot.hear(signal)) }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let slot = self.claim.slot();
        // First: a delivery from now on has the action that it had before.
        slot.set_armed(false);
        Between::ArmedAndUnregistered.reach();
        handlers::give_back(self.signal, slot);
        if let Some(action) = self.action {
            low_level::unregister(action);
        }
        slot.stop_listening();
        Between::UnregisteredAndClaim.reach();
    }
}

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
pub(crate) struct Registration {
    pub(super) signal: c_int,
    /// signal-hook's; `None`: another crate's handler hears the signal, unless `front` takes its place.
    action: Option<SigId>,
    /// Wakes the driver where a handler may not.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    _wake_thread: super::wake_pipe::WakeThread,
    /// How many deliveries had been heard at the last look that saw no handler of another part.
    deliveries: u32,
    /// The handler of another part that was reported: its address, and `deliveries` then.
    reported: Option<(usize, u32)>,
    // Given back last.
    claim: Claim,
}

impl Registration {
    pub(crate) fn new(signal: c_int, inner: &Arc<Inner>) -> Result<Self, SignalError> {
        let claim = Claim::new(signal)?;
        Self::install(signal, claim, inner).map_err(|source| SignalError::Os { signal, source })
    }

    fn install(signal: c_int, claim: Claim, inner: &Arc<Inner>) -> io::Result<Self> {
        let slot = claim.slot();
        handlers::settle(signal)?;
        let before = Disposition::of(signal)?;
        let mut registration = Self::listening(signal, claim, inner)?;
        registration.action = Some(register(signal, slot)?);
        registration.arm(&before)
    }

    /// For a signal that another crate hears for this shutdown, with this handler. If that is not in the table any more, `front` hears the
    /// signal.
    #[cfg(feature = "ctrlc")]
    pub(crate) fn beside(signal: c_int, claim: Claim, inner: &Arc<Inner>, handler: Disposition) -> io::Result<Self> {
        handlers::set_ours(claim.slot(), handler);
        Self::listening(signal, claim, inner)?.arm(&Disposition::of(signal)?)
    }

    /// The shutdown hears the signal as soon as a handler does.
    #[cfg_attr(
        any(target_os = "linux", target_os = "android"),
        expect(clippy::unnecessary_wraps, reason = "on other systems it may fail")
    )]
    fn listening(signal: c_int, claim: Claim, inner: &Arc<Inner>) -> io::Result<Self> {
        let slot = claim.slot();
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let wake_thread = super::wake_pipe::WakeThread::new(slot, inner)?;
        slot.listen(inner);
        Ok(Self {
            signal,
            action: None,
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            _wake_thread: wake_thread,
            deliveries: slot.deliveries.load(Ordering::Relaxed), // see `Slot::hear`
            reported: None,
            claim,
        })
    }

    /// Ends the default action, and sees to it that the handler in the table is one that hears. `before`: the entry from before
    /// signal-hook was told of the signal.
    fn arm(self, before: &Disposition) -> io::Result<Self> {
        let slot = self.claim.slot();
        // Only now: a delivery that comes before, on another thread, has its default action, as it would have had.
        slot.set_armed(true);
        handlers::own(self.signal, slot, before)?;
        Ok(self)
    }

    /// Returns the handler that another part of the program has installed since, if this was not reported yet.
    pub(super) fn check(&mut self) -> Option<Disposition> {
        let slot = self.claim.slot();
        // Before the look: a delivery that the other handler has passed on already is not in this count.
        let deliveries = slot.deliveries.load(Ordering::Relaxed); // see `Slot::hear`
        let Some(foreign) = handlers::foreign(self.signal, slot) else {
            self.deliveries = deliveries;
            return None;
        };
        let news = self.reported.is_none_or(|(address, _)| address != foreign.address());
        if news {
            self.reported = Some((foreign.address(), self.deliveries));
        }
        news.then_some(foreign)
    }

    /// Whether a handler of another part has kept the signal from the shutdown, as far as is known: it is still there, and the shutdown
    /// has not heard since the last look that did not see it.
    pub(super) fn is_deaf(&self) -> bool {
        let slot = self.claim.slot();
        let silent = self.reported.is_some_and(|(_, before)| slot.deliveries.load(Ordering::Relaxed) == before);
        silent && handlers::foreign(self.signal, slot).is_some()
    }

    /// Has the shutdown hear the signal again, and then the handler of the other part.
    pub(super) fn take(&mut self, foreign: Disposition) -> io::Result<()> {
        self.reported = None;
        handlers::take(self.signal, self.claim.slot(), foreign)
    }
}

fn register(signal: c_int, slot: &'static Slot) -> io::Result<SigId> {
    // SAFETY: the action is async-signal-safe, as `Slot::hear` says. It panics at nothing: `signal` is below `SIGNALS`, as `Claim::new` has
    // seen.
    unsafe { low_level::register(signal, move || slot.hear(signal)) }
}

impl Drop for Registration {
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

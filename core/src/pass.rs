//! What an admitted piece of work holds until it is done. Not here: who is admitted (`gate`, `striped`).

use core::fmt;
use core::ops::Deref;

use crate::{Gate, Refused};

/// A gate, for whoever does not mind which: a [`Gate`] or a [`StripedGate`](crate::StripedGate).
pub trait AnyGate: Counting {}

impl<G: Counting> AnyGate for G {}

/// What a pass does to its gate. Nobody else can name it, so that no count is changed but by a pass.
pub trait Counting {
    /// Counts one more.
    fn admit(&self) -> Result<(), Refused>;

    /// Counts one more next to a pass that is alive.
    fn split(&self) -> Result<(), Refused>;

    /// Takes one back.
    fn leave(&self);
}

/// One admitted piece of work, counted until it is dropped. From [`Gate::enter`] and
/// [`StripedGate::enter`](crate::StripedGate::enter).
#[must_use = "dropped at once, it admits nothing"]
pub struct Pass<'a, G: AnyGate = Gate> {
    gate: &'a G,
}

impl<'a, G: AnyGate> Pass<'a, G> {
    #[inline]
    pub(crate) fn new(gate: &'a G) -> Result<Self, Refused> {
        gate.admit()?;
        Ok(Self { gate })
    }

    /// Another pass for a part of the same work, also after the gate was closed: the work was admitted.
    ///
    /// # Errors
    ///
    /// [`Refused::Full`] while [`Gate::MAX`] passes of a [`Gate`] are alive.
    #[inline]
    pub fn split(&self) -> Result<Self, Refused> {
        self.gate.split()?;
        Ok(Self { gate: self.gate })
    }
}

impl<G: AnyGate> Drop for Pass<'_, G> {
    #[inline]
    fn drop(&mut self) {
        self.gate.leave();
    }
}

impl<G: AnyGate> fmt::Debug for Pass<'_, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").finish_non_exhaustive()
    }
}

/// One admitted piece of work that keeps its gate alive. From [`Gate::enter_owned`] and
/// [`StripedGate::enter_owned`](crate::StripedGate::enter_owned).
///
/// `holder` has to lead to the same gate for as long as it lives, as every `Arc`, `Rc`, `Box` and reference does.
#[must_use = "dropped at once, it admits nothing"]
pub struct OwnedPass<H: Deref<Target: AnyGate>> {
    holder: H,
}

impl<H: Deref<Target: AnyGate>> OwnedPass<H> {
    /// Returns what leads to its gate.
    #[must_use]
    pub const fn holder(&self) -> &H {
        &self.holder
    }

    #[inline]
    pub(crate) fn new(holder: H) -> Result<Self, Refused> {
        holder.admit()?;
        Ok(Self { holder })
    }
}

impl<H: Deref<Target: AnyGate> + Clone> OwnedPass<H> {
    /// As [`Pass::split`].
    ///
    /// # Errors
    ///
    /// As for [`Pass::split`].
    pub fn split(&self) -> Result<Self, Refused> {
        let holder = self.holder.clone();
        holder.split()?;
        Ok(Self { holder })
    }
}

impl<H: Deref<Target: AnyGate>> Drop for OwnedPass<H> {
    #[inline]
    fn drop(&mut self) {
        // Before the holder goes, and the gate perhaps with it.
        self.holder.leave();
    }
}

impl<H: Deref<Target: AnyGate>> fmt::Debug for OwnedPass<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPass").finish_non_exhaustive()
    }
}

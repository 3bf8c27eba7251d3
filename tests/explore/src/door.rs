//! The gates by one name, for what holds for each of them.

use std::ops::Deref;

use winddown_core::{AnyGate, Gate, Notify, OwnedPass, Pass, Refused, StripedGate};

use crate::stripes::{At, Threads};

/// A [`Gate`], or a [`StripedGate`] among threads that say where they count.
pub trait Door<N: Notify>: AnyGate + Sized {
    /// An open one.
    fn with_notify(bell: N) -> Self;

    /// From here on the current thread counts at the stripe of this number, which is nobody else's: its own, if the gate's type
    /// says that it may have one.
    fn at(&self, number: usize) -> Option<At<'_>>;

    /// As [`Gate::enter`].
    ///
    /// # Errors
    ///
    /// As there.
    fn enter(&self) -> Result<Pass<'_, Self>, Refused>;

    /// As [`Gate::enter_owned`].
    ///
    /// # Errors
    ///
    /// As there.
    fn enter_owned<H: Deref<Target = Self>>(holder: H) -> Result<OwnedPass<H>, Refused>;

    /// As [`Gate::close`].
    fn close(&self) -> bool;

    /// As [`Gate::is_closed`].
    fn is_closed(&self) -> bool;

    /// As [`Gate::is_drained`].
    fn is_drained(&self) -> bool;

    /// As [`Gate::in_flight`].
    fn in_flight(&self) -> usize;
}

/// How many stripes there are in tests: few, so that threads meet.
pub const STRIPES: usize = 3;

/// A striped gate at which those threads have a stripe of their own whose bit is set.
pub type Striped<N, const OWN: u8> = StripedGate<Threads<OWN>, N, STRIPES>;

macro_rules! as_its_own {
    () => {
        fn enter(&self) -> Result<Pass<'_, Self>, Refused> {
            self.enter()
        }

        fn enter_owned<H: Deref<Target = Self>>(holder: H) -> Result<OwnedPass<H>, Refused> {
            Self::enter_owned(holder)
        }

        fn close(&self) -> bool {
            self.close()
        }

        fn is_closed(&self) -> bool {
            self.is_closed()
        }

        fn is_drained(&self) -> bool {
            self.is_drained()
        }

        fn in_flight(&self) -> usize {
            self.in_flight()
        }
    };
}

impl<N: Notify> Door<N> for Gate<N> {
    fn with_notify(bell: N) -> Self {
        Self::with_notify(bell)
    }

    fn at(&self, _: usize) -> Option<At<'_>> {
        None
    }

    as_its_own!();
}

impl<N: Notify, const OWN: u8> Door<N> for Striped<N, OWN> {
    fn with_notify(bell: N) -> Self {
        Self::with_notify(Threads::default(), bell)
    }

    fn at(&self, number: usize) -> Option<At<'_>> {
        Some(self.stripes().at(number))
    }

    as_its_own!();
}

//! Core's striped gate by itself: with a stripe for each thread and `membarrier(2)`, and with stripes that are shared, as where
//! there is no barrier.

use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

use rustix::thread::{MembarrierCommand, membarrier};
use winddown_core::{Stripe, StripeSet, StripedGate, Stripes};

use crate::doors::Door;

/// The threads of this process, which own their stripes or share them.
pub(crate) struct Threads<const OWN: bool>;

pub(crate) type Striped<const OWN: bool> = StripedGate<Threads<OWN>>;

static FREE: StripeSet = StripeSet::new();

/// Deals the stripes out to those who share.
static SHARERS: AtomicUsize = AtomicUsize::new(0);

/// What a thread has as long as it is there.
struct Place {
    own: Option<usize>,
    shared: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(number) = self.own {
            FREE.give_back(number);
        }
    }
}

thread_local! {
    static PLACE: Place = Place { own: FREE.claim(), shared: SHARERS.fetch_add(1, Ordering::Relaxed) };
}

impl<const OWN: bool> Stripes for Threads<OWN> {
    #[inline]
    fn stripe(&self) -> Stripe {
        PLACE.with(|place| match place.own {
            Some(number) if OWN => Stripe::own(number),
            _ => Stripe::shared(place.shared),
        })
    }

    #[inline]
    fn light_barrier(&self) {
        compiler_fence(Ordering::SeqCst);
    }

    fn heavy_barrier(&self) {
        if OWN {
            membarrier(MembarrierCommand::PrivateExpedited).expect("it is registered");
        }
    }
}

impl<const OWN: bool> Door for Striped<OWN> {
    const NAME: &'static str =
        if OWN { "winddown-core `StripedGate`" } else { "winddown-core `StripedGate`, without `membarrier(2)`" };
    type Pass<'a> = winddown_core::Pass<'a, Self>;

    fn open() -> Self {
        if OWN {
            membarrier(MembarrierCommand::RegisterPrivateExpedited).expect("Linux has it");
        }
        Self::with_notify(Threads, ())
    }

    #[inline]
    fn enter(&self) -> Self::Pass<'_> {
        self.enter().expect("it is open")
    }
}

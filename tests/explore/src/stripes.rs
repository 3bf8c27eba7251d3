//! Threads that say where they count, and barriers for them: full fences on real threads, nothing under a scheduler (which
//! shows every store to everyone at once), and under loom what `membarrier(2)` does.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use winddown_core::{Stripe, Stripes};

use crate::STRIPES;

#[cfg(winddown_loom)]
use loom::{sync::atomic::fence, thread, thread_local};
#[cfg(winddown_shuttle)]
use shuttle::thread_local;
#[cfg(not(any(winddown_loom, winddown_shuttle)))]
use std::{sync::atomic::fence, thread_local};

thread_local! {
    /// Who the current thread is, and the number of its stripe, if it has any.
    #[allow(clippy::missing_const_for_thread_local, reason = "the explorers' have no such form")]
    static MINE: Cell<Option<(usize, usize)>> = Cell::new(None);
}

/// Stripes of which those whose bit is set in `OWN` may be some thread's own.
///
/// Under loom, which has no barrier that reaches another thread: whoever closes says so and waits until each thread that has a
/// stripe of its own has made a full fence, at some point of its choice between two of its steps at the gate, or has
/// gone. What they say to each other is none of the atomics that are explored, and so orders nothing. Where there are
/// `FENCES`, it is full fences on both sides instead, and nobody waits.
#[derive(Default)]
pub struct Threads<const OWN: u8, const FENCES: bool = false> {
    /// How often a heavy barrier was asked for.
    asked: AtomicUsize,
    /// What of that each thread has seen; `ABSENT` where there is none.
    seen: [Seen; STRIPES],
}

struct Seen(AtomicUsize);

const ABSENT: usize = usize::MAX;

impl Default for Seen {
    fn default() -> Self {
        Self(AtomicUsize::new(ABSENT))
    }
}

impl<const OWN: u8, const FENCES: bool> Threads<OWN, FENCES> {
    /// Then there is no barrier, as where the system has none.
    const ALL_SHARE: bool = OWN == 0;

    fn may_own(number: usize) -> bool {
        OWN & (1 << number) != 0
    }

    /// The current thread is this one and counts at the stripe of that number, until what this returns is dropped.
    ///
    /// # Panics
    ///
    /// When another one is.
    pub fn at(&self, number: usize) -> At<'_> {
        MINE.with(|mine| assert_eq!(mine.replace(Some((number, number))), None, "one at a time"));
        let Seen(seen) = &self.seen[number];
        assert_eq!(seen.swap(self.asked.load(Ordering::SeqCst), Ordering::SeqCst), ABSENT, "taken");
        // A thread's beginning and its end are full fences.
        full_fence();
        At { seen }
    }

    /// A point between two steps at which a barrier may reach this thread.
    fn may_be_reached(&self) {
        if Self::ALL_SHARE {
            return;
        }
        if let Some(Seen(seen)) = MINE.with(Cell::get).map(|(who, _)| &self.seen[who]) {
            let asked = self.asked.load(Ordering::SeqCst);
            if seen.load(Ordering::SeqCst) != asked {
                full_fence();
                seen.store(asked, Ordering::SeqCst);
            }
        }
    }
}

impl<const OWN: u8, const FENCES: bool> Stripes for Threads<OWN, FENCES> {
    fn stripe(&self) -> Stripe {
        self.may_be_reached();
        match MINE.with(Cell::get) {
            Some((_, number)) if Self::may_own(number) => Stripe::own(number),
            mine => Stripe::shared(mine.map_or(0, |(_, number)| number)),
        }
    }

    fn light_barrier(&self) {
        if cfg!(winddown_loom) && !FENCES {
            self.may_be_reached();
        } else {
            full_fence();
        }
    }

    fn heavy_barrier(&self) {
        if Self::ALL_SHARE {
            return;
        }
        full_fence();
        #[cfg(winddown_loom)]
        if !FENCES {
            let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            let mine = MINE.with(Cell::get).map(|(who, _)| who);
            let waits_for =
                |(who, Seen(seen)): (usize, &Seen)| Some(who) != mine && seen.load(Ordering::SeqCst) < asked;
            while self.seen.iter().enumerate().any(waits_for) {
                thread::yield_now();
            }
            full_fence();
        }
    }
}

#[cfg(not(winddown_shuttle))]
fn full_fence() {
    fence(Ordering::SeqCst);
}

#[cfg(winddown_shuttle)]
fn full_fence() {}

/// A thread at its stripe.
#[must_use = "dropped, the thread has no stripe"]
pub struct At<'a> {
    seen: &'a AtomicUsize,
}

impl At<'_> {
    /// From here on the thread counts at another stripe.
    pub fn moves_to(&self, number: usize) {
        MINE.with(|mine| mine.set(mine.get().map(|(who, _)| (who, number))));
    }
}

impl Drop for At<'_> {
    fn drop(&mut self) {
        full_fence();
        self.seen.store(ABSENT, Ordering::SeqCst);
        MINE.with(|mine| mine.set(None));
    }
}

impl<const OWN: u8, const FENCES: bool> fmt::Debug for Threads<OWN, FENCES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

impl fmt::Debug for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("At").finish_non_exhaustive()
    }
}

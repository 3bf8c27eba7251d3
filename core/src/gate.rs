//! Admission and the count of what was admitted, in one word. Not here: classes, labels, waiting.

use core::fmt;
use core::ops::Deref;

use crate::pass::Counting;
use crate::sync::{AtomicUsize, Ordering, const_unless_loom};
use crate::{Notify, OwnedPass, Pass, Refused};

/// A door with a count: it admits until it is closed, and says when the last one has left.
///
/// | refused | drained | count | meaning |
/// |---|---|---|---|
/// | 0 | 0 | n | open, n inside |
/// | 1 | 0 | n > 0 | closed, n inside (or n - k, and k refused entrants about to undo their count) |
/// | 1 | 0 | 0 | closed and empty; whoever made it so is about to set `drained` |
/// | 1 | 1 | k | drained, for ever (k refused entrants about to undo) |
///
/// # Invariants
///
/// 1. [`enter`](Self::enter) decides and counts in one read-modify-write, so there is no moment between "admitted" and
///    "counted" (P2).
/// 2. `drained` is set by one compare-and-swap from *closed and empty*. Whoever brings the count of a closed gate to 0
///    tries it: [`close`](Self::close), the last pass, or the undo of a refused entrant. One of them succeeds, and that
///    one notifies: exactly once (P4).
/// 3. A thread that has seen the gate closed does not touch the count again, so however often a program retries,
///    refused entrants hold "drained" up at most once for each thread.
/// 4. The count never reaches the flags: [`MAX`](Self::MAX) leaves as much room again for entrants about to undo.
///
/// A pass that is lost ([`core::mem::forget`]) stays in the count: a straggler, and the gate never drains.
///
/// Lock-free, no allocation; every method may be called from a signal handler if [`Notify::notify`] may.
///
/// ```
/// use winddown_core::{Gate, Refused};
///
/// static REQUESTS: Gate = Gate::new();
///
/// let pass = REQUESTS.enter()?;
/// assert!(REQUESTS.close(), "this call closed it");
/// assert!(!REQUESTS.close(), "it was closed");
/// assert_eq!(REQUESTS.enter().unwrap_err(), Refused::Closed);
/// assert!(!REQUESTS.is_drained());
/// drop(pass);
/// assert!(REQUESTS.is_drained());
/// # Ok::<(), Refused>(())
/// ```
pub struct Gate<N: Notify = ()> {
    word: AtomicUsize,
    bell: N,
}

const REFUSED: usize = 1 << (usize::BITS - 1);
const DRAINED: usize = 1 << (usize::BITS - 2);
const COUNT: usize = DRAINED - 1;

impl Gate {
    const_unless_loom! {
        /// An open gate that tells nobody when it is drained; see [`is_drained`](Self::is_drained).
        #[must_use]
        pub fn new() -> Self {
            Self::with_notify(())
        }
    }
}

impl<N: Notify> Gate<N> {
    /// The most passes that can be alive at a time: half of what fits, the rest is headroom for entrants on their way
    /// out (2^61 - 1 on 64-bit targets, 2^29 - 1 on 32-bit ones).
    pub const MAX: usize = COUNT / 2;

    const_unless_loom! {
        /// An open gate that notifies `bell` when it is drained.
        #[must_use]
        pub fn with_notify(bell: N) -> Self {
            Self { word: AtomicUsize::new(0), bell }
        }
    }

    /// Asks to be let in: a pass that is counted until it is dropped.
    ///
    /// One load and one read-modify-write when admitted.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] once [`close`](Self::close) was called: from then on for every caller, for ever.
    /// [`Refused::Full`] while [`MAX`](Self::MAX) passes are alive.
    #[inline]
    pub fn enter(&self) -> Result<Pass<'_, Self>, Refused> {
        Pass::new(self)
    }

    /// As [`enter`](Self::enter), for a pass that leaves the scope: it keeps `holder` (an `Arc<Gate>`, say) and with it
    /// the gate. It costs what cloning and dropping the holder costs, which for an `Arc` is as much again as the pass.
    ///
    /// # Errors
    ///
    /// As for [`enter`](Self::enter).
    #[inline]
    pub fn enter_owned<H: Deref<Target = Self>>(holder: H) -> Result<OwnedPass<H>, Refused> {
        OwnedPass::new(holder)
    }

    #[inline]
    fn count_one(&self) -> Result<(), Refused> {
        // Acquire pairs with the release in `close`, as above.
        let before = self.word.fetch_add(1, Ordering::Acquire);
        if before < Self::MAX { Ok(()) } else { Err(self.undo(before)) }
    }

    #[cold]
    fn undo(&self, before: usize) -> Refused {
        self.leave();
        if before & REFUSED == 0 { Refused::Full } else { Refused::Closed }
    }

    /// From closed and empty to drained, once.
    #[cold]
    fn try_drained(&self) {
        // Acquire pairs with the release in every `leave`, so that the bell's hearer has all of their work behind it. No
        // release: what is to be seen by `is_drained` was released by those `leave`s and by `close`, and this swap
        // continues their release sequences. Failure needs no order: somebody else will get here, or has been.
        let swapped = self.word.compare_exchange(REFUSED, REFUSED | DRAINED, Ordering::Acquire, Ordering::Relaxed);
        if swapped.is_ok() {
            self.bell.notify();
        }
    }

    /// Refuses everyone from now on. `true` for the one call that did it.
    ///
    /// An empty gate is drained by this very call, and the bell rung before it returns.
    pub fn close(&self) -> bool {
        // Release pairs with the acquires in `admit`, `count_one` and `is_closed`; acquire with the release of the call
        // that had closed it before.
        let before = self.word.fetch_or(REFUSED, Ordering::AcqRel);
        if before == 0 {
            self.try_drained();
        }
        before & REFUSED == 0
    }

    /// Whether [`close`](Self::close) was called. It pairs with the release there.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & REFUSED != 0
    }

    /// Whether the gate is closed and nobody is inside. Once true, true for ever.
    ///
    /// Acquire: pairs with the release in `leave`, through `try_drained`, so everything that was done under any pass has
    /// happened.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.word.load(Ordering::Acquire) & DRAINED != 0
    }

    /// How many passes are alive. While others come and go it is a moment's figure, and entrants who are being refused
    /// may be in it; for "is it over?" ask [`is_drained`](Self::is_drained).
    #[must_use]
    pub fn in_flight(&self) -> usize {
        // Acquire pairs with the release in `leave`: what those who are not in the figure any more did has happened.
        let word = self.word.load(Ordering::Acquire);
        if word & DRAINED == 0 { word & COUNT } else { 0 }
    }
}

impl<N: Notify> Counting for Gate<N> {
    #[inline]
    fn admit(&self) -> Result<(), Refused> {
        // Acquire pairs with the release in `close`: who is refused sees what the closer did before. The load is there
        // for invariant 3 only; the addition below decides.
        if self.word.load(Ordering::Acquire) & REFUSED != 0 {
            return Err(Refused::Closed);
        }
        self.count_one()
    }

    /// Next to a pass that is alive the count cannot be 0 nor the gate drained.
    fn split(&self) -> Result<(), Refused> {
        // Relaxed: the pass it is split from orders everything; see `leave`.
        let before = self.word.fetch_add(1, Ordering::Relaxed);
        if before & COUNT < Self::MAX {
            return Ok(());
        }
        self.leave();
        Err(Refused::Full)
    }

    #[inline]
    fn leave(&self) {
        // Release: what was done under the pass is seen by whoever sees the gate drained (the acquire in `is_drained`,
        // and in `try_drained`, whose swap follows this in the same release sequence).
        let before = self.word.fetch_sub(1, Ordering::Release);
        if before == REFUSED | 1 {
            self.try_drained();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Notify> fmt::Debug for Gate<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("closed", &self.is_closed())
            .field("drained", &self.is_drained())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate_with(count: usize) -> Gate {
        Gate { word: AtomicUsize::new(count), bell: () }
    }

    #[test]
    fn a_full_gate_refuses_and_keeps_its_count() {
        assert_eq!(Gate::<()>::MAX, usize::MAX / 8, "2^61 - 1 of 2^64");
        let gate = gate_with(Gate::<()>::MAX - 1);
        let last = gate.enter().unwrap();
        assert_eq!(gate.enter().unwrap_err(), Refused::Full);
        assert_eq!(last.split().unwrap_err(), Refused::Full);
        assert_eq!(gate.in_flight(), Gate::<()>::MAX);
        drop(last);
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn a_full_gate_closes() {
        let gate = gate_with(Gate::<()>::MAX);
        assert!(gate.close());
        assert_eq!(gate.enter().unwrap_err(), Refused::Closed);
        assert_eq!(gate.in_flight(), Gate::<()>::MAX);
    }

    /// P2: the entrant who looked before the close and counts after it, whatever has happened meanwhile.
    #[test]
    fn p2_who_counts_after_the_close_is_refused_and_undone() {
        for closed in [REFUSED | 1, REFUSED | DRAINED] {
            let gate = gate_with(closed);
            assert_eq!(gate.count_one(), Err(Refused::Closed));
            assert_eq!(gate.word.load(Ordering::Relaxed), closed);
        }
    }

    /// Invariant 3: who asks a closed gate again and again never counts, and so never holds "drained" up.
    #[test]
    fn who_has_seen_the_gate_closed_does_not_count() {
        // With the count at its end, an addition would spill into the flags.
        let gate = gate_with(REFUSED | COUNT);
        assert_eq!(gate.admit(), Err(Refused::Closed));
        assert_eq!(gate.word.load(Ordering::Relaxed), REFUSED | COUNT);
    }

    /// P4: the three who can bring a closed gate to 0. Here the entrant who came between `close` and the last pass.
    #[test]
    fn p4_the_undo_of_a_refused_entrant_drains() {
        let gate = gate_with(REFUSED | 2);
        gate.leave(); // the last pass leaves, an entrant still holds its count
        assert!(!gate.is_drained());
        assert_eq!(gate.undo(REFUSED | 1), Refused::Closed);
        assert!(gate.is_drained());
    }
}

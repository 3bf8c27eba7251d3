//! Admission for many cores: as `gate`, with a line for each thread instead of one word for all.

use core::fmt;
use core::ops::Deref;

use crate::pass::Counting;
use crate::sync::{AtomicU32, AtomicUsize, Ordering, const_unless_loom};
use crate::{Notify, OwnedPass, Pass, Refused, Stripes};

/// A [`Gate`](crate::Gate) for programs whose cores all come and go at the rate of their requests: the same promise, paid for
/// by who closes it.
///
/// Each thread counts who enters and who leaves on a line of its own, by plain loads and stores; nothing that another core
/// writes is touched while the gate is open. Threads beyond the stripes share them, by read-modify-writes.
///
/// # How it works
///
/// A stripe has four counts, which only grow (and may wrap): *entered* and *left* by its owner, *entered* and *left* by
/// those who share it. A pass may leave on another thread than it entered on. So one count says nothing; the sum over all
/// stripes of what entered, less that of what left, is how many are inside.
///
/// | word | open | being closed | closed |
/// |---|---|---|---|
/// | `closed` | 0 | 1 | 1 |
/// | lowest bit of the shared counts | 0 | 0 or 1 | 1 |
/// | `owed` | 0 | k, those who left late | 2^(n-1) - who was inside + k, until its highest bit is set |
/// | `drained` | 0 | 0 | 1 once nobody is inside |
///
/// # Invariants
///
/// 1. **Owners** store their count and then, behind the light barrier, look whether the gate is closed. The closer says
///    that it is, and then sums, behind the heavy barrier. So whoever is not in its sum saw the gate closed: an entrant takes
///    its count back and is refused (P2), a leaver tells (P4).
/// 2. **Sharers** count and learn whether the gate is closed in one read-modify-write, as with a `Gate`: the closer sets a
///    bit in each shared count by the very read-modify-write that reads it.
/// 3. Who leaves a closed gate is late and adds 1 to `owed`. The closer adds `2^(n-1)` less the number of those inside by its
///    sum. From then on the highest bit of `owed`, which stays, says that at least as many have left as were inside; before,
///    nobody may judge, since an entrant's count may not have been seen yet. Whoever finds or brings that bit looks at the
///    sums; the last one to leave is among them, and has all the others' counts behind it (P4).
/// 4. A sum reads every *left* first and every *entered* after. Whoever it sees gone it sees come, parts that were split
///    off included; so sums that are equal mean that nobody was inside in between (P3).
/// 5. `drained` is set by a swap, and the one that found it unset notifies: exactly once.
/// 6. A thread that has seen the gate closed does not count any more, however often a program retries.
///
/// A pass that is lost ([`core::mem::forget`]) stays inside: a straggler, and the gate never drains.
///
/// Entering and leaving are lock-free and allocate nothing; only the closer can hold "drained" up, until its barrier is done.
/// [`Stripes`] says where passes may not be taken: in signal handlers, for one.
///
/// The counts are modulo `2^(n-1)` on n-bit targets: where that many passes are alive at once (forgotten ones count), the gate
/// takes them for nobody.
///
/// When the gate is drained, whoever left last may still be about to look at it: what keeps the gate in memory is the borrow
/// or the holder in each pass, not that count.
///
/// # Source
///
/// Asymmetric barriers are those of Dice, Huang and Yang, "Asymmetric Dekker Synchronization" (2001); one count for
/// those who come and one for those who go is from Linux's sleepable RCU (2006).
///
/// # Example
///
/// With everybody sharing, which needs no barriers:
///
/// ```
/// use winddown_core::{Refused, Stripe, Stripes, StripedGate};
///
/// struct Core0;
/// impl Stripes for Core0 {
///     fn stripe(&self) -> Stripe {
///         Stripe::shared(0) // the number of the core that this runs on
///     }
///     fn light_barrier(&self) {}
///     fn heavy_barrier(&self) {}
/// }
///
/// static REQUESTS: StripedGate<Core0, (), 2> = StripedGate::with_notify(Core0, ());
///
/// let pass = REQUESTS.enter()?;
/// assert!(REQUESTS.close(), "this call closed it");
/// assert_eq!(REQUESTS.enter().unwrap_err(), Refused::Closed);
/// assert!(!REQUESTS.is_drained());
/// drop(pass);
/// assert!(REQUESTS.is_drained());
/// # Ok::<(), Refused>(())
/// ```
pub struct StripedGate<S: Stripes, N: Notify = (), const STRIPES: usize = 64> {
    door: Line<Door<S, N>>,
    late: Line<Late>,
    lines: [Line<Counts>; STRIPES],
}

/// On lines of its own: 128 bytes, because current processors fetch lines in pairs.
#[repr(align(128))]
struct Line<T>(T);

/// Read by everyone, written once.
struct Door<S, N> {
    closed: AtomicU32,
    stripes: S,
    bell: N,
}

/// Touched only from the close on.
struct Late {
    owed: AtomicUsize,
    drained: AtomicU32,
    /// Entrants who had counted and were refused.
    undone: AtomicUsize,
}

struct Counts {
    owner: Pair,
    sharers: Pair,
}

/// Half a line, so that an owner does not meet those who share the stripe.
#[repr(align(64))]
struct Pair {
    entered: AtomicUsize,
    left: AtomicUsize,
}

/// The bit in a shared count that says that the gate is closed.
const CLOSED: usize = 1;
/// One pass, in any count: beside that bit.
const ONE: usize = 2;
/// The bit in `owed` that says that as many have left as were inside.
const PAID: usize = 1 << (usize::BITS - 1);

impl Counts {
    const_unless_loom! {
        fn new() -> Self {
            Self { owner: Pair::new(), sharers: Pair::new() }
        }
    }
}

impl Pair {
    const_unless_loom! {
        fn new() -> Self {
            Self { entered: AtomicUsize::new(0), left: AtomicUsize::new(0) }
        }
    }
}

impl<S: Stripes, N: Notify, const STRIPES: usize> StripedGate<S, N, STRIPES> {
    const SOME: () = assert!(STRIPES > 0, "a striped gate has at least one stripe");

    const_unless_loom! {
        /// An open gate that notifies `bell` when it is drained. No stripes at all do not compile.
        #[must_use]
        pub fn with_notify(stripes: S, bell: N) -> Self {
            let () = Self::SOME;
            #[cfg(not(winddown_loom))]
            let lines = [const { Line(Counts::new()) }; STRIPES];
            #[cfg(winddown_loom)]
            let lines = core::array::from_fn(|_| Line(Counts::new()));
            Self {
                door: Line(Door { closed: AtomicU32::new(0), stripes, bell }),
                late: Line(Late {
                    owed: AtomicUsize::new(0),
                    drained: AtomicU32::new(0),
                    undone: AtomicUsize::new(0),
                }),
                lines,
            }
        }
    }

    /// Asks to be let in: a pass that is counted until it is dropped, on any thread.
    ///
    /// Two loads and a store on the thread's own line when admitted, or a load and a read-modify-write on a shared one.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] once [`close`](Self::close) was called: from then on for every caller, for ever.
    #[inline]
    pub fn enter(&self) -> Result<Pass<'_, Self>, Refused> {
        Pass::new(self)
    }

    /// As [`enter`](Self::enter), for a pass that leaves the scope: it keeps `holder` (an `Arc` of the gate, say) and with it
    /// the gate. Cloning and dropping an `Arc` costs many times what the pass does, and threads that share one meet
    /// there; a gate that lives as long as the program gives a `Pass<'static, _>` instead.
    ///
    /// # Errors
    ///
    /// As for [`enter`](Self::enter).
    #[inline]
    pub fn enter_owned<H: Deref<Target = Self>>(holder: H) -> Result<OwnedPass<H>, Refused> {
        OwnedPass::new(holder)
    }

    /// Refuses everyone from now on. `true` for the one call that did it.
    ///
    /// A gate with nobody inside or at the door is drained by this very call, and the bell rung before it returns. It looks at
    /// every stripe, and runs the heavy barrier.
    pub fn close(&self) -> bool {
        // Release pairs with the acquire in `is_closed`; acquire with the release of the call that had closed it before.
        if self.door.0.closed.swap(1, Ordering::AcqRel) != 0 {
            return false;
        }
        self.door.0.stripes.heavy_barrier();
        let left = self.sum(|line| {
            // Acquire, both, pair with the releases in `leave`: whoever is seen gone is seen come, so the difference is no
            // less than nobody. (Whose work is seen is for `settle` to say, which sums again.)
            let owner = line.owner.left.load(Ordering::Acquire);
            owner.wrapping_add(line.sharers.left.fetch_or(CLOSED, Ordering::Acquire))
        });
        let entered = self.sum(|line| {
            // Relaxed: the heavy barrier has brought what owners had counted. Release pairs with the acquire in
            // `admit`: a sharer who is refused sees what the closer did before.
            let owner = line.owner.entered.load(Ordering::Relaxed);
            owner.wrapping_add(line.sharers.entered.fetch_or(CLOSED, Ordering::Release))
        });
        let inside = entered.wrapping_sub(left) / ONE;
        self.owe(PAID - inside);
        true
    }

    /// Adds to `owed`, and looks at the sums if it says to.
    #[cold]
    fn owe(&self, more: usize) {
        let owed = &self.late.0.owed;
        // Relaxed: the bit stays, and who does not see it yet adds once more.
        let paid = owed.load(Ordering::Relaxed) & PAID != 0;
        // AcqRel, both ways with the same word's change by others: whoever finds the highest bit set sees what the closer saw,
        // and what all who were late before it have counted. What is paid is not added to, so that the bit stays.
        let owed = if paid {
            owed.fetch_or(PAID, Ordering::AcqRel)
        } else {
            owed.fetch_add(more, Ordering::AcqRel).wrapping_add(more)
        };
        if owed & PAID != 0 {
            self.settle();
        }
    }

    /// Drained, if nobody is inside; once.
    fn settle(&self) {
        let (entered, left) = self.sums();
        // Release pairs with the acquire in `is_drained`: the work of everyone who has left, which `sums` acquired. No
        // acquire: who comes second does nothing with it.
        if entered == left && self.late.0.drained.swap(1, Ordering::Release) == 0 {
            self.door.0.bell.notify();
        }
    }

    /// How many have entered, and how many left, each times `ONE`. In this order: invariant 4.
    fn sums(&self) -> (usize, usize) {
        // Acquire pairs with the releases in `leave`: the work of whoever is seen gone has happened, and so has its entry.
        let left = self.sum(|line| {
            let owner = line.owner.left.load(Ordering::Acquire);
            owner.wrapping_add(line.sharers.left.load(Ordering::Acquire))
        });
        // Relaxed: see there.
        let entered = self.sum(|line| {
            let owner = line.owner.entered.load(Ordering::Relaxed);
            owner.wrapping_add(line.sharers.entered.load(Ordering::Relaxed))
        });
        (entered, left)
    }

    /// Adds up what `count` makes of the stripes, without the bits that say that the gate is closed.
    fn sum(&self, mut count: impl FnMut(&Counts) -> usize) -> usize {
        self.lines.iter().map(|line| count(&line.0) & !CLOSED).fold(0, usize::wrapping_add)
    }

    /// Whether [`close`](Self::close) was called. It pairs with the release there.
    #[inline]
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.door.0.closed.load(Ordering::Acquire) != 0
    }

    /// Whether the gate is closed and nobody is inside. Once true, true for ever.
    ///
    /// Acquire: pairs with the release in `settle`, so everything that was done under any pass has happened.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.late.0.drained.load(Ordering::Acquire) != 0
    }

    /// How many passes are alive. While others come and go it is a moment's figure, and entrants who are being refused
    /// may be in it; for "is it over?" ask [`is_drained`](Self::is_drained).
    #[must_use]
    pub fn in_flight(&self) -> usize {
        if self.is_drained() {
            return 0;
        }
        let (entered, left) = self.sums();
        entered.wrapping_sub(left) / ONE
    }

    /// How many passes there have been, parts that were split off included; modulo `2^(n-1)` on n-bit targets. While
    /// others come it is a moment's figure, and entrants who are being refused may be in it.
    #[must_use]
    pub fn admitted(&self) -> usize {
        // Relaxed: a figure for people.
        let undone = self.late.0.undone.load(Ordering::Relaxed);
        self.sums().0.wrapping_sub(undone.wrapping_mul(ONE)) / ONE
    }

    /// What it was told about its surroundings.
    #[must_use]
    pub const fn stripes(&self) -> &S {
        &self.door.0.stripes
    }

    /// The counts where this thread counts, and whether they are its own.
    #[inline]
    fn pair(&self) -> (&Pair, bool) {
        let (number, own) = self.door.0.stripes.stripe().of(STRIPES);
        let line = &self.lines[number].0;
        (if own { &line.owner } else { &line.sharers }, own)
    }

    /// Behind a count of one's own: whether the gate is closed.
    #[inline]
    fn is_closed_after_all(&self) -> bool {
        self.door.0.stripes.light_barrier();
        self.is_closed()
    }

    #[cold]
    fn undo(&self) -> Refused {
        self.late.0.undone.fetch_add(1, Ordering::Relaxed); // a figure for people
        self.leave();
        Refused::Closed
    }
}

/// One more, by the only thread that writes this count.
#[inline]
fn add_one(count: &AtomicUsize, published: Ordering) {
    // Relaxed: it reads what it has written itself, or what its predecessor had before it gave the stripe back.
    count.store(count.load(Ordering::Relaxed).wrapping_add(ONE), published);
}

impl<S: Stripes, N: Notify, const STRIPES: usize> Counting for StripedGate<S, N, STRIPES> {
    #[inline]
    fn admit(&self) -> Result<(), Refused> {
        // For invariant 6 only: what decides comes after the count, or with it.
        if self.is_closed() {
            return Err(Refused::Closed);
        }
        let (pair, own) = self.pair();
        let closed = if own {
            // Relaxed: the barriers see to it that the closer sees this, or is seen.
            add_one(&pair.entered, Ordering::Relaxed);
            self.is_closed_after_all()
        } else {
            // Acquire pairs with the release in `close`: who is refused sees what the closer did before, and finds its bit
            // in every *left* as well.
            pair.entered.fetch_add(ONE, Ordering::Acquire) & CLOSED != 0
        };
        if closed { Err(self.undo()) } else { Ok(()) }
    }

    /// Never refused: the pass that it is split from is inside, and so this entry is seen before that one's end.
    #[inline]
    fn split(&self) -> Result<(), Refused> {
        let (pair, own) = self.pair();
        // Relaxed, both: the pass it is split from orders everything; see `leave`.
        if own {
            add_one(&pair.entered, Ordering::Relaxed);
        } else {
            pair.entered.fetch_add(ONE, Ordering::Relaxed);
        }
        Ok(())
    }

    #[inline]
    fn leave(&self) {
        let (pair, own) = self.pair();
        // Release, both, pair with the acquires in `sums` and `close`: what was done under the pass is seen by whoever sees
        // it gone, and so is its entry, and those of the parts split off.
        let late = if own {
            add_one(&pair.left, Ordering::Release);
            self.is_closed_after_all()
        } else {
            pair.left.fetch_add(ONE, Ordering::Release) & CLOSED != 0
        };
        if late {
            self.owe(1);
        }
    }
}

impl<S: Stripes, N: Notify, const STRIPES: usize> fmt::Debug for StripedGate<S, N, STRIPES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripedGate")
            .field("closed", &self.is_closed())
            .field("drained", &self.is_drained())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stripe;

    struct Sharers;

    impl Stripes for Sharers {
        fn stripe(&self) -> Stripe {
            Stripe::shared(0)
        }

        fn light_barrier(&self) {}

        fn heavy_barrier(&self) {}
    }

    /// P4: however many parts come and go behind the close, before the last pass does.
    #[test]
    fn p4_what_is_paid_stays_paid() {
        let gate = StripedGate::<_, (), 1>::with_notify(Sharers, ());
        let last = gate.enter().unwrap();
        gate.close();
        gate.late.0.owed.store(usize::MAX, Ordering::Relaxed);
        drop(last.split());
        assert!(!gate.is_drained());
        drop(last);
        assert!(gate.is_drained());
    }

    /// The counts may wrap: only their difference says anything.
    #[test]
    fn counts_wrap() {
        let gate = StripedGate::<_, (), 1>::with_notify(Sharers, ());
        for count in [&gate.lines[0].0.sharers.entered, &gate.lines[0].0.sharers.left] {
            count.store(usize::MAX - 1, Ordering::Relaxed);
        }
        let pass = gate.enter().unwrap();
        assert_eq!(gate.in_flight(), 1);
        gate.close();
        assert_eq!(gate.in_flight(), 1);
        drop(pass);
        assert!(gate.is_drained());
    }
}

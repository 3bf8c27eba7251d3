//! What a striped gate has to be told by its surroundings: who counts where. Not here: the gate (`striped`).

use core::fmt;

use crate::sync::{AtomicUsize, Ordering, const_unless_loom};

/// Where threads count at a [`StripedGate`](crate::StripedGate), and how a closer makes sure that it sees what they
/// have counted.
///
/// "Thread" is whatever runs side by side and is not interrupted by another that has the same stripe: a thread of an
/// operating system, a core without one.
///
/// # Requirements
///
/// They are about being right, not about memory safety: who breaks them has a gate that drains too early, or never.
///
/// - While a thread is told [`Stripe::own`] with some number, no other is, at no gate that shares these stripes. When the
///   number goes to another, all that its former owner did has happened before (a lock, or release and acquire).
/// - Between a store before [`light_barrier`](Self::light_barrier) and a load after it, and
///   [`heavy_barrier`](Self::heavy_barrier) on another thread: the load sees what was stored before the heavy barrier, or
///   whoever called that sees the store once it has returned. Full fences on both sides do that, and so do nothing but a
///   compiler's fence on the light side and `membarrier(2)` on the heavy one. It is asked for only where a stripe is
///   somebody's own.
/// - A gate's passes are not taken or dropped in an interrupt or a signal handler, on a thread that has a stripe of its
///   own: counting there is a load and a store, and what comes between is lost. (Tell such threads to share, or use a
///   [`Gate`](crate::Gate). To close it there, or to ask, is another matter: that is for the barrier and the bell to say.)
/// - None of these panics: a gate whose closer is gone before its sum never drains.
pub trait Stripes {
    /// Where the current thread counts. It may change at any time.
    fn stripe(&self) -> Stripe;

    /// Keeps this thread's stores before its later loads, as far as who calls `heavy_barrier` can see.
    fn light_barrier(&self);

    /// A full fence in every thread that may count.
    fn heavy_barrier(&self);
}

/// A thread's place to count in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stripe(usize);

/// Added to the number of a stripe that is shared: beyond what any gate has.
const SHARED: usize = 1 << (usize::BITS - 1);

impl Stripe {
    /// It alone writes there. A number beyond the gate's stripes is taken for one that is shared.
    #[inline]
    #[must_use]
    pub const fn own(number: usize) -> Self {
        Self(number)
    }

    /// Others may write there, too. Any number; threads with different ones are apart as far as there are stripes.
    #[inline]
    #[must_use]
    pub const fn shared(number: usize) -> Self {
        Self(number | SHARED)
    }

    /// Which of so many stripes, and whether it is the thread's own.
    #[inline]
    pub(crate) const fn of(self, stripes: usize) -> (usize, bool) {
        if self.0 < stripes { (self.0, true) } else { ((self.0 & !SHARED) % stripes, false) }
    }
}

/// Numbers of stripes, to give each thread one of its own for as long as it is there: as many as a word has bits.
///
/// What the last owner of a number did before [`give_back`](Self::give_back) has happened for the next one, as [`Stripes`]
/// asks. Lock-free.
///
/// ```
/// use winddown_core::StripeSet;
///
/// static FREE: StripeSet = StripeSet::new();
///
/// let (one, other) = (FREE.claim().unwrap(), FREE.claim().unwrap());
/// assert_ne!(one, other);
/// FREE.give_back(one);
/// assert_eq!(FREE.claim(), Some(one));
/// ```
pub struct StripeSet {
    /// A bit for each number that is somebody's.
    taken: AtomicUsize,
}

impl StripeSet {
    /// How many numbers there are, from 0 on.
    // Two where interleavings are explored: enough for owners, with sharers beside them, and every sum is short.
    pub const LEN: usize = if cfg!(any(winddown_loom, winddown_shuttle)) { 2 } else { usize::BITS as usize };

    const ALL: usize = usize::MAX >> (usize::BITS as usize - Self::LEN);

    const_unless_loom! {
        /// All of them free.
        #[must_use]
        pub fn new() -> Self {
            Self { taken: AtomicUsize::new(0) }
        }
    }

    /// A number that is nobody's, the caller's until it gives it back; `None` where there is none.
    #[must_use = "it stays taken until it is given back"]
    pub fn claim(&self) -> Option<usize> {
        // Acquire pairs with the release in `give_back`: the last owner's counts. The loads order nothing.
        let claimed = self.taken.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
            (taken != Self::ALL).then(|| taken | 1 << taken.trailing_ones())
        });
        claimed.ok().map(|taken| taken.trailing_ones() as usize)
    }

    /// Lets somebody else have it. The caller's last act at that stripe.
    pub fn give_back(&self, number: usize) {
        // Release pairs with the acquire in `claim`.
        self.taken.fetch_and(!(1 << (number % Self::LEN)), Ordering::Release);
    }
}

impl Default for StripeSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StripeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a figure for people.
        let taken = self.taken.load(Ordering::Relaxed).count_ones();
        f.debug_struct("StripeSet").field("taken", &taken).finish()
    }
}

//! What a striped gate has to be told by its surroundings. Not here: the gate (`striped`).

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
///   [`Gate`](crate::Gate).)
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

//! A stripe for each thread at the striped gates, and the barrier that their closers need. Not here: the gate (core's).

use winddown_core::{Stripe, StripedGate, Stripes};

use crate::event_count::Bell;
use crate::sync::{AtomicBool, Ordering};

/// How many threads have a line of their own at a time, in the whole process. More of them share lines.
pub(crate) const STRIPES: usize = if cfg!(any(winddown_loom, winddown_shuttle)) { 1 } else { 64 };

/// The gate that a shutdown's work goes through.
pub(crate) type Gate = StripedGate<ThreadStripes, Bell, STRIPES>;

/// The threads of this process. All gates of the process share them.
///
/// # Invariants
///
/// 1. A stripe belongs to one thread at a time: it is claimed by setting its bit in `threads::TAKEN`, at the thread's first
///    pass, and given back when the thread ends.
/// 2. Threads have stripes of their own only if the process is registered for expedited `membarrier(2)`. What was the
///    answer when it was first asked, is for good.
/// 3. A thread without one shares, by read-modify-writes, which need no barrier: beyond [`STRIPES`] threads, where there is no
///    `membarrier`, and while a thread's destructors run.
pub(crate) struct ThreadStripes {
    waited: AtomicBool,
}

impl ThreadStripes {
    /// Registers the process, if nobody has: 2 µs while it has one thread, milliseconds after. So build early.
    pub(crate) fn new() -> Self {
        barrier::is_expedited();
        Self { waited: AtomicBool::new(false) }
    }

    /// Whether threads have stripes of their own.
    pub(crate) fn are_owned() -> bool {
        barrier::is_expedited()
    }

    /// Whether a heavy barrier was refused, and time taken instead.
    pub(crate) fn has_waited(&self) -> bool {
        // Relaxed: told by the thread that closes, which is the one that asks.
        self.waited.load(Ordering::Relaxed)
    }
}

impl Stripes for ThreadStripes {
    #[inline]
    fn stripe(&self) -> Stripe {
        threads::stripe()
    }

    /// Nothing at run time: the compiler keeps the store before the load, and the heavy barrier the processor.
    #[inline]
    fn light_barrier(&self) {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    /// `membarrier(2)`: when it returns, every thread of the process has been through a full fence since it was called.
    ///
    /// Should the kernel refuse what it has granted before (a filter that was installed later), it waits for 10 ms instead.
    /// No processor keeps a store to itself for as long as a microsecond once it has retired, nor a thread's through a switch
    /// to another; that there is such a bound is what makes time a barrier (Morrison and Afek, "Temporally Bounding TSO
    /// for Fence-Free Asymmetric Synchronization", 2015). The report says so.
    fn heavy_barrier(&self) {
        if Self::are_owned() && !barrier::expedited() {
            self.waited.store(true, Ordering::Relaxed); // see `has_waited`
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(any(winddown_loom, winddown_shuttle))))]
mod barrier {
    use std::sync::OnceLock;

    use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

    static REGISTERED: OnceLock<bool> = OnceLock::new();

    /// Whether the process is registered; asked of the kernel once. A forked child is registered as its parent was.
    pub(super) fn is_expedited() -> bool {
        *REGISTERED.get_or_init(|| {
            membarrier_query().contains_command(MembarrierCommand::PrivateExpedited)
                && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
        })
    }

    /// Runs it. `false` where the kernel refuses.
    pub(super) fn expedited() -> bool {
        membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

/// Everybody shares. (What is explored is that: the owners' half is, in core's models.)
#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(any(winddown_loom, winddown_shuttle)))))]
mod barrier {
    pub(super) fn is_expedited() -> bool {
        false
    }

    pub(super) fn expedited() -> bool {
        true
    }
}

#[cfg(not(any(winddown_loom, winddown_shuttle)))]
mod threads {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use winddown_core::Stripe;

    use super::{STRIPES, barrier};

    /// A bit for each stripe that is some thread's own.
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    const _: () = assert!(STRIPES == u64::BITS as usize, "a bit for each stripe");

    /// Deals the stripes out to those who share.
    static SHARERS: AtomicUsize = AtomicUsize::new(0);

    /// A thread that has not asked.
    const NONE: usize = usize::MAX;

    thread_local! {
        /// Its own, or from `STRIPES` on one that it shares. Without a destructor, so it can be read to the thread's very end.
        static STRIPE: Cell<usize> = const { Cell::new(NONE) };
        static OWNER: Owner = const { Owner };
    }

    #[inline]
    pub(super) fn stripe() -> Stripe {
        match STRIPE.get() {
            own if own < STRIPES => Stripe::own(own),
            NONE => choose(),
            shared => Stripe::shared(shared),
        }
    }

    /// A thread's first pass.
    #[cold]
    fn choose() -> Stripe {
        // Should its destructors be running, there is nobody to give a stripe back.
        let can_own = barrier::is_expedited() && OWNER.try_with(|_| ()).is_ok();
        let own = if can_own { claim() } else { None };
        own.map_or_else(share, |own| STRIPE.set(own));
        stripe()
    }

    /// A stripe that nobody has.
    fn claim() -> Option<usize> {
        // Acquire pairs with the release in `Owner::drop`: the last owner's counts. The loads order nothing.
        let taken = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
            (taken != u64::MAX).then(|| taken | 1 << taken.trailing_ones())
        });
        taken.ok().map(|taken| taken.trailing_ones() as usize)
    }

    fn share() {
        // Relaxed: any number will do.
        let turn = SHARERS.fetch_add(1, Ordering::Relaxed) % STRIPES;
        STRIPE.set(STRIPES + turn);
    }

    /// Gives the thread's stripe back when the thread ends.
    struct Owner;

    impl Drop for Owner {
        fn drop(&mut self) {
            let own = STRIPE.get();
            if own < STRIPES {
                // First: destructors that come later may hold passes.
                share();
                // Release pairs with the acquire in `claim`.
                TAKEN.fetch_and(!(1 << own), Ordering::Release);
            }
        }
    }
}

#[cfg(any(winddown_loom, winddown_shuttle))]
mod threads {
    pub(super) fn stripe() -> winddown_core::Stripe {
        winddown_core::Stripe::shared(0)
    }
}

//! A stripe for each thread at the striped gates, and the barrier that their closers need. Not here: the gate (core's).

use std::time::Duration;

use winddown_core::{StripeSet, StripedGate, Stripes};

use crate::event_count::Bell;
use crate::sync::{AtomicBool, Ordering, full_fence, light_fence};

/// How many threads have a line of their own at a time, in the whole process. More of them share lines.
pub(crate) const STRIPES: usize = StripeSet::LEN;

/// The gate that a shutdown's work goes through.
pub(crate) type Gate = StripedGate<ThreadStripes, Bell, STRIPES>;

/// What a barrier that the kernel refuses is replaced by.
const PAUSE: Duration = Duration::from_millis(10);

/// The threads of this process (for a library that was loaded: those that have come to its copy of this). All gates share
/// them.
///
/// # Invariants
///
/// 1. A stripe belongs to one thread at a time: it is claimed at the thread's first pass, and given back when the thread
///    ends.
/// 2. Threads have stripes of their own only if the process is registered for expedited `membarrier(2)`. What was the
///    answer when it was first asked, is for good.
/// 3. A thread without one shares, by read-modify-writes, which need no barrier: beyond [`STRIPES`] threads, and then until it
///    ends; where there is no `membarrier`; and from the destructor on that gives its stripe back.
pub(crate) struct ThreadStripes {
    waited: AtomicBool,
}

impl ThreadStripes {
    /// Registers the process, if nobody has: at once while it has one thread; later the kernel waits for all of them. So build
    /// early.
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
    fn stripe(&self) -> winddown_core::Stripe {
        threads::stripe()
    }

    /// Nothing at run time: the compiler keeps the store before the load, and the heavy barrier the processor.
    #[inline]
    fn light_barrier(&self) {
        light_fence(Ordering::SeqCst);
    }

    /// `membarrier(2)`: when it returns, every thread of the process has been through a full fence since it was called.
    ///
    /// Should the kernel refuse what it has granted before (a filter that was installed later), it takes its time instead:
    /// a processor does not keep a store to itself for more than a moment, far below [`PAUSE`], nor a thread's through a
    /// switch to another. That there is such a bound is what makes time a barrier (Morrison and Afek, "Temporally
    /// Bounding TSO for Fence-Free Asymmetric Synchronization", 2015). The report says so.
    fn heavy_barrier(&self) {
        if Self::are_owned() {
            // Its own fence: with one thread the kernel has nothing to do, and does nothing.
            full_fence(Ordering::SeqCst);
            if !barrier::expedited() {
                self.waited.store(true, Ordering::Relaxed); // see `has_waited`
                std::thread::sleep(PAUSE);
            }
            full_fence(Ordering::SeqCst);
        }
    }
}

// Elsewhere everybody shares. Android has the barrier, but no thread-locals that are there to a thread's very end.
#[cfg(all(target_os = "linux", not(target_env = "ohos"), not(any(winddown_loom, winddown_shuttle))))]
mod barrier {
    use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

    use crate::sync::Ordering;
    use crate::sync::of_process::AtomicU8;

    /// Not a lock that a forked child might find held for ever.
    static REGISTERED: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;

    /// Whether the process is registered; asked of the kernel once. A forked child is registered as its parent was.
    pub(super) fn is_expedited() -> bool {
        // Relaxed, all: the word is all there is to know, and its first answer stays.
        match REGISTERED.load(Ordering::Relaxed) {
            UNKNOWN => {
                let answer = if register() { YES } else { NO };
                let first = REGISTERED.compare_exchange(UNKNOWN, answer, Ordering::Relaxed, Ordering::Relaxed);
                first.map_or_else(|theirs| theirs, |_| answer) == YES
            }
            answer => answer == YES,
        }
    }

    /// Twice does no harm.
    fn register() -> bool {
        membarrier_query().contains_command(MembarrierCommand::PrivateExpedited)
            && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }

    /// Runs it. `false` where the kernel refuses.
    pub(super) fn expedited() -> bool {
        membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

#[cfg(any(winddown_loom, winddown_shuttle))]
mod barrier {
    use std::cell::Cell;

    std::thread_local! {
        /// A real thread's: an explorer runs all threads of an execution on one of those.
        pub(super) static GRANTED: Cell<bool> = const { Cell::new(false) };
    }

    /// Then the full fences on both sides are the barrier.
    pub(super) fn is_expedited() -> bool {
        GRANTED.get()
    }

    pub(super) fn expedited() -> bool {
        true
    }
}

/// See `testing`.
#[cfg(any(winddown_loom, winddown_shuttle))]
pub(crate) fn grant_the_barrier(granted: bool) {
    barrier::GRANTED.set(granted);
}

#[cfg(not(any(all(target_os = "linux", not(target_env = "ohos")), winddown_loom, winddown_shuttle)))]
mod barrier {
    pub(super) fn is_expedited() -> bool {
        false
    }

    pub(super) fn expedited() -> bool {
        true
    }
}

mod threads {
    use std::cell::Cell;

    use winddown_core::{Stripe, StripeSet};

    use super::{STRIPES, barrier};
    use crate::sync::Ordering;
    use crate::sync::of_process::AtomicUsize;
    use crate::sync::{statics, thread_locals};

    statics! {
        static FREE: StripeSet = StripeSet::new();

        /// Deals the stripes out to those who share.
        static SHARERS: AtomicUsize = AtomicUsize::new(0);
    }

    /// A thread that has not asked.
    const NONE: usize = usize::MAX;

    thread_locals! {
        /// Its own, or from `STRIPES` on one that it shares. Without a destructor, so it can be read to the thread's very end.
        static STRIPE: Cell<usize> = Cell::new(NONE);
        static OWNER: Owner = Owner(Cell::new(NONE));
    }

    #[inline]
    pub(super) fn stripe() -> Stripe {
        match STRIPE.with(Cell::get) {
            own if own < STRIPES => Stripe::own(own),
            NONE => choose(),
            shared => Stripe::shared(shared),
        }
    }

    /// A thread's first pass.
    #[cold]
    fn choose() -> Stripe {
        // Should its destructors be running, there is nobody to give a stripe back.
        let own = if barrier::is_expedited() { OWNER.try_with(Owner::claim).ok().flatten() } else { None };
        STRIPE.with(|stripe| stripe.set(own.unwrap_or_else(shared)));
        stripe()
    }

    fn shared() -> usize {
        // Relaxed: any number will do.
        STRIPES + SHARERS.fetch_add(1, Ordering::Relaxed) % STRIPES
    }

    /// Gives the thread's own stripe back when the thread ends.
    struct Owner(Cell<usize>);

    impl Owner {
        fn claim(&self) -> Option<usize> {
            let own = FREE.claim()?;
            self.0.set(own);
            Some(own)
        }
    }

    // Not under loom, which destroys statics before the main thread's locals.
    #[cfg(not(winddown_loom))]
    impl Drop for Owner {
        fn drop(&mut self) {
            let own = self.0.get();
            if own < STRIPES {
                // First: destructors that come later may hold passes, and by then the stripe may be another thread's.
                // (Under a scheduler this thread-local may be gone.)
                let _ = STRIPE.try_with(|stripe| stripe.set(shared()));
                FREE.give_back(own);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::Barrier;
        use std::thread;

        use super::*;

        fn is_own(stripe: Stripe) -> bool {
            (0..STRIPES).any(|number| stripe == Stripe::own(number))
        }

        /// All at once, because the tests of a process share its stripes.
        #[test]
        fn stripes_go_to_threads_one_each_and_come_back() {
            if !barrier::is_expedited() {
                assert!(!is_own(stripe()), "nobody has one where there is no barrier");
                return;
            }
            // More, one after the other, than there are.
            for _ in 0..3 * STRIPES {
                assert!(thread::spawn(|| is_own(stripe()) && stripe() == stripe()).join().unwrap());
            }
            // More, at the same time.
            let all = Barrier::new(STRIPES + 10);
            let mut stripes: Vec<_> = thread::scope(|scope| {
                let ask = || {
                    let mine = stripe();
                    all.wait();
                    assert_eq!(stripe(), mine);
                    mine
                };
                let threads: Vec<_> = (0..STRIPES + 10).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).filter(|stripe| is_own(*stripe)).collect()
            });
            let owners = stripes.len();
            stripes.sort_by_key(|stripe| format!("{stripe:?}"));
            stripes.dedup();
            assert!(owners == stripes.len() && owners > STRIPES / 2, "{owners} have {} stripes", stripes.len());
        }
    }
}

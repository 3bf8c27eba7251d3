//! Ends a process that outlives its budget. Opt-in.

use std::io;
use std::time::Duration;

use winddown_core::Outcome;

use crate::clock::Clock;
use crate::event_count::EventCount;
use crate::hook::thread_name;
use crate::sync::{Arc, AtomicU64, Ordering, thread};

/// The exit code where the watchdog had to end a process whose wind-down was clean.
const OUTLIVED: u8 = 14;

const UNSET: u64 = u64::MAX;
const DISMISSED: u64 = u64::MAX - 1;

/// A thread that waits for a time to come, and ends the process then.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    slack: Duration,
}

struct Shared {
    event: Arc<EventCount>,
    /// Nanoseconds on the clock, or one of the two words above. A dismissal is final.
    bite_at: AtomicU64,
    /// What to exit with.
    code: AtomicU64,
}

impl Watchdog {
    pub(crate) fn spawn(clock: Clock, slack: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            event: Arc::default(),
            bite_at: AtomicU64::new(UNSET),
            code: AtomicU64::new(OUTLIVED.into()),
        });
        let theirs = shared.clone();
        thread::Builder::new().name(thread_name("watchdog")).spawn(move || theirs.watch(&clock))?;
        Ok(Self { shared, slack })
    }

    /// Gives it the budget's end.
    pub(crate) fn set(&self, end: Duration) {
        let at = u64::try_from(end.saturating_add(self.slack).as_nanos()).unwrap_or(UNSET);
        // Release pairs with the acquire in `watch`. Should it be dismissed already, it stays so.
        let _ = self.shared.bite_at.compare_exchange(UNSET, at, Ordering::Release, Ordering::Relaxed);
        self.shared.event.notify();
    }

    /// The outcome's code is the one to exit with, unless it is 0: the process should have been gone.
    pub(crate) fn tell(&self, code: u8) {
        if code != Outcome::Clean.exit_code(winddown_core::Reason::Requested) {
            // Relaxed: a late reader exits with the code of a process that outlived its budget, which is true too.
            self.shared.code.store(code.into(), Ordering::Relaxed);
        }
    }

    /// Nobody is left who could outlive anything.
    pub(crate) fn dismiss(&self) {
        // Release pairs with the acquire in `watch`.
        self.shared.bite_at.store(DISMISSED, Ordering::Release);
        self.shared.event.notify();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.dismiss();
    }
}

impl Shared {
    fn watch(&self, clock: &Clock) {
        loop {
            let key = self.event.key();
            // Acquire pairs with the releases in `set` and `dismiss`.
            let deadline = match self.bite_at.load(Ordering::Acquire) {
                UNSET => None,
                DISMISSED => return,
                at => Some(Duration::from_nanos(at)),
            };
            if deadline.is_some_and(|deadline| clock.now() >= deadline) {
                let code = self.code.load(Ordering::Relaxed);
                exit_now(i32::try_from(code).unwrap_or(OUTLIVED.into()));
            }
            clock.wait(&self.event, key, deadline);
        }
    }
}

/// Ends the process without running anything more of it: `_exit(2)`, or its like.
pub(crate) fn exit_now(code: i32) -> ! {
    #[cfg(unix)]
    signal_hook::low_level::exit(code);
    // Runs `atexit` functions, for want of another way without unsafe code.
    #[cfg(not(unix))]
    std::process::exit(code);
}

//! The time, and waiting for it: the seam under every wait in this crate.

use std::time::{Duration, Instant};

use crate::event_count::EventCount;
use crate::sync::Arc;
use crate::testing::ManualClock;

/// Tells the time since an epoch of its own, and sleeps.
#[derive(Clone)]
pub(crate) enum Clock {
    /// The operating system's monotonic clock. It goes on while the process is stopped (G3).
    System(Instant),
    /// A test's.
    Manual(ManualClock),
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System(Instant::now())
    }

    pub(crate) fn is_manual(&self) -> bool {
        matches!(self, Self::Manual(_))
    }

    /// The time since the epoch. Async-signal-safe, as `clock_gettime(2)` and an atomic load are.
    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::System(epoch) => epoch.elapsed(),
            Self::Manual(clock) => clock.now(),
        }
    }

    /// Returns this time as an [`Instant`]. A manual clock's time is counted from the present by that clock, as in
    /// [`Token::wait_deadline`](crate::Token::wait_deadline). `None`: it is too far away for one.
    pub(crate) fn instant(&self, at: Duration) -> Option<Instant> {
        match self {
            Self::System(epoch) => epoch.checked_add(at),
            Self::Manual(clock) => {
                // One of the two is 0.
                let (left, gone) = (at.saturating_sub(clock.now()), clock.now().saturating_sub(at));
                Instant::now().checked_add(left)?.checked_sub(gone)
            }
        }
    }

    /// Sleeps until `event` is notified after `key` was taken, or `deadline` has come. May also return early.
    pub(crate) fn wait(&self, event: &Arc<EventCount>, key: u32, deadline: Option<Duration>) {
        match (self, deadline) {
            (_, None) => event.wait(key, None),
            (Self::System(_), Some(deadline)) => {
                let left = deadline.saturating_sub(self.now());
                if !left.is_zero() {
                    event.wait(key, Some(left));
                }
            }
            (Self::Manual(clock), Some(deadline)) => clock.wait(event, key, deadline),
        }
    }

    /// As `wait` without a deadline, for the end of a wind-down whose driver sleeps on `driver`. `began`: since when, in real time.
    ///
    /// # Panics
    ///
    /// When the driver sleeps on a test's clock that no thread advances.
    #[track_caller]
    pub(crate) fn wait_for_end(&self, ended: &Arc<EventCount>, key: u32, driver: &Arc<EventCount>, began: Instant) {
        match self {
            // In an exploration no time passes, and a wait without end is found.
            Self::Manual(clock) if !cfg!(any(winddown_loom, winddown_shuttle)) => {
                clock.wait_for_end(ended, key, driver, began);
            }
            _ => ended.wait(key, None),
        }
    }
}

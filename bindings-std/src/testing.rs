//! For tests of programs that wind down: made-up time, and assertions on reports.
//!
//! ```
//! use std::time::Duration;
//! use winddown::testing::{ManualClock, assert_clean};
//! use winddown::{Budget, Reason, Shutdown};
//!
//! let clock = ManualClock::new();
//! let shutdown = Shutdown::builder()
//!     .budget(Budget::new(Duration::from_secs(30)).lame_duck(Duration::from_secs(5)))
//!     .manual_clock(&clock)
//!     .build()?;
//!
//! shutdown.trigger(Reason::Requested);
//! clock.wait_for_sleeper(Duration::from_secs(5)); // the driver sleeps until the lame duck is over
//! assert!(shutdown.enter().is_ok());
//! clock.advance(Duration::from_secs(5));
//! let exit = shutdown.run();
//! assert_clean(&exit.report);
//! # Ok::<(), winddown::BuildError>(())
//! ```

use std::fmt;
use std::time::Duration;

use winddown_core::Outcome;

use crate::Report;
use crate::event_count::EventCount;
use crate::sync::{Arc, AtomicU64, Condvar, Mutex, Ordering, look};

/// A clock that stands still until it is told to go on. Clones are the same clock.
///
/// Give it to [`Builder::manual_clock`](crate::Builder::manual_clock): every wait of that shutdown then waits for it.
#[derive(Clone, Default)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Nanoseconds. Written under the lock of `sleepers`, read anywhere, also in a signal handler.
    now: AtomicU64,
    sleepers: Mutex<Vec<Sleeper>>,
    /// Somebody went to sleep.
    slept: Condvar,
}

struct Sleeper {
    until: Duration,
    event: Arc<EventCount>,
}

impl ManualClock {
    /// A clock at 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The time since the clock was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        // Relaxed: whoever was woken by `advance` got the new time with the notification.
        Duration::from_nanos(look(&self.shared.now))
    }

    /// Lets time pass at once. Everyone whose time has come is woken before this returns; what they then do, they do
    /// on their own threads.
    ///
    /// # Panics
    ///
    /// After 584 years.
    pub fn advance(&self, by: Duration) {
        let sleepers = self.shared.sleepers.lock();
        let by = u64::try_from(by.as_nanos()).ok();
        // Relaxed: as in `now`.
        let passed = by.and_then(|by| self.shared.now.fetch_add(by, Ordering::Relaxed).checked_add(by));
        let now = Duration::from_nanos(passed.expect("584 years are enough"));
        let due: Vec<_> = sleepers.iter().filter(|sleeper| sleeper.until <= now).map(|s| s.event.clone()).collect();
        drop(sleepers);
        for event in due {
            event.notify();
        }
    }

    /// Blocks until somebody sleeps until exactly `until`: the event to wait for before [`advance`](Self::advance).
    ///
    /// # Panics
    ///
    /// When nobody has for a minute, with the times until which somebody does.
    #[track_caller]
    pub fn wait_for_sleeper(&self, until: Duration) {
        let mut sleepers = self.shared.sleepers.lock();
        while !sleepers.iter().any(|sleeper| sleeper.until == until) {
            let patience = self.shared.slept.wait_for(&mut sleepers, Duration::from_secs(60));
            let others: Vec<_> = sleepers.iter().map(|sleeper| sleeper.until).collect();
            assert!(!patience.timed_out(), "nobody sleeps until {until:?}, but until {others:?}");
        }
    }

    pub(crate) fn wait(&self, event: &Arc<EventCount>, key: u32, until: Duration) {
        let mut sleepers = self.shared.sleepers.lock();
        if until <= self.now() {
            return;
        }
        sleepers.push(Sleeper { until, event: event.clone() });
        self.shared.slept.notify_all();
        drop(sleepers);
        event.wait(key, None);
        let mut sleepers = self.shared.sleepers.lock();
        let own = sleepers.iter().position(|sleeper| sleeper.until == until && Arc::ptr_eq(&sleeper.event, event));
        sleepers.swap_remove(own.expect("entered above, and equal entries are alike"));
    }
}

/// Says whether threads own stripes, as where `membarrier(2)` is granted, or all share: for explorations. To be called when an
/// execution begins.
#[cfg(any(winddown_loom, winddown_shuttle))]
#[doc(hidden)]
pub fn grant_the_barrier(granted: bool) {
    crate::stripe::grant_the_barrier(granted);
}

/// What a signal's handler does, and nothing else: for explorations, which have no signals.
#[cfg(any(winddown_loom, winddown_shuttle))]
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "in no build that anybody uses")]
pub struct TriggerAlone(crate::trigger::Trigger);

#[cfg(any(winddown_loom, winddown_shuttle))]
impl TriggerAlone {
    #[must_use]
    pub fn new(clock: &ManualClock) -> Self {
        let clock = crate::clock::Clock::Manual(clock.clone());
        Self(crate::trigger::Trigger::new(clock, winddown_core::Escalation::default()))
    }

    pub fn fire(&self, reason: winddown_core::Reason) {
        let _ = self.0.fire(reason);
    }

    #[must_use]
    pub fn asked_at(&self) -> Option<Duration> {
        self.0.lifecycle.is_shutting_down().then(|| self.0.asked_at())
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// Asserts that everything that was admitted was finished and every stage completed.
///
/// # Panics
///
/// With the whole report, if not.
#[track_caller]
pub fn assert_clean(report: &Report) {
    assert_outcome(report, Outcome::Clean);
}

/// Asserts how it went as a whole.
///
/// # Panics
///
/// With the whole report, if it went otherwise.
#[track_caller]
pub fn assert_outcome(report: &Report, outcome: Outcome) {
    assert!(report.outcome == outcome, "expected {outcome:?}, got:\n{report}");
}

/// Asserts the names of the stages that were begun, in the order in which they were.
///
/// # Panics
///
/// With the whole report, if they were others.
#[track_caller]
pub fn assert_stages(report: &Report, names: &[&str]) {
    let mut begun: Vec<_> = report.stages.iter().filter(|stage| stage.began.is_some()).collect();
    begun.sort_by_key(|stage| stage.turn);
    let begun: Vec<_> = begun.iter().map(|stage| &*stage.name).collect();
    assert!(begun == names, "expected the stages {names:?}, got {begun:?}:\n{report}");
}

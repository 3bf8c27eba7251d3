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
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use winddown_core::Outcome;

use crate::Report;
use crate::event_count::EventCount;
use crate::sync::{Arc, AtomicU64, Condvar, Mutex, Ordering, look};

/// A clock that stands still until it is told to go on. Clones are the same clock.
///
/// Give it to [`Builder::manual_clock`](crate::Builder::manual_clock): every wait of that shutdown then waits for it.
///
/// A clock that no thread advances would have [`Shutdown::run`](crate::Shutdown::run) wait for ever. So `run` panics when the driver has slept
/// on the clock for a minute of real time, or for the [patience](Self::patience) that the test sets, and the clock was not advanced
/// meanwhile. Hooks and passes that need longer in real time need more patience. [`Shutdown::ended`](crate::Shutdown::ended), the `run` of
/// winddown-smol and tokens wait for ever. Where no thread is in `run`, the same message is written to standard error instead, once.
#[derive(Clone, Default)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Nanoseconds. Written under the lock of `book`, read anywhere, also in a signal handler.
    now: AtomicU64,
    book: Mutex<Book>,
    /// A thread went to sleep.
    slept: Condvar,
}

struct Book {
    sleepers: Vec<Sleeper>,
    /// When the clock was last advanced or slept on, in real time.
    stirred: Instant,
    /// How long, in real time, it may stand still while a test waits.
    patience: Duration,
    /// A thread is in `run`, or the message was written: it is not to be written again.
    is_told: bool,
}

impl Default for Book {
    fn default() -> Self {
        Self { sleepers: Vec::new(), stirred: Instant::now(), patience: Duration::from_secs(60), is_told: false }
    }
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

    /// Sets how long, in real time, [`run`](crate::Shutdown::run) and [`wait_for_sleeper`](Self::wait_for_sleeper) wait for something to
    /// happen before they panic. A minute unless set. Clones share it.
    ///
    /// ```should_panic
    /// use std::time::Duration;
    /// use winddown::testing::ManualClock;
    /// use winddown::{Reason, Shutdown};
    ///
    /// let clock = ManualClock::new().patience(Duration::from_millis(10));
    /// let shutdown = Shutdown::builder().manual_clock(&clock).build().unwrap();
    /// let pass = shutdown.enter();
    /// shutdown.trigger(Reason::Requested);
    /// shutdown.run(); // no thread advances the clock: this panics, and says so
    /// ```
    #[must_use]
    pub fn patience(self, time: Duration) -> Self {
        self.shared.book.lock().patience = time;
        self
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
        let mut book = self.shared.book.lock();
        book.stirred = Instant::now();
        let by = u64::try_from(by.as_nanos()).ok();
        // Relaxed: as in `now`.
        let passed = by.and_then(|by| self.shared.now.fetch_add(by, Ordering::Relaxed).checked_add(by));
        let now = Duration::from_nanos(passed.expect("584 years are enough"));
        let due: Vec<_> =
            book.sleepers.iter().filter(|sleeper| sleeper.until <= now).map(|s| s.event.clone()).collect();
        drop(book);
        for event in due {
            event.notify();
        }
    }

    /// Blocks until somebody sleeps until exactly `until`: the event to wait for before [`advance`](Self::advance).
    ///
    /// # Panics
    ///
    /// When none has for a minute, or the [patience](Self::patience) that is set, with the times until which threads do.
    #[track_caller]
    pub fn wait_for_sleeper(&self, until: Duration) {
        let mut book = self.shared.book.lock();
        while !book.sleepers.iter().any(|sleeper| sleeper.until == until) {
            let patience = book.patience;
            let waited = self.shared.slept.wait_for(&mut book, patience);
            let others: Vec<_> = book.sleepers.iter().map(|sleeper| sleeper.until).collect();
            assert!(!waited.timed_out(), "nobody sleeps until {until:?}, but until {others:?}");
        }
    }

    pub(crate) fn wait(&self, event: &Arc<EventCount>, key: u32, until: Duration) {
        let mut book = self.shared.book.lock();
        if until <= self.now() {
            return;
        }
        book.sleepers.push(Sleeper { until, event: event.clone() });
        book.stirred = Instant::now();
        self.shared.slept.notify_all();
        drop(book);
        self.sleep(event, key, until);
        let sleepers = &mut self.shared.book.lock().sleepers;
        let own = sleepers.iter().position(|sleeper| sleeper.until == until && Arc::ptr_eq(&sleeper.event, event));
        sleepers.swap_remove(own.expect("entered above, and equal entries are alike"));
    }

    /// Sleeps until the event is notified after `key` was taken. Writes to standard error, once, when the clock was neither advanced nor
    /// slept on again for as long as its patience, and no thread is in `run`, which panics then. May also return early.
    fn sleep(&self, event: &EventCount, key: u32, until: Duration) {
        // In an exploration no time passes, and a wait without end is found.
        while !cfg!(any(winddown_loom, winddown_shuttle)) {
            let mut book = self.shared.book.lock();
            let (still, patience) = (book.stirred.elapsed(), book.patience);
            let left = patience.saturating_sub(still);
            if book.is_told || left.is_zero() {
                if !std::mem::replace(&mut book.is_told, true) {
                    drop(writeln!(io::stderr(), "winddown: {}", self.stands_still(until, still, "")));
                }
                break;
            }
            drop(book);
            let asleep = Instant::now();
            event.wait(key, Some(left));
            if asleep.elapsed() < left {
                return;
            }
        }
        event.wait(key, None);
    }

    fn stands_still(&self, until: Duration, still: Duration, before: &str) -> String {
        format!(
            "the wind-down sleeps until {until:?} on a ManualClock that stands at {:?}, and no thread has advanced the clock for {still:.1?} of \
             real time: call `advance` {before}from another thread, or set more `patience`",
            self.now(),
        )
    }

    /// Sleeps until `ended` is notified after `key` was taken. May also return early. `began`: since when the caller waits, in real time.
    ///
    /// # Panics
    ///
    /// When the driver sleeps on this clock, and the clock was neither advanced nor slept on again for as long as its patience.
    #[track_caller]
    pub(crate) fn wait_for_end(&self, ended: &Arc<EventCount>, key: u32, driver: &Arc<EventCount>, began: Instant) {
        let mut book = self.shared.book.lock();
        book.is_told = true;
        let (patience, still) = (book.patience, book.stirred.max(began).elapsed());
        let driver = book.sleepers.iter().find(|sleeper| Arc::ptr_eq(&sleeper.event, driver));
        let until = driver.map(|sleeper| sleeper.until);
        drop(book);
        let left = if until.is_some() { patience.saturating_sub(still) } else { patience };
        assert!(!left.is_zero(), "{}", self.stands_still(until.unwrap_or_default(), still, "before `run` or "));
        ended.wait(key, Some(left));
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
        self.0.lifecycle.is_shutting_down().then(|| self.0.lifecycle.asked_at().expect("asked, and never stamped"))
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

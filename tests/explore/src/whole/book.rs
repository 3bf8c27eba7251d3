//! What the racers share to hold the library to: who is inside, who asked, what ran; and what a report must say then. All of
//! it is in locks and atomics that are no part of the race.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arbitrary::Arbitrary;
use winddown::testing::ManualClock;
use winddown::{Exit, Forced, Outcome, OwnedPass, Priority, Reason, Shutdown};

use crate::core_alone::locked;

/// More than the budget has.
const LATE: Duration = Duration::from_secs(60);

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Class {
    Critical,
    High,
    Low,
}

impl From<Class> for Priority {
    fn from(class: Class) -> Self {
        match class {
            Class::Critical => Self::Critical,
            Class::High => Self::High,
            Class::Low => Self::Low,
        }
    }
}

/// `None`: its owner waits, and will not look again.
pub(super) type Inbox = Option<VecDeque<(Class, OwnedPass)>>;

#[derive(Default)]
pub(super) struct Book {
    pub(super) may_go_wrong: bool,
    pub(super) inboxes: Vec<Mutex<Inbox>>,
    /// Admitted and not gone, without the class Low.
    pub(super) inside: AtomicUsize,
    /// How many were when the stages began.
    pub(super) at_closing: AtomicUsize,
    pub(super) first: Mutex<Vec<Reason>>,
    pub(super) forces: AtomicUsize,
    pub(super) interrupts: AtomicUsize,
    pub(super) advances: AtomicUsize,
    /// How many were accepted, counted after; and how many ran.
    pub(super) hooks: AtomicUsize,
    pub(super) hooks_run: AtomicUsize,
    /// Of each kicker that was kept for good at the trigger: how often it ran.
    pub(super) kept: Mutex<Vec<Arc<AtomicUsize>>>,
}

impl Book {
    pub(super) fn ask(&self, shutdown: &Shutdown, reason: Reason) {
        // Counted before, as forces are.
        self.interrupts.fetch_add(reason.is_interrupt().into(), SeqCst);
        if shutdown.trigger(reason) {
            locked(&self.first).push(reason);
        }
        assert!(shutdown.is_shutting_down());
    }

    pub(super) fn force(&self, shutdown: &Shutdown) {
        // Counted before: a report that speaks of a force is never ahead of the book.
        self.forces.fetch_add(1, SeqCst);
        shutdown.force();
    }

    pub(super) fn advance(&self, clock: &ManualClock) {
        self.advances.fetch_add(1, SeqCst);
        clock.advance(LATE);
    }

    pub(super) fn came(&self, class: Class) {
        if !matches!(class, Class::Low) {
            self.inside.fetch_add(1, SeqCst);
        }
    }

    pub(super) fn goes(&self, class: Class) {
        if !matches!(class, Class::Low) {
            self.inside.fetch_sub(1, SeqCst);
        }
    }

    /// What the report must say, and what must be so when it is there.
    pub(super) fn is_told_truly(&self, exit: &Exit) {
        let report = &exit.report;
        // No kicker fails. But if the waiting is ended early, one that runs has not returned or returns late, and one that has not begun
        // never is.
        let early = ["did not return", "held up the drain", "never told", "never called"];
        let is_early = |what: &str| early.iter().any(|end| what.contains(end));
        assert!(report.failures.iter().all(|failure| is_early(&failure.what)), "{report}");
        let (forced, late) = (self.forces.load(SeqCst) > 0, self.advances.load(SeqCst) > 0);
        match report.outcome {
            Outcome::Clean => {
                assert!(report.stragglers.is_empty() && report.failures.is_empty(), "{report}");
                assert_eq!(self.at_closing.load(SeqCst), 0, "P3: the stages began with somebody inside");
                assert!(self.hooks_run.load(SeqCst) >= self.hooks.load(SeqCst), "P7: a hook was skipped");
                for runs in &*locked(&self.kept) {
                    assert_eq!(runs.load(SeqCst), 1, "a kicker that was kept");
                }
            }
            Outcome::Forced(Forced::Call) => assert!(forced, "{report}"),
            // The second forces where the drain is over.
            Outcome::Forced(Forced::Drain | Forced::Interrupt) => {
                assert!(self.may_go_wrong && self.interrupts.load(SeqCst) >= 2, "{report}");
            }
            _ => assert!(late, "{report}"),
        }
    }
}

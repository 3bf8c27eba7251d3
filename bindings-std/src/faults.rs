//! Failures outside the stages, and steps that could not be done as promised: collected until the report is made. Not here: panics of wakers,
//! kickers and tasks (`wait`, `kicker`, `track`).

use std::collections::BTreeMap;

use winddown_core::{Event, OnFailure};

use crate::inner::Inner;
use crate::observe::Notice;
use crate::panics::{Panics, Words};
use crate::report::{Failure, Part};
use crate::sync::{Arc, Mutex};

/// The faults up to now.
#[derive(Default)]
pub(crate) struct Faults {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    failures: Vec<Failure>,
    /// Of fallible tasks.
    task_errors: Panics,
    /// Failures that the driver has to tell the observers, which it has taken.
    untold: Vec<(Event, Arc<str>)>,
    /// By kind: how many there were, and the first.
    notes: BTreeMap<&'static str, (u64, String)>,
}

impl Faults {
    /// Notes that something could not be done as promised: with this text if it is the first of its kind, else it is counted.
    pub(crate) fn note(&self, kind: &'static str, text: impl FnOnce() -> String) {
        let mut table = self.table.lock();
        table.notes.entry(kind).or_insert_with(|| (0, text())).0 += 1;
    }

    /// The notes, a line for each kind.
    pub(crate) fn notes(&self) -> Vec<String> {
        let table = self.table.lock();
        let line = |(count, first): &(u64, String)| match count {
            1 => first.clone(),
            many => format!("{first} ({many} times)"),
        };
        table.notes.values().map(line).collect()
    }

    pub(crate) fn failures(&self) -> Vec<Failure> {
        let table = self.table.lock();
        let words = Words { one: "a task failed", one_more: "1 more task failed", many: "tasks failed" };
        let tasks = table.task_errors.failures(Part::Task, &words);
        table.failures.iter().cloned().chain(tasks).collect()
    }

    /// Counts the error of a fallible task.
    pub(crate) fn task_failed(&self, what: String) {
        self.table.lock().task_errors.extend([what]);
    }

    /// Takes the failures that the driver has to tell the observers.
    pub(crate) fn take_untold(&self) -> Vec<(Event, Arc<str>)> {
        std::mem::take(&mut self.table.lock().untold)
    }
}

impl Inner {
    /// Admitted work that panics dropped.
    pub(crate) fn work_failures(&self) -> Vec<Failure> {
        let words = Words {
            one: "a panic dropped admitted work",
            one_more: "1 more piece of admitted work was dropped by a panic",
            many: "pieces of admitted work were dropped by panics",
        };
        self.labels.panics.lock().failures(Part::Work, &words)
    }

    /// Tasks that panicked.
    pub(crate) fn task_failures(&self) -> Vec<Failure> {
        let words = Words { one: "a task panicked", one_more: "1 more task panicked", many: "tasks panicked" };
        self.panics.lock().failures(Part::Task, &words)
    }

    /// Reports a listener that failed before the program refused, tells the observers, and then does what the policy says. To be
    /// called without a lock: a waker may be woken.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no listeners"))]
    pub(crate) fn listener_failed(&self, what: String, policy: OnFailure) {
        self.faults.table.lock().failures.push(Failure { part: Part::Listener, what: what.clone() });
        self.tell_fault(Event::ListenerFailed, &what);
        if let Some(reason) = policy.reason() {
            self.trigger(reason, Some(what.into()));
        }
    }

    /// Has the observers told of a fault, even before a wind-down.
    pub(crate) fn tell_fault(&self, event: Event, what: &str) {
        let observers = self.observers.lock();
        match &*observers {
            // No wind-down is under way.
            Some(observers) => observers.tell(&Notice::of_failure(event, what.into())),
            None => self.faults.table.lock().untold.push((event, what.into())),
        }
        drop(observers);
        self.trigger.driver.notify();
    }
}

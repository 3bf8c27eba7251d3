//! Failures outside the stages, and steps that could not be done as promised: collected until the report is made. Not here: panics of wakers,
//! kickers and tasks (`wait`, `kicker`, `track`).

use std::collections::BTreeMap;

use winddown_core::{Event, OnFailure};

use crate::inner::Inner;
use crate::observe::Notice;
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
    /// Failures that the driver has to tell the observers, which it has taken.
    untold: Vec<Arc<str>>,
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
        self.table.lock().failures.clone()
    }

    /// Takes the failures that the driver has to tell the observers.
    pub(crate) fn take_untold(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.table.lock().untold)
    }
}

impl Inner {
    /// Reports a listener that failed before the program refused, tells the observers, and then does what the policy says. To be
    /// called without a lock: a waker may be woken.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no listeners"))]
    pub(crate) fn listener_failed(&self, what: String, policy: OnFailure) {
        let told: Arc<str> = what.as_str().into();
        let failure = Failure { part: Part::Listener, what: what.clone() };
        let observers = self.observers.lock();
        let mut table = self.faults.table.lock();
        table.failures.push(failure);
        match &*observers {
            // No wind-down is under way.
            Some(observers) => observers.tell(&Notice::of_failure(Event::ListenerFailed, told)),
            None => table.untold.push(told),
        }
        drop(table);
        drop(observers);
        self.trigger.driver.notify();
        if let Some(reason) = policy.reason() {
            self.trigger(reason, Some(what.into()));
        }
    }
}

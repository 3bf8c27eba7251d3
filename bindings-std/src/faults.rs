//! Failures outside the stages, and steps that could not be done as promised: collected until the report is made. Not here: panics of wakers,
//! kickers and tasks (`wait`, `kicker`, `track`).

use std::collections::BTreeMap;

use winddown_core::{Event, OnFailure, Reason};

use crate::inner::Inner;
use crate::observe::Notice;
use crate::report::{Failure, Panics, Part};
#[cfg(unix)]
use crate::signal::{Signals, Taken};
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
        let tasks = table.task_errors.counted(Part::Task, "a task failed", "tasks failed");
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
    pub(crate) fn work_failures(&self) -> Option<Failure> {
        let panics = self.labels.panics.lock();
        panics.counted(Part::Work, "a panic dropped admitted work", "pieces of admitted work were dropped by panics")
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
    fn tell_fault(&self, event: Event, what: &str) {
        let observers = self.observers.lock();
        match &*observers {
            // No wind-down is under way.
            Some(observers) => observers.tell(&Notice::of_failure(event, what.into())),
            None => self.faults.table.lock().untold.push((event, what.into())),
        }
        drop(observers);
        self.trigger.driver.notify();
    }

    /// Looks whether another part of the program has installed a handler for a signal that this shutdown listens to, and tells.
    pub(crate) fn check_signals(&self) {
        // No signals come in an exploration.
        #[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
        for Taken { signal, back } in self.with_signals(Signals::check).unwrap_or_default() {
            if back {
                self.faults.note("signals", || {
                    let name = signal_name(signal);
                    format!(
                        "{name}: another handler was installed after `build`; it is now called after this library's"
                    )
                });
            } else {
                let signal = u8::try_from(signal).unwrap_or_default();
                self.tell_fault(Event::SignalTaken { signal }, &taken(signal.into()));
            }
        }
        #[cfg(not(all(unix, not(any(winddown_loom, winddown_shuttle)))))]
        let _ = self;
    }

    /// The signals that were not heard because of another part's handler.
    pub(crate) fn signal_failures(&self) -> Vec<Failure> {
        #[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
        let deaf = self.with_signals(|signals| signals.deaf_to()).unwrap_or_default();
        #[cfg(not(all(unix, not(any(winddown_loom, winddown_shuttle)))))]
        let deaf = Vec::new();
        deaf.into_iter().map(|signal| Failure { part: Part::Signal, what: taken(signal) }).collect()
    }
}

fn signal_name(signal: i32) -> String {
    u8::try_from(signal).map_or_else(|_| format!("signal {signal}"), |number| Reason::Signal(number).to_string())
}

fn taken(signal: i32) -> String {
    let name = signal_name(signal);
    format!(
        "{name}: another part of the program installed a handler after `build`. Unless that calls the handler before it, this \
         shutdown does not hear {name}. Install it before `build`, or use `Builder::take_signals_back`"
    )
}

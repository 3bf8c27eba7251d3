//! Looking for handlers that other parts of the program have installed since, and telling of them. Not here: how they are found and taken
//! back (`ear`, `handlers`).

use winddown_core::{Event, Reason};

use super::{Signals, Taken};
use crate::inner::Inner;
use crate::report::{Failure, Part};

impl Inner {
    /// Looks whether another part of the program has installed a handler for a signal that this shutdown listens to, and tells.
    pub(crate) fn check_signals(&self) {
        for Taken { signal, back } in self.with_signals(Signals::check).unwrap_or_default() {
            if back {
                self.faults.note("signals", || {
                    let name = name_of(signal);
                    format!(
                        "{name}: another handler was installed after `build`; it is now called after this library's"
                    )
                });
            } else {
                let number = u8::try_from(signal).unwrap_or_default();
                self.tell_fault(Event::SignalTaken { signal: number }, &taken(signal));
            }
        }
    }

    /// Returns a failure for each signal that was not heard because of another part's handler.
    pub(crate) fn signal_failures(&self) -> Vec<Failure> {
        let deaf = self.with_signals(|signals| signals.deaf_to()).unwrap_or_default();
        deaf.into_iter().map(|signal| Failure { part: Part::Signal, what: taken(signal) }).collect()
    }
}

fn name_of(signal: i32) -> String {
    u8::try_from(signal).map_or_else(|_| format!("signal {signal}"), |number| Reason::Signal(number).to_string())
}

fn taken(signal: i32) -> String {
    let name = name_of(signal);
    format!(
        "{name}: another part of the program installed a handler after `build`. Unless that calls the handler before it, this \
         shutdown does not hear {name}. Install it before `build`, or use `Builder::take_signals_back`"
    )
}

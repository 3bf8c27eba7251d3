//! The policy for repeated interrupts, counted out.

use std::time::Duration;

use winddown_core::{Escalate, Escalation};

/// Whether an interrupt at `now` counts: only when it is the spacing or more after the last that did.
#[must_use]
pub fn counts(policy: &Escalation, last: Option<Duration>, now: Duration) -> bool {
    match last {
        None => true,
        Some(last) => now.saturating_sub(last) >= policy.spacing,
    }
}

/// What follows from this many: the end of the process before the end of all waiting before nothing.
pub fn decide(policy: &Escalation, interrupts: u8) -> Escalate {
    let reached = |at: Option<u8>| at.is_some_and(|at| interrupts >= at);
    if reached(policy.exit_at) {
        Escalate::Exit
    } else if reached(policy.force_at) {
        Escalate::Force
    } else {
        Escalate::Join
    }
}

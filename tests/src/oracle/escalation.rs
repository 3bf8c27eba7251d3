//! The policy for repeated interrupts, counted out.

use std::time::Duration;

use winddown_core::{Escalate, Escalation, Forced, Phase};

use super::lifecycle::Lifecycle;

/// Whether an interrupt at `now` counts: only when it is the spacing or more after the last that did.
#[must_use]
pub fn counts(policy: &Escalation, last: Option<Duration>, now: Duration) -> bool {
    match last {
        None => true,
        Some(last) => now.saturating_sub(last) >= policy.spacing,
    }
}

/// What follows from an interrupt, given a life in which it is counted.
///
/// The numbers of the levels that have a turn are places in a queue. The interrupts so far have taken so many of them; when the
/// count has come to the next place, the first level that has anything left takes it.
pub fn decide(policy: &Escalation, life: &Lifecycle) -> Escalate {
    let number = |at: Option<u8>| at.map_or(u8::MAX, |at| at.max(2));
    let numbers = [policy.drain_at, policy.force_at, policy.exit_at].map(number);
    let has_turn = |level: usize| numbers[level + 1..].iter().all(|&later| numbers[level] < later);
    let levels: Vec<usize> = (0..3).filter(|&level| numbers[level] < u8::MAX && has_turn(level)).collect();
    let taken = usize::from(life.drain_ended) + usize::from(life.forced == Some(Forced::Interrupt));
    if levels.get(taken).is_none_or(|&place| life.repeats.interrupts < numbers[place]) {
        return Escalate::Join;
    }
    let open = |level: &&usize| match level {
        0 => life.phase == Phase::Draining && !life.drain_ended && life.forced.is_none(),
        1 => matches!(life.phase, Phase::Draining | Phase::Closing) && life.forced.is_none(),
        _ => true,
    };
    match levels.iter().find(open) {
        Some(0) => Escalate::EndDrain,
        Some(1) => Escalate::Force,
        Some(_) => Escalate::Exit,
        None => Escalate::Join,
    }
}

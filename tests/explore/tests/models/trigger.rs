//! What signal handlers do, on several threads at once.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use winddown::Reason;
use winddown::testing::{ManualClock, TriggerAlone};

use crate::explore::explore;

const SECOND: Duration = Duration::from_secs(1);

fn trigger() -> (ManualClock, Arc<TriggerAlone>) {
    let clock = ManualClock::new();
    let trigger = TriggerAlone::new(&clock);
    (clock, Arc::new(trigger))
}

/// P5: the deadlines count from a moment that is not later than the trigger, also when another asks after it.
#[test]
fn one_before_time_passes_and_another() {
    explore(None, || {
        let (clock, trigger) = trigger();
        let (theirs, their_clock) = (trigger.clone(), clock.clone());
        let other = thread::spawn(move || {
            theirs.fire(Reason::Signal(15));
            their_clock.advance(SECOND);
        });
        trigger.fire(Reason::Signal(15));
        other.join().unwrap();
        assert_eq!(trigger.asked_at(), Some(Duration::ZERO), "counted from a moment after the trigger");
    });
}

/// P5: whoever sees that it was asked for, has a moment to count from that is over.
#[test]
fn one_that_is_seen_before_time_passes() {
    explore(None, || {
        let (clock, trigger) = trigger();
        let (theirs, their_clock) = (trigger.clone(), clock.clone());
        let other = thread::spawn(move || {
            let seen = theirs.asked_at();
            their_clock.advance(SECOND);
            seen
        });
        trigger.fire(Reason::Signal(15));
        let seen = other.join().unwrap();
        assert!(seen.is_none_or(|asked_at| asked_at == Duration::ZERO), "counted from a moment after the trigger");
        assert!(trigger.asked_at().is_some_and(|asked_at| asked_at <= SECOND), "counted from never");
        assert!(seen.is_none() || trigger.asked_at() == seen, "counted anew");
    });
}

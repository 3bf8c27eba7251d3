//! What core says of itself, to people: in messages, logs and panics.

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use winddown_core::{
    Budget, Fate, Forced, Gate, InFlight, Milestone, Outcome, Phase, Plan, PlanError, Priority, Reason, Refused, Stage,
    WaitGroup,
};

fn said<T: Display>(words: impl IntoIterator<Item = T>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| word.to_string()).collect();
    words.join(", ")
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}

#[test]
fn the_words() {
    assert_eq!(
        said([Phase::Running, Phase::Draining, Phase::Closing, Phase::Done]),
        "running, draining, closing, done"
    );
    let reasons = [Reason::Requested, Reason::Failure, Reason::Interrupt];
    assert_eq!(said(reasons), "request, failure, interrupt");
    let signals = [1, 2, 3, 15, 10].map(Reason::Signal);
    assert_eq!(said(signals), "SIGHUP, SIGINT, SIGQUIT, SIGTERM, signal 10");
    let first = [Milestone::Triggered, Milestone::Refusing, Milestone::HighLate];
    assert_eq!(said(first), "triggered, refusing, high-priority work is late");
    assert_eq!(said([Milestone::LastCall, Milestone::Closing, Milestone::Done]), "last call, closing, done");
    assert_eq!(said(Priority::ALL), "critical, high, low");
    let outcomes = [Outcome::Clean, Outcome::Failed, Outcome::DrainTimedOut, Outcome::StageAbandoned];
    assert_eq!(said(outcomes), "clean, something failed, drain timed out, a stage was abandoned");
    let forced = [Forced::Call, Forced::Drain, Forced::Interrupt].map(Outcome::Forced);
    assert_eq!(said(forced), "forced by the program, the drain was ended by an interrupt, forced by an interrupt");
    let fates = [Fate::Completed, Fate::Failed, Fate::Panicked, Fate::Abandoned, Fate::NotStarted];
    assert_eq!(said(fates), "completed, failed, panicked, abandoned, not started");
    assert_eq!(said([Refused::Closed]), "refused: winding down");
    assert_eq!(said([Refused::Full]), "refused: too many passes are alive");
}

#[test]
fn in_flight_by_class_and_together() {
    let mut in_flight = InFlight { critical: 1, high: 2, low: 4 };
    assert_eq!(Priority::ALL.map(|class| in_flight.of(class)), [1, 2, 4]);
    assert_eq!((in_flight.total(), InFlight::NONE.total()), (7, 0));
    for class in Priority::ALL {
        *in_flight.of_mut(class) += 10;
    }
    assert_eq!(in_flight, InFlight { critical: 11, high: 12, low: 14 });
    in_flight.low = usize::MAX;
    assert_eq!(in_flight.total(), usize::MAX);
}

/// Each names its culprit.
#[test]
fn why_a_plan_cannot_be() {
    let refused = |stages: &[Stage]| Plan::new(Budget::default(), stages).unwrap_err().to_string();
    let after = |stages: u64| Stage { after: Some(stages), ..Stage::new() };
    assert_eq!(refused(&[Stage::new(); 65]), "65 stages were given, a plan holds at most 64");
    assert_eq!(refused(&[Stage::new(), after(1 << 7)]), "stage 1 comes after 7, which does not exist");
    let nothing = Stage { limit: Some(Duration::ZERO), ..Stage::new() };
    assert_eq!(refused(&[Stage::new(), nothing]), "stage 1 has a limit of 0, and could never begin");
    assert_eq!(refused(&[after(0), after(1 << 2), after(1 << 1)]), "stages wait for one another in a ring: 1 2");
    let long = Stage { reserve: Duration::from_secs(40), ..Stage::new() };
    assert_eq!(
        refused(&[long]),
        "the budget has 29s, but lame duck 0ns + forced close 500ms + longest chain of stages 40s + flush 500ms need 41s"
    );
    let ring = PlanError::Cycle { ring: 1 << 63 };
    assert_eq!(ring.to_string(), "stages wait for one another in a ring: 63");
}

/// A program returns it from `main`, which shows it as `Debug`.
#[test]
fn a_bad_variable_is_shown_as_it_is_said() {
    let error =
        Budget::default().overridden_by(|name| (name == "WINDDOWN_GRACE_SECONDS").then_some("soon")).unwrap_err();
    assert_eq!(shown(&error), error.to_string());
    assert!(error.to_string().contains("WINDDOWN_GRACE_SECONDS") && error.to_string().contains("soon"), "{error}");
}

#[test]
fn gates_show_who_is_inside() {
    let gate = Arc::new(Gate::new());
    let pass = Gate::enter_owned(gate.clone()).unwrap();
    gate.close();
    assert_eq!(shown(&gate), "Gate { closed: true, drained: false, in_flight: 1 }");
    assert_eq!(shown(&pass), "OwnedPass { .. }");
    let group = WaitGroup::new();
    let member = group.join().unwrap();
    assert_eq!(shown(&group), "WaitGroup { members: 1, done: false }");
    assert_eq!(shown(&member), "Pass { .. }");
}

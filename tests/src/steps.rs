//! A `Sequence` driven by hand, with a made-up clock.

use std::time::Duration;

use winddown_core::{Budget, Fate, InFlight, Observed, Outcome, Plan, Reason, Sequence, Stage, Step};

/// Milliseconds.
#[must_use]
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Seconds.
#[must_use]
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A sequence and what it observes.
#[derive(Debug)]
pub struct Driven {
    /// The sequence.
    pub sequence: Sequence,
    /// What it is shown.
    pub observed: Observed,
}

impl Driven {
    /// Triggered at `at`.
    ///
    /// # Panics
    ///
    /// When the plan cannot be.
    #[must_use]
    pub fn begun(budget: Budget, stages: &[Stage], at: Duration, reason: Reason) -> Self {
        let mut sequence = Sequence::new(Plan::new(budget, stages).unwrap());
        sequence.begin(at, reason);
        Self { sequence, observed: Observed::default() }
    }

    /// Shows this many in flight from now on.
    pub fn in_flight(&mut self, critical: usize, high: usize, low: usize) {
        self.observed.in_flight = InFlight { critical, high, low };
    }

    /// All steps up to and with the next wait or finish.
    ///
    /// # Panics
    ///
    /// When the steps do not come to an end.
    pub fn at(&mut self, now: Duration) -> Vec<Step> {
        self.steps(now, |_, _| ())
    }

    /// As [`at`](Self::at), with every stage that starts completing at once.
    ///
    /// # Panics
    ///
    /// As [`at`](Self::at).
    pub fn completing_at(&mut self, now: Duration) -> Vec<Step> {
        self.steps(now, |sequence, stage| assert!(sequence.ended(stage, Fate::Completed)))
    }

    fn steps(&mut self, now: Duration, started: fn(&mut Sequence, usize)) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            assert!(steps.len() < 200, "no end to it: {steps:?}");
            let step = self.sequence.poll(now, self.observed);
            steps.push(step);
            match step {
                Step::Start { stage, .. } => started(&mut self.sequence, stage),
                Step::Wait(_) | Step::Finish(_) => return steps,
                _ => {}
            }
        }
    }
}

/// The outcome, where the steps end with one.
///
/// # Panics
///
/// When they do not.
#[must_use]
pub fn outcome(steps: &[Step]) -> Outcome {
    match steps.last() {
        Some(Step::Finish(outcome)) => *outcome,
        other => panic!("not finished, but {other:?}"),
    }
}

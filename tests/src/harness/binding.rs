//! What the programs of the bindings have in common: calls, stages, passes with and without a label, and what a report says.

use std::time::{Duration, Instant};

use winddown::{AtEnd, Labelled, OwnedPass, Priority, Refused, Report, Shutdown};

use crate::scenarios::{Does, Row, Stage, Straggler, Summary};

/// What is the same call of `winddown` in every harness that has `shutdown` and `clock`.
macro_rules! calls {
    () => {
        type Pass = $crate::harness::binding::Held;

        fn now(&self) -> Duration {
            self.clock.now()
        }

        fn advance(&mut self, by: Duration) {
            self.clock.advance(by);
        }

        fn sleeps_until(&mut self, at: Duration) {
            self.clock.wait_for_sleeper(at);
        }

        fn phase(&self) -> Phase {
            self.shutdown.phase()
        }

        fn has_reached(&self, milestone: Milestone) -> bool {
            self.shutdown.token_at(milestone).should_stop()
        }

        fn has_left(&self, expected: Option<[Duration; 2]>) -> bool {
            $crate::harness::binding::has_left(&self.shutdown, expected)
        }

        fn trigger(&mut self, reason: Reason) -> bool {
            self.shutdown.trigger(reason)
        }

        fn trigger_with(&mut self, reason: Reason, message: &'static str) -> bool {
            self.shutdown.trigger_with(reason, message)
        }

        fn force(&mut self) -> bool {
            self.shutdown.force()
        }

        fn enter(&mut self, class: Priority, label: Option<&'static str>) -> Result<Held, Refused> {
            Held::enter(&self.shutdown, class, label)
        }

        fn split(pass: &Held) -> Result<Held, Refused> {
            pass.split()
        }

        fn go_on(&mut self, turns: u32) {
            (0..turns).for_each(|_| std::hint::spin_loop());
        }
    };
}
pub(super) use calls;

/// A stage as the setup has it, but for what its hooks do.
pub(super) fn outline(stage: &Stage) -> winddown::Stage {
    let mut outline = winddown::Stage::new(stage.name);
    for &after in &stage.after {
        outline = outline.after(after);
    }
    if let Some(time) = stage.reserve {
        outline = outline.reserve(time);
    }
    if let Some(time) = stage.limit {
        outline = outline.limit(time);
    }
    outline
}

/// Returns whether it is so long, by the clock that is made up, to the drain's deadline and to the end. Both are told as instants, in
/// so long from some moment between the two that are taken here.
pub(super) fn has_left(shutdown: &Shutdown, expected: Option<[Duration; 2]>) -> bool {
    let token = shutdown.token().child();
    let before = Instant::now();
    let told = [token.drain_deadline(), token.deadline()];
    let after = Instant::now();
    let Some(expected) = expected else { return told == [None; 2] };
    told.into_iter().zip(expected).all(|(at, left)| at.is_some_and(|at| (before + left..=after + left).contains(&at)))
}

/// How many hooks meet.
pub(super) fn meet(stages: &[Stage]) -> usize {
    stages.iter().flat_map(|stage| &stage.hooks).filter(|does| **does == Does::Meets).count()
}

/// A pass, with a label or without.
#[derive(Debug)]
pub struct Held {
    class: Priority,
    pass: Either,
}

#[derive(Debug)]
enum Either {
    Plain(OwnedPass),
    Labelled(Labelled<OwnedPass>),
}

impl Held {
    pub(super) fn enter(shutdown: &Shutdown, class: Priority, label: Option<&'static str>) -> Result<Self, Refused> {
        let work = shutdown.work().priority(class);
        let pass = match label {
            Some(label) => Either::Labelled(work.label(label).enter_owned()?),
            None => Either::Plain(work.enter_owned()?),
        };
        Ok(Self { class, pass })
    }

    pub(super) fn split(&self) -> Result<Self, Refused> {
        let part = match &self.pass {
            Either::Plain(pass) => pass.split(),
            Either::Labelled(pass) => pass.split(),
        };
        Ok(Self { class: self.class, pass: Either::Plain(part?) })
    }

    /// Whether the drain waits for it.
    pub(super) fn counts(&self) -> bool {
        self.class != Priority::Low
    }
}

/// What the report says, and how many workers were at work when it was made.
pub(super) fn summary(report: &Report, at_work: usize) -> Summary {
    let row = |stage: &winddown::StageReport| Row {
        name: stage.name.clone(),
        fate: stage.fate,
        began: stage.began,
        turn: stage.turn,
        took: stage.took,
        problems: stage.problems.clone(),
    };
    let straggler = |late: &winddown::Straggler| Straggler {
        label: late.label.clone(),
        class: late.class,
        age: late.age,
        let_go: late.at_end != AtEnd::StillHeld,
    };
    Summary {
        reason: report.reason,
        message: report.message.clone(),
        outcome: report.outcome,
        exit_code: report.exit_code(),
        repeats: report.repeats,
        took: report.took,
        lame_duck: report.lame_duck,
        draining: report.draining,
        closing: report.closing,
        in_flight: report.in_flight,
        refused: report.refused,
        stages: report.stages.iter().map(row).collect(),
        stragglers: report.stragglers.iter().map(straggler).collect(),
        unlabelled: report.unlabelled,
        failures: report.failures.iter().map(|failure| failure.what.clone()).collect(),
        at_work,
    }
}

//! What the programs of the bindings have in common: passes with and without a label, and what a report says.

use winddown::{Labelled, OwnedPass, Priority, Refused, Report, Shutdown};

use crate::scenarios::{Row, Straggler, Summary};

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
        let_go: late.let_go,
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
        at_work,
    }
}

//! How a wind-down went, as every harness can say it.

use std::time::Duration;

use winddown_core::{Fate, InFlight, Outcome, Priority, Reason, Repeats};

/// How a wind-down went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Why it began.
    pub reason: Reason,
    /// What was said to it.
    pub message: Option<String>,
    /// How it went as a whole.
    pub outcome: Outcome,
    /// The process's exit code.
    pub exit_code: u8,
    /// How often it was asked for.
    pub repeats: Repeats,
    /// From the trigger to the end of the last stage.
    pub took: Duration,
    /// Of that, still admitting.
    pub lame_duck: Duration,
    /// Of that, refusing and waiting.
    pub draining: Duration,
    /// Of that, running the stages.
    pub closing: Duration,
    /// What was in flight at the refusal.
    pub in_flight: InFlight,
    /// How often entry was refused.
    pub refused: u64,
    /// What became of each stage, in the order of the setup.
    pub stages: Vec<Row>,
    /// Who held a labelled pass when their time was over.
    pub stragglers: Vec<Straggler>,
    /// How many without a label did.
    pub unlabelled: InFlight,
    /// What else went wrong.
    pub failures: Vec<String>,
    /// How many workers held a pass of class Critical or High at the moment when it was over.
    pub at_work: usize,
}

/// What became of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub fate: Fate,
    /// When it began, after the trigger.
    pub began: Option<Duration>,
    /// Its place in the order in which they began.
    pub turn: usize,
    /// How long it ran or was waited for.
    pub took: Duration,
    /// What went wrong, a line for each hook.
    pub problems: Vec<String>,
}

/// Who was late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Straggler {
    /// By which label.
    pub label: String,
    /// Of which class.
    pub class: Priority,
    /// How long after it was admitted.
    pub age: Duration,
    /// Whether it had let go by the end.
    pub let_go: bool,
}

impl Summary {
    /// The stage of this name.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn stage(&self, name: &str) -> &Row {
        let found = self.stages.iter().find(|row| row.name == name);
        found.unwrap_or_else(|| panic!("there is no stage {name:?}: {self:#?}"))
    }

    /// The names of the stages that were begun, in that order.
    #[must_use]
    pub fn begun(&self) -> Vec<&str> {
        let mut begun: Vec<_> = self.stages.iter().filter(|row| row.began.is_some()).collect();
        begun.sort_by_key(|row| row.turn);
        begun.iter().map(|row| &*row.name).collect()
    }

    /// The fate of each stage, in the order of the setup.
    #[must_use]
    pub fn fates(&self) -> Vec<Fate> {
        self.stages.iter().map(|row| row.fate).collect()
    }

    /// Asserts how it went as a whole.
    ///
    /// # Panics
    ///
    /// With all there is to say, if it went otherwise.
    #[track_caller]
    pub fn assert(&self, outcome: Outcome) {
        assert!(self.outcome == outcome, "expected {outcome:?}, got: {self:#?}");
    }

    /// Asserts that everything admitted was finished and every stage completed.
    ///
    /// # Panics
    ///
    /// With all there is to say, if not.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.assert(Outcome::Clean);
    }
}

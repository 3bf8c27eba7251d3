//! What a program has, as data: its time, and stages whose hooks are words.

use std::time::Duration;

use winddown_core::{Budget, Escalation};

/// What a program is set up with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its time.
    pub budget: Budget,
    /// What repeated interrupts do.
    pub escalation: Escalation,
    /// Its stages.
    pub stages: Vec<Stage>,
}

/// A stage of a program.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// The stages that it comes after.
    pub after: Vec<&'static str>,
    /// What is kept for it, where that is not the usual.
    pub reserve: Option<Duration>,
    /// The most it may take.
    pub limit: Option<Duration>,
    /// What its hooks do.
    pub hooks: Vec<Does>,
}

/// What a hook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Returns at once.
    Returns,
    /// Returns an error.
    Fails(&'static str),
    /// Panics.
    Panics(&'static str),
    /// Never returns.
    Hangs,
    /// Returns when the scenario [releases](super::Harness::release) its stage.
    Waits,
    /// Returns when all hooks of the program that do this have begun.
    Meets,
}

impl Setup {
    /// No stages, and the usual escalation.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self { budget, escalation: Escalation::default(), stages: Vec::new() }
    }

    /// With one more stage.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stages.push(stage);
        self
    }
}

impl Stage {
    /// A stage of this name, with a hook that does this.
    #[must_use]
    pub fn new(name: &'static str, does: Does) -> Self {
        Self { hooks: vec![does], ..Self::empty(name) }
    }

    /// A stage of this name, without a hook.
    #[must_use]
    pub fn empty(name: &'static str) -> Self {
        Self { name, after: Vec::new(), reserve: None, limit: None, hooks: Vec::new() }
    }

    /// With one more hook.
    #[must_use]
    pub fn and(mut self, does: Does) -> Self {
        self.hooks.push(does);
        self
    }

    /// After one more stage.
    #[must_use]
    pub fn after(mut self, stage: &'static str) -> Self {
        self.after.push(stage);
        self
    }

    /// With this time kept for it.
    #[must_use]
    pub fn reserve(mut self, time: Duration) -> Self {
        self.reserve = Some(time);
        self
    }

    /// With this much time at most.
    #[must_use]
    pub fn limit(mut self, time: Duration) -> Self {
        self.limit = Some(time);
        self
    }
}

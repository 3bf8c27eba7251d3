//! One stage under way: a row of the report in the making. Not here: when it begins and is given up (`drive`).

use std::panic::Location;
use std::time::Duration;

use winddown_core::Fate;

use crate::hook::{Hook, Trouble};
use crate::report::StageReport;
use crate::sync::Arc;

pub(crate) struct StageRun {
    pub(crate) name: Arc<str>,
    pub(crate) fate: Fate,
    began: Option<Duration>,
    turn: usize,
    over: Duration,
    /// Where the hooks come from that have not ended.
    pending: Vec<&'static Location<'static>>,
    problems: Vec<String>,
}

impl StageRun {
    pub(crate) fn new(name: &str) -> Self {
        let (over, pending, problems) = (Duration::ZERO, Vec::new(), Vec::new());
        Self { name: name.into(), fate: Fate::Completed, began: None, turn: 0, over, pending, problems }
    }

    pub(crate) fn begin(&mut self, now: Duration, turn: usize, hooks: &[Hook]) {
        self.began = Some(now);
        self.turn = turn;
        self.pending = hooks.iter().map(|hook| hook.location).collect();
    }

    /// One hook's end. Says whether it is news that changes the stage to ended: all have, and it was not abandoned.
    pub(crate) fn hook_ended(&mut self, location: &'static Location<'static>, result: Result<(), Trouble>) -> bool {
        if self.fate == Fate::Abandoned {
            return false;
        }
        if let Some(own) = self.pending.iter().position(|&pending| std::ptr::eq(pending, location)) {
            self.pending.swap_remove(own);
        }
        let (fate, problem) = match result {
            Ok(()) => (Fate::Completed, None),
            Err(Trouble::Failed(message)) => (Fate::Failed, Some(message)),
            Err(Trouble::Panicked(message)) => (Fate::Panicked, Some(format!("{message} (hook from {location})"))),
        };
        self.fate = self.fate.max(fate);
        self.problems.extend(problem);
        self.pending.is_empty()
    }

    pub(crate) fn end(&mut self, at: Duration) {
        self.over = at;
    }

    /// Is waited for no more. Those of its hooks that did not end, or did not begin, are named.
    pub(crate) fn abandon(&mut self, at: Duration, not_begun: &[&'static Location<'static>]) {
        self.fate = if self.began.is_some() { Fate::Abandoned } else { Fate::NotStarted };
        self.over = at;
        let not_ended = self.pending.drain(..).map(|location| format!("the hook from {location} did not end"));
        self.problems.extend(not_ended);
        self.problems.extend(not_begun.iter().map(|location| format!("the hook from {location} did not begin")));
    }

    /// The row, with times since the trigger.
    pub(crate) fn report(self, triggered: Duration) -> StageReport {
        StageReport {
            name: self.name.as_ref().into(),
            fate: self.fate,
            began: self.began.map(|began| began.saturating_sub(triggered)),
            turn: self.turn,
            took: self.began.map_or(Duration::ZERO, |began| self.over.saturating_sub(began)),
            problems: self.problems,
        }
    }
}

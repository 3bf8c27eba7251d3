//! One stage under way: a row of the report in the making. Not here: when it begins and is given up (`drive`).

use std::collections::BTreeMap;
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
    /// The hooks that have not ended: how many come from each place.
    pending: BTreeMap<&'static Location<'static>, usize>,
    problems: Vec<String>,
    is_over: bool,
}

impl StageRun {
    pub(crate) fn new(name: &str) -> Self {
        let (over, pending, problems) = (Duration::ZERO, BTreeMap::new(), Vec::new());
        Self { name: name.into(), fate: Fate::Completed, began: None, turn: 0, over, pending, problems, is_over: false }
    }

    pub(crate) fn begin(&mut self, now: Duration, turn: usize, hooks: &[Hook]) {
        self.began = Some(now);
        self.turn = turn;
        for hook in hooks {
            *self.pending.entry(hook.location).or_default() += 1;
        }
    }

    /// One hook's end. Says whether it is news that changes the stage to ended: all have, and it was not abandoned.
    pub(crate) fn hook_ended(&mut self, location: &'static Location<'static>, result: Result<(), Trouble>) -> bool {
        if self.fate == Fate::Abandoned {
            return false;
        }
        let left = self.pending.remove(location).unwrap_or(1) - 1;
        if left > 0 {
            self.pending.insert(location, left);
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
        self.is_over = true;
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    /// Whether it has ended, in whichever way.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Is waited for no more. Those of its hooks that did not end, or did not begin, are named.
    pub(crate) fn abandon(&mut self, at: Duration, not_begun: &[&'static Location<'static>]) {
        self.fate = if self.began.is_some() { Fate::Abandoned } else { Fate::NotStarted };
        self.end(at);
        let pending = std::mem::take(&mut self.pending);
        let not_ended = pending.into_iter().flat_map(|(location, count)| std::iter::repeat_n(location, count));
        self.problems.extend(not_ended.map(|location| format!("the hook from {location} did not end")));
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

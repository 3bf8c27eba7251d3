//! A stage as a program describes it. Not here: order and deadlines (`winddown_core::Plan`), and running it (`drive`).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use winddown_core::{Budget, Plan, PlanError};

use crate::hook::Hook;
use crate::timetable::Reserved;
use crate::{BuildError, HookResult};

/// One step of closing: a name, a place in the order, a share of the budget, and hooks.
///
/// With no [`after`](Self::after) anywhere, stages run one at a time, in the reverse of the order in which they were
/// given: what was set up last is taken down first. With any `after`, the order is exactly as written, and stages whose
/// needs have ended, in whichever way, run side by side.
///
/// ```
/// use std::time::Duration;
/// use winddown::Stage;
///
/// Stage::new("database")
///     .after("workers")
///     .reserve(Duration::from_secs(3))
///     .hook(|| -> Result<(), std::io::Error> { /* close it */ Ok(()) });
/// ```
#[must_use = "give it to `Builder::stage`"]
pub struct Stage {
    pub(crate) name: Cow<'static, str>,
    after: Option<Vec<Cow<'static, str>>>,
    plan: winddown_core::Stage,
    /// The reserve is the default one.
    default_reserve: bool,
    pub(crate) stack_size: Option<usize>,
    pub(crate) hooks: Vec<Hook>,
}

impl Stage {
    /// A stage of this name. Without a hook it ends at once.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            after: None,
            plan: winddown_core::Stage::new(),
            default_reserve: true,
            stack_size: None,
            hooks: Vec::new(),
        }
    }

    /// Begins only when the stage of that name has ended. May be said several times.
    pub fn after(mut self, stage: impl Into<Cow<'static, str>>) -> Self {
        self.after.get_or_insert_default().push(stage.into());
        self
    }

    /// Time kept for it whatever drain and other stages do. 1 s unless set: [`Builder::timetable`](crate::Builder::timetable) shows
    /// what that leaves the drain.
    pub const fn reserve(mut self, time: Duration) -> Self {
        self.plan.reserve = time;
        self.default_reserve = false;
        self
    }

    /// The most it may take, however much time is left. Without it: all that the stages after it leave.
    pub const fn limit(mut self, time: Duration) -> Self {
        self.plan.limit = Some(time);
        self
    }

    /// Sets the size of the stack, in bytes, of the threads that run this stage's hooks. Unless set it is that of
    /// [`std::thread`]: 2 MiB, or the value of `RUST_MIN_STACK`. The main thread usually has 8 MiB.
    pub const fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Adds a hook: what the stage does, on a thread of its own. The hooks of a stage run side by side. An error or a panic is
    /// reported, and stops no other hook. A hook that does not end by the stage's deadline is abandoned: its thread goes on, but the
    /// wind-down does not wait for it.
    ///
    /// A hook has ended when its thread has: after the destructors of its thread-locals.
    ///
    /// If no thread can be started when the stage begins (a limit on processes or on memory), the hooks run one after the other on a
    /// thread that [`build`](crate::Builder::build) has started for that, with that thread's stack. The report has a
    /// [note](crate::Report::notes) of it.
    ///
    /// With `panic = "abort"` a panic ends the process, and the stages after this one never run.
    #[track_caller]
    pub fn hook<R: HookResult<K>, K>(mut self, hook: impl FnOnce() -> R + Send + 'static) -> Self {
        self.hooks.push(Hook::new(hook));
        self
    }

    /// As [`hook`](Self::hook), with a future: polled by the task that awaits [`Shutdown::ended`](crate::Shutdown::ended), or,
    /// while none does, on a thread of its own. At the stage's deadline it is dropped.
    ///
    /// It is first polled when its stage begins. On a thread of its own it finds no executor around it: one that wants its
    /// executor's context (tokio's timers, say) spawns there what it has to do, and awaits the handle.
    #[track_caller]
    pub fn async_hook<R: HookResult<K>, K>(mut self, hook: impl Future<Output = R> + Send + 'static) -> Self {
        self.hooks.push(Hook::future(hook));
        self
    }
}

impl Stage {
    /// What the plan keeps for it.
    pub(crate) fn reserved(&self) -> Reserved {
        let time = self.plan.kept();
        let is_default = self.default_reserve && time == self.plan.reserve;
        Reserved { stage: self.name.clone(), time, is_default }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("name", &self.name)
            .field("after", &self.after)
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}

/// Names to numbers, and what core says of them back to names.
pub(crate) fn plan(budget: Budget, stages: &[Stage]) -> Result<Box<Plan>, BuildError> {
    let index = |name: &str| stages.iter().position(|stage| stage.name == name);
    let mut numbered = Vec::with_capacity(stages.len());
    if stages.len() > winddown_core::MAX_STAGES {
        return Err(BuildError::TooManyStages { given: stages.len() });
    }
    for (own, stage) in stages.iter().enumerate() {
        if index(&stage.name) != Some(own) {
            return Err(BuildError::DuplicateStage(stage.name.clone().into_owned()));
        }
        let mut plan = stage.plan;
        for after in stage.after.iter().flatten() {
            let unknown = || BuildError::UnknownStage {
                stage: stage.name.clone().into_owned(),
                after: after.clone().into_owned(),
            };
            *plan.after.get_or_insert_default() |= 1 << index(after).ok_or_else(unknown)?;
        }
        numbered.push(plan);
    }
    let name = |number: usize| stages[number].name.clone().into_owned();
    Plan::new(budget, &numbered).map(Box::new).map_err(|error| match error {
        PlanError::ZeroLimit { stage } => BuildError::ZeroLimit(name(stage)),
        PlanError::Cycle { ring } => {
            BuildError::Cycle((0..stages.len()).filter(|number| ring & 1 << number != 0).map(name).collect())
        }
        PlanError::DoesNotFit { chain, .. } => {
            let in_chain = |number: &usize| chain & 1 << number != 0;
            let chain = (0..stages.len()).filter(in_chain).map(|number| stages[number].reserved()).collect();
            BuildError::DoesNotFit { error, chain }
        }
        PlanError::HandBackTooLong { .. } => BuildError::HandBackTooLong(error),
        PlanError::TooManyStages { given } => BuildError::TooManyStages { given },
        other => unreachable!("every `after` was found: {other}"),
    })
}

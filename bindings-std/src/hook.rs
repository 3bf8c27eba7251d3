//! Hooks: what the stages do. Not here: what they may return (`hook_result`), when they run (`winddown_core::Sequence`), and what polls
//! those that are futures (`hand_over`).

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

pub(crate) use crate::hook_result::Trouble;
use crate::inner::Inner;
use crate::sync::{Arc, Mutex, thread};
use crate::{HookResult, Stage, unwinding};

/// Why a hook was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HookError {
    /// No stage has this name.
    UnknownStage(String),
    /// The stage of this name has begun or been given up.
    TooLate(String),
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStage(name) => write!(f, "there is no stage {name:?}"),
            Self::TooLate(name) => write!(f, "stage {name:?} has begun or been given up"),
        }
    }
}

impl Error for HookError {}

pub(crate) struct Hook {
    pub(crate) work: Work,
    pub(crate) location: &'static Location<'static>,
}

/// What a hook does.
pub(crate) enum Work {
    /// On a thread of its own.
    Closure(Box<dyn FnOnce() -> Result<(), Trouble> + Send>),
    /// Wherever it is polled.
    Future(HookFuture),
}

/// A hook as a future, with its error as text.
pub(crate) type HookFuture = Pin<Box<dyn Future<Output = Result<(), Trouble>> + Send>>;

impl Hook {
    #[track_caller]
    pub(crate) fn new<R: HookResult<K>, K>(hook: impl FnOnce() -> R + Send + 'static) -> Self {
        Self { work: Work::Closure(Box::new(|| hook().into_result())), location: Location::caller() }
    }

    #[track_caller]
    pub(crate) fn future<R: HookResult<K>, K>(hook: impl Future<Output = R> + Send + 'static) -> Self {
        Self { work: Work::Future(Box::pin(async { hook.await.into_result() })), location: Location::caller() }
    }
}

/// The hooks of all stages, and which have ended.
pub(crate) struct Hooks {
    stages: Vec<Waiting>,
    ended: Mutex<Vec<HookEnd>>,
}

struct Waiting {
    name: Cow<'static, str>,
    stack_size: Option<usize>,
    hooks: Mutex<Queue>,
}

struct Queue {
    /// Not yet begun nor given up.
    open: bool,
    hooks: Vec<Hook>,
}

/// One hook's end.
pub(crate) struct HookEnd {
    pub(crate) stage: usize,
    pub(crate) location: &'static Location<'static>,
    pub(crate) at: Duration,
    pub(crate) result: Result<(), Trouble>,
}

impl Hooks {
    pub(crate) fn new(stages: Vec<Stage>) -> Self {
        let waiting = |Stage { name, stack_size, hooks, .. }| {
            let hooks = Mutex::new(Queue { open: true, hooks });
            Waiting { name, stack_size, hooks }
        };
        Self { stages: stages.into_iter().map(waiting).collect(), ended: Mutex::default() }
    }

    /// The largest stack that a stage asks for.
    pub(crate) fn largest_stack(&self) -> Option<usize> {
        self.stages.iter().filter_map(|stage| stage.stack_size).max()
    }

    /// Whether there is a stage that may have hooks.
    pub(crate) fn may_be_any(&self) -> bool {
        !self.stages.is_empty()
    }

    pub(crate) fn stack_size(&self, stage: usize) -> Option<usize> {
        self.stages[stage].stack_size
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|stage| &*stage.name)
    }

    pub(crate) fn name(&self, stage: usize) -> &str {
        &self.stages[stage].name
    }

    pub(crate) fn add(&self, stage: &str, hook: Hook) -> Result<(), HookError> {
        let waiting = self.stages.iter().find(|waiting| waiting.name == stage);
        let waiting = waiting.ok_or_else(|| HookError::UnknownStage(stage.to_owned()))?;
        let mut queue = waiting.hooks.lock();
        if !queue.open {
            // The hook is dropped by the caller's thread, after the lock.
            return Err(HookError::TooLate(stage.to_owned()));
        }
        queue.hooks.push(hook);
        Ok(())
    }

    /// The hooks of a stage that begins. None are taken for it any more.
    pub(crate) fn take(&self, stage: usize) -> Vec<Hook> {
        let mut queue = self.stages[stage].hooks.lock();
        queue.open = false;
        std::mem::take(&mut queue.hooks)
    }

    /// Takes no more hooks for a stage that will not begin, and says where those come from that it has. They stay where
    /// they are: their destructors are a stranger's code, which the driver must not run (P6).
    pub(crate) fn give_up(&self, stage: usize) -> Vec<&'static Location<'static>> {
        let mut queue = self.stages[stage].hooks.lock();
        queue.open = false;
        queue.hooks.iter().map(|hook| hook.location).collect()
    }

    /// The hooks of stages that were given up.
    pub(crate) fn take_left(&self) -> Vec<Hook> {
        self.stages.iter().flat_map(|stage| std::mem::take(&mut stage.hooks.lock().hooks)).collect()
    }

    pub(crate) fn end(&self, ended: HookEnd) {
        self.ended.lock().push(ended);
    }

    /// Those that have ended since last asked.
    pub(crate) fn take_ended(&self) -> Vec<HookEnd> {
        std::mem::take(&mut self.ended.lock())
    }
}

impl Trouble {
    /// How a hook ended that was run with its panics caught.
    pub(crate) fn of(result: Result<Result<(), Self>, Panicked>) -> Result<(), Self> {
        result.unwrap_or_else(|Panicked(message)| Err(Self::Panicked(message)))
    }
}

/// A panic's message.
pub(crate) struct Panicked(pub(crate) String);

impl Inner {
    /// Has a hook's closure run on a thread of its own, and told how it ended once that thread has ended, with the destructors of its
    /// thread-locals. Where no thread can be started it runs on the helper that was kept for this, after the hooks before it.
    ///
    /// With `panic = "abort"` a panic ends the process, and nothing is told.
    pub(crate) fn run_hook<T: Send + 'static>(
        self: &Arc<Self>,
        stage: usize,
        run: impl FnOnce() -> T + Send + 'static,
        tell: impl FnOnce(Result<T, Panicked>) + Send + 'static,
    ) {
        let (name, stack_size) = (self.hooks.name(stage).to_owned(), self.hooks.stack_size(stage));
        let inner = self.clone();
        let job = move || {
            let ended = on_own_thread(&name, stack_size, run).unwrap_or_else(|(error, run)| {
                inner.faults.note("hooks", || {
                    format!("could not start a thread for a hook ({error}): hooks ran one after the other")
                });
                caught(run)
            });
            tell(ended);
        };
        // If hooks hang where no thread can be started, there is one more thread.
        let helpers = if self.hook_helpers.may_begin() { &self.hook_helpers } else { &self.calls };
        self.note_no_helper(helpers.hand(job));
    }
}

/// Runs a closure on a thread of its own and returns what it returned, once that thread has ended. Without a thread the closure comes
/// back.
fn on_own_thread<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
    name: &str,
    stack_size: Option<usize>,
    run: F,
) -> Result<Result<T, Panicked>, (io::Error, F)> {
    if cfg!(winddown_loom) {
        // The helper is one, and has no thread-locals.
        return Ok(caught(run));
    }
    let job = Arc::new(Mutex::new(Some(run)));
    let theirs = job.clone();
    let take = |job: &Mutex<Option<F>>| job.lock().take().expect("taken once");
    let builder = thread::Builder::new().name(thread_name(name));
    let builder = stack_size.into_iter().fold(builder, thread::Builder::stack_size);
    match builder.spawn(move || caught(take(&theirs))) {
        Ok(thread) => Ok(thread.join().unwrap_or_else(|payload| Err(Panicked(message(payload))))),
        Err(error) => Err((error, take(&job))),
    }
}

/// Runs a stranger's closure where it stands, and catches its panic.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    unwinding::caught(run).map_err(|(payload, held)| {
        let message = message(payload);
        Panicked(match held {
            Some(held) => format!("{message} ({held})"),
            None => message,
        })
    })
}

/// Thread names end at the first NUL, and a NUL in one is a panic.
pub(crate) fn thread_name(part: &str) -> String {
    format!("wd:{}", part.replace('\0', ""))
}

pub(crate) fn message(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast::<&str>() {
        Ok(text) => return (*text).to_owned(),
        Err(payload) => payload.downcast::<String>(),
    };
    match text {
        Ok(text) => *text,
        Err(payload) => {
            // The destructor of an unknown payload may panic in its turn.
            std::mem::forget(payload);
            "a payload that is no string".to_owned()
        }
    }
}

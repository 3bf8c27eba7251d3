//! Hooks that are futures: handed over by the driver, which begins and abandons them, to whoever polls them. Not here: when
//! that is (`drive`), and hooks that are closures (`hook`).

use std::collections::BTreeMap;
use std::mem;
use std::panic::Location;
use std::task::{Context, Poll, Waker};

use crate::event_count::EventCount;
use crate::hook::{self, HookFuture, Panicked, Trouble};
use crate::inner::Inner;
use crate::sync::{Arc, Mutex};

/// A hook that has begun.
pub(crate) struct Task {
    pub(crate) stage: usize,
    pub(crate) location: &'static Location<'static>,
    pub(crate) future: HookFuture,
}

/// What lies between the driver and the runners, which poll hooks.
///
/// # Concurrency
///
/// A runner enters its waker and looks for what there is to do with the lock held; whoever brings something puts it there
/// and takes the wakers with the lock held. So a runner either sees it or is woken (P4). A hook is in one place at a time,
/// in the queue or with one runner, and a runner that goes hands on what it has. Nothing of a stranger's is polled, woken
/// or dropped with the lock held (P9), nor by the driver (P6).
#[derive(Default)]
pub(crate) struct HandOver {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    runners: BTreeMap<u64, Entry>,
    queue: Vec<Task>,
    /// A bit for each stage.
    abandoned: u64,
    /// There is a report: nobody waits for a hook any more.
    over: bool,
}

struct Entry {
    /// `None`: it was woken, and has not polled since.
    waker: Option<Waker>,
    takes: bool,
}

impl State {
    fn has_taker(&self) -> bool {
        self.runners.values().any(|runner| runner.takes)
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.runners.values_mut().filter_map(|runner| runner.waker.take()).collect()
    }

    fn is_needless(&self, task: &Task) -> bool {
        self.over || self.abandoned & 1 << task.stage != 0
    }
}

impl HandOver {
    /// A stage is waited for no more. Those who are to drop its hooks.
    pub(crate) fn abandon(&self, stage: usize) -> Vec<Waker> {
        let mut held = self.state.lock();
        held.abandoned |= 1 << stage;
        held.take_wakers()
    }

    /// There is a report. Those who wait for it, and the hooks that nobody took.
    pub(crate) fn end(&self) -> (Vec<Waker>, Vec<Task>) {
        let mut held = self.state.lock();
        held.over = true;
        (held.take_wakers(), mem::take(&mut held.queue))
    }

    /// Into the queue, if there is somebody who takes from it: those who are to. Else the tasks come back.
    fn hand(&self, mut tasks: Vec<Task>) -> Result<Vec<Waker>, Vec<Task>> {
        let mut held = self.state.lock();
        if !held.has_taker() {
            return Err(tasks);
        }
        held.queue.append(&mut tasks);
        Ok(held.take_wakers())
    }
}

impl Inner {
    /// Hands hooks over to a future that awaits the end and polls them on its way; where there is none, to a thread each.
    /// The driver's to call.
    pub(crate) fn hand_over(self: &Arc<Self>, tasks: Vec<Task>) {
        if tasks.is_empty() {
            return;
        }
        match self.hand_over.hand(tasks) {
            Ok(wakers) => self.wake_apart(self.waiters.owe(wakers)),
            Err(tasks) => tasks.into_iter().for_each(|task| self.run_apart(task)),
        }
    }

    /// Polls one hook on a thread of its own.
    fn run_apart(self: &Arc<Self>, task: Task) {
        let (stage, location) = (task.stage, task.location);
        let (inner, theirs) = (self.clone(), self.clone());
        let runner = Runner { inner: theirs, id: None, takes: false, tasks: vec![task], result: None };
        self.run_hook(
            stage,
            move || runner.block(),
            move |ended| {
                // `None`: it was dropped, because nothing waits for it any more.
                match ended {
                    Ok(None) => {}
                    Ok(Some(result)) => inner.hook_ended(stage, location, result),
                    Err(Panicked(message)) => inner.hook_ended(stage, location, Err(Trouble::Panicked(message))),
                }
            },
        );
    }
}

/// Somebody who polls hooks that have begun.
pub(crate) struct Runner {
    inner: Arc<Inner>,
    /// `None`: it has not polled yet.
    id: Option<u64>,
    /// Whether it takes what comes, or has what it will ever have.
    takes: bool,
    tasks: Vec<Task>,
    /// The result of the one hook of a runner that takes no other.
    result: Option<Result<(), Trouble>>,
}

impl Runner {
    /// One that takes what comes, once it is polled.
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, id: None, takes: true, tasks: Vec::new(), result: None }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Polls the hooks there are. The waker is woken when there is something new: a hook, the end of the time for one, the
    /// report.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) {
        let waker = Some(context.waker().clone());
        let mut held = self.inner.hand_over.state.lock();
        let id = *self.id.get_or_insert(held.next);
        held.next = held.next.max(id + 1);
        let replaced = held.runners.insert(id, Entry { waker, takes: self.takes });
        if self.takes {
            self.tasks.append(&mut held.queue);
        }
        let (needless, tasks) = mem::take(&mut self.tasks).into_iter().partition(|task| held.is_needless(task));
        drop(held);
        drop(replaced);
        Vec::into_iter(needless).for_each(Task::bury);
        for mut task in Vec::into_iter(tasks) {
            let (stage, location) = (task.stage, task.location);
            let result = match hook::caught(|| task.future.as_mut().poll(context)) {
                Ok(Poll::Pending) => {
                    self.tasks.push(task);
                    continue;
                }
                Ok(Poll::Ready(result)) => task.end(result),
                Err(Panicked(message)) => task.end(Err(Trouble::Panicked(message))),
            };
            if self.takes {
                self.inner.hook_ended(stage, location, result);
            } else {
                self.result = Some(result);
            }
        }
    }

    /// Polls on the calling thread until there is nothing left to. Returns the hook's result, if it came to one.
    fn block(mut self) -> Option<Result<(), Trouble>> {
        let event = Arc::<EventCount>::default();
        let waker = Waker::from(event.clone());
        loop {
            let key = event.key();
            self.poll(&mut Context::from_waker(&waker));
            if self.tasks.is_empty() {
                return self.result.take();
            }
            event.wait(key, None);
        }
    }
}

impl Drop for Runner {
    /// What it has goes to the next one, or to threads.
    fn drop(&mut self) {
        let mut held = self.inner.hand_over.state.lock();
        let entry = self.id.and_then(|id| held.runners.remove(&id));
        let mut tasks = mem::take(&mut self.tasks);
        if self.takes && !held.has_taker() {
            tasks.append(&mut held.queue);
        }
        let (needless, mut tasks): (Vec<_>, Vec<_>) = tasks.into_iter().partition(|task| held.is_needless(task));
        let mut wakers = Vec::new();
        if held.has_taker() && !tasks.is_empty() {
            held.queue.append(&mut tasks);
            wakers = held.take_wakers();
        }
        drop(held);
        drop(entry);
        needless.into_iter().for_each(Task::bury);
        if !wakers.is_empty() {
            self.inner.wake(self.inner.waiters.owe(wakers));
        }
        for task in tasks {
            self.inner.run_apart(task);
        }
    }
}

impl Task {
    /// It is ready, and is dropped before the driver hears of it.
    fn end(self, result: Result<(), Trouble>) -> Result<(), Trouble> {
        let dropped = hook::caught(|| drop(self.future)).map_err(|Panicked(message)| Trouble::Panicked(message));
        result.and(dropped)
    }

    /// Nobody waits for it any more.
    pub(crate) fn bury(self) {
        let _ = hook::caught(|| drop(self.future));
    }
}

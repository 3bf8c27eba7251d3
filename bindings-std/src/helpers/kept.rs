//! Helpers of which one exists since the build, so that the driver need not start any, and more while user code blocks.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use super::{Job, Limits};
use crate::event_count::EventCount;
use crate::fork::Process;
use crate::hook::{caught, thread_name};
use crate::sync::{Arc, Mutex, thread};

/// A job that has run for so long is taken to block.
const BLOCKS_AFTER: Duration = Duration::from_millis(10);

/// Threads for one kind of job, which is done in the order in which it comes.
///
/// One thread is started by [`keep`](Self::keep). Before a helper begins a job it starts another one if none is idle, so a job that
/// blocks holds up no other. If no thread can be started, the jobs wait for those that there are. A helper that has nothing to do ends,
/// unless it is the only idle one.
pub(crate) struct Helpers {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    limits: Limits,
    stack_size: Option<usize>,
    state: Mutex<State>,
    /// There is something new for the helpers.
    news: EventCount,
    /// Notified when a job has ended and no other waits.
    done: Option<Arc<EventCount>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// When each job under way began, by its number.
    running: BTreeMap<u64, Instant>,
    begun: u64,
    /// The threads that run no job, those included that were just started.
    idle: usize,
    /// How many of those are being started, which may fail.
    starting: usize,
    /// The last thread that was to be started could not be.
    short: bool,
    dismissed: bool,
    /// In which process a thread was kept.
    process: Option<Process>,
}

/// The next thing that a helper does.
enum Next {
    Run(u64, Job),
    /// Nothing, until there is news, or for so long.
    Wait(Option<Duration>),
    End,
}

impl Helpers {
    /// `stack_size`: in bytes, unless it is that of every thread. `done`: notified when a job has ended and no other waits.
    pub(crate) fn new(
        name: &'static str,
        limits: Limits,
        stack_size: Option<usize>,
        done: Option<Arc<EventCount>>,
    ) -> Self {
        let (state, news) = (Mutex::default(), EventCount::default());
        Self { shared: Arc::new(Shared { name, limits, stack_size, state, news, done }) }
    }

    /// Starts the thread that is kept. In a forked child, where the parent's threads are not, it has to be called again: the jobs of
    /// that time are the parent's.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let current = Some(Process::current());
        let mut state = self.shared.state.lock();
        if state.process == current {
            return Ok(());
        }
        // In a forked child, user code that the parent runs. Not run here, and its destructors are user code as well.
        std::mem::forget(std::mem::take(&mut *state));
        state.count_one();
        state.process = current;
        drop(state);
        self.shared.start()
    }

    /// Has a job done. With no thread at all, and none to be started, this thread does it: returns why.
    pub(crate) fn hand(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        state.queue.push_back(Box::new(job));
        let threads = state.threads();
        // If there was none to be started when a job began, that job may block.
        let lacks_one = threads == 0 || state.short && state.idle == 0 && threads < shared.limits.threads;
        if lacks_one {
            state.count_one();
        }
        drop(state);
        if !lacks_one {
            shared.news.notify();
            return Ok(());
        }
        match shared.start() {
            Err(error) if shared.work_off() => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether a thread would begin a job at once, or could be started for it.
    pub(crate) fn may_begin(&self) -> bool {
        let state = self.shared.state.lock();
        state.idle > 0 || !state.short
    }

    /// Whether a job waits or is under way. When this is `false`, the changes that the jobs made are seen.
    pub(crate) fn are_busy(&self) -> bool {
        let state = self.shared.state.lock();
        !state.queue.is_empty() || !state.running.is_empty()
    }

    /// Ends the threads once they have nothing to do: none is kept. A job that comes later has a thread started for it.
    pub(crate) fn dismiss(&self) {
        self.shared.state.lock().dismissed = true;
        self.shared.news.notify();
    }
}

impl Drop for Helpers {
    /// The jobs that wait are still done.
    fn drop(&mut self) {
        self.dismiss();
    }
}

impl State {
    /// Counts a thread that is about to be started.
    fn count_one(&mut self) {
        self.idle += 1;
        self.starting += 1;
    }

    fn threads(&self) -> usize {
        self.idle + self.running.len()
    }

    /// How long until one more job may run; zero if one may.
    fn may_run_in(&self, quick: usize) -> Duration {
        // Explored time stands still.
        if self.running.len() < quick || cfg!(winddown_shuttle) {
            return Duration::ZERO;
        }
        let latest = self.running.values().rev().nth(quick - 1);
        latest.map_or(Duration::ZERO, |began| BLOCKS_AFTER.saturating_sub(began.elapsed()))
    }
}

impl Shared {
    /// Starts a thread, which is counted already.
    fn start(self: &Arc<Self>) -> io::Result<()> {
        let theirs = self.clone();
        let builder = thread::Builder::new().name(thread_name(self.name));
        let builder = self.stack_size.into_iter().fold(builder, thread::Builder::stack_size);
        let started = builder.spawn(move || theirs.work());
        let mut state = self.state.lock();
        state.starting -= 1;
        state.short = started.is_err();
        state.idle -= usize::from(state.short);
        started.map(drop)
    }

    /// Does the jobs that wait on this thread, if there is no other. Returns whether it did any.
    fn work_off(&self) -> bool {
        let mut worked = false;
        loop {
            let mut state = self.state.lock();
            if state.threads() > 0 {
                return worked;
            }
            let Some(job) = state.queue.pop_front() else { return worked };
            worked = true;
            // Under way: a job that hands another one does not do it itself.
            state.begun += 1;
            let number = state.begun;
            state.running.insert(number, Instant::now());
            drop(state);
            let _ = caught(job);
            self.state.lock().running.remove(&number);
        }
    }

    /// The body of a helper.
    fn work(self: &Arc<Self>) {
        loop {
            let key = self.news.key();
            match self.next() {
                Next::Run(number, job) => self.run(number, job),
                Next::Wait(at_most) => self.news.wait(key, at_most),
                Next::End => return,
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = self.state.lock();
        let may_run_in = state.may_run_in(self.limits.quick);
        if state.queue.is_empty() {
            // The last idle one stays; one that is being started may not come.
            if state.idle <= state.starting + 1 && !state.dismissed {
                return Next::Wait(None);
            }
            state.idle -= 1;
            return Next::End;
        }
        if !may_run_in.is_zero() {
            return Next::Wait(Some(may_run_in));
        }
        state.idle -= 1;
        state.begun += 1;
        let number = state.begun;
        state.running.insert(number, Instant::now());
        state.queue.pop_front().map_or(Next::End, |job| Next::Run(number, job))
    }

    fn run(self: &Arc<Self>, number: u64, job: Job) {
        let mut state = self.state.lock();
        let lacks_one = state.idle == 0 && state.threads() < self.limits.threads;
        if lacks_one {
            state.count_one();
        }
        drop(state);
        if lacks_one {
            // If it cannot be started, the other jobs wait for this one.
            let _ = self.start();
        }
        // The jobs catch the panics of user code, and say what they were.
        let _ = caught(job);
        let mut state = self.state.lock();
        state.running.remove(&number);
        state.idle += 1;
        let is_done = state.queue.is_empty();
        drop(state);
        if let (Some(done), true) = (&self.done, is_done) {
            done.notify();
        }
    }
}

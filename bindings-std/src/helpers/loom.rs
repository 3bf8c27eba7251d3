//! Helpers for loom, which has room for five threads: none is kept, and each is started for its job. The others are explored by the
//! races under a scheduler.

use std::io;

use super::{Job, Limits};
use crate::event_count::EventCount;
use crate::sync::{Arc, Mutex, thread};

pub(crate) struct Helpers {
    limits: Limits,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    done: Option<Arc<EventCount>>,
}

#[derive(Default)]
struct State {
    queue: std::collections::VecDeque<Job>,
    running: bool,
}

impl Helpers {
    pub(crate) fn new(_: &str, limits: Limits, _: Option<usize>, done: Option<Arc<EventCount>>) -> Self {
        Self { limits, shared: Arc::new(Shared { state: Mutex::default(), done }) }
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as the others")]
    pub(crate) fn keep(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn hand(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        if self.limits.threads > 1 {
            return thread::Builder::new().spawn(job).map(drop);
        }
        let mut state = self.shared.state.lock();
        state.queue.push_back(Box::new(job));
        if std::mem::replace(&mut state.running, true) {
            return Ok(());
        }
        drop(state);
        let shared = self.shared.clone();
        thread::Builder::new().spawn(move || shared.work_off()).map(drop)
    }

    #[expect(clippy::unused_self, reason = "as the others")]
    pub(crate) fn may_begin(&self) -> bool {
        true
    }

    pub(crate) fn are_busy(&self) -> bool {
        self.shared.state.lock().running
    }

    #[expect(clippy::unused_self, reason = "as the others")]
    pub(crate) fn dismiss(&self) {}
}

impl Shared {
    fn work_off(&self) {
        while let Some(job) = self.next() {
            job();
        }
        self.done.iter().for_each(|done| done.notify());
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        let job = state.queue.pop_front();
        state.running = job.is_some();
        job
    }
}

//! The smallest executor: a thread that runs one future, and the bell that wakes it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;

/// Wakes the thread that runs a task.
pub(crate) struct Bell {
    rung: Notify,
    times: AtomicUsize,
}

impl Bell {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { rung: Notify::new(), times: AtomicUsize::new(0) })
    }

    pub(crate) fn times(&self) -> usize {
        self.times.load(Ordering::Relaxed)
    }

    /// Until it was rung after the last time, or for no reason.
    pub(crate) fn wait(&self) {
        self.rung.wait();
    }

    pub(crate) fn run<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> F::Output {
        loop {
            if let Poll::Ready(output) = self.poll(future) {
                return output;
            }
            self.wait();
        }
    }

    /// Polls until something has come about, whether the future is ready or not.
    pub(crate) fn run_until<F: Future + Unpin>(self: &Arc<Self>, future: &mut F, come_about: impl Fn() -> bool) {
        while self.poll(future).is_pending() && !come_about() {
            self.wait();
        }
    }

    pub(crate) fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        poll(future, &self.clone().into())
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.rung.notify();
    }
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

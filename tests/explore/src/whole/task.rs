//! Tasks: a future that waits, the wakers that it was polled with, and a thread that runs one.

use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use winddown::{Cancelled, Exit, Milestone, Shutdown};

use super::Handle;
use crate::sync::{Condvar, Mutex};

/// A task that somebody polls now and then.
pub(super) struct Task {
    cancelled: Cancelled,
    /// How often its last waker was woken, where that poll found it pending.
    woken: Option<Arc<AtomicUsize>>,
}

impl Task {
    pub(super) fn new(shutdown: &Shutdown, at: Milestone, comes_back: bool) -> Self {
        let mut task = Self { cancelled: shutdown.token_at(at).cancelled(), woken: None };
        task.poll(shutdown, comes_back);
        task
    }

    /// Polls with a waker that it has not had before.
    pub(super) fn poll(&mut self, shutdown: &Shutdown, comes_back: bool) {
        let woken = Arc::new(AtomicUsize::new(0));
        let handle = comes_back.then(|| Handle(shutdown.clone()));
        let waker = Arc::new(Counting { woken: woken.clone(), _handle: handle }).into();
        let polled = pin!(&mut self.cancelled).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending() || shutdown.is_shutting_down(), "ready, and nobody asked");
        // One that is ready is none that waits; one that was pending before may have been woken for it, or not yet.
        self.woken = polled.is_pending().then_some(woken);
    }

    /// What must hold when the report is there.
    pub(super) fn is_over(&mut self, exit: &Exit) {
        // Where something did not return in time, it may have been the waking.
        if let Some(woken) = self.woken.take().filter(|_| exit.report.failures.is_empty()) {
            assert_eq!(woken.load(SeqCst), 1, "P4: of a task that waited the last waker was not woken once");
        }
        let polled = pin!(&mut self.cancelled).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(()), "P4");
    }
}

struct Counting {
    woken: Arc<AtomicUsize>,
    _handle: Option<Handle>,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, SeqCst);
    }
}

/// (Not a parked thread: to the scheduler one may go on without a reason, and for ever.)
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.bell.notify_one();
    }
}

/// Runs it on the calling thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = bell.clone().into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut rung = bell.rung.lock().unwrap();
        while !*rung {
            rung = bell.bell.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// Awaits it; and lets another one go meanwhile, with what hooks it was handed.
pub(super) fn end_of(shutdown: &Shutdown) -> Exit {
    let mut other = shutdown.ended();
    let _ = pin!(&mut other).poll(&mut Context::from_waker(Waker::noop()));
    let mut other = Some(other);
    let mut ended = shutdown.ended();
    block_on(poll_fn(|context| {
        let polled = pin!(&mut ended).poll(context);
        drop(other.take());
        polled
    }))
}

/// A hook that is not through at once.
pub(super) async fn at_the_second_poll(run: impl FnOnce()) {
    let mut first = true;
    poll_fn(|context| {
        if mem::take(&mut first) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
    run();
}

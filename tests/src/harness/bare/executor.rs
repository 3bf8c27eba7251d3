//! An executor for one thread, and what its tasks wait for: a bell, a clock that stands still. Nothing here knows of
//! shutdowns but that a gate can ring the bell.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use winddown_core::Notify;

type Future = Pin<Box<dyn std::future::Future<Output = ()>>>;

/// Where tasks are begun. Clones lead to the same executor.
#[derive(Clone, Default)]
pub(super) struct Spawner {
    begun: Rc<RefCell<Vec<Future>>>,
}

impl Spawner {
    pub(super) fn spawn(&self, future: impl std::future::Future<Output = ()> + 'static) {
        self.begun.borrow_mut().push(Box::pin(future));
    }
}

/// Polls who was woken, and nobody else: a task that nobody wakes stands still for ever.
pub(super) struct Executor {
    spawner: Spawner,
    tasks: Vec<Task>,
}

struct Task {
    future: Future,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // Relaxed: there is only this thread.
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    pub(super) fn new(spawner: Spawner) -> Self {
        Self { spawner, tasks: Vec::new() }
    }

    /// Until nobody is woken any more.
    pub(super) fn run(&mut self) {
        while self.turn() {}
    }

    /// Polls each task that is woken once. Whether there was one.
    pub(super) fn turn(&mut self) -> bool {
        let begun = self.spawner.begun.take();
        let task = |future| Task { future, woken: Arc::new(Woken(AtomicBool::new(true))) };
        self.tasks.extend(begun.into_iter().map(task));
        let mut any = false;
        self.tasks.retain_mut(|task| {
            if !task.woken.0.swap(false, Ordering::Relaxed) {
                return true;
            }
            any = true;
            let waker = Waker::from(task.woken.clone());
            task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        });
        any
    }
}

/// Lets the other tasks have a turn.
pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What one task sleeps on. Rung while it is awake, its next sleep ends at once. Clones are the same bell.
#[derive(Clone, Default)]
pub(super) struct Bell(Rc<Ringing>);

#[derive(Default)]
struct Ringing {
    rung: Cell<bool>,
    sleeper: RefCell<Option<Waker>>,
}

impl Notify for Bell {
    fn notify(&self) {
        self.0.rung.set(true);
        if let Some(sleeper) = self.0.sleeper.take() {
            sleeper.wake();
        }
    }
}

/// A clock that stands still, and the one task that may sleep on it. Clones are the same clock.
#[derive(Clone, Default)]
pub(super) struct Clock(Rc<Time>);

#[derive(Default)]
struct Time {
    now: Cell<Duration>,
    sleeps_until: Cell<Option<Duration>>,
    bell: Bell,
}

impl Clock {
    pub(super) fn now(&self) -> Duration {
        self.0.now.get()
    }

    /// The bell that ends the sleep early.
    pub(super) fn bell(&self) -> Bell {
        self.0.bell.clone()
    }

    /// Until when somebody sleeps.
    pub(super) fn sleeps_until(&self) -> Option<Duration> {
        self.0.sleeps_until.get()
    }

    pub(super) fn advance(&self, by: Duration) {
        self.0.now.set(self.now() + by);
        if self.sleeps_until().is_some_and(|until| until <= self.now()) {
            self.0.bell.notify();
        }
    }

    /// Until the bell is rung or this time has come.
    pub(super) async fn sleep(&self, until: Option<Duration>) {
        let Ringing { rung, sleeper } = &*self.0.bell.0;
        poll_fn(|context| {
            if rung.take() || until.is_some_and(|until| until <= self.now()) {
                self.0.sleeps_until.set(None);
                return Poll::Ready(());
            }
            self.0.sleeps_until.set(until);
            sleeper.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Something that can come about, once. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Latch(Rc<Waiting>);

#[derive(Default)]
struct Waiting {
    open: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Latch {
    pub(super) fn is_open(&self) -> bool {
        self.0.open.get()
    }

    pub(super) fn open(&self) {
        self.0.open.set(true);
        self.0.wakers.take().into_iter().for_each(Waker::wake);
    }

    pub(super) async fn pass(&self) {
        poll_fn(|context| {
            if self.is_open() {
                return Poll::Ready(());
            }
            self.0.wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

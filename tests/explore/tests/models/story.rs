//! A hook that is a future, and what becomes of it: seen from without. Not here: who polls it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as Slot};
use std::task::{Context, Poll, Waker};

use loom::sync::{Mutex, Notify};
use loom::thread;
use winddown::{Fate, Report, Shutdown};

use crate::bell::poll;
use crate::explore::Witness;

/// Of one hook: whether it may end, and what happened to it.
pub(crate) struct Story {
    door: Mutex<Door>,
    before: Witness,
    after: Witness,
    polled: AtomicUsize,
    ended: AtomicUsize,
    left: Witness,
    gone: AtomicBool,
    /// Told that it is gone.
    heard: Notify,
    on_the_driver: AtomicBool,
    /// What it comes back to.
    shutdown: Slot<Option<Shutdown>>,
}

#[derive(Default)]
struct Door {
    open: bool,
    waker: Option<Waker>,
}

impl Story {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            door: Mutex::default(),
            before: Witness::new(),
            after: Witness::new(),
            polled: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            left: Witness::new(),
            gone: AtomicBool::new(false),
            heard: Notify::new(),
            on_the_driver: AtomicBool::new(false),
            shutdown: Slot::new(None),
        })
    }

    pub(crate) fn hook(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        Hook(self.clone())
    }

    /// To be called before whatever leads to the hook.
    pub(crate) fn before(&self) {
        self.before.note(1);
    }

    pub(crate) fn let_it_end(&self) {
        let mut door = self.door.lock().unwrap();
        door.open = true;
        let waker = door.waker.take();
        drop(door);
        waker.into_iter().for_each(Waker::wake);
    }

    /// P9: it comes back to this shutdown, where it is polled and where it is dropped.
    pub(crate) fn comes_back(&self, shutdown: &Shutdown) {
        *self.shutdown.lock().unwrap() = Some(shutdown.clone());
    }

    pub(crate) fn was_polled(&self) -> bool {
        self.polled.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// For one thread alone.
    pub(crate) fn wait_until_gone(&self) {
        while !self.is_gone() {
            self.heard.wait();
        }
    }

    /// What must hold of a hook that was waited for, when there is the report.
    pub(crate) fn was_told_to_its_end(&self) {
        self.was_told_when_it_was_gone();
        assert_eq!(self.ended.load(Ordering::Relaxed), 1, "run to its end once");
        assert_eq!(self.after.seen(), 1, "over, and what it did is not seen");
        assert!(!self.on_the_driver.load(Ordering::Relaxed), "P6: run or dropped by the driver");
    }

    pub(crate) fn was_told_when_it_was_gone(&self) {
        assert_eq!(self.left.now(), 1, "told before it was gone");
    }

    /// What must hold of a hook that may have been given up, in the last one of the stages.
    pub(crate) fn was_not_told_too_early(&self, report: &Report) {
        if report.stages.last().is_some_and(|stage| stage.fate == Fate::Completed) {
            self.was_told_to_its_end();
        }
        assert!(!self.on_the_driver.load(Ordering::Relaxed), "P6: run or dropped by the driver");
    }

    fn happens(&self) {
        self.on_the_driver.fetch_or(is_the_driver(), Ordering::Relaxed);
        // Not while it is held: it may be the last handle.
        let shutdown = self.shutdown.lock().unwrap().clone();
        if let Some(shutdown) = shutdown {
            let _ = poll(&mut shutdown.ended(), Waker::noop());
        }
    }
}

struct Hook(Arc<Story>);

impl Future for Hook {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let story = &self.0;
        story.happens();
        story.polled.fetch_add(1, Ordering::Relaxed);
        assert_eq!(story.before.seen(), 1, "begun, and cannot see why");
        let mut door = story.door.lock().unwrap();
        if !door.open {
            let replaced = door.waker.replace(context.waker().clone());
            drop(door);
            drop(replaced);
            return Poll::Pending;
        }
        drop(door);
        story.after.note(1);
        story.ended.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(())
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.0.happens();
        self.0.left.note(1);
        self.0.gone.store(true, Ordering::Relaxed);
        self.0.heard.notify();
    }
}

pub(crate) fn is_the_driver() -> bool {
    thread::current().name() == Some("wd:driver")
}

//! Waking wakers, which run a stranger's code: on whose thread, and what becomes of one that panics or does not return.

use std::mem;
use std::task::Waker;

use winddown_core::Milestone;

use super::slab::Slab;
use super::{Waiters, children};
use crate::hook::{self, Panicked};
use crate::inner::Inner;
use crate::panics::Panics;
use crate::report::{Failure, Part};
use crate::sync::Arc;

/// Wakers and children whose time has come, and that nobody but the holder of this has. To be woken, or they are lost.
#[derive(Default)]
#[must_use]
pub(crate) struct Due {
    wakers: Vec<Slab>,
    children: Vec<Vec<Arc<Waiters>>>,
}

impl Due {
    pub(super) fn of(
        wakers: impl IntoIterator<Item = Slab>,
        children: impl IntoIterator<Item = Vec<Arc<Waiters>>>,
    ) -> Self {
        let wakers = wakers.into_iter().filter(|slab| !slab.is_empty()).collect();
        Self { wakers, children: children.into_iter().filter(|children| !children.is_empty()).collect() }
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.wakers.append(&mut other.wakers);
        self.children.append(&mut other.children);
    }

    fn is_empty(&self) -> bool {
        self.wakers.is_empty() && self.children.is_empty()
    }

    /// Tells the children and their descendants, and then wakes every waker, theirs included. Returns the messages of those that
    /// panicked.
    fn wake(mut self) -> Vec<String> {
        let children = mem::take(&mut self.children).into_iter().flatten().collect();
        self.append(children::tell(children::mark(children)));
        wake_all(self.wakers.into_iter().flat_map(Slab::into_wakers))
    }
}

/// Wakes every one of them. What those said who panicked.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) -> Vec<String> {
    let mut wakers = wakers.into_iter();
    let mut panics = Vec::new();
    // Behind one that panics it goes on with the next.
    while let Err(Panicked(message)) = hook::caught(|| wakers.by_ref().for_each(Waker::wake)) {
        panics.push(message);
    }
    panics
}

/// The wakes under way, and those that went wrong.
#[derive(Default)]
pub(super) struct Wakes {
    /// How many are handed to a thread that has not begun them.
    waiting: usize,
    /// How many threads are about it.
    running: usize,
    /// Some had not returned when a report was made, or were never called. They stay in it if they return while observers are told.
    hung: bool,
    uncalled: bool,
    panics: Panics,
}

impl Wakes {
    pub(super) fn owe(&mut self, due: &Due) {
        self.waiting += usize::from(!due.is_empty());
    }

    fn begin(&mut self) {
        self.waiting -= 1;
        self.running += 1;
    }

    fn end(&mut self, panics: Vec<String>) {
        self.running -= 1;
        self.panics.extend(panics);
    }

    fn failures(&mut self) -> Vec<Failure> {
        self.hung |= self.running > 0;
        self.uncalled |= self.waiting > 0;
        let failure = |what: &str| Failure { part: Part::Waker, what: what.to_owned() };
        let hung = self.hung.then(|| failure("a waker did not return"));
        let never = self.uncalled.then(|| failure("wakers were never called: no thread was free for them"));
        self.panics.failure(Part::Waker, "waker").into_iter().chain(hung).chain(never).collect()
    }
}

impl Waiters {
    /// Notes that a waker panicked, in its destructor perhaps.
    pub(crate) fn note_panic(&self, message: String) {
        self.lists.lock().wakes.panics.extend([message]);
    }
}

impl Inner {
    /// Releases every waiter for this milestone or an earlier one. The driver's to call.
    pub(crate) fn reach(self: &Arc<Self>, milestone: Milestone) {
        self.wake_apart(self.waiters.reach(self.plan.released_by(milestone)));
    }

    /// Has a helper wake them: the driver wakes no waker itself (P6).
    pub(crate) fn wake_apart(self: &Arc<Self>, due: Due) {
        if !due.is_empty() {
            let inner = self.clone();
            self.call(move || inner.wake(due));
        }
    }

    /// Wakes them on the calling thread, with no lock held: whatever a waker does in its turn, it may (P9).
    pub(crate) fn wake(&self, due: Due) {
        if due.is_empty() {
            return;
        }
        self.waiters.lists.lock().wakes.begin();
        let panics = due.wake();
        self.waiters.lists.lock().wakes.end(panics);
        self.trigger.driver.notify();
    }

    /// Wakes the wakers of a stopped part of the program. As `wake`, but the report does not wait for them.
    pub(crate) fn wake_part(&self, due: Due) {
        if due.is_empty() {
            return;
        }
        let panics = due.wake();
        self.waiters.lists.lock().wakes.panics.extend(panics);
    }

    /// Whether somebody is waking wakers at the moment.
    pub(crate) fn is_waking(&self) -> bool {
        let wakes = &self.waiters.lists.lock().wakes;
        wakes.running + wakes.waiting > 0
    }

    /// Wakers that have panicked up to now.
    pub(crate) fn waker_panics(&self) -> Vec<Failure> {
        self.waiters.lists.lock().wakes.panics.failure(Part::Waker, "waker").into_iter().collect()
    }

    /// Wakers that panicked, and those that have not returned, now or when this was last asked.
    pub(crate) fn waker_failures(&self) -> Vec<Failure> {
        self.waiters.lists.lock().wakes.failures()
    }
}

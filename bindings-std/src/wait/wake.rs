//! Waking wakers, which run a stranger's code: on whose thread, and what becomes of one that panics or does not return.

use std::collections::BTreeMap;
use std::task::Waker;

use winddown_core::Milestone;

use super::slab::Slab;
use crate::hook::{self, Panicked};
use crate::inner::Inner;
use crate::report::{Failure, Part};
use crate::sync::Arc;

/// Wakers whose time has come, and that nobody but the holder of this has. To be woken, or they are lost.
#[derive(Default)]
#[must_use]
pub(crate) struct Due(BTreeMap<Milestone, Slab>);

impl Due {
    pub(super) fn of(mut slabs: BTreeMap<Milestone, Slab>) -> Self {
        slabs.retain(|_, slab| !slab.is_empty());
        Self(slabs)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wakes every one of them. What those said who panicked.
    fn wake(self) -> Vec<String> {
        let mut wakers = self.0.into_values().flat_map(Slab::into_wakers);
        let mut panics = Vec::new();
        // Behind one that panics it goes on with the next.
        while let Err(Panicked(message)) = hook::caught(|| wakers.by_ref().for_each(Waker::wake)) {
            panics.push(message);
        }
        panics
    }
}

/// The wakes under way, and those that went wrong.
#[derive(Default)]
pub(super) struct Wakes {
    /// How many threads are about it.
    running: usize,
    panicked: usize,
    first_panic: String,
}

impl Wakes {
    pub(super) fn begin(&mut self, due: &Due) {
        self.running += usize::from(!due.is_empty());
    }

    fn end(&mut self, panics: Vec<String>) {
        self.running -= 1;
        let before = self.panicked;
        self.panicked += panics.len();
        if let Some(first) = panics.into_iter().next().filter(|_| before == 0) {
            self.first_panic = first;
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failure = |what| Failure { part: Part::Waker, what };
        let panicked = match self.panicked {
            0 => None,
            1 => Some(format!("a waker panicked: {}", self.first_panic)),
            many => Some(format!("{many} wakers panicked, the first: {}", self.first_panic)),
        };
        let hung = (self.running > 0).then(|| "a waker did not return".to_owned());
        panicked.into_iter().chain(hung).map(failure).collect()
    }
}

impl Inner {
    /// Lets go everybody who waits for this milestone or an earlier one. The driver's to call.
    ///
    /// It wakes no waker itself, but on a thread of their own (P6). Only where there is none to be had it does: better
    /// a driver that may be held up than tasks that are never told.
    pub(crate) fn reach(self: &Arc<Self>, milestone: Milestone) {
        let due = self.waiters.reach(milestone);
        if due.is_empty() {
            return;
        }
        let inner = self.clone();
        if let Err((_, wake)) = hook::spawn_or_return("wakers", move || inner.wake(due), |_| ()) {
            wake();
        }
    }

    /// Wakes them on the calling thread, with no lock held: whatever a waker does in its turn, it may (P9).
    pub(crate) fn wake(&self, due: Due) {
        if due.is_empty() {
            return;
        }
        let panics = due.wake();
        self.waiters.lists.lock().wakes.end(panics);
        self.trigger.driver.notify();
    }

    /// Whether somebody is waking wakers at the moment.
    pub(crate) fn is_waking(&self) -> bool {
        self.waiters.lists.lock().wakes.running > 0
    }

    /// Wakers that panicked, and those that have not returned.
    pub(crate) fn waker_failures(&self) -> Vec<Failure> {
        self.waiters.lists.lock().wakes.failures()
    }
}

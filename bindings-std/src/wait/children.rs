//! Children: lists of waiters that are told along with their parent's, and before it when they are stopped. Not here: the
//! tokens (`token/child`).

use std::collections::BTreeMap;
use std::time::Duration;

use winddown_core::{Milestone, Milestones};

use super::{Due, Waiters, take_of};
use crate::clock::Clock;
use crate::sync::{Arc, Mutex, Ordering};

/// The only milestone of a child.
pub(crate) const STOPPED: Milestone = Milestone::Triggered;
const STOPPED_ALONE: Milestones = Milestones::only(STOPPED);

/// Lets one [`stop`](Waiters::stop) at a time mark its descendants. A second stop that finds no children left to mark may
/// return: the first has marked them.
#[derive(Default)]
pub(crate) struct Stops(Mutex<()>);

/// The children of a token.
#[derive(Default)]
pub(super) struct Children {
    /// The milestones whose children were taken. No child is added for them any more.
    taken: Milestones,
    alive: BTreeMap<Milestone, Vec<Arc<Waiters>>>,
}

impl Children {
    /// Returns whether it was added.
    fn add(&mut self, milestone: Milestone, child: &Arc<Waiters>) -> bool {
        if self.taken.contains(milestone) {
            return false;
        }
        let alive = self.alive.entry(milestone).or_default();
        // Relaxed, as in `remove`: the parent's lock is held.
        child.place.store(alive.len(), Ordering::Relaxed);
        alive.push(child.clone());
        true
    }

    fn remove(&mut self, milestone: Milestone, child: &Waiters) -> Option<Arc<Waiters>> {
        let alive = self.alive.get_mut(&milestone)?;
        let place = child.place.load(Ordering::Relaxed);
        let removed = alive.swap_remove(place);
        if let Some(moved) = alive.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
        if alive.len() < alive.capacity() / 4 {
            alive.shrink_to(alive.len() * 2);
        }
        Some(removed)
    }

    /// Takes the children of these milestones.
    pub(super) fn take(&mut self, milestones: Milestones) -> Vec<Vec<Arc<Waiters>>> {
        self.taken = self.taken.with(milestones);
        take_of(&mut self.alive, milestones)
    }
}

impl Waiters {
    /// Makes lists that are told along with this milestone. If it has been told, they are stopped.
    pub(crate) fn add_child(&self, milestone: Milestone) -> Arc<Self> {
        let child = Arc::new(Self::default());
        let added = self.lists.lock().children.add(milestone, &child);
        if !added {
            // It has no wakers yet.
            drop(tell(mark(vec![child.clone()])));
        }
        child
    }

    /// Removes a child, unless it was taken to be told.
    pub(crate) fn remove_child(&self, milestone: Milestone, child: &Self) {
        let removed = self.lists.lock().children.remove(milestone, child);
        drop(removed);
    }

    /// As `sleep`, for a child. A child on which no thread has slept is told without a system call.
    pub(crate) fn sleep_on_child(&self, clock: &Clock, key: u32, deadline: Option<Duration>) {
        let mut lists = self.lists.lock();
        lists.slept = true;
        let told = lists.taken.contains(STOPPED);
        drop(lists);
        if !told {
            self.sleep(clock, key, deadline);
        }
    }

    /// Tells this child and its descendants that they are stopped, and returns their wakers.
    pub(crate) fn stop(self: &Arc<Self>, stops: &Stops) -> Due {
        let one_at_a_time = stops.0.lock();
        let marked = mark(vec![self.clone()]);
        drop(one_at_a_time);
        tell(marked)
    }
}

/// Marks these children and their descendants as stopped, and returns all of them. Descendants are marked first, and nothing is
/// told meanwhile: so a thread that finds a parent stopped finds its children stopped.
pub(super) fn mark(mut family: Vec<Arc<Waiters>>) -> Vec<Arc<Waiters>> {
    let mut visited = 0;
    while let Some(parent) = family.get(visited) {
        let children = parent.lists.lock().children.take(STOPPED_ALONE);
        family.extend(children.into_iter().flatten());
        visited += 1;
    }
    for child in family.iter().rev() {
        // Release pairs with `has_reached`: a thread that finds it stopped finds the reason.
        child.reached.store(STOPPED_ALONE.bits(), Ordering::Release);
    }
    family
}

/// Tells these children, which are marked, and returns their wakers. (If the report is to wait for those, the caller has counted
/// itself.)
pub(super) fn tell(family: Vec<Arc<Waiters>>) -> Due {
    let mut due = Due::default();
    for child in family {
        let mut slept = false;
        due.append(child.tell(STOPPED_ALONE, |lists, _| slept = lists.slept));
        if slept {
            child.event.notify();
        }
    }
    due
}

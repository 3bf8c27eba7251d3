//! Wakers in places that stay theirs: one comes and goes in O(1), and costs an allocation only where the whole grows. Not
//! here: whose they are, and the lock.

use std::mem;
use std::task::Waker;

/// As large as the most there have been at a time.
#[derive(Default)]
pub(crate) struct Slab {
    entries: Vec<Entry>,
    /// The place that is taken next: the first vacant one, or one behind the end.
    next: usize,
    waiting: usize,
}

enum Entry {
    Waiting(Waker),
    /// With what `next` was before.
    Vacant(usize),
}

// What a waiter costs: its waker, and nothing besides.
const _: () = assert!(size_of::<Entry>() == size_of::<Waker>());

impl Slab {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// The place that it has now.
    pub(super) fn insert(&mut self, waker: Waker) -> usize {
        let place = self.next;
        if place == self.entries.len() {
            // One place more, and the next one is behind it.
            self.entries.push(Entry::Vacant(place + 1));
        }
        if let Entry::Vacant(next) = mem::replace(&mut self.entries[place], Entry::Waiting(waker)) {
            self.next = next;
        }
        self.waiting += 1;
        place
    }

    /// Puts another waker in its place: the one that was there.
    pub(super) fn replace(&mut self, place: usize, waker: Waker) -> Option<Waker> {
        mem::replace(&mut self.entries[place], Entry::Waiting(waker)).waker()
    }

    /// The place is vacant from now on.
    pub(super) fn remove(&mut self, place: usize) -> Option<Waker> {
        let entry = mem::replace(&mut self.entries[place], Entry::Vacant(self.next));
        self.next = place;
        self.waiting -= 1;
        entry.waker()
    }

    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.entries.into_iter().filter_map(Entry::waker)
    }
}

impl FromIterator<Waker> for Slab {
    fn from_iter<I: IntoIterator<Item = Waker>>(wakers: I) -> Self {
        let entries: Vec<_> = wakers.into_iter().map(Entry::Waiting).collect();
        Self { next: entries.len(), waiting: entries.len(), entries }
    }
}

impl Entry {
    fn waker(self) -> Option<Waker> {
        match self {
            Self::Waiting(waker) => Some(waker),
            Self::Vacant(_) => None,
        }
    }
}

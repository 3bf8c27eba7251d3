//! The register of labelled passes. Unlabelled passes never come here. Not here: the list of those that are late (`stragglers`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::Location;
use std::time::Duration;

use winddown_core::Priority;

use crate::report::{AtEnd, Holder, Straggler, thread_of};
use crate::stragglers::Stragglers;
use crate::sync::{Arc, Mutex, thread};

/// How many passes are named with the lock held.
const BATCH: usize = 64;

/// The labelled passes that are alive, the oldest first.
#[derive(Default)]
pub(crate) struct Labels {
    alive: Mutex<Alive>,
    pub(crate) stragglers: Stragglers,
}

#[derive(Default)]
struct Alive {
    next: u64,
    entries: BTreeMap<u64, Entry>,
    late: [Option<Late>; Priority::ALL.len()],
}

/// The time of a class is over.
#[derive(Clone, Copy)]
struct Late {
    /// For the passes before this number.
    before: u64,
    at: Duration,
}

struct Entry {
    label: Cow<'static, str>,
    class: Priority,
    location: &'static Location<'static>,
    since: Duration,
    thread: thread::Thread,
}

/// A place in the register, given back when dropped.
pub(crate) struct Registered {
    labels: Arc<Labels>,
    id: u64,
    dropped: bool,
}

impl Registered {
    /// Its future is about to be dropped before it is ready.
    pub(crate) fn set_dropped(&mut self) {
        self.dropped = true;
    }
}

impl Labels {
    pub(crate) fn register(
        self: &Arc<Self>,
        label: Cow<'static, str>,
        class: Priority,
        location: &'static Location<'static>,
        since: Duration,
    ) -> Registered {
        let entry = Entry { label, class, location, since, thread: thread::current() };
        let mut alive = self.alive.lock();
        let id = alive.next;
        alive.next += 1;
        alive.entries.insert(id, entry);
        Registered { labels: self.clone(), id, dropped: false }
    }

    /// The time of a class is over: from now on those that let go name themselves. Returns whether there are any labels, so whether
    /// [`name`](Self::name) is to be called.
    pub(crate) fn set_late(&self, class: Priority, now: Duration) -> bool {
        let mut alive = self.alive.lock();
        let late = Late { before: alive.next, at: now };
        alive.late[class as usize].get_or_insert(late);
        !alive.entries.is_empty()
    }

    /// Names those that are late and have not let go.
    pub(crate) fn name_late(&self) {
        let mut from = Bound::Unbounded;
        loop {
            let alive = self.alive.lock();
            let mut batch = alive.entries.range((from, Bound::Unbounded)).take(BATCH).peekable();
            if batch.peek().is_none() {
                return;
            }
            for (&id, entry) in batch {
                from = Bound::Excluded(id);
                // With the lock held, so before its own thread says that it has let go.
                if let Some(at) = alive.late_at(entry.class, id) {
                    self.stragglers.name(entry.straggler(id, at, AtEnd::StillHeld));
                }
            }
        }
    }
}

impl Alive {
    fn late_at(&self, class: Priority, id: u64) -> Option<Duration> {
        self.late[class as usize].filter(|late| id < late.before).map(|late| late.at)
    }
}

impl Entry {
    fn straggler(&self, id: u64, now: Duration, at_end: AtEnd) -> Straggler {
        Straggler {
            holder: Holder::label(self.class, id),
            label: self.label.clone().into_owned(),
            class: self.class,
            location: self.location,
            age: now.saturating_sub(self.since),
            thread: thread_of(&self.thread),
            at_end,
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut alive = self.labels.alive.lock();
        let entry = alive.entries.remove(&self.id);
        let late_at = entry.as_ref().and_then(|entry| alive.late_at(entry.class, self.id));
        // With the lock held: it is in the register, or named.
        if let (Some(entry), Some(at)) = (&entry, late_at) {
            let at_end = if self.dropped { AtEnd::Dropped } else { AtEnd::LetGo };
            self.labels.stragglers.name(entry.straggler(self.id, at, at_end));
        }
        drop(alive);
        // Freed here, outside the lock.
        drop(entry);
    }
}

//! The register of labelled passes. Unlabelled passes never come here. Not here: the list of those that are late (`stragglers`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::Location;
use std::time::Duration;

use winddown_core::Priority;

use crate::last_thread::LastThread;
use crate::panics::Panics;
use crate::report::{AtEnd, Holder, Straggler, thread_of};
use crate::stragglers::Stragglers;
use crate::sync::{Arc, Mutex, thread};
use crate::unwinding::{self, Witness};

/// How many passes are named with the lock held.
const BATCH: usize = 64;

/// The labelled passes that are alive, the oldest first.
#[derive(Default)]
pub(crate) struct Labels {
    alive: Mutex<Alive>,
    pub(crate) stragglers: Stragglers,
    /// Of which no other part of the report knows: the labelled passes and connections that they dropped.
    pub(crate) panics: Mutex<Panics>,
}

#[derive(Default)]
struct Alive {
    next: u64,
    entries: BTreeMap<u64, Arc<Entry>>,
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
    last_thread: LastThread,
}

/// A place in the register, given back when dropped.
pub(crate) struct Registered {
    labels: Arc<Labels>,
    id: u64,
    entry: Arc<Entry>,
    dropped: bool,
    /// `None`: a panic of its thread is named otherwise.
    witness: Option<Witness>,
}

impl Registered {
    /// Its future is about to be dropped before it is ready.
    pub(crate) fn set_dropped(&mut self) {
        self.dropped = true;
    }

    /// From now on a panic that drops it is named.
    pub(crate) fn witnessed(mut self) -> Self {
        self.witness = Some(Witness::new());
        self
    }

    /// The current thread has it.
    pub(crate) fn set_thread(&self) {
        self.entry.last_thread.set_current();
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
        let (thread, last_thread) = (thread::current(), LastThread::default());
        let entry = Arc::new(Entry { label, class, location, since, thread, last_thread });
        let mut alive = self.alive.lock();
        let id = alive.next;
        alive.next += 1;
        alive.entries.insert(id, entry.clone());
        drop(alive);
        Registered { labels: self.clone(), id, entry, dropped: false, witness: None }
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
            last_thread: self.last_thread.name(),
            at_end,
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let Self { labels, id, entry, dropped, witness } = self;
        if witness.is_some_and(Witness::is_unwinding) {
            unwinding::name(labels, &format!("{:?} from {}", entry.label, entry.location));
        }
        let mut alive = labels.alive.lock();
        let shared = alive.entries.remove(id);
        // With the lock held: it is in the register, or named.
        if let Some(at) = alive.late_at(entry.class, *id) {
            entry.last_thread.set_current();
            let at_end = if *dropped { AtEnd::Dropped } else { AtEnd::LetGo };
            labels.stragglers.name(entry.straggler(*id, at, at_end));
        }
        drop(alive);
        // Outside the lock, and with it the entry, which is freed after this.
        drop(shared);
    }
}

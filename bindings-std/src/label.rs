//! Who holds a labelled pass. Unlabelled passes never come here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::Location;
use std::time::Duration;

use winddown_core::Priority;

use crate::report::{Holder, Straggler, thread_of};
use crate::sync::{Arc, Mutex, thread};

/// The labelled passes that are alive, the oldest first.
#[derive(Default)]
pub(crate) struct Labels {
    alive: Mutex<Alive>,
}

#[derive(Default)]
struct Alive {
    next: u64,
    entries: BTreeMap<u64, Entry>,
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
        Registered { labels: self.clone(), id }
    }

    /// Those of one class, as stragglers at `now`.
    pub(crate) fn of(&self, class: Priority, now: Duration) -> Vec<Straggler> {
        let alive = self.alive.lock();
        let of_class = alive.entries.iter().filter(|(_, entry)| entry.class == class);
        of_class
            .map(|(&id, entry)| Straggler {
                holder: Holder::Label(id),
                label: entry.label.clone().into_owned(),
                class,
                location: entry.location,
                age: now.saturating_sub(entry.since),
                thread: thread_of(&entry.thread),
                let_go: false,
            })
            .collect()
    }

    pub(crate) fn is_alive(&self, id: u64) -> bool {
        self.alive.lock().entries.contains_key(&id)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let entry = self.labels.alive.lock().entries.remove(&self.id);
        // Freed here, outside the lock.
        drop(entry);
    }
}

//! The thread that had something last, as far as the library has seen it. Not here: the one that it was admitted on (`label`, `open`).

use std::cell::Cell;

use crate::report::thread_of;
use crate::sync::thread::{self, Thread, ThreadId};
use crate::sync::{Leaf, thread_locals};

thread_locals! {
    static ID: Cell<Option<ThreadId>> = Cell::new(None);
}

/// The current thread's id, without touching the count of its handles.
pub(crate) fn current_id() -> ThreadId {
    let make = || {
        let id = thread::current().id();
        ID.with(|known| known.set(Some(id)));
        id
    };
    ID.with(Cell::get).unwrap_or_else(make)
}

/// A thread, or none yet.
#[derive(Default)]
pub(crate) struct LastThread(Leaf<Option<Thread>>);

impl LastThread {
    /// It is the current one.
    pub(crate) fn set_current(&self) {
        let mut last = self.0.lock();
        if last.as_ref().map(Thread::id) != Some(current_id()) {
            *last = Some(thread::current());
        }
    }

    /// Its name, or its id.
    pub(crate) fn name(&self) -> Option<String> {
        self.0.lock().as_ref().map(thread_of)
    }
}

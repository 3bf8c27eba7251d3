//! Admitted work that a panic drops: it is named once, here or with the panic. Not here: the guards of such work (`label`, `guards`,
//! `connection`), and panics of other user code (`hook`).

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::label::Labels;
use crate::panics::Panics;
use crate::report::thread_of;
use crate::sync::{Arc, thread, thread_locals};
use crate::text::ThreadName;

thread_locals! {
    static CATCHER: Cell<Catcher> = Cell::new(Catcher::Program);
    /// The work of [`Catcher::LibraryWithWork`].
    static DROPPED: Cell<Option<Dropped>> = Cell::new(None);
}

/// Who catches the panics of this thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Catcher {
    /// The program, or nobody.
    Program,
    /// The library, which names them, unless the program catches them first.
    Library,
    /// The same, and work was dropped meanwhile.
    LibraryWithWork,
}

/// Work that a panic dropped.
struct Dropped {
    labels: Arc<Labels>,
    held: Panics,
}

impl Dropped {
    fn name(self) {
        self.labels.panics.lock().append(self.held);
    }

    /// Leaves it to the one who catches the panic.
    fn leave(self) {
        let mut this = Some(self);
        // Refused in the destructors of thread-locals.
        let _ = DROPPED.try_with(|dropped| dropped.set(this.take()));
        this.into_iter().for_each(Self::name);
    }

    fn take() -> Option<Self> {
        DROPPED.try_with(Cell::take).ok().flatten()
    }
}

/// Made with a guard of admitted work, and asked when that is dropped.
#[derive(Clone, Copy)]
pub(crate) struct Witness {
    /// Its guard was made by a destructor that a panic runs.
    made_unwinding: bool,
}

impl Witness {
    pub(crate) fn new() -> Self {
        Self { made_unwinding: thread::panicking() }
    }

    /// Returns whether a guard that is dropped now is dropped by a panic.
    pub(crate) fn is_unwinding(self) -> bool {
        thread::panicking() && !self.made_unwinding
    }
}

/// Names work that a panic of this thread drops, or leaves that to the catcher of the panic.
#[cold]
pub(crate) fn name(labels: &Arc<Labels>, held: &str) {
    let mut dropped = Dropped { labels: labels.clone(), held: Panics::default() };
    dropped.held.extend([format!("thread {} held {held}", ThreadName(&thread_of(&thread::current())))]);
    let catcher = CATCHER.with(Cell::get);
    match (catcher, if catcher == Catcher::LibraryWithWork { Dropped::take() } else { None }) {
        (Catcher::Program, _) => dropped.name(),
        (_, None) => {
            CATCHER.with(|catcher| catcher.set(Catcher::LibraryWithWork));
            dropped.leave();
        }
        (_, Some(mut first)) if Arc::ptr_eq(&first.labels, labels) => {
            first.held.append(dropped.held);
            first.leave();
        }
        (_, Some(first)) => {
            first.leave();
            dropped.name();
        }
    }
}

/// Calls a closure and catches its panic, which the caller is to name: with the work that it dropped, if there is any.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, (Box<dyn Any + Send>, Option<String>)> {
    let outer = CATCHER.with(|catcher| catcher.replace(Catcher::Library));
    // A destructor may call this, while a panic unwinds that has dropped work.
    let of_outer = if outer == Catcher::LibraryWithWork { Dropped::take() } else { None };
    let result = catch_unwind(AssertUnwindSafe(run));
    let inner = CATCHER.with(|catcher| catcher.replace(outer));
    let dropped = if inner == Catcher::LibraryWithWork { Dropped::take() } else { None };
    of_outer.into_iter().for_each(Dropped::leave);
    match result {
        Ok(value) => {
            // The program has caught the panic.
            dropped.into_iter().for_each(Dropped::name);
            Ok(value)
        }
        Err(payload) => Err((payload, dropped.and_then(|dropped| dropped.held.into_first()))),
    }
}

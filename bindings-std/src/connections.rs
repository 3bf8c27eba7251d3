//! The register of open connections: who is idle, who is cut, and who is told when one has closed. Not here: their states
//! (`connection`).

use std::collections::BTreeMap;
use std::net::Shutdown as Half;
use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

use winddown_core::Refused;

use crate::OwnedPass;
use crate::inner::Inner;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, thread};
use crate::wait::wake_all;

/// All that are open.
#[derive(Default)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    /// The linger is over: who becomes idle is shut down for reading.
    lingered: AtomicBool,
    /// Somebody waits for a descriptor to come free.
    starving: AtomicBool,
    hungry: Mutex<Vec<Waker>>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Arc<dyn Open>>,
    /// All were cut; who comes now is too late.
    over: bool,
}

/// A connection to the register, whatever its stream.
pub(crate) trait Open: Send + Sync {
    fn is_idle(&self) -> bool;
    /// Ends it for being idle: shut down for reading, or by its owner, who is to be woken.
    fn end(&self) -> Option<Waker>;
    fn close(&self, half: Half);
    fn late(&self, id: u64, now: Duration) -> Late;
}

/// A connection whose time is over.
pub(crate) struct Late {
    pub(crate) id: u64,
    pub(crate) what: String,
    pub(crate) age: Duration,
    pub(crate) location: &'static Location<'static>,
    pub(crate) thread: thread::Thread,
}

impl Connections {
    pub(crate) fn add(&self, line: &Arc<dyn Open>) -> u64 {
        let mut table = self.table.lock();
        let id = table.next;
        table.next += 1;
        table.open.insert(id, line.clone());
        let over = table.over;
        drop(table);
        if over {
            line.close(Half::Both);
        }
        id
    }

    pub(crate) fn remove(&self, id: u64) {
        let line = self.table.lock().open.remove(&id);
        // The last share: the descriptor is closed here, outside the lock, and before anybody is told that it is free.
        drop(line);
        self.feed();
    }

    /// A descriptor has come free.
    pub(crate) fn feed(&self) {
        if self.starving.swap(false, Ordering::AcqRel) {
            let hungry = std::mem::take(&mut *self.hungry.lock());
            // Who panics keeps nobody from being woken, nor a connection from being closed.
            let _ = wake_all(hungry);
        }
    }

    /// Has the next connection that closes wake `waker`.
    pub(crate) fn starve(&self, waker: &Waker) {
        let waker = waker.clone();
        let mut hungry = self.hungry.lock();
        if !hungry.iter().any(|other| other.will_wake(&waker)) {
            hungry.push(waker);
        }
        drop(hungry);
        // Release pairs with the acquire of the swap in `feed`. A swap as there: of the two the later finds what the earlier
        // left. (A store does, too, with a descriptor that was looked for in between; but loom does not know that.)
        self.starving.swap(true, Ordering::Release);
    }

    /// Whether there are any, and whether any of them is idle.
    pub(crate) fn any(&self) -> (bool, bool) {
        let table = self.table.lock();
        (!table.open.is_empty(), table.open.values().any(|line| line.is_idle()))
    }

    pub(crate) fn is_at_work(&self, id: u64) -> bool {
        self.table.lock().open.get(&id).is_some_and(|line| !line.is_idle())
    }

    pub(crate) fn has_lingered(&self) -> bool {
        self.lingered.load(Ordering::SeqCst)
    }

    // In the next two the driver holds the lock, and no share of its own: it would be the last one of a connection that goes
    // meanwhile, and stream and waker are a stranger's (P6). What is called with the lock held is the system's.

    /// The linger is over. `SeqCst` with `Line::end_if_over`. Those who end theirs themselves.
    pub(crate) fn end_idle(&self) -> Vec<Waker> {
        self.lingered.store(true, Ordering::SeqCst);
        let table = self.table.lock();
        table.open.values().filter(|line| line.is_idle()).filter_map(|line| line.end()).collect()
    }

    /// Cuts all that are left, and whoever comes from now on, and says who was at work.
    pub(crate) fn cut(&self, now: Duration) -> Vec<Late> {
        let mut table = self.table.lock();
        table.over = true;
        let mut late = Vec::new();
        for (&id, line) in &table.open {
            if !line.is_idle() {
                late.push(line.late(id, now));
            }
            line.close(Half::Both);
        }
        late
    }
}

/// A pass of the gate that stays open while something that was admitted before may still come. While it is open it does
/// not ring, so this tells the driver when it is given back.
pub(crate) struct LatePass {
    pass: Option<OwnedPass>,
    inner: Arc<Inner>,
}

impl LatePass {
    pub(crate) fn enter(inner: &Arc<Inner>) -> Result<Self, Refused> {
        let pass = inner.enter_owned_at(Inner::LATE)?;
        Ok(Self { pass: Some(pass), inner: inner.clone() })
    }
}

impl Drop for LatePass {
    fn drop(&mut self) {
        self.pass = None;
        self.inner.trigger.driver.notify();
    }
}

//! The register of listeners, so that the library can shut their doors and count their queues whatever the program's loops do. Not
//! here: the accept loop (`listener`), and what is done when (core's `door`).

use std::collections::BTreeMap;

use winddown_core::Unserved;

use crate::reuse_port::Inode;
use crate::sync::{Arc, AtomicU32, Mutex, Ordering};

/// All listeners that accept.
#[derive(Default)]
pub(crate) struct Doors {
    table: Mutex<Table>,
    /// How many there are, for readers without the lock.
    count: AtomicU32,
    /// How many are open although the program refuses.
    left_open: AtomicU32,
    /// The listeners that may be in a group. Under a lock of its own: a door that is being shut asks for them.
    members: Mutex<Vec<Inode>>,
}

#[derive(Default)]
struct Table {
    next: u64,
    doors: BTreeMap<u64, Arc<dyn Doorway>>,
}

/// A listener to the register, whatever it listens to.
pub(crate) trait Doorway: Send + Sync {
    /// The program refuses: shuts the door, if that is its policy and was not done.
    fn shut(&self);
    /// The linger is over: shuts the door if that is due now, and gives the drain back what keeps it waiting for a thread that
    /// cannot be woken.
    fn lingered(&self);
    /// Accepts the clients that are left in the queue, and counts them instead of serving them.
    fn count_queue(&self) -> Unserved;
}

impl Doors {
    pub(crate) fn add(&self, door: Arc<dyn Doorway>) -> u64 {
        let mut table = self.table.lock();
        table.next += 1;
        let id = table.next;
        table.doors.insert(id, door);
        // Relaxed, all: a listener holds a pass, so the driver waits for one that it does not see yet; and what it reads here
        // decides only whether there is work for the attendant, who takes the lock.
        self.count.fetch_add(1, Ordering::Relaxed);
        id
    }

    /// When this returns, the register has no share of it, nor uses one.
    pub(crate) fn remove(&self, id: u64) {
        let door = self.table.lock().doors.remove(&id);
        drop(door);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    // With the lock held, so that a listener that is dropped meanwhile is closed by the thread that drops it, and when that
    // goes on.

    pub(crate) fn shut_all(&self) {
        self.table.lock().doors.values().for_each(|door| door.shut());
    }

    pub(crate) fn linger_all(&self) {
        self.table.lock().doors.values().for_each(|door| door.lingered());
    }

    /// A listener whose address others may have, too, until [`remove_member`](Self::remove_member).
    pub(crate) fn add_member(&self, socket: Inode) {
        self.members.lock().push(socket);
    }

    pub(crate) fn members(&self) -> Vec<Inode> {
        self.members.lock().clone()
    }

    /// To be called when the listener is closed: until then it is in the kernel's table.
    pub(crate) fn remove_member(&self, socket: Inode) {
        self.members.lock().retain(|member| *member != socket);
    }

    pub(crate) fn count_queues(&self) -> Unserved {
        let mut unserved = Unserved::NONE;
        self.table.lock().doors.values().for_each(|door| unserved.add(door.count_queue()));
        unserved
    }

    /// Counts a listener whose door is open although the program refuses.
    pub(crate) fn leave_open(&self) {
        // Relaxed, all three: the driver's notification, which comes after, brings it.
        self.left_open.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes such a listener off the count: it is closed.
    pub(crate) fn close(&self) {
        self.left_open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn is_any_left_open(&self) -> bool {
        self.left_open.load(Ordering::Relaxed) > 0
    }
}

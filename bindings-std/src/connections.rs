//! The register of open connections: which are idle, awaited or cut, and which acceptors wait for a descriptor. Not here: one
//! connection's own state (core's `connection`) and stream (`open`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::task::Waker;
use std::time::Duration;

use winddown_core::ConnectionState;

use crate::clock::Clock;
use crate::report::AtEnd;
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicU64, Mutex, OnceLock, Ordering};
use crate::wait::wake_all;

/// How many connections are taken from the register at a time by work that takes long.
const BATCH: usize = 64;

/// All that are open.
#[derive(Default)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    last_id: AtomicU64,
    /// The same as in the table, for readers without the lock.
    lingered: AtomicBool,
    awaited: Mutex<Awaited>,
    /// When the drain's time was over.
    late_at: OnceLock<Duration>,
    /// How many threads are about to count the client of a connection that they close.
    accounting: AtomicU32,
    /// How many guards say that a connection's last answer is written, and that it is read on.
    answered: AtomicU32,
    /// Those whose work was a future that was dropped after the cut.
    dropped: Mutex<BTreeSet<u64>>,
    /// An acceptor waits for a descriptor to come free.
    starving: AtomicBool,
    hungry: Mutex<Vec<Waker>>,
}

#[derive(Default)]
struct Table {
    open: BTreeMap<u64, Arc<dyn Open>>,
    /// The linger is over: a connection that is idle is settled, by the thread that finds it so.
    lingered: bool,
    /// All were cut; one that is added now is too late.
    over: bool,
}

/// The connections that the drain waits for because a request has begun to arrive.
#[derive(Default)]
struct Awaited {
    /// How many there are. (Below zero for a moment, if one ends before its beginning was counted.)
    count: isize,
    /// Since when, in the order in which they began. Those that ended otherwise are left in it until their time is over.
    since: VecDeque<(Duration, u64)>,
}

/// A connection to the register, whatever its stream. The calls run no user code: streams are the library's own types.
pub(crate) trait Open: Send + Sync {
    fn state(&self) -> &ConnectionState;
    /// Awaits its request, or ends it. The waker of an owner that is to end it.
    fn settle(&self) -> Option<Waker>;
    /// The head time is over. The waker of an owner that is to end it.
    fn expire(&self) -> Option<Waker>;
    /// Closes both halves, and counts its client as lost if it is. Names the connection as late if it is at work.
    fn cut(&self);
}

/// A thread counts the client of a connection that it closes.
pub(crate) struct Accounting<'a>(&'a AtomicU32);

impl Drop for Accounting<'_> {
    fn drop(&mut self) {
        // Release pairs with `is_accounting`.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Connections {
    /// A number for a connection that is about to be added. From 1 on.
    pub(crate) fn next_id(&self) -> u64 {
        // Relaxed: only that no other has it.
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds one. One that comes after the linger is settled here, and one that comes after the end is cut.
    pub(crate) fn add(&self, id: u64, open: &Arc<dyn Open>) {
        let mut table = self.table.lock();
        table.open.insert(id, open.clone());
        let (lingered, over) = (table.lingered, table.over);
        drop(table);
        if over {
            open.cut();
        } else if lingered && open.state().linger() {
            let _ = wake_all(open.settle());
        }
    }

    pub(crate) fn remove(&self, id: u64) {
        let open = self.table.lock().open.remove(&id);
        // The last share: the descriptor is closed here, outside the lock, and before an acceptor is told that it is free.
        drop(open);
        self.feed();
    }

    /// A descriptor has come free.
    pub(crate) fn feed(&self) {
        // If a waker panics the others are still woken, and the connection still closes.
        let _ = wake_all(self.take_hungry());
    }

    /// Takes the wakers of acceptors that wait for a descriptor: one has come free.
    fn take_hungry(&self) -> Vec<Waker> {
        if self.starving.swap(false, Ordering::AcqRel) { std::mem::take(&mut *self.hungry.lock()) } else { Vec::new() }
    }

    /// Has the next connection that closes wake `waker`.
    #[cfg(unix)]
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

    pub(crate) fn is_empty(&self) -> bool {
        self.table.lock().open.is_empty()
    }

    /// The future that is the work of a connection is dropped, because the connection was cut.
    pub(crate) fn set_dropped(&self, id: u64) {
        self.dropped.lock().insert(id);
    }

    /// Returns the end of a late connection that is not at work any more.
    pub(crate) fn end_of(&self, id: u64) -> AtEnd {
        if self.dropped.lock().contains(&id) { AtEnd::Dropped } else { AtEnd::LetGo }
    }

    pub(crate) fn has_lingered(&self) -> bool {
        // Pairs with the release in `set_lingered`.
        self.lingered.load(Ordering::Acquire)
    }

    /// The linger is over: from now on a connection that is added, or becomes idle once [`settle_idle`](Self::settle_idle)
    /// has met it, is settled on the spot.
    pub(crate) fn set_lingered(&self) {
        let mut table = self.table.lock();
        table.lingered = true;
        // Release pairs with `has_lingered`. With the lock held: a connection that is added later finds both set.
        self.lingered.store(true, Ordering::Release);
    }

    /// Settles those that are idle. Returns the wakers of owners that are to end theirs.
    pub(crate) fn settle_idle(&self) -> Vec<Waker> {
        let mut owners = Vec::new();
        let hungry = self.each(|open| owners.extend(if open.state().linger() { open.settle() } else { None }));
        owners.extend(hungry);
        owners
    }

    /// Does something with each of those that are open. It holds a share of each for a moment, and no lock: there are system calls to be
    /// made. Returns the wakers of acceptors for which a descriptor has come free.
    fn each(&self, mut act: impl FnMut(&Arc<dyn Open>)) -> Vec<Waker> {
        let mut hungry = Vec::new();
        let mut after = 0;
        loop {
            let table = self.table.lock();
            let rest = table.open.range((Bound::Excluded(after), Bound::Unbounded));
            let batch: Vec<_> = rest.take(BATCH).map(|(&id, open)| (id, open.clone())).collect();
            let Some(&(last, _)) = batch.last() else { return hungry };
            drop(table);
            after = last;
            for (_, open) in &batch {
                act(open);
            }
            hungry.extend(self.let_go(batch.into_iter().map(|(_, open)| open)));
        }
    }

    /// Ends those that have been awaited since then or longer. Returns the wakers of owners that are to end theirs.
    pub(crate) fn end_incomplete(&self, since: Duration) -> Vec<Waker> {
        let mut owners = Vec::new();
        while let Some(id) = self.take_awaited(since) {
            let open = self.table.lock().open.get(&id).cloned();
            owners.extend(open.as_ref().and_then(|open| open.expire()));
            owners.extend(self.let_go(open));
        }
        owners
    }

    /// Gives shares back. One that was the last has closed a descriptor: returns the wakers of acceptors that wait for that.
    fn let_go(&self, shares: impl IntoIterator<Item = Arc<dyn Open>>) -> Vec<Waker> {
        shares.into_iter().for_each(drop);
        self.take_hungry()
    }

    /// The drain's time is over: from now on connections that are made idle are named as late. The driver's to call, before it tells.
    pub(crate) fn set_late(&self, now: Duration) {
        // A second one is a forked child's.
        let _ = self.late_at.set(now);
    }

    pub(crate) fn late_at(&self) -> Option<Duration> {
        self.late_at.get().copied()
    }

    /// The drain is over: from now on each that is added is cut. Returns whether there are others, so whether [`cut`](Self::cut) is to
    /// be called.
    pub(crate) fn set_over(&self) -> bool {
        let mut table = self.table.lock();
        table.over = true;
        !table.open.is_empty()
    }

    /// Cuts all that are left. Returns the wakers of acceptors for which a descriptor has come free.
    pub(crate) fn cut(&self) -> Vec<Waker> {
        self.each(|open| open.cut())
    }

    /// Counts a connection as awaited from now on.
    pub(crate) fn begin_await(&self, id: u64, clock: &Clock) {
        let mut awaited = self.awaited.lock();
        awaited.count += 1;
        // Read with the lock held, so that the times are in order.
        awaited.since.push_back((clock.now(), id));
    }

    /// It turned out that this one is not awaited by the caller that has just counted it.
    pub(crate) fn never_awaited(&self, id: u64) {
        let mut awaited = self.awaited.lock();
        awaited.count -= 1;
        // It is one of the last. Left in there, it would end an await that begins later.
        if let Some(last) = awaited.since.iter().rposition(|&(_, other)| other == id) {
            awaited.since.remove(last);
        }
    }

    /// Takes one off the count of those that are awaited.
    pub(crate) fn end_await(&self) {
        self.awaited.lock().count -= 1;
    }

    /// Says that a thread is about to close a connection and to count its client, until what this returns is dropped.
    pub(crate) fn accounting(&self) -> Accounting<'_> {
        // Before the connection's state says that it is closed: the driver, which reads that state when it cuts, then sees this.
        self.accounting.fetch_add(1, Ordering::Relaxed);
        Accounting(&self.accounting)
    }

    /// Whether a client is being counted. When this is `false`, the counts of all connections that are closed are seen.
    pub(crate) fn is_accounting(&self) -> bool {
        // Pairs with the release when an `Accounting` is dropped.
        self.accounting.load(Ordering::Acquire) > 0
    }

    /// Counts a connection whose last answer is written. To be called before its state says so, and before its pass is given back:
    /// so the driver, which reads the passes first, sees one of the two.
    pub(crate) fn begin_answered(&self) {
        // Relaxed: the pass that is given back afterwards publishes it.
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one off that count: its client has closed, or it has been read for long enough.
    pub(crate) fn end_answered(&self) {
        // Release pairs with `is_any_answered`.
        self.answered.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn is_any_answered(&self) -> bool {
        // Pairs with the release in `end_answered`.
        self.answered.load(Ordering::Acquire) > 0
    }

    /// Since when the drain awaits a connection: the one that it has awaited longest, or one that was taken off the count
    /// since. `None` if it awaits none.
    pub(crate) fn awaited_since(&self) -> Option<Duration> {
        let awaited = self.awaited.lock();
        let since = awaited.since.front().map(|&(since, _)| since);
        since.filter(|_| awaited.count > 0)
    }

    fn take_awaited(&self, since: Duration) -> Option<u64> {
        let mut awaited = self.awaited.lock();
        let due = awaited.since.front().is_some_and(|&(began, _)| began <= since);
        due.then(|| awaited.since.pop_front()).flatten().map(|(_, id)| id)
    }
}

//! Run-once hooks for threads blocked in something that we cannot interrupt. Not here: stages, which run at the end; which kickers failed
//! (`failures`).

mod failures;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use winddown_core::Milestone;

use self::failures::{Failures, TooLong, never_told};
use crate::event_count::EventCount;
use crate::fork::Process;
use crate::hook::{self, Panicked};
use crate::inner::Inner;
use crate::report::Failure;
use crate::sync::{Arc, Mutex, thread};

type Kick = Box<dyn FnOnce() + Send>;

/// A closure that runs once when its time comes. Dropping this takes it back.
///
/// A token wakes the threads that wait for it. A thread that waits for something else has to be reached where it is blocked, and only
/// the program knows how.
///
/// # When it runs
///
/// Closures run on a few threads of the library's, at most 16 at a time. A closure that has run for 10 ms is taken to block, and the
/// others go on without it, on up to 512 threads. The drain waits for a closure as for a pass. In the
/// [report](crate::Report::failures) are: a closure that panics; one that still runs when the drain's time is over, and for how long it
/// ran; one that does not return; and how many were *never told*, because no
/// thread was free for them before the last call. A closure that is added after its time runs on the thread that adds it, and one whose
/// time cannot come any more is dropped.
///
/// # Taking it back
///
/// A closure that has not begun is dropped, on the calling thread. If it is running, dropping this waits until it has returned, so that
/// afterwards the calling thread has to itself what the closure used; at the longest until the wind-down is over. Do not drop it where
/// the closure waits for the dropping thread (a lock that it holds), nor in a task whose executor the closure needs: there, use
/// [`take_back`](Self::take_back), which does not wait. Neither does dropping it in the closure itself.
///
/// # Ways to reach a blocked thread
///
/// | blocked in | kick |
/// |---|---|
/// | a channel's `recv` | drop the sender, or send a farewell |
/// | a `Condvar` | set the flag under its lock, notify |
/// | `thread::park` | `unpark` |
/// | reading a socket, with nothing to say after that | `TcpStream::shutdown` (closing it in another thread wakes no thread, A2) |
/// | reading a socket, with a goodbye to say (a WebSocket's Close frame) | none: an `Interruptible` (on Unix) around the socket |
/// | `accept` | connect to it, as the example `hello` does |
/// | a child process's `wait` | kill the child |
/// | `poll`, an event loop | none: a `TokenDescriptor` (on Unix) among its descriptors |
/// | reading stdin | none: an `Interruptible` (on Unix) around a `File` of a duplicate of its descriptor; elsewhere leave the thread, it dies with the process |
///
/// ```
/// use std::io::Read;
/// use std::net::{Shutdown as Close, TcpListener, TcpStream};
/// use std::process::{Command, Stdio};
/// use std::sync::{Arc, Condvar, Mutex, mpsc};
/// use std::thread;
/// use winddown::{Reason, Shutdown};
///
/// let shutdown = Shutdown::builder().build()?;
///
/// // A channel: the sender goes, and `recv` fails.
/// let (sender, receiver) = mpsc::channel::<u32>();
/// let _recv = shutdown.kicker(move || drop(sender));
/// let channel = thread::spawn(move || while receiver.recv().is_ok() {});
///
/// // A condvar: the flag under the lock, then the bell.
/// let pair = Arc::new((Mutex::new(false), Condvar::new()));
/// let theirs = pair.clone();
/// let _condvar = shutdown.kicker(move || {
///     *theirs.0.lock().unwrap() = true;
///     theirs.1.notify_all();
/// });
/// let condvar = thread::spawn(move || drop(pair.1.wait_while(pair.0.lock().unwrap(), |stop| !*stop)));
///
/// // A parked thread: unpark it, and let it ask.
/// let token = shutdown.token();
/// let parked = thread::spawn(move || while !token.should_stop() { thread::park() });
/// let handle = parked.thread().clone();
/// let _park = shutdown.kicker(move || handle.unpark());
///
/// // A socket whose reader has nothing to say: shut it down for reading, and `read` returns 0.
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut stream = TcpStream::connect(listener.local_addr()?)?;
/// let theirs = stream.try_clone()?;
/// let _socket = shutdown.kicker(move || drop(theirs.shutdown(Close::Read)));
/// let socket = thread::spawn(move || stream.read(&mut [0]).unwrap());
///
/// // A child process that ends with its input (else: kill it).
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
/// let input = child.stdin.take();
/// let _child = shutdown.kicker(move || drop(input));
/// let process = thread::spawn(move || child.wait().unwrap());
///
/// shutdown.trigger(Reason::Requested);
/// channel.join().unwrap();
/// condvar.join().unwrap();
/// parked.join().unwrap();
/// assert_eq!(socket.join().unwrap(), 0);
/// assert!(process.join().unwrap().success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropped, it is taken back; keep it as long as the thread may be blocked"]
pub struct Kicker {
    inner: Arc<Inner>,
    at: Milestone,
    /// `None`: kept for good.
    id: Option<u64>,
}

impl Kicker {
    #[track_caller]
    pub(crate) fn new(inner: &Arc<Inner>, at: Milestone, kick: impl FnOnce() + Send + 'static) -> Self {
        let entry = Entry { location: Location::caller(), kick: Box::new(kick) };
        let mut table = inner.kickers.table.lock();
        let id = table.next;
        table.next += 1;
        if table.reached.contains(&at) {
            drop(table);
            if let Err(Panicked(message)) = hook::caught(entry.kick) {
                inner.kickers.table.lock().failures.add_panic(entry.location, &message);
            }
        } else if table.reached.contains(&Milestone::Done) || table.closed {
            // Its time will not come. Kept, it would never be dropped if it owns a handle.
            drop(table);
            drop(entry);
        } else {
            table.waiting.entry(at).or_default().insert(id, entry);
        }
        Self { inner: inner.clone(), at, id: Some(id) }
    }

    /// Leaves the closure in place for good.
    pub fn keep(mut self) {
        self.id = None;
    }

    /// Takes the closure back without waiting for it. Returns whether it never runs: `false` if it has run or is running.
    #[expect(clippy::must_use_candidate, reason = "also a drop that does not wait")]
    pub fn take_back(mut self) -> bool {
        self.id.take().is_some_and(|id| self.inner.take_back(self.at, id))
    }
}

impl Drop for Kicker {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            if !self.inner.take_back(self.at, id) {
                self.inner.kickers.wait_for(id);
            }
        }
    }
}

impl fmt::Debug for Kicker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kicker").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(crate) struct Entry {
    location: &'static Location<'static>,
    kick: Kick,
}

/// Those of one milestone, in the order in which they came.
pub(crate) type Entries = BTreeMap<u64, Entry>;

#[derive(Default)]
pub(crate) struct Kickers {
    table: Mutex<Table>,
    /// Notified when a kicker has returned that a thread waits for.
    returned: EventCount,
}

#[derive(Default)]
struct Table {
    next: u64,
    reached: Vec<Milestone>,
    waiting: BTreeMap<Milestone, Entries>,
    /// Their time has come.
    due: BTreeMap<Milestone, Entries>,
    running: BTreeMap<u64, Running>,
    /// Those that were never told: they did not begin before the last call.
    untold: Vec<Entries>,
    failures: Failures,
    /// The drain is over, and waits for no kicker any more.
    drained: bool,
    /// How many threads wait until one has returned.
    waited_for: usize,
    /// There is a report, or there never will be one: no thread waits any longer.
    closed: bool,
}

struct Running {
    location: &'static Location<'static>,
    at: Milestone,
    since: Duration,
    thread: thread::ThreadId,
    process: Process,
}

impl Table {
    fn pending(&self) -> usize {
        self.running.len() + self.due.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Whether the drain waited for this one until its time was over.
    fn held_the_drain(&self, running: &Running) -> bool {
        self.drained && running.at < Milestone::LastCall
    }

    /// Takes the first one whose time has come, and says that this thread runs it.
    fn begin(&mut self, now: Duration) -> Option<(u64, Entry)> {
        let mut first = self.due.first_entry()?;
        let at = *first.key();
        let next = first.get_mut().pop_first();
        if first.get().is_empty() {
            first.remove();
        }
        let (id, entry) = next?;
        let (location, thread, process) = (entry.location, thread::current().id(), Process::current());
        self.running.insert(id, Running { location, at, since: now, thread, process });
        Some((id, entry))
    }
}

impl Kickers {
    /// How many run at the moment, or are about to.
    pub(crate) fn pending(&self) -> usize {
        self.table.lock().pending()
    }

    /// The drain is over: those that have not begun are never told.
    pub(crate) fn give_up(&self) {
        let mut table = self.table.lock();
        table.drained = true;
        let untold = std::mem::take(&mut table.due);
        table.untold.extend(untold.into_values());
    }

    /// Waits until one that runs on another thread has returned, or the wind-down is over.
    fn wait_for(&self, id: u64) {
        let own = thread::current().id();
        let mut table = self.table.lock();
        while !table.closed
            && table.running.get(&id).is_some_and(|running| running.thread != own && running.process.is_current())
        {
            table.waited_for += 1;
            let key = self.returned.key();
            drop(table);
            self.returned.wait(key, None);
            table = self.table.lock();
            table.waited_for -= 1;
        }
    }

    /// A forked child winds down: those that its parent runs, or was about to, are not its own.
    pub(crate) fn forget_inherited(&self) {
        let mut table = self.table.lock();
        table.running.retain(|_, running| running.process.is_current());
        // Their destructors are user code, and the parent's to run.
        std::mem::forget(std::mem::take(&mut table.due));
    }

    /// There is a report, or there never will be one.
    pub(crate) fn close(&self) {
        let mut table = self.table.lock();
        table.closed = true;
        let is_waited_for = table.waited_for > 0;
        drop(table);
        if is_waited_for {
            self.returned.notify();
        }
    }

    /// Takes those that will never run.
    pub(crate) fn take_left(&self) -> Vec<Entries> {
        let mut table = self.table.lock();
        let Table { waiting, due, untold, .. } = &mut *table;
        let left = [std::mem::take(waiting), std::mem::take(due)].into_iter().flat_map(BTreeMap::into_values);
        left.chain(std::mem::take(untold)).collect()
    }

    /// The closures that failed, held up the drain, have not returned, or were never told.
    pub(crate) fn failures(&self, now: Duration) -> Vec<Failure> {
        let table = self.table.lock();
        let mut failures = table.failures.clone();
        for running in table.running.values() {
            let held_the_drain = table.held_the_drain(running);
            let kind = TooLong { location: running.location, held_the_drain, returned: false };
            failures.add_too_long(kind, now.saturating_sub(running.since));
        }
        let untold = table.untold.iter().flat_map(BTreeMap::values);
        let untold = untold.clone().next().map(|first| (table.untold.iter().map(BTreeMap::len).sum(), first));
        let untold = untold.map(|(count, first): (usize, &Entry)| never_told(count, first.location));
        failures.lines().chain(untold).collect()
    }
}

impl Inner {
    /// Has those run whose time has come: exactly then, so one that waits for a last call that never comes does not run. The driver's to
    /// call: it takes the same time however many they are.
    pub(crate) fn kick(self: &Arc<Self>, reached: Milestone) {
        let mut table = self.kickers.table.lock();
        table.reached.push(reached);
        let Some(due) = table.waiting.remove(&reached).filter(|due| !due.is_empty()) else { return };
        table.due.insert(reached, due);
        drop(table);
        self.kick_next();
    }

    /// Has the next one run, by a thread that first has another thread run the one after it.
    fn kick_next(self: &Arc<Self>) {
        let inner = self.clone();
        self.call(move || {
            let now = inner.trigger.clock.now();
            let mut table = inner.kickers.table.lock();
            let next = table.begin(now);
            let more = !table.due.is_empty();
            drop(table);
            if more {
                inner.kick_next();
            }
            if let Some((id, Entry { location, kick })) = next {
                let problem = hook::caught(kick).err();
                inner.kicked(id, location, problem.map(|Panicked(message)| message));
            }
        });
    }

    /// Takes one out that has not begun. Returns whether it was there.
    fn take_back(&self, at: Milestone, id: u64) -> bool {
        let mut table = self.kickers.table.lock();
        let Table { waiting, due, .. } = &mut *table;
        let entry = [waiting, due].into_iter().find_map(|entries| entries.get_mut(&at)?.remove(&id));
        // The driver may wait for those that are due.
        let was_last = entry.is_some() && table.reached.contains(&at) && table.pending() == 0;
        drop(table);
        if was_last {
            self.trigger.driver.notify();
        }
        // The closure's own destructors run here, outside the lock (P9).
        entry.is_some()
    }

    fn kicked(&self, id: u64, location: &'static Location<'static>, panic: Option<String>) {
        let now = self.trigger.clock.now();
        let mut table = self.kickers.table.lock();
        let late = table.running.remove(&id).filter(|running| table.held_the_drain(running));
        if let Some(message) = panic {
            table.failures.add_panic(location, &message);
        }
        if let Some(running) = late {
            let kind = TooLong { location, held_the_drain: true, returned: true };
            table.failures.add_too_long(kind, now.saturating_sub(running.since));
        }
        let (is_waited_for, is_last) = (table.waited_for > 0, table.pending() == 0);
        drop(table);
        if is_waited_for {
            self.kickers.returned.notify();
        }
        if is_last {
            self.trigger.driver.notify();
        }
    }
}

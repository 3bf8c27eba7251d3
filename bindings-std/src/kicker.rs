//! Run-once hooks for threads blocked in something that we cannot interrupt. Not here: stages, which run at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;

use winddown_core::Milestone;

use crate::hook::{self, Panicked};
use crate::inner::Inner;
use crate::report::{Failure, Part};
use crate::sync::{Arc, Mutex};

type Kick = Box<dyn FnOnce() + Send>;

/// A closure that runs once when its time comes; dropping this takes it back.
///
/// A token wakes who waits for it. A thread that waits for something else has to be reached where it is blocked, and how
/// is the program's to know. Each closure runs on a thread of its own, so one that blocks holds nobody up but the drain,
/// which waits for it as for a pass; one that panics is named in the report. (One that comes when its time has already come
/// runs on the thread that brings it; one whose time cannot come any more is dropped.)
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
    /// `None`: kept for good.
    id: Option<u64>,
}

impl Kicker {
    #[track_caller]
    pub(crate) fn new(inner: &Arc<Inner>, at: Milestone, kick: impl FnOnce() + Send + 'static) -> Self {
        let entry = Entry { at, location: Location::caller(), kick: Box::new(kick) };
        let mut table = inner.kickers.table.lock();
        let id = table.next;
        table.next += 1;
        if table.reached.contains(&at) {
            drop(table);
            if let Err(Panicked(message)) = hook::caught(entry.kick) {
                let problem = failure(entry.location, &format!("panicked: {message}"));
                inner.kickers.table.lock().failures.push(problem);
            }
        } else if table.reached.contains(&Milestone::Done) {
            // Its time will not come. Kept, it would never be dropped if it owns a handle.
            drop(table);
            drop(entry);
        } else {
            table.waiting.insert(id, entry);
        }
        Self { inner: inner.clone(), id: Some(id) }
    }

    /// Leaves the closure in place for good.
    pub fn keep(mut self) {
        self.id = None;
    }
}

impl Drop for Kicker {
    fn drop(&mut self) {
        let entry = self.id.and_then(|id| self.inner.kickers.table.lock().waiting.remove(&id));
        // The closure's own destructors run here, outside the lock (P9).
        drop(entry);
    }
}

impl fmt::Debug for Kicker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kicker").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(crate) struct Entry {
    at: Milestone,
    location: &'static Location<'static>,
    kick: Kick,
}

#[derive(Default)]
pub(crate) struct Kickers {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    reached: Vec<Milestone>,
    waiting: BTreeMap<u64, Entry>,
    running: BTreeMap<u64, &'static Location<'static>>,
    failures: Vec<Failure>,
}

impl Kickers {
    /// How many run at the moment.
    pub(crate) fn running(&self) -> usize {
        self.table.lock().running.len()
    }

    /// Those whose time will not come.
    pub(crate) fn take_left(&self) -> BTreeMap<u64, Entry> {
        std::mem::take(&mut self.table.lock().waiting)
    }

    /// Who failed, and who has not returned.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let table = self.table.lock();
        let hung = table.running.values().map(|location| failure(location, "did not return"));
        table.failures.iter().cloned().chain(hung).collect()
    }
}

impl Inner {
    /// Starts those whose time has come: exactly then, so that who waits for a last call that never comes does not run.
    /// The driver's to call; it runs none of them itself.
    pub(crate) fn kick(self: &Arc<Self>, reached: Milestone) {
        let mut table = self.kickers.table.lock();
        table.reached.push(reached);
        let (due, later) = std::mem::take(&mut table.waiting).into_iter().partition(|(_, entry)| entry.at == reached);
        table.waiting = later;
        let due: BTreeMap<u64, Entry> = due;
        table.running.extend(due.iter().map(|(&id, entry)| (id, entry.location)));
        drop(table);
        for (id, Entry { location, kick, .. }) in due {
            let inner = self.clone();
            let spawned = hook::spawn("kicker", kick, move |result| {
                let problem = result.err().map(|Panicked(message)| failure(location, &format!("panicked: {message}")));
                inner.kicked(id, problem);
            });
            if let Err(error) = spawned {
                self.kicked(id, Some(failure(location, &format!("got no thread: {error}"))));
            }
        }
    }

    fn kicked(&self, id: u64, problem: Option<Failure>) {
        let mut table = self.kickers.table.lock();
        table.running.remove(&id);
        table.failures.extend(problem);
        drop(table);
        self.trigger.driver.notify();
    }
}

fn failure(location: &'static Location<'static>, what: &str) -> Failure {
    Failure { part: Part::Kicker, what: format!("the kicker from {location} {what}") }
}

//! Open connections: busy, idle or upgraded; told, lingered for, and cut. Not here: accepting them (`listener`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::Shutdown as Half;
use std::panic::Location;
use std::time::Duration;

use winddown_core::{Milestone, Priority, Refused};

use crate::inner::Inner;
use crate::kicker::Kicker;
use crate::socket::Stream;
use crate::sync::{Arc, AtomicBool, AtomicU32, Mutex, Ordering, thread};
use crate::{OwnedPass, Pass, Shutdown};

/// A line's state counts its guards; none is idle.
const IDLE: u32 = 0;
const BUSY: u32 = 1;
const UPGRADED: u32 = 1 << 16;

/// A connection that the shutdown knows of, until this is dropped. From an [`Acceptor`](crate::Acceptor), or made of any
/// stream.
///
/// Its owner sets one of three states, and each is wound down in its own way:
///
/// | state | means | when refusing |
/// |---|---|---|
/// | idle | waits for a request; holds no pass | may bring one more during the [linger](winddown_core::Budget::linger), then it is shut down for reading, and a blocked `read` returns 0 |
/// | [busy](Self::busy) | works on one; holds a pass | waited for |
/// | [upgraded](Self::upgrade) | speaks something without an end (a `WebSocket`); holds a pass | told, and waited for |
///
/// At the last call (the drain's deadline) what is left is cut with `shutdown(2)` and named in the report. The stream is
/// shared with the register, not duplicated, so a connection costs one descriptor, and none is cut that has been
/// closed and used for something else.
///
/// A request whose beginning arrives at the very end of the linger may be cut in its body.
///
/// ```no_run
/// use std::io::{Read, Write};
/// use std::time::Duration;
/// use winddown::{Connection, lingering_close};
///
/// fn serve(connection: &Connection<std::net::TcpStream>) -> std::io::Result<()> {
///     let (mut stream, mut buffer) = (connection.stream(), [0; 1024]);
///     while stream.read(&mut buffer)? > 0 {
///         let Ok(_busy) = connection.busy() else { break };
///         let closing = connection.is_closing();
///         stream.write_all(if closing { b"answer, and goodbye\n" } else { b"answer\n" })?;
///         if closing {
///             return lingering_close(stream, Duration::from_secs(1));
///         }
///     }
///     Ok(())
/// }
/// ```
pub struct Connection<S: Stream> {
    // Let go of first, so that the register's share is the last, and the descriptor free when somebody is told so.
    line: Arc<Line<S>>,
    entry: Entry,
}

/// A place in the register, given back when dropped.
struct Entry {
    shutdown: Shutdown,
    id: u64,
}

struct Line<S> {
    stream: S,
    state: AtomicU32,
    since: Duration,
    location: &'static Location<'static>,
    thread: thread::Thread,
}

impl<S: Stream> Connection<S> {
    /// Registers a stream. It begins idle.
    #[track_caller]
    pub fn new(stream: S, shutdown: &Shutdown) -> Self {
        Self::from(stream, shutdown, Location::caller())
    }

    pub(crate) fn from(stream: S, shutdown: &Shutdown, location: &'static Location<'static>) -> Self {
        let inner = shutdown.inner();
        let state = AtomicU32::new(IDLE);
        let since = inner.trigger.clock.now();
        let line = Arc::new(Line { stream, state, since, location, thread: thread::current() });
        let open: Arc<dyn Open> = line.clone();
        let id = inner.connections.add(&open);
        let this = Self { line, entry: Entry { shutdown: shutdown.clone(), id } };
        this.end_if_over();
        if shutdown.is_shutting_down() {
            // It is to be lingered for, and ended.
            inner.trigger.driver.notify();
        }
        this
    }

    /// The stream, to read and write through.
    #[must_use]
    pub fn stream(&self) -> &S {
        &self.line.stream
    }

    /// Whether the next answer has to be the last, and say so (`Connection: close`): the program refuses.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.entry.shutdown.inner().waiters.has_reached(Milestone::Refusing)
    }

    /// A request has come: busy, with a pass, until what this returns is dropped. Then idle again.
    ///
    /// A connection may come to be busy also while newcomers are refused, as long as the wind-down waits for idle ones: a
    /// request that was on its way is answered.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] when the drain is over: no answer could be finished.
    pub fn busy(&self) -> Result<Busy<'_, S>, Refused> {
        self.guard(BUSY)
    }

    fn guard(&self, kind: u32) -> Result<Busy<'_, S>, Refused> {
        let pass = self.pass()?;
        // After the pass: whoever sees the old state takes it for idle, and waits for it as that. SeqCst for the sake of
        // the other direction, in `drop`.
        self.line.state.fetch_add(kind, Ordering::SeqCst);
        Ok(Busy { kind, connection: self, _pass: pass })
    }

    /// From now on it speaks something that has no end of its own, with a pass, until what this returns is dropped.
    ///
    /// When the program refuses, `goodbye` runs once, on a thread of its own (on this one, if it refuses already): it may
    /// write a farewell, set a flag, or shut the stream down for reading to wake who reads it. The request that led here
    /// may still be [`busy`](Self::busy).
    ///
    /// # Errors
    ///
    /// As for [`busy`](Self::busy).
    #[track_caller]
    pub fn upgrade(&self, goodbye: impl FnOnce(&S) + Send + 'static) -> Result<Upgraded<'_, S>, Refused> {
        let busy = self.guard(UPGRADED)?;
        let line = self.line.clone();
        let kicker = self.entry.shutdown.kicker_at_refusal(move || goodbye(&line.stream));
        Ok(Upgraded { _kicker: kicker, _busy: busy })
    }

    fn pass(&self) -> Result<Admitted<'_>, Refused> {
        let inner = self.entry.shutdown.inner();
        let late = || LatePass::enter(inner).map(Admitted::Late);
        // Asked first: what comes late is not refused, and is not to be counted as such.
        if inner.gate(Priority::Critical).is_closed() {
            return late();
        }
        self.entry.shutdown.enter().map(Admitted::Usual).or_else(|_| late())
    }

    /// To be called when it has become idle. `SeqCst` with `Connections::end_idle`: either that finds it idle, or this
    /// finds the linger over.
    fn end_if_over(&self) {
        if self.entry.shutdown.inner().connections.has_lingered() {
            let _ = self.line.stream.half_close(Half::Read);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let inner = self.shutdown.inner();
        inner.connections.remove(self.id);
        if self.shutdown.is_shutting_down() {
            inner.trigger.driver.notify();
        }
    }
}

impl<S: Stream> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.entry.id).finish_non_exhaustive()
    }
}

/// Held for what they do when dropped.
enum Admitted<'a> {
    Usual(#[expect(dead_code, reason = "held")] Pass<'a>),
    Late(#[expect(dead_code, reason = "held")] LatePass),
}

/// A connection at work. From [`Connection::busy`].
#[must_use = "dropped at once, the connection is idle again"]
pub struct Busy<'a, S: Stream> {
    kind: u32,
    connection: &'a Connection<S>,
    // Given back after it is idle: between the two it would be neither waited for nor lingered for.
    _pass: Admitted<'a>,
}

impl<S: Stream> Drop for Busy<'_, S> {
    fn drop(&mut self) {
        if self.connection.line.state.fetch_sub(self.kind, Ordering::SeqCst) == self.kind {
            self.connection.end_if_over();
        }
    }
}

impl<S: Stream> fmt::Debug for Busy<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Busy").finish_non_exhaustive()
    }
}

/// A connection that speaks something without an end. From [`Connection::upgrade`].
#[must_use = "dropped at once, the connection is idle again"]
pub struct Upgraded<'a, S: Stream> {
    // Taken back first: who has not said goodbye by now does not.
    _kicker: Kicker,
    _busy: Busy<'a, S>,
}

impl<S: Stream> fmt::Debug for Upgraded<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}

/// All that are open.
#[derive(Default)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    /// The linger is over: who becomes idle is shut down for reading.
    lingered: AtomicBool,
    /// Somebody waits for a descriptor to come free.
    starving: AtomicBool,
    pub(crate) freed: Arc<crate::event_count::EventCount>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Arc<dyn Open>>,
    /// All were cut; who comes now is too late.
    over: bool,
}

/// A connection to the register, whatever its stream.
trait Open: Send + Sync {
    fn state(&self) -> u32;
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

impl<S: Stream> Open for Line<S> {
    fn state(&self) -> u32 {
        // Pairs with the additions in `guard` and the subtractions in `Busy::drop`.
        self.state.load(Ordering::SeqCst)
    }

    fn close(&self, half: Half) {
        // One that is closed already is what was wanted.
        let _ = self.stream.half_close(half);
    }

    fn late(&self, id: u64, now: Duration) -> Late {
        let state = if self.state() >= UPGRADED { "upgraded" } else { "busy" };
        let what = format!("connection from {}, {state}", self.stream.peer());
        let age = now.saturating_sub(self.since);
        Late { id, what, age, location: self.location, thread: self.thread.clone() }
    }
}

impl Connections {
    fn add(&self, line: &Arc<dyn Open>) -> u64 {
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

    fn remove(&self, id: u64) {
        let line = self.table.lock().open.remove(&id);
        // The last share: the descriptor is closed here, outside the lock, and before anybody is told that it is free.
        drop(line);
        if self.starving.swap(false, Ordering::AcqRel) {
            self.freed.notify();
        }
    }

    /// Has the next connection that closes notify `freed`. What to wait for that with.
    pub(crate) fn starve(&self) -> u32 {
        let key = self.freed.key();
        // Release pairs with the acquire of the swap in `remove`.
        self.starving.store(true, Ordering::Release);
        key
    }

    /// Whether there are any, and whether any of them is idle.
    pub(crate) fn any(&self) -> (bool, bool) {
        let table = self.table.lock();
        (!table.open.is_empty(), table.open.values().any(|line| line.state() == IDLE))
    }

    pub(crate) fn is_at_work(&self, id: u64) -> bool {
        self.table.lock().open.get(&id).is_some_and(|line| line.state() != IDLE)
    }

    pub(crate) fn has_lingered(&self) -> bool {
        self.lingered.load(Ordering::SeqCst)
    }

    /// The linger is over. `SeqCst` with `Connection::idle`.
    pub(crate) fn end_idle(&self) {
        self.lingered.store(true, Ordering::SeqCst);
        for line in self.shares() {
            if line.state() == IDLE {
                line.close(Half::Read);
            }
        }
    }

    /// Cuts all that are left, and whoever comes from now on, and says who was at work.
    pub(crate) fn cut(&self, now: Duration) -> Vec<Late> {
        let mut table = self.table.lock();
        table.over = true;
        let open: Vec<_> = table.open.iter().map(|(&id, line)| (id, line.clone())).collect();
        drop(table);
        let mut late = Vec::new();
        for (id, line) in open {
            if line.state() != IDLE {
                late.push(line.late(id, now));
            }
            line.close(Half::Both);
        }
        late
    }

    /// A share of each stream: its descriptor stays open, and its own, while it is held.
    fn shares(&self) -> Vec<Arc<dyn Open>> {
        self.table.lock().open.values().cloned().collect()
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

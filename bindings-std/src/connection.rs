//! An open connection: busy, idle or upgraded. Not here: accepting it (`listener`), and all of them together (`connections`).

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown as Half;
use std::ops::Deref;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use winddown_core::{Milestone, Priority, Refused};

use crate::connections::{Late, LatePass, Open};
use crate::inner::Inner;
use crate::kicker::Kicker;
use crate::socket::Stream;
use crate::sync::{Arc, AtomicU32, Mutex, Ordering, thread};
use crate::wait::wake_all;
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

/// What the register, the connection and its guards share.
struct Line<S> {
    stream: S,
    inner: Arc<Inner>,
    state: AtomicU32,
    /// Who ends it when it is idle and the linger is over.
    ends: Mutex<Ends>,
    since: Duration,
    location: &'static Location<'static>,
    thread: thread::Thread,
}

enum Ends {
    /// Who finds it idle, by shutting it down for reading.
    Anybody,
    /// Its owner, who has this woken.
    Owner(Option<Waker>),
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
        let ends = Mutex::new(Ends::Anybody);
        let line = Line { stream, inner: inner.clone(), state, ends, since, location, thread: thread::current() };
        let line = Arc::new(line);
        let open: Arc<dyn Open> = line.clone();
        let id = inner.connections.add(&open);
        let this = Self { line, entry: Entry { shutdown: shutdown.clone(), id } };
        this.line.end_if_over();
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

    /// As [`busy`](Self::busy), for a guard that leaves the scope: another task that writes the answer, say. It keeps the stream
    /// open.
    ///
    /// # Errors
    ///
    /// As for [`busy`](Self::busy).
    pub fn busy_owned(&self) -> Result<OwnedBusy<S>, Refused> {
        let pass = self.admit(|| self.entry.shutdown.enter_owned())?;
        Ok(OwnedBusy { mark: Mark::new(Share(Some(self.line.clone())), BUSY), _pass: pass })
    }

    fn guard(&self, kind: u32) -> Result<Busy<'_, S>, Refused> {
        let pass = self.admit(|| self.entry.shutdown.enter())?;
        Ok(Busy { _mark: Mark::new(&self.line, kind), _pass: pass })
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

    /// Ready when the linger is over: when idle, it is now to be ended by its owner, who is woken for that. From the first
    /// poll on the wind-down leaves that to the owner, and does not shut the stream down for reading. So an owner that looks
    /// for what has come already, before it ends the connection, cuts no request that has begun.
    pub fn poll_lingered(&self, context: &Context<'_>) -> Poll<()> {
        let waker = context.waker().clone();
        let replaced = std::mem::replace(&mut *self.line.ends.lock(), Ends::Owner(Some(waker)));
        drop(replaced);
        // After that, with `Connections::end_idle`: either that finds the waker, or this the linger over.
        if self.line.inner.connections.has_lingered() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The usual pass, or that of who comes late.
    fn admit<P>(&self, enter: impl FnOnce() -> Result<P, Refused>) -> Result<Admitted<P>, Refused> {
        let inner = &self.line.inner;
        let late = || LatePass::enter(inner).map(Admitted::Late);
        // Asked first: what comes late is not refused, and is not to be counted as such.
        if inner.gate(Priority::Critical).is_closed() {
            return late();
        }
        enter().map(Admitted::Usual).or_else(|_| late())
    }
}

impl<S: Stream> Line<S> {
    /// How many guards there are.
    fn guards(&self) -> u32 {
        // Pairs with the addition in `Mark::new` and the subtraction in its `drop`.
        self.state.load(Ordering::SeqCst)
    }

    /// To be called when it has become idle. `SeqCst` with `Connections::end_idle`: either that finds it idle, or this
    /// finds the linger over.
    fn end_if_over(&self) {
        let owner = if self.inner.connections.has_lingered() { self.end() } else { None };
        // Who panics is no reason for whoever was busy to.
        let _ = wake_all(owner);
    }
}

impl<S: Stream> Open for Line<S> {
    fn is_idle(&self) -> bool {
        self.guards() == 0
    }

    fn end(&self) -> Option<Waker> {
        if let Ends::Owner(waker) = &mut *self.ends.lock() {
            return waker.take();
        }
        self.close(Half::Read);
        None
    }

    fn close(&self, half: Half) {
        // One that is closed already is what was wanted.
        let _ = self.stream.half_close(half);
    }

    fn late(&self, id: u64, now: Duration) -> Late {
        let state = if self.guards() >= UPGRADED { "upgraded" } else { "busy" };
        let what = format!("connection from {}, {state}", self.stream.peer());
        let age = now.saturating_sub(self.since);
        Late { id, what, age, location: self.location, thread: self.thread.clone() }
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
enum Admitted<P> {
    Usual(P),
    Late(#[expect(dead_code, reason = "held")] LatePass),
}

/// Counts among a line's guards, for as long as it lives.
struct Mark<S: Stream, L: Deref<Target = Line<S>>> {
    kind: u32,
    line: L,
}

impl<S: Stream, L: Deref<Target = Line<S>>> Mark<S, L> {
    /// To be made after the pass: whoever sees the old state takes it for idle, and waits for it as that. `SeqCst` for the
    /// sake of the other direction, in `drop`.
    fn new(line: L, kind: u32) -> Self {
        line.state.fetch_add(kind, Ordering::SeqCst);
        Self { kind, line }
    }
}

impl<S: Stream, L: Deref<Target = Line<S>>> Drop for Mark<S, L> {
    fn drop(&mut self) {
        if self.line.state.fetch_sub(self.kind, Ordering::SeqCst) == self.kind {
            self.line.end_if_over();
        }
    }
}

/// A line's share that may outlive the connection. `None` only while it is dropped.
struct Share<S: Stream>(Option<Arc<Line<S>>>);

impl<S: Stream> Deref for Share<S> {
    type Target = Line<S>;

    fn deref(&self) -> &Line<S> {
        self.0.as_ref().expect("not dropped")
    }
}

impl<S: Stream> Drop for Share<S> {
    fn drop(&mut self) {
        // The last one closes the descriptor, and says so then, as the register does.
        if let Some(Line { stream, inner, .. }) = self.0.take().and_then(Arc::into_inner) {
            drop(stream);
            inner.connections.feed();
        }
    }
}

/// A connection at work. From [`Connection::busy`].
#[must_use = "dropped at once, the connection is idle again"]
pub struct Busy<'a, S: Stream> {
    _mark: Mark<S, &'a Line<S>>,
    // Given back after it is idle: between the two it would be neither waited for nor lingered for.
    _pass: Admitted<Pass<'a>>,
}

/// A connection at work. From [`Connection::busy_owned`].
#[must_use = "dropped at once, the connection is idle again"]
pub struct OwnedBusy<S: Stream> {
    mark: Mark<S, Share<S>>,
    // As in `Busy`.
    _pass: Admitted<OwnedPass>,
}

impl<S: Stream> OwnedBusy<S> {
    /// From now on the connection speaks something that has no end of its own; the report calls it upgraded. To be told is
    /// its own affair: [`token_at(Milestone::Refusing)`](Shutdown::token_at).
    pub fn upgraded(mut self) -> Self {
        // In one step: it is not idle in between.
        self.mark.line.state.fetch_add(UPGRADED - self.mark.kind, Ordering::SeqCst);
        self.mark.kind = UPGRADED;
        self
    }
}

impl<S: Stream> fmt::Debug for OwnedBusy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBusy").finish_non_exhaustive()
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

#[cfg(unix)]
impl<S: Stream> AsFd for Connection<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.stream.as_fd()
    }
}

/// Of the socket itself, whatever is around it.
impl<S: Stream> Read for &Connection<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream().read_some(buffer)
    }
}

/// As reading.
impl<S: Stream> Write for &Connection<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream().write_some(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! A connection as its owner has it. Not here: accepting it (`listener`), its guards (`guards`), and what the register sees of
//! it (`open`).

use std::fmt;
use std::io::{self, Read, Write};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::Location;
use std::task::{Context, Poll};

use winddown_core::{Hold, Milestone, Refused};

use crate::Shutdown;
use crate::guards::{Busy, Guard, OwnedBusy, OwnedReceiving, Receiving, Upgraded};
use crate::open::{Opened, Share};
use crate::stream::Stream;
use crate::sync::Arc;
use crate::unwinding::Witness;

/// A connection that the shutdown knows of, until this is dropped. From an [`Acceptor`](crate::Acceptor), or made of any
/// stream.
///
/// Its owner sets one of five states, and each is wound down in its own way:
///
/// | state | means | when refusing |
/// |---|---|---|
/// | idle | waits for a request; holds no pass | may bring one more during the [linger](winddown_core::Budget::linger); then it is ended: shut down for reading, so that a blocked `read` returns 0 |
/// | [receiving](Self::receiving) | has read the first bytes of a request; holds no pass | waited for, at most for the [head time](winddown_core::Budget::head) after the linger |
/// | [busy](Self::busy) | works on a request; holds a pass | waited for |
/// | [upgraded](Busy::upgraded) | speaks something without an end (a `WebSocket`); holds a pass | told, and waited for |
/// | [answered](Busy::answered) | has written its last answer, and reads until the client has closed; holds no pass | waited for, and never late |
///
/// An idle connection whose request has arrived is not ended with the linger, even if no thread has read it yet (it waits in a
/// channel of the program's, or for a processor): it is waited for as one that is receiving. This happens once for each
/// connection. When the head time is over, a request that is still not whole is counted as
/// [incomplete](winddown_core::Unserved::incomplete), which leaves the outcome clean, and a request of which the program has
/// not read a byte as [lost](winddown_core::Unserved::lost), which does not.
///
/// At the last call (the drain's deadline) what is left is cut with `shutdown(2)`, and named in the report if it is at work. The
/// stream is shared with the register, not duplicated, so a connection costs one descriptor, and none is cut that has been
/// closed and used for something else.
///
/// ```no_run
/// use std::io::{BufRead, BufReader, Write};
/// use std::time::Duration;
/// use winddown::Connection;
///
/// fn serve(connection: &Connection<std::net::TcpStream>) -> std::io::Result<()> {
///     let mut reader = BufReader::new(connection.stream());
///     while !reader.fill_buf()?.is_empty() {
///         let Ok(receiving) = connection.receiving() else { break }; // some of a request is here
///         let mut request = String::new();
///         reader.read_line(&mut request)?;
///         let Ok(busy) = receiving.busy() else { break }; // all of it is
///         let closing = connection.is_closing();
///         connection.stream().write_all(if closing { b"answer, and goodbye\n" } else { b"answer\n" })?;
///         if closing {
///             return busy.lingering_close(Duration::from_secs(1));
///         }
///     }
///     Ok(())
/// }
/// ```
///
/// # Panics of its thread
///
/// A panic that drops this, or one of its guards, is named in the [report](crate::Report::failures) with the client's address: see
/// [`Labelled`](crate::Labelled).
///
/// # Connections that wait for a worker
///
/// A thread that accepts and hands connections to workers through a channel should use one that holds none (`sync_channel(0)`):
/// then clients for which no worker is free wait in the accept queue, which is accepted dry until the drain's deadline. The
/// connection that the thread is sending, and each that waits in a channel with room, is waited for only for the head time. If
/// it may have to wait longer, make it [busy](Self::busy_owned) before it is sent, and drop that guard in the worker. The
/// example `workers` does so.
pub struct Connection<S: Stream> {
    /// `None` only while this is dropped.
    opened: Option<Arc<Opened<S>>>,
    shutdown: Shutdown,
    witness: Witness,
}

impl<S: Stream> Connection<S> {
    /// Registers a stream. It begins idle.
    #[track_caller]
    pub fn new(stream: S, shutdown: &Shutdown) -> Self {
        Self::from(stream, shutdown, Location::caller())
    }

    pub(crate) fn from(stream: S, shutdown: &Shutdown, location: &'static Location<'static>) -> Self {
        let opened = Opened::register(stream, shutdown.inner(), location);
        if shutdown.is_shutting_down() {
            // The driver has to linger for it, and to end it.
            shutdown.inner().trigger.driver.notify();
        }
        Self { opened: Some(opened), shutdown: shutdown.clone(), witness: Witness::new() }
    }

    fn opened(&self) -> &Arc<Opened<S>> {
        self.opened.as_ref().expect("not dropped")
    }

    fn share(&self) -> Share<S> {
        Share(Some(self.opened().clone()))
    }

    /// Returns the stream, to read and write through.
    #[must_use]
    pub fn stream(&self) -> &S {
        &self.opened().stream
    }

    /// Returns whether the program refuses: the next answer has to be the last, and to say so (`Connection: close`).
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.shutdown.inner().waiters.has_reached(Milestone::Refusing)
    }

    /// Returns whether this connection is over: the wind-down ended it, because it was idle when the linger was over or because
    /// its request was not whole when the head time was; or its owner [dismissed](Self::dismiss) it, or has written its last
    /// [answer](Busy::answered).
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.opened().is_ended()
    }

    /// Says that this connection brings no more requests: its owner has read everything, and is about to close it. From now on,
    /// for good, the drain waits for no request on it, and bytes that still arrive are not counted as lost.
    ///
    /// Has no effect while it is [busy](Self::busy) or [upgraded](Self::upgrade).
    pub fn dismiss(&self) {
        self.opened().dismiss();
    }

    /// For bindings: counts the client as lost, because a request of it was read that will not be answered.
    #[doc(hidden)]
    pub fn lose(&self) {
        self.opened().lose();
    }

    /// Says that a request has begun to arrive: the wind-down waits for the rest of it, at most for the
    /// [head time](winddown_core::Budget::head) after the linger. Then turn the guard into [`busy`](Receiving::busy).
    ///
    /// The library sees what the socket holds, not what a buffer of the program's does. So a program that has read some of the next
    /// request already calls this before it drops the [`Busy`] guard of the request before it.
    ///
    /// To call [`busy`](Self::busy) instead is safe, but then the drain waits until its deadline for a client that never sends
    /// the rest, and names its connection as late.
    ///
    /// # Errors
    ///
    /// Never fails. The `Result` has the form of [`busy`](Self::busy)'s.
    pub fn receiving(&self) -> Result<Receiving<'_, S>, Refused> {
        Guard::new(&**self.opened(), Hold::Receiving, None).map(Receiving)
    }

    /// As [`receiving`](Self::receiving), for a guard that leaves the scope. It keeps the stream open.
    ///
    /// # Errors
    ///
    /// As for [`receiving`](Self::receiving).
    pub fn receiving_owned(&self) -> Result<OwnedReceiving<S>, Refused> {
        Guard::new(self.share(), Hold::Receiving, None).map(OwnedReceiving)
    }

    /// Says that a request is being worked on: busy, with a pass, until what this returns is dropped. Then idle again.
    ///
    /// A connection may become busy even while newcomers are refused, as long as the wind-down waits for idle ones: a
    /// request that was on its way is answered.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] when the drain is over: no answer could be finished. [`Refused::Full`] beyond 32,767 guards of
    /// one connection.
    pub fn busy(&self) -> Result<Busy<'_, S>, Refused> {
        self.guard(Hold::Busy)
    }

    /// As [`busy`](Self::busy), for a guard that leaves the scope: another task that writes the answer, say. It keeps the stream
    /// open.
    ///
    /// # Errors
    ///
    /// As for [`busy`](Self::busy).
    pub fn busy_owned(&self) -> Result<OwnedBusy<S>, Refused> {
        let pass = self.opened().admit_owned()?;
        Guard::new(self.share(), Hold::Busy, Some(pass)).map(OwnedBusy)
    }

    fn guard(&self, hold: Hold) -> Result<Busy<'_, S>, Refused> {
        let pass = self.opened().admit()?;
        Guard::new(&**self.opened(), hold, Some(pass)).map(Busy)
    }

    /// Says that from now on it speaks something that has no end of its own, with a pass, until what this returns is dropped.
    ///
    /// When the program refuses, `goodbye` runs once, as a [`Kicker`](crate::Kicker) does (on this thread, if it refuses already): it may
    /// write a farewell, set a flag, or wake the thread that reads. The request that led here may still be
    /// [`busy`](Self::busy).
    ///
    /// Shutting the stream down for reading wakes its reader with the end of the stream. That is right only if the reader has nothing
    /// to say after it. A WebSocket has: its library takes the end for a broken connection, and sends no Close frame any more. To wake
    /// such a reader, use [`busy`](Self::busy) and [`Busy::upgraded`], which needs no closure, and an `Interruptible` (on Unix)
    /// around the stream, whose read the token interrupts.
    ///
    /// # Errors
    ///
    /// As for [`busy`](Self::busy); the bound is 255 guards.
    #[track_caller]
    pub fn upgrade(&self, goodbye: impl FnOnce(&S) + Send + 'static) -> Result<Upgraded<'_, S>, Refused> {
        let busy = self.guard(Hold::Upgraded)?;
        // A share: if it is the last, an acceptor that waits for a descriptor is told.
        let share = self.share();
        let kicker = self.shutdown.kicker_at_refusal(move || {
            if !share.is_inherited() {
                goodbye(&share.stream);
            }
        });
        Ok(Upgraded::new(kicker, busy))
    }

    /// Gives the stream away, to a server that wants a socket of its own. The wind-down does not know of the connection any more:
    /// it is neither told, ended nor cut, and its client is not counted as lost.
    ///
    /// So hold something else as long as the server works on it: an [`OwnedPass`](crate::OwnedPass) for each answer, which the body
    /// [holds](crate::Holding), or one for the whole time of the connection. Owned guards that are still there keep their passes,
    /// and the stream open; drop them before.
    ///
    /// # Errors
    ///
    /// The stream is shared, with an owned guard or for a moment with the wind-down, and the program has no descriptor left to
    /// duplicate it with. It is then closed.
    #[cfg(unix)]
    pub fn into_stream(mut self) -> io::Result<S>
    where
        S: From<OwnedFd>,
    {
        let opened = self.opened().clone();
        // From here on dropping `self` does nothing.
        self.opened = None;
        opened.dismiss();
        opened.close();
        self.leave_register(opened.id);
        match Arc::try_unwrap(opened) {
            Ok(opened) => Ok(opened.stream),
            Err(shared) => shared.stream.as_fd().try_clone_to_owned().map(S::from),
        }
    }

    /// The register gives its share back, and the driver is told that there is one less to linger for.
    fn leave_register(&self, id: u64) {
        self.shutdown.inner().connections.remove(id);
        if self.shutdown.is_shutting_down() {
            self.shutdown.inner().trigger.driver.notify();
        }
    }

    /// Ready when the linger is over: when idle, the connection is now to be ended by its owner. From the first poll on the
    /// wind-down leaves that to the owner, and does not shut the stream down for reading. So an owner that looks for what has
    /// arrived already, before it ends the connection, cuts no request that has begun.
    ///
    /// The waker of the last poll is woken when the connection is to be ended: at the linger's end, when its last guard
    /// is dropped later than that, or when its [head time](winddown_core::Budget::head) is over
    /// ([`is_ended`](Self::is_ended) is then `true`).
    pub fn poll_lingered(&self, context: &Context<'_>) -> Poll<()> {
        self.opened().end_by_owner(context.waker().clone());
        // After that. The flag is set before the attendant takes the waker, which happens under the lock under which
        // `end_by_owner` puts it there. So either the attendant finds the waker, or this finds the flag.
        if self.shutdown.inner().connections.has_lingered() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<S: Stream> Drop for Connection<S> {
    /// In this order:
    ///
    /// 1. If the thread panics, that is named; and the client is accounted for: whether it goes without an answer.
    /// 2. The share is given back, and then the register's, which is the last: the descriptor is free when an acceptor is
    ///    told so. (A guard that has left the scope may hold one more.)
    /// 3. The driver is told that there is one less to linger for.
    fn drop(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        opened.drop_guard(self.witness, None);
        opened.close();
        let id = opened.id;
        drop(opened);
        self.leave_register(id);
    }
}

impl<S: Stream> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.opened().id).finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl<S: Stream> AsFd for Connection<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream().as_fd()
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

//! What is under way on one connection, and when it counts as answered. Not here: requests and answers (`service`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use parking_lot::Mutex;
use smol_hyper::rt::FuturesIo;
use winddown::{OwnedBusy, Refused, Stream};

use crate::Connection;

/// One connection and the requests on it.
///
/// It is busy from the head of a request to the flush behind its answer: what hyper has taken is the kernel's only then.
pub(super) struct Flight<S: Stream> {
    connection: Connection<S>,
    state: Mutex<State<S>>,
}

struct State<S: Stream> {
    /// Requests whose answers are not at their end.
    open: usize,
    busy: Option<OwnedBusy<S>>,
    /// Several requests at a time: hyper may have what it cannot send yet.
    many: bool,
    end: End,
}

/// How far its end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// There is none in sight.
    Open,
    /// An answer has said that it is the last: busy to the very end.
    Last,
    /// It speaks something else: busy as long as that has the I/O.
    Upgraded,
    /// Nothing has come, and nothing will.
    Idle,
}

impl<S: Stream> Flight<S> {
    pub(super) fn new(connection: Connection<S>) -> Self {
        Self { connection, state: Mutex::new(State { open: 0, busy: None, many: false, end: End::Open }) }
    }

    pub(super) fn connection(&self) -> &Connection<S> {
        &self.connection
    }

    pub(super) fn io(self: &Arc<Self>) -> FuturesIo<Io<S>> {
        FuturesIo::new(Io(self.clone()))
    }

    /// Whether the client may still send what would destroy the last answer on its way (A6).
    pub(super) fn wants_lingering(&self) -> bool {
        matches!(self.state.lock().end, End::Open | End::Last)
    }

    /// A request has come, on a connection that has one at a time or many.
    pub(super) fn begin(self: &Arc<Self>, many: bool) -> Result<Begun, Refused> {
        let mut state = self.state.lock();
        state.many = many;
        if state.busy.is_none() {
            state.busy = Some(self.connection.busy_owned()?);
        }
        state.open += 1;
        Ok(Begun(self.clone()))
    }

    /// The answer under way says that it is the last.
    pub(super) fn set_last(&self) {
        self.state.lock().end = End::Last;
    }

    /// From now on it speaks something else.
    pub(super) fn upgrade(&self) {
        let mut state = self.state.lock();
        state.end = End::Upgraded;
        state.busy = state.busy.take().map(OwnedBusy::upgraded);
    }

    /// Everything that was written so far is the kernel's.
    fn flushed(&self) {
        let mut state = self.state.lock();
        let to_the_end = state.end != End::Open || state.many && self.connection.is_closing();
        if state.open == 0 && !to_the_end {
            let idle = state.busy.take();
            drop(state);
            drop(idle);
        }
    }

    /// Whether it waits for a request, with nothing left to write, and there will be none.
    fn is_over(&self, context: &mut Context<'_>) -> bool {
        let lingered = self.connection.poll_lingered(context).is_ready();
        let mut state = self.state.lock();
        if lingered && state.busy.is_none() {
            state.end = End::Idle;
        }
        state.end == End::Idle
    }
}

/// A request that has come, until its answer is at its end.
pub(super) struct Begun(Arc<dyn Under>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// A flight, on whatever stream.
trait Under: Send + Sync {
    /// The answer to a request is at its end.
    fn ended(&self);
}

impl<S: Stream> Under for Flight<S> {
    fn ended(&self) {
        self.state.lock().open -= 1;
    }
}

/// The connection, as hyper has it, or whoever takes it over.
pub(super) struct Io<S: Stream>(Arc<Flight<S>>);

impl<S: Stream> AsyncRead for Io<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut &self.0.connection).poll_read(context, buffer) {
            // Only where nothing has come: a request that has begun to is read.
            Poll::Pending if self.0.is_over(context) => Poll::Ready(Ok(0)),
            read => read,
        }
    }
}

impl<S: Stream> AsyncWrite for Io<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &self.0.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &self.0.connection).poll_write_vectored(context, parts)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &self.0.connection).poll_close(context)
    }
}

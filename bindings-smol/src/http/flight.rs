//! What is under way on one connection, and when it counts as answered. Not here: requests and answers (`service`).

use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncWrite};
use parking_lot::Mutex;
use smol_hyper::rt::FuturesIo;
use winddown::{OwnedBusy, OwnedReceiving, Refused, Stream};

use crate::Connection;

/// One connection and the requests on it.
///
/// It is busy from the head of a request to the flush behind its answer: what hyper has taken is the kernel's only then.
pub(super) struct Flight<S: Stream> {
    connection: Connection<S>,
    /// Several requests at a time, each in a task of its own (HTTP/2).
    many: bool,
    state: Mutex<State<S>>,
}

struct State<S: Stream> {
    /// Requests whose answers are not at their end.
    open: usize,
    busy: Option<OwnedBusy<S>>,
    /// HTTP/1: something was read that no request has come of yet.
    receiving: Option<OwnedReceiving<S>>,
    /// HTTP/2: the same. What was read may as well be an answer to a ping, so the drain does not wait for it.
    fresh: bool,
    /// Who flushes, where an answer may come to its end without that.
    flushes: Option<Waker>,
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
    pub(super) fn new(connection: Connection<S>, many: bool) -> Arc<Self> {
        // From here on it ends itself when the linger is over, with what has come by then: also if that is before its task
        // has begun.
        let _ = connection.poll_lingered(&Context::from_waker(Waker::noop()));
        let state = State { open: 0, busy: None, receiving: None, fresh: false, flushes: None, end: End::Open };
        Arc::new(Self { connection, many, state: Mutex::new(state) })
    }

    pub(super) fn connection(&self) -> &Connection<S> {
        &self.connection
    }

    pub(super) fn io(self: &Arc<Self>) -> FuturesIo<Io<S>> {
        FuturesIo::new(Io(self.clone()))
    }

    /// Whether the client may still send what would destroy the last answer on its way (A6).
    pub(super) fn wants_lingering(&self) -> bool {
        // Who speaks HTTP/2 says something to everything that it is told.
        self.many || matches!(self.state.lock().end, End::Open | End::Last)
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Arc<Begun>, Refused> {
        let mut state = self.state.lock();
        state.fresh = false;
        if let Some(receiving) = state.receiving.take() {
            // Without the lock: this may wake the connection's task. (HTTP/1 has one request at a time.)
            drop(state);
            let busy = receiving.busy()?;
            state = self.state.lock();
            state.busy.get_or_insert(busy);
        }
        if state.busy.is_none() {
            state.busy = Some(self.connection.busy_owned()?);
        }
        state.open += 1;
        Ok(Arc::new(Begun(self.clone())))
    }

    /// The answer under way says that it is the last.
    pub(super) fn set_last(&self) {
        self.state.lock().end = End::Last;
    }

    /// hyper has done with the connection: the last answer is written, and what the client still sends is no request. The guard
    /// of an answer that was under way comes back, to be dropped after the connection; without one nothing more is waited for.
    pub(super) fn answered(&self) -> Option<OwnedBusy<S>> {
        let mut state = self.state.lock();
        let (busy, receiving) = (state.busy.take(), state.receiving.take());
        drop(state);
        drop(receiving);
        if busy.is_none() {
            self.connection.dismiss();
        }
        busy
    }

    /// From now on it speaks something else.
    pub(super) fn upgrade(&self) {
        let mut state = self.state.lock();
        state.end = End::Upgraded;
        state.busy = state.busy.take().map(OwnedBusy::upgraded);
    }

    fn has_read(&self) {
        let mut state = self.state.lock();
        if self.many {
            state.fresh = true;
        } else if state.busy.is_none() && state.receiving.is_none() {
            drop(state);
            // Without the lock: this may wake the connection's task. It is never refused: this guard has no pass.
            let receiving = self.connection.receiving_owned().ok();
            self.state.lock().receiving = receiving;
        }
    }

    /// Everything that was written so far is the kernel's.
    fn flushed(&self, context: &Context<'_>) {
        let mut state = self.state.lock();
        if state.open == 0 && state.end == End::Open {
            let Some(idle) = state.busy.take() else { return };
            state.fresh = false;
            drop(state);
            drop(idle);
        } else if self.many && !state.flushes.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            let replaced = state.flushes.replace(context.waker().clone());
            drop(state);
            drop(replaced);
        }
    }

    /// Whether it waits for a request, with nothing left to write, and there will be none. To be asked when there is nothing to
    /// read.
    fn is_over(&self, context: &Context<'_>) -> bool {
        let lingered = self.connection.poll_lingered(context).is_ready();
        let mut state = self.state.lock();
        // A head that is not whole has the head time, which the wind-down ends.
        if !lingered || state.busy.is_some() || state.receiving.is_some() && !self.connection.is_ended() {
            return false;
        }
        if mem::take(&mut state.fresh) {
            // What was read may be a request, which h2 hands out only when it finds nothing more to read.
            drop(state);
            context.waker().wake_by_ref();
            return false;
        }
        state.end = End::Idle;
        drop(state);
        if self.many {
            // There is no stream, and after the GOAWAYs only streams count.
            self.connection.dismiss();
        }
        true
    }
}

/// A request that has come, until nothing of its answer is left.
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
        let mut state = self.state.lock();
        state.open -= 1;
        let flushes = if state.open == 0 { state.flushes.take() } else { None };
        drop(state);
        if let Some(flushes) = flushes {
            flushes.wake();
        }
    }
}

/// The connection, as hyper has it, or whoever takes it over.
pub(super) struct Io<S: Stream>(Arc<Flight<S>>);

impl<S: Stream> AsyncRead for Io<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut &self.0.connection).poll_read(context, buffer) {
            // Only where nothing has come: a request that has begun to is read.
            Poll::Pending if self.0.is_over(context) => Poll::Ready(Ok(0)),
            Poll::Ready(Ok(read @ 1..)) => {
                self.0.has_read();
                Poll::Ready(Ok(read))
            }
            other => other,
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

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.flushed(context);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &self.0.connection).poll_close(context)
    }
}

//! A connection's bytes on their way to hyper, through whatever encrypts them. Not here: what they mean to the drain (`flight`).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};
use smol_hyper::rt::FuturesIo;
use winddown::Stream;

use super::flight::Flight;

/// A connection's bytes as they are on the wire, to read and write: what [`serve_over`](super::serve_over) gives to its `wrap`.
///
/// Whatever is made of it is the connection: it is closed when that is dropped.
pub struct Wire<S: Stream>(Arc<Flight<S>>);

impl<S: Stream> Wire<S> {
    pub(super) fn new(flight: &Arc<Flight<S>>) -> Self {
        Self(flight.clone())
    }

    /// Returns the socket, to ask for the peer's address, say. What is read from it or written to it is not on its way through this.
    #[must_use]
    pub fn stream(&self) -> &S {
        self.0.connection().stream()
    }
}

impl<S: Stream> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.0.connection()).poll_read(context, buffer);
        if let Poll::Ready(Ok(1..)) = read {
            self.0.has_read();
        }
        read
    }
}

impl<S: Stream> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.connection()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.connection()).poll_write_vectored(context, parts)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.connection()).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.connection()).poll_close(context)
    }
}

impl<S: Stream> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&**self.0.connection()).finish()
    }
}

/// The I/O object that was made of a [`Wire`], as hyper has it, or the owner of an upgraded connection.
///
/// Its reads end here, and not below, when no request will come: so hyper closes it in order, with a `close_notify` for one.
pub(super) struct Through<S: Stream, I> {
    io: I,
    flight: Arc<Flight<S>>,
    /// The client of an idle connection that is closed is expected to say goodbye, which is bytes on the wire and no request. So `io`
    /// has to tell the two apart.
    wrapped: bool,
    closed: bool,
}

impl<S: Stream, I> Through<S, I> {
    pub(super) fn hyper(io: I, flight: &Arc<Flight<S>>, wrapped: bool) -> FuturesIo<Self> {
        FuturesIo::new(Self { io, flight: flight.clone(), wrapped, closed: false })
    }
}

impl<S: Stream, I: AsyncRead + Unpin> AsyncRead for Through<S, I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.io).poll_read(context, buffer) {
            // Only where nothing has come: a request that has begun to is read.
            Poll::Pending if self.flight.is_over(context) => Poll::Ready(Ok(0)),
            Poll::Ready(Ok(read @ 1..)) => {
                self.flight.has_read_through();
                Poll::Ready(Ok(read))
            }
            other => other,
        }
    }
}

impl<S: Stream, I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Through<S, I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }

    /// hyper's bytes are the kernel's only when `io` has given all of them away.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        if let Poll::Ready(Ok(())) = flushed {
            self.flight.flushed(context);
        }
        flushed
    }

    /// Closes `io`. If the connection was idle, and is wrapped, this also waits for the client's goodbye: the drain waits for it as long
    /// as for any connection that was ended.
    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(Pin::new(&mut self.io).poll_close(context))?;
            self.closed = true;
        }
        if self.wrapped && self.flight.awaits_goodbye() {
            // An error is an end, too: many clients close without a goodbye.
            let read = ready!(Pin::new(&mut self.io).poll_read(context, &mut [0; 64]));
            self.flight.part(matches!(read, Ok(1..)));
        }
        Poll::Ready(Ok(()))
    }
}

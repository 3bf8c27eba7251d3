//! A connection to read and write through. Not here: how it is wound down (`winddown::Connection`).

use std::io;
use std::net::Shutdown as Half;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Timer;
use futures_lite::{AsyncRead, AsyncWrite, FutureExt};
use winddown::{Lingering, OwnedBusy, Stream};

use crate::Shutdown;
use crate::reactor::Registered;

/// A connection that the shutdown knows of, until this is dropped: [`winddown::Connection`], which it stands for, to be read
/// and written by tasks. From an [`Incoming`](crate::Incoming), or made of any stream.
///
/// When it is told, lingered for and cut, a pending read or write is woken: reading ends, or fails.
#[derive(Debug)]
pub struct Connection<S: Stream> {
    line: Registered<winddown::Connection<S>>,
}

impl<S: Stream> Connection<S> {
    /// Registers a stream. It begins idle.
    ///
    /// # Errors
    ///
    /// The reactor does not take it.
    #[track_caller]
    pub fn new(stream: S, shutdown: &Shutdown) -> io::Result<Self> {
        Self::of(winddown::Connection::new(stream, shutdown))
    }

    pub(crate) fn of(connection: winddown::Connection<S>) -> io::Result<Self> {
        Ok(Self { line: Registered::new(connection)? })
    }

    /// Gives the stream away, to a server that wants a socket of its own, as [`winddown::Connection::into_stream`] does. It does not
    /// block.
    ///
    /// # Errors
    ///
    /// As for [`winddown::Connection::into_stream`]; or the reactor does not give it back.
    pub fn into_stream(self) -> io::Result<S>
    where
        S: From<OwnedFd>,
    {
        self.line.into_inner()?.into_stream()
    }

    /// Closes the connection after its last answer, so that the answer arrives: as [`OwnedBusy::lingering_close`], which blocks. `busy`
    /// is the guard of that answer. Then drop the connection.
    ///
    /// The connection is not at work meanwhile, so a client that keeps its end open is not late: the drain waits for it until its
    /// own deadline, and then cuts it, which ends this call.
    ///
    /// # Errors
    ///
    /// As for [`winddown::lingering_close`].
    pub async fn close_after(&self, busy: OwnedBusy<S>, at_most: Duration) -> io::Result<()> {
        let _answered = busy.answered();
        self.lingering_close(at_most).await
    }

    /// As [`winddown::lingering_close`], for a connection without a guard, or with one that is [answered](OwnedBusy::answered). After an
    /// answer call [`close_after`](Self::close_after): the drain does not wait for a connection without a guard, and one that is
    /// still busy is late at the drain's deadline.
    ///
    /// # Errors
    ///
    /// As for [`winddown::lingering_close`].
    pub async fn lingering_close(&self, at_most: Duration) -> io::Result<()> {
        let mut lingering = Lingering::begin(self.stream())?;
        let read = async {
            while !self.line.read_with(|own| lingering.read(own.stream())).await? {}
            Ok(())
        };
        let time = async {
            Timer::after(at_most).await;
            Ok(())
        };
        read.or(time).await
    }
}

impl<S: Stream> Deref for Connection<S> {
    type Target = winddown::Connection<S>;

    fn deref(&self) -> &winddown::Connection<S> {
        self.line.get_ref()
    }
}

impl<S: Stream> AsyncRead for &Connection<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.line).poll_read(context, buffer)
    }
}

impl<S: Stream> AsyncWrite for &Connection<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.line).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream().half_close(Half::Write))
    }
}

impl<S: Stream> AsyncRead for Connection<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(context, buffer)
    }
}

impl<S: Stream> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(context)
    }
}

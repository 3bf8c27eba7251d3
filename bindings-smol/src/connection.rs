//! A connection to read and write through. Not here: how it is wound down (`winddown::Connection`).

use std::io::{self, Read, Write};
use std::net::Shutdown as Half;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, FutureExt};
use winddown::Stream;

use crate::Shutdown;

/// A connection that the shutdown knows of, until this is dropped: [`winddown::Connection`], which it stands for, to be read
/// and written by tasks. From an [`Incoming`](crate::Incoming), or made of any stream.
///
/// When it is told, lingered for and cut, a pending read or write is woken: reading ends, or fails.
#[derive(Debug)]
pub struct Connection<S: Stream> {
    line: Async<winddown::Connection<S>>,
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
        Ok(Self { line: Async::new(connection)? })
    }
}

impl<S: Stream> Connection<S>
where
    for<'a> &'a S: Read,
{
    /// As [`winddown::lingering_close`]: to be called after the last answer, and to be dropped then.
    ///
    /// # Errors
    ///
    /// What the system says; a peer that has gone already is none.
    pub async fn lingering_close(&self, at_most: Duration) -> io::Result<()> {
        const MEBIBYTE: usize = 1 << 20;
        let gone =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionReset);
        let read = async {
            self.stream().half_close(Half::Write)?;
            let (mut buffer, mut total, mut own) = ([0; 8192], 0, self);
            while total < MEBIBYTE {
                match own.read(&mut buffer).await? {
                    0 => break,
                    read => total += read,
                }
            }
            Ok(())
        };
        let time = async {
            Timer::after(at_most).await;
            Ok(())
        };
        read.or(time).await.or_else(|error| if gone(&error) { Ok(()) } else { Err(error) })
    }
}

impl<S: Stream> Deref for Connection<S> {
    type Target = winddown::Connection<S>;

    fn deref(&self) -> &winddown::Connection<S> {
        self.line.get_ref()
    }
}

impl<S: Stream> AsyncRead for &Connection<S>
where
    for<'a> &'a S: Read,
{
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.stream().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.line.poll_readable(context))?,
                result => return Poll::Ready(result),
            }
        }
    }
}

impl<S: Stream> AsyncWrite for &Connection<S>
where
    for<'a> &'a S: Write,
{
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.stream().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.line.poll_writable(context))?,
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream().half_close(Half::Write))
    }
}

impl<S: Stream> AsyncRead for Connection<S>
where
    for<'a> &'a S: Read,
{
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(context, buffer)
    }
}

impl<S: Stream> AsyncWrite for Connection<S>
where
    for<'a> &'a S: Write,
{
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

//! Readers, writers and streams that end when it is time to stop.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite, Stream};
use winddown::{Cancelled, Token};

/// A reader, writer or stream that ends when a token tells: the reader with the end of the file, the stream with [`None`], the
/// writer with [`io::ErrorKind::ConnectionAborted`]. Whoever is pending in it is woken.
///
/// What it is made of has to be [`Unpin`]: `Box::pin` makes anything so.
///
/// What the writer has taken before can still be flushed, and it can be closed.
///
/// It is for what has nothing to say after the end: a reader that is shut down, a stream of events whose last one is
/// [chained](futures_lite::StreamExt::chain) to it. A WebSocket has something to say. Around its I/O the end looks like a broken
/// connection, and its library sends no Close frame any more. Leave the I/O alone, and drop the wait for a message instead:
///
/// ```text
/// while let Some(Some(Ok(message))) = refusing.run_until(socket.next()).await { /* answer it */ }
/// socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "".into() })).await?;
/// ```
///
/// The example `websocket_smol` in `tests/third-party` is the whole of it.
///
/// ```
/// use futures_lite::{AsyncReadExt, StreamExt, stream};
/// use winddown_smol::{Reason, Shutdown, Until};
///
/// let shutdown = Shutdown::builder().build()?;
/// let mut numbers = Until::new(&shutdown.token(), stream::repeat(7));
/// smol::block_on(async {
///     assert_eq!(numbers.next().await, Some(7));
///     shutdown.trigger(Reason::Requested);
///     assert_eq!(numbers.next().await, None);
/// });
/// # Ok::<(), winddown_smol::BuildError>(())
/// ```
#[derive(Debug)]
pub struct Until<T> {
    inner: T,
    /// One for each direction: they may be two tasks.
    reading: Cancelled,
    writing: Cancelled,
}

impl<T> Until<T> {
    /// Ends it when this token tells.
    pub fn new(token: &Token, inner: T) -> Self {
        Self { inner, reading: token.cancelled(), writing: token.cancelled() }
    }

    /// Returns what it was made of, which has not ended.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Returns what it was made of, which has not ended: to send through it after the end, say.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives back what it was made of, which has not ended.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

fn has_ended(direction: &mut Cancelled, context: &mut Context<'_>) -> bool {
    Pin::new(direction).poll(context).is_ready()
}

impl<R: AsyncRead + Unpin> AsyncRead for Until<R> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if has_ended(&mut self.reading, context) {
            return Poll::Ready(Ok(0));
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Until<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if has_ended(&mut self.writing, context) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the program winds down")));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

impl<S: Stream + Unpin> Stream for Until<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if has_ended(&mut self.reading, context) {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_next(context)
    }

    /// At most as many as are left in the stream; it may end before.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.inner.size_hint().1)
    }
}

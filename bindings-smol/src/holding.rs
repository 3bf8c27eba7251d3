//! Bodies, streams, readers and writers of futures that hold a pass. Not here: those of threads, and when a pass may end
//! (`winddown::Holding`).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite, Stream};
#[cfg(feature = "http")]
use hyper::body::{Body, Frame, SizeHint};
use winddown::OwnedPass;

/// A value that holds a pass, or another guard, until it is dropped: [`winddown::Holding`] for a body of hyper's (with the feature
/// `http`), a stream, or a reader or writer of futures.
///
/// It is for servers that write an answer after the handler has returned it. (`http::serve` needs none: there, a request is
/// admitted work until its answer has been written.) What it is made of has to be [`Unpin`]: `Box::pin` makes anything so.
///
/// ```
/// use futures_lite::{StreamExt, stream};
/// use winddown_smol::{Holding, Shutdown};
///
/// let shutdown = Shutdown::builder().build()?;
/// let pass = shutdown.enter_owned().expect("running");
/// let parts = Holding::new(stream::iter(["an ", "answer"]), pass); // goes to the server, as any stream
/// assert_eq!(shutdown.in_flight().critical, 1);
/// assert_eq!(smol::block_on(parts.collect::<String>()), "an answer");
/// assert_eq!(shutdown.in_flight().critical, 0);
/// # Ok::<(), winddown_smol::BuildError>(())
/// ```
#[must_use = "dropped at once, it holds nothing"]
pub struct Holding<T, P = OwnedPass> {
    // Dropped in this order.
    value: T,
    guard: P,
}

/// The guard is never pinned.
impl<T: Unpin, P> Unpin for Holding<T, P> {}

impl<T, P> Holding<T, P> {
    /// Has a value hold a guard: an [`OwnedPass`], an [`OwnedBusy`](winddown::OwnedBusy), a labelled pass.
    pub fn new(value: T, guard: P) -> Self {
        Self { value, guard }
    }

    /// Takes the two apart.
    pub fn into_parts(self) -> (T, P) {
        (self.value, self.guard)
    }

    /// Returns the value.
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// Returns the value, to be changed.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Unpin, P> Holding<T, P> {
    fn value(self: Pin<&mut Self>) -> Pin<&mut T> {
        Pin::new(&mut self.get_mut().value)
    }
}

/// From [`OwnedPass::held_by`] and the like.
impl<T, P> From<winddown::Holding<T, P>> for Holding<T, P> {
    fn from(holding: winddown::Holding<T, P>) -> Self {
        let (value, guard) = holding.into_parts();
        Self { value, guard }
    }
}

impl<T: Stream + Unpin, P> Stream for Holding<T, P> {
    type Item = T::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T::Item>> {
        self.value().poll_next(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.value.size_hint()
    }
}

impl<T: AsyncRead + Unpin, P> AsyncRead for Holding<T, P> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.value().poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin, P> AsyncWrite for Holding<T, P> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.value().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.value().poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.value().poll_close(context)
    }
}

#[cfg(feature = "http")]
impl<T: Body + Unpin, P> Body for Holding<T, P> {
    type Data = T::Data;
    type Error = T::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<T::Data>, T::Error>>> {
        self.value().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.value.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.value.size_hint()
    }
}

impl<T: fmt::Debug, P> fmt::Debug for Holding<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding").field("value", &self.value).finish_non_exhaustive()
    }
}

//! A value that holds a pass: an answer that a server writes after its handler has returned. Not here: passes (`pass`), and
//! bodies and streams of futures (winddown-smol's `Holding`).

use std::fmt;
use std::io::{self, BufRead, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::iter::FusedIterator;
use std::ops::{Deref, DerefMut};

use crate::{Labelled, OwnedBusy, OwnedPass, Pass, Stream};

/// A value that holds a pass, or another guard, until it is dropped: the body of an answer, say. From
/// [`OwnedPass::held_by`], or of any guard.
///
/// It is what it holds the pass for: a reader, a writer, an iterator. When it is dropped, the value is dropped first and then the
/// pass.
///
/// Most servers write an answer after the handler has returned it. A pass that the handler keeps in a variable has been given back
/// by then, and the wind-down ends while the answer is being written. A pass that the body holds is given back when the server
/// has taken the last byte.
///
/// ```
/// use std::io::{Cursor, Read};
/// use winddown::Shutdown;
///
/// let shutdown = Shutdown::builder().build()?;
/// let pass = shutdown.enter_owned().expect("running");
/// let mut body = pass.held_by(Cursor::new("an answer")); // goes to the server, as any reader
/// let mut written = String::new();
/// body.read_to_string(&mut written)?;
/// assert_eq!(shutdown.in_flight().critical, 1);
/// drop(body);
/// assert_eq!(shutdown.in_flight().critical, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a pass may end
///
/// Not before the last byte of the answer has been handed to the kernel: what is in a buffer of the program's is lost when the
/// process exits. A server may drop the body a little earlier, with the last bytes in a buffer of its own. rouille has one of 1 KiB,
/// and touche drops a body of less than 1 KiB before it writes it. A slow reader can hold that last write up. So:
///
/// - If the server can be waited for, wait for it too, with a pass: rouille's `Server::join` returns when every answer is written.
/// - If the server takes connections, give it those of an `Acceptor` (on Unix), and have the server's own value for a
///   connection (the service that touche's `make_service` makes) hold a guard until the server drops it.
/// - A server that writes the answer itself before the handler returns, or has a call for it, needs none of this: give the pass
///   back after that call.
///
/// The examples `rouille` and `touche` in `tests/third-party` show the first two.
#[must_use = "dropped at once, it holds nothing"]
pub struct Holding<T, P = OwnedPass> {
    // Dropped in this order.
    value: T,
    guard: P,
}

impl<T, P> Holding<T, P> {
    /// Has a value hold a guard: an [`OwnedPass`], an [`OwnedBusy`], a [`Labelled`] pass, or several of them in a tuple.
    pub fn new(value: T, guard: P) -> Self {
        Self { value, guard }
    }

    /// Takes the two apart.
    pub fn into_parts(self) -> (T, P) {
        (self.value, self.guard)
    }

    /// Returns the guard.
    pub fn guard(&self) -> &P {
        &self.guard
    }
}

impl Pass<'_> {
    /// Has a value hold this pass until the value is dropped. See [`Holding`].
    pub fn held_by<T>(self, value: T) -> Holding<T, Self> {
        Holding::new(value, self)
    }
}

impl OwnedPass {
    /// Has a value hold this pass until the value is dropped: the body of an answer, which a server writes after its handler has
    /// returned. See [`Holding`].
    pub fn held_by<T>(self, value: T) -> Holding<T> {
        Holding::new(value, self)
    }
}

impl<P> Labelled<P> {
    /// Has a value hold this pass until the value is dropped. See [`Holding`].
    pub fn held_by<T>(self, value: T) -> Holding<T, Self> {
        self.set_thread();
        Holding::new(value, self)
    }
}

impl<S: Stream> OwnedBusy<S> {
    /// Has a value keep the connection busy until the value is dropped. See [`Holding`].
    pub fn held_by<T>(self, value: T) -> Holding<T, Self> {
        self.0.opened().last_thread.set_current();
        Holding::new(value, self)
    }
}

impl<T, P> Deref for Holding<T, P> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T, P> DerefMut for Holding<T, P> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<U: ?Sized, T: AsRef<U>, P> AsRef<U> for Holding<T, P> {
    fn as_ref(&self) -> &U {
        self.value.as_ref()
    }
}

impl<T: Read, P> Read for Holding<T, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.value.read(buffer)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.value.read_vectored(parts)
    }

    fn read_to_end(&mut self, to: &mut Vec<u8>) -> io::Result<usize> {
        self.value.read_to_end(to)
    }
}

impl<T: BufRead, P> BufRead for Holding<T, P> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.value.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.value.consume(amount);
    }
}

impl<T: Seek, P> Seek for Holding<T, P> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.value.seek(to)
    }
}

impl<T: Write, P> Write for Holding<T, P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.value.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.value.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.value.flush()
    }
}

impl<T: Iterator, P> Iterator for Holding<T, P> {
    type Item = T::Item;

    fn next(&mut self) -> Option<T::Item> {
        self.value.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.value.size_hint()
    }
}

impl<T: ExactSizeIterator, P> ExactSizeIterator for Holding<T, P> {}

impl<T: FusedIterator, P> FusedIterator for Holding<T, P> {}

impl<T: fmt::Debug, P> fmt::Debug for Holding<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding").field("value", &self.value).finish_non_exhaustive()
    }
}

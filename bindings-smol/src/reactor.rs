//! A socket in async-io's reactor. Not here: what is read from it, or accepted (`connection`, `incoming`).

use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;

use async_io::Async;
use winddown::Process;

/// An [`Async`] that only the process that made it takes out of the reactor.
///
/// A forked child has a copy of the reactor, and the same `epoll` instance: the one that its parent waits with. If the child dropped an
/// [`Async`] of its parent's, the parent would never hear of that socket again. So the child forgets it. The socket is then closed with
/// the process.
#[derive(Debug)]
pub(crate) struct Registered<T> {
    /// `None` only while this is dropped.
    io: Option<Async<T>>,
    process: Process,
}

impl<T: AsFd> Registered<T> {
    pub(crate) fn new(io: T) -> io::Result<Self> {
        Async::new(io).map(Self::from)
    }

    pub(crate) fn new_nonblocking(io: T) -> io::Result<Self> {
        Async::new_nonblocking(io).map(Self::from)
    }

    /// Takes it out of the reactor.
    ///
    /// # Errors
    ///
    /// The reactor does not give it back; or it is the parent's of this forked child.
    pub(crate) fn into_inner(mut self) -> io::Result<T> {
        let io = self.io.take_if(|_| self.process.is_current());
        io.ok_or_else(|| io::Error::other("the connection is the parent's of this forked process"))?.into_inner()
    }
}

impl<T> From<Async<T>> for Registered<T> {
    fn from(io: Async<T>) -> Self {
        Self { io: Some(io), process: Process::current() }
    }
}

impl<T> Deref for Registered<T> {
    type Target = Async<T>;

    fn deref(&self) -> &Async<T> {
        self.io.as_ref().expect("not dropped")
    }
}

impl<T> Drop for Registered<T> {
    fn drop(&mut self) {
        if !self.process.is_current() {
            std::mem::forget(self.io.take());
        }
    }
}

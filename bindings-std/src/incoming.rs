//! The accept loop: the next connection, or how to wait for it. Not here: when it ends (core's `door`), and the listener's own state
//! (`listener`).

use std::fmt;
use std::io;
use std::task::Waker;
use std::time::{Duration, Instant};

use winddown_core::DoorStep;

use crate::event_count::EventCount;
use crate::listener::Acceptor;
use crate::socket::{AcceptError, Listener};
use crate::sync::Arc;
use crate::{Connection, Stream};

/// A8: the longest wait for descriptors, since others may free them.
const SHORTAGE: Duration = Duration::from_millis(100);

impl<L: Listener> Acceptor<L> {
    /// Blocks for each next connection, without a timer; ends when the program refuses and the queue is dry. It goes on
    /// accepting through the lame duck.
    ///
    /// Where descriptors or memory run out it waits until one of its own connections closes, or 100 ms (A8). An error is
    /// one that accepting again would not mend; it is the last item, and the library has been told:
    /// [`on_failure`](Self::on_failure) says what follows.
    #[must_use = "a listener that is not iterated serves no client"]
    pub fn incoming(self) -> Incoming<L> {
        let broken = self.open().settle().err();
        Incoming { acceptor: Some(self), broken, starving: false, freed: Arc::default() }
    }
}

/// The connections that an [`Acceptor`] accepts.
pub struct Incoming<L: Listener> {
    /// `None`: it has ended.
    acceptor: Option<Acceptor<L>>,
    /// It was out of order from the beginning.
    broken: Option<io::Error>,
    /// There was no descriptor, and a connection that closes wakes this.
    starving: bool,
    freed: Arc<EventCount>,
}

impl<L: Listener> fmt::Debug for Incoming<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("acceptor", &self.acceptor).finish_non_exhaustive()
    }
}

/// The result of [`Incoming::try_next`].
#[derive(Debug)]
pub enum Next<S: Stream> {
    /// A connection; or an error that accepting again would not mend.
    Item(io::Result<Connection<S>>),
    /// There will be no more: drop the [`Incoming`], which closes the listener and lets the wind-down go on.
    End,
    /// There is nobody. Ask again when the listener is readable, when the program begins to refuse, or at this time, if
    /// one is said.
    Nobody(Option<Instant>),
    /// There are no descriptors or no memory (A8). Ask again when the waker is woken, at the latest at this time.
    Starving(Instant),
}

impl<L: Listener> Incoming<L> {
    /// As [`Acceptor::local_addr`].
    ///
    /// # Errors
    ///
    /// As for [`Acceptor::local_addr`]; [`NotConnected`](io::ErrorKind::NotConnected) when it has ended.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        let ended = || io::Error::from(io::ErrorKind::NotConnected);
        self.acceptor.as_ref().ok_or_else(ended)?.local_addr()
    }

    /// Ends it, because the listener is out of order: for an event loop that finds it so. Does what
    /// [`Acceptor::on_failure`] says.
    pub fn fail(&mut self, error: &io::Error) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.open().fail(error);
        }
    }

    /// Accepts without blocking: for an event loop, which knows better how to wait.
    ///
    /// The waker is kept, and woken, only where there are no descriptors.
    pub fn try_next(&mut self, waker: &Waker) -> Next<L::Stream> {
        loop {
            let Some(acceptor) = &self.acceptor else { return Next::End };
            let open = acceptor.open();
            if let Some(error) = self.broken.take() {
                open.fail(&error);
                return Next::Item(Err(error));
            }
            let observed = open.observe();
            if open.step() == DoorStep::End {
                return Next::End;
            }
            let now = open.now();
            match open.accept() {
                Ok(stream) => {
                    self.starving = false;
                    return Next::Item(Ok(Connection::from(stream, &acceptor.shutdown, acceptor.location)));
                }
                Err(error) => match AcceptError::of(&error) {
                    AcceptError::Empty => return open.empty(now, observed).map_or(Next::End, Next::Nobody),
                    AcceptError::Next => {}
                    AcceptError::Shortage if self.starving => {
                        self.starving = false;
                        open.note_shortage(&error);
                        return Next::Starving(Instant::now() + SHORTAGE);
                    }
                    // Once more, now that a connection that closes wakes this: one may have closed just before.
                    AcceptError::Shortage => {
                        acceptor.shutdown.inner().connections.starve(waker);
                        self.starving = true;
                    }
                    AcceptError::Broken => {
                        // A Unix listener that was shut down says so once its queue is dry.
                        if open.observe().refusing {
                            return Next::End;
                        }
                        open.fail(&error);
                        return Next::Item(Err(error));
                    }
                },
            }
        }
    }
}

impl<L: Listener> Iterator for Incoming<L> {
    type Item = io::Result<Connection<L::Stream>>;

    fn next(&mut self) -> Option<Self::Item> {
        let waker = Waker::from(self.freed.clone());
        loop {
            let key = self.freed.key();
            match (self.try_next(&waker), &self.acceptor) {
                (Next::Item(item), _) => {
                    if item.is_err() {
                        self.acceptor = None;
                    }
                    return Some(item);
                }
                (Next::End, _) | (_, None) => {
                    self.acceptor = None;
                    return None;
                }
                (Next::Nobody(until), Some(acceptor)) => {
                    if acceptor.sleep(until).is_err() {
                        self.freed.wait(key, Some(SHORTAGE));
                    }
                }
                (Next::Starving(until), _) => {
                    self.freed.wait(key, Some(until.saturating_duration_since(Instant::now())));
                }
            }
        }
    }
}

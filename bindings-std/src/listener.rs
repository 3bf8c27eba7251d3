//! An accept loop that can be stopped, and that drains the accept queue. Not here: what becomes of a connection.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::Location;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use winddown_core::Milestone;

use crate::connections::LatePass;
use crate::event_count::EventCount;
use crate::label::Registered;
use crate::socket::Listener;
use crate::sync::Arc;
use crate::{Connection, Shutdown, Stream, Token};

/// A bound listener that winds down without resetting anyone.
///
/// To close a listener resets everyone in its queue. So at the refusal, not at the trigger, this shuts the door first,
/// accepts the queue dry, and only then closes:
///
/// - TCP on Linux: behind a filter that drops new SYNs (A5). Newcomers hear nothing, and their retry finds the port closed.
/// - Unix sockets on Linux: `shutdown(SHUT_RD)`, which refuses newcomers and keeps the queue (A7).
/// - Elsewhere, and where others hold the listener too ([`shared`](Self::shared)): accept until there is nobody, at most for
///   the [linger](winddown_core::Budget::linger), then close. Whoever slips in between the two is reset; there is no better
///   way.
///
/// It holds a pass until its queue is dry, so that those in it are waited for.
///
/// ```no_run
/// use std::net::TcpListener;
/// use winddown::{Acceptor, Shutdown};
///
/// let shutdown = Shutdown::builder().signals().build()?;
/// let acceptor = Acceptor::new(TcpListener::bind("127.0.0.1:8080")?, &shutdown)?;
/// std::thread::spawn(move || {
///     for connection in acceptor.incoming() {
///         let connection = connection.expect("the listener works");
///         std::thread::spawn(move || { /* serve it */ drop(connection) });
///     }
/// });
/// let exit = shutdown.run();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Acceptor<L: Listener> {
    // The first field, closed before the pass, the last, is given back.
    listener: L,
    shutdown: Shutdown,
    refusing: Token,
    bell: UnixStream,
    /// What the driver pulls.
    _rope: Arc<UnixStream>,
    shared: bool,
    handshake: Duration,
    location: &'static Location<'static>,
    _registered: Registered,
    /// `None`: made when it was too late.
    _pass: Option<LatePass>,
}

impl<L: Listener> Acceptor<L> {
    /// Wraps a listener that this program alone holds: not inherited, not passed on, not duplicated. See
    /// [`shared`](Self::shared) for others.
    ///
    /// # Errors
    ///
    /// The listener cannot be made non-blocking, or there is no descriptor left to wake it with.
    #[track_caller]
    pub fn new(listener: L, shutdown: &Shutdown) -> io::Result<Self> {
        listener.never_block()?;
        let (bell, rope) = UnixStream::pair()?;
        rope.set_nonblocking(true)?;
        let inner = shutdown.inner();
        let rope = Arc::new(rope);
        inner.waiters.ring_at_refusal(&rope);
        let label = format!("listener on {}", listener.address());
        let location = Location::caller();
        let registered =
            inner.labels.register(label.into(), crate::Priority::Critical, location, inner.trigger.clock.now());
        Ok(Self {
            listener,
            refusing: shutdown.token_at(Milestone::Refusing),
            shutdown: shutdown.clone(),
            bell,
            _rope: rope,
            shared: false,
            handshake: Duration::from_millis(1),
            location,
            _registered: registered,
            _pass: LatePass::enter(inner).ok(),
        })
    }

    /// Somebody else holds this listener too (it was inherited, as from systemd, or will be handed over): the door is not
    /// shut, for it would be shut for them as well (A7).
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// How long to wait, once the door is shut, for handshakes that are under way: about a round trip to the clients.
    /// 1 ms unless set, which is enough inside one data centre.
    #[must_use]
    pub fn handshake(mut self, time: Duration) -> Self {
        self.handshake = time;
        self
    }

    /// Blocks for each next connection, without a timer; ends when the program refuses and the queue is dry. It goes on
    /// accepting through the lame duck.
    ///
    /// Where descriptors or memory run out it waits until one of its own connections closes, or 100 ms (A8). An error is
    /// one that accepting again would not mend; it is the last item.
    pub fn incoming(self) -> Incoming<L> {
        Incoming { acceptor: Some(self), dry_at: None, starving: false, freed: Arc::default() }
    }
}

impl<L: Listener> fmt::Debug for Acceptor<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("address", &self.listener.address()).finish_non_exhaustive()
    }
}

/// The connections that an [`Acceptor`] accepts.
pub struct Incoming<L: Listener> {
    /// `None`: it has ended.
    acceptor: Option<Acceptor<L>>,
    /// The door is shut; when this time has come, whoever is coming has come.
    dry_at: Option<Instant>,
    /// There was no descriptor, and whoever frees one says so.
    starving: bool,
    freed: Arc<EventCount>,
}

impl<L: Listener> fmt::Debug for Incoming<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("acceptor", &self.acceptor).finish_non_exhaustive()
    }
}

/// What [`Incoming::try_next`] found.
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

/// What to do about an error of `accept(2)`.
enum Trouble {
    /// There is nobody.
    Nobody,
    /// This one is gone; the next may be there.
    Next,
    /// There are no descriptors or no memory, or something else that passes.
    Starving,
    /// The listener itself is out of order, or shut down.
    Over,
}

impl Trouble {
    fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::AGAIN) => Self::Nobody,
            Some(Errno::INTR | Errno::CONNABORTED) => Self::Next,
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP | Errno::FAULT) => Self::Over,
            // EMFILE and its kin (A8), and whatever else there is that may pass: errors of the network, of a policy.
            _ => Self::Starving,
        }
    }
}

impl<L: Listener> Incoming<L> {
    /// Accepts without blocking: for an event loop, which knows better how to wait.
    ///
    /// The waker is kept, and woken, only where there are no descriptors.
    pub fn try_next(&mut self, waker: &Waker) -> Next<L::Stream> {
        // A8: the longest wait for descriptors, since others may free them.
        const AT_MOST: Duration = Duration::from_millis(100);
        loop {
            // Where the door cannot be shut the queue may be kept full for ever.
            let Some(acceptor) = self.acceptor.as_ref().filter(|acceptor| !acceptor.is_over()) else {
                return Next::End;
            };
            if self.dry_at.is_none() && acceptor.refusing.should_stop() {
                let shut = !acceptor.shared && acceptor.listener.shut_the_door();
                let wait = if shut { acceptor.handshake } else { Duration::ZERO };
                // Not longer than a minute, whatever was set: an end that is no time.
                self.dry_at = Instant::now().checked_add(wait.min(Duration::from_secs(60)));
            }
            match acceptor.listener.accept_one() {
                Ok(stream) => {
                    self.starving = false;
                    return Next::Item(Ok(Connection::from(stream, &acceptor.shutdown, acceptor.location)));
                }
                Err(error) => match Trouble::of(&error) {
                    Trouble::Nobody if self.dry_at.is_some_and(|dry_at| dry_at <= Instant::now()) => return Next::End,
                    Trouble::Nobody => return Next::Nobody(self.dry_at),
                    Trouble::Next => {}
                    Trouble::Starving if self.starving => {
                        self.starving = false;
                        return Next::Starving(Instant::now() + AT_MOST);
                    }
                    // Once more, now that whoever closes says so: one may have closed just before.
                    Trouble::Starving => {
                        acceptor.shutdown.inner().connections.starve(waker);
                        self.starving = true;
                    }
                    Trouble::Over => {
                        // A Unix listener that was shut down says so once its queue is dry.
                        return if self.dry_at.is_some() { Next::End } else { Next::Item(Err(error)) };
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
                (Next::Nobody(until), Some(acceptor)) => acceptor.sleep(until),
                (Next::Starving(until), _) => {
                    self.freed.wait(key, Some(until.saturating_duration_since(Instant::now())));
                }
            }
        }
    }
}

impl<L: Listener> Acceptor<L> {
    /// Whether whoever comes now comes too late: the linger is over, or the whole drain.
    fn is_over(&self) -> bool {
        let inner = self.shutdown.inner();
        inner.connections.has_lingered() || inner.waiters.has_reached(Milestone::LastCall)
    }

    /// Until somebody comes, the bell rings, or the time has come. Errors are reasons to look again: `poll` fails only
    /// for a signal or want of memory.
    fn sleep(&self, until: Option<Instant>) {
        let listener = PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN);
        let bell = PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN);
        let _ = match until {
            None => poll(&mut [listener, bell], None),
            // The bell has rung for good.
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                poll(&mut [listener], left.try_into().ok().as_ref())
            }
        };
    }
}

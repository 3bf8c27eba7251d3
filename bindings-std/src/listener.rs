//! An accept loop that can be stopped, and that drains the accept queue. Not here: when it ends (core's `door`), and what becomes
//! of a connection (`connection`).

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::Location;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use winddown_core::{AtRefusal, Door, DoorObserved, DoorStep, Empty, Milestone, Unserved};

use crate::backlog;
use crate::doors::Doorway;
use crate::event_count::EventCount;
use crate::inner::Inner;
use crate::label::Registered;
use crate::pass::LatePass;
use crate::socket::Listener;
use crate::sync::{Arc, Mutex};
use crate::{Connection, Shutdown, Stream};

/// A bound listener that winds down without resetting its clients.
///
/// Closing a listener resets every client in its accept queue. So at the refusal, not at the trigger, the library shuts the
/// door to newcomers, whatever the program's accept loop does at that moment. The loop then accepts the queue dry, and only
/// then is the listener closed:
///
/// - TCP on Linux: behind a filter that drops new SYNs (A5). A newcomer gets no answer; its retry, a second later, is refused.
/// - Unix sockets on Linux: after `shutdown(SHUT_RD)`, which refuses newcomers and keeps the queue (A7).
/// - On other systems, and for a listener that others hold too ([`shared`](Self::shared)), the door stays open. The loop accepts
///   until the queue is empty, at most for the [linger](winddown_core::Budget::linger), and then closes. A client that connects
///   between the last accept and the close is reset.
///
/// A queue behind a shut door is served until the drain's deadline. So a loop that serves one client after the other, or
/// waits for a free worker, loses none as long as there is time. Clients that are left in the queue then, or when
/// this is dropped during a wind-down, are counted in the [report](crate::Report::unserved), and if one of them has sent
/// something the outcome is [`ClientsLost`](winddown_core::Outcome::ClientsLost).
///
/// It holds a pass until its queue is dry, so the drain waits for the clients in it.
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
    /// `None` only while this is dropped.
    open: Option<Arc<Open<L>>>,
    id: u64,
    shutdown: Shutdown,
    bell: UnixStream,
    location: &'static Location<'static>,
    registered: Option<Registered>,
    /// `None`: it was made when it was too late.
    pass: Option<LatePass>,
}

/// The listener and its state, which the loop and the attendant share.
struct Open<L> {
    listener: L,
    inner: Arc<Inner>,
    /// The zero of the door's times, which are the kernel's and not the manual clock's.
    epoch: Instant,
    end: Mutex<End>,
}

struct End {
    door: Door,
    handshake: Duration,
    /// The policy is final: the loop has begun.
    settled: bool,
    /// It is counted among those that are left open.
    left_open: bool,
    /// The end of the wake pipe that the driver writes to. It is closed to have a descriptor for counting the queue, if no other
    /// is available.
    rope: Option<Arc<UnixStream>>,
}

impl<L: Listener> Acceptor<L> {
    /// Wraps a listener that this program alone holds: not inherited, not passed on, not duplicated. See
    /// [`shared`](Self::shared) for others.
    ///
    /// # Errors
    ///
    /// The listener cannot be made non-blocking, or no descriptor is left to wake it with.
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
        let end = End {
            door: Door::new(AtRefusal::Drain),
            handshake: Duration::from_millis(1),
            settled: false,
            left_open: false,
            rope: Some(rope),
        };
        let open = Arc::new(Open { listener, inner: inner.clone(), epoch: Instant::now(), end: Mutex::new(end) });
        // The pass first: a listener that is registered is waited for.
        let pass = LatePass::enter(inner).ok();
        let id = inner.doors.add(open.clone());
        let registered = Some(registered);
        Ok(Self { open: Some(open), id, shutdown: shutdown.clone(), bell, location, registered, pass })
    }

    /// Sets what the listener does when the program begins to refuse.
    #[must_use]
    pub fn at_refusal(self, policy: AtRefusal) -> Self {
        self.open().end.lock().door = Door::new(policy);
        self
    }

    /// Says that somebody else holds this listener too (it was inherited, as from systemd, or will be handed over): the door is
    /// not shut, because it would be shut for the other holders as well (A7). The same as
    /// [`at_refusal(AtRefusal::Shared)`](Self::at_refusal).
    #[must_use]
    pub fn shared(self) -> Self {
        self.at_refusal(AtRefusal::Shared)
    }

    /// Sets how long to wait, once the door is shut, for handshakes that are under way: about a round trip to the clients.
    /// 1 ms unless set, which is enough inside one data centre; at most a minute. The drain waits for it, so keep it far below
    /// the drain's time.
    #[must_use]
    pub fn handshake(self, time: Duration) -> Self {
        self.open().end.lock().handshake = time.min(Duration::from_secs(60));
        self
    }

    /// Blocks for each next connection, without a timer; ends when the program refuses and the queue is dry. It goes on
    /// accepting through the lame duck.
    ///
    /// Where descriptors or memory run out it waits until one of its own connections closes, or 100 ms (A8). An error is
    /// one that accepting again would not mend; it is the last item.
    #[must_use = "a listener that is not iterated serves no client"]
    pub fn incoming(self) -> Incoming<L> {
        self.open().end.lock().settled = true;
        Incoming { acceptor: Some(self), starving: false, freed: Arc::default() }
    }

    fn open(&self) -> &Open<L> {
        self.open.as_ref().expect("not dropped")
    }
}

impl<L: Listener> Drop for Acceptor<L> {
    /// In this order, so that the drain knows of the listener until the last of its clients is accounted for:
    ///
    /// 1. Who is left in the queue is counted, during a wind-down.
    /// 2. The register gives its share back, and this one, which is the last, closes the listener.
    /// 3. The label goes, and last the pass, which tells the driver.
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        open.give_up();
        self.shutdown.inner().doors.remove(self.id);
        // After that: until then the attendant may find the door left open, and count it.
        open.close_door();
        drop(open);
        drop(self.registered.take());
        drop(self.pass.take());
    }
}

impl<L: Listener> fmt::Debug for Acceptor<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("address", &self.open().listener.address()).finish_non_exhaustive()
    }
}

impl<L: Listener> Open<L> {
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn observe(&self) -> DoorObserved {
        let Inner { waiters, connections, .. } = &*self.inner;
        DoorObserved {
            refusing: waiters.has_reached(Milestone::Refusing),
            lingered: connections.has_lingered(),
            drained: waiters.has_reached(Milestone::LastCall),
        }
    }

    /// Returns what the loop has to do. Shuts the door if that is due.
    fn step(&self) -> DoorStep {
        let observed = self.observe();
        let mut end = self.end.lock();
        loop {
            let step = end.door.poll(observed);
            if step == DoorStep::Shut {
                // In a forked child it is the parent's door.
                let could = !self.inner.is_forked() && self.listener.shut_the_door();
                let settled_at = self.now() + end.handshake;
                end.door.shut(could, settled_at);
                continue;
            }
            if !end.left_open && end.door.is_left_open(observed) {
                end.left_open = true;
                self.inner.doors.leave_open();
                // The driver has the linger to end.
                self.inner.trigger.driver.notify();
            }
            return step;
        }
    }

    /// How long to wait at a queue that was empty: the end, or the time. `now` and `observed` are from before that accept: the
    /// attendant may have shut the door since, and clients may have come in between.
    fn empty(&self, now: Duration, observed: DoorObserved) -> Result<Option<Instant>, ()> {
        match self.end.lock().door.empty(now, observed) {
            Empty::Wait(until) => Ok(until.and_then(|until| self.epoch.checked_add(until))),
            Empty::End => Err(()),
        }
    }

    /// Counts the clients in the queue, which are not served any more, during a wind-down.
    fn give_up(&self) {
        if self.inner.trigger.lifecycle.is_shutting_down() {
            let loses_queue = self.end.lock().door.loses_queue();
            if loses_queue && !self.inner.is_forked() && !self.observe().refusing {
                // In the lame duck, by the program's will: nobody is to slip in between the count and the close.
                self.listener.shut_the_door();
            }
            self.inner.count_unserved(self.accept_rest());
        }
    }

    /// Takes it off the count of those that are left open. To be called when the register has no share of it.
    fn close_door(&self) {
        if self.end.lock().left_open {
            self.inner.doors.close();
        }
    }
}

impl<L: Listener> Doorway for Open<L> {
    fn shut(&self) {
        if self.end.lock().settled {
            let _ = self.step();
        }
    }

    fn count_queue(&self) -> Unserved {
        if self.end.lock().settled {
            return self.accept_rest();
        }
        // The program has not said yet whether others hold this queue too, so it is left alone.
        if backlog::length(&self.listener) == Some(0) { Unserved::NONE } else { Unserved::UNKNOWN }
    }
}

impl<L: Listener> Open<L> {
    /// Accepts the clients that are left in the queue, unless it is another holder's, and counts them.
    fn accept_rest(&self) -> Unserved {
        // Far beyond any backlog: where the door is open there may be always one more.
        const MOST: u64 = 1 << 16;
        let mut unserved = Unserved::NONE;
        if !self.end.lock().door.loses_queue() || self.inner.is_forked() {
            return unserved;
        }
        let mut troubles = 0;
        loop {
            if unserved.lost + unserved.unused > MOST {
                unserved.unknown = true;
                return unserved;
            }
            match self.listener.accept_one() {
                Ok(stream) => unserved.add(match stream.unread() {
                    Ok(0) => Unserved::UNUSED,
                    Ok(_) => Unserved::LOST,
                    Err(_) => Unserved::UNKNOWN,
                }),
                Err(error) => match Trouble::of(&error) {
                    Trouble::Nobody | Trouble::Over => return unserved,
                    Trouble::Next => {}
                    // With the one that was kept for this.
                    Trouble::Starving if troubles == 0 => {
                        troubles = 1;
                        let rope = self.end.lock().rope.take();
                        drop(rope);
                    }
                    Trouble::Starving => {
                        match backlog::length(&self.listener) {
                            Some(length) => unserved.lost += length,
                            None => unserved.unknown = true,
                        }
                        return unserved;
                    }
                },
            }
        }
    }
}

/// The connections that an [`Acceptor`] accepts.
pub struct Incoming<L: Listener> {
    /// `None`: it has ended.
    acceptor: Option<Acceptor<L>>,
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
            let Some(acceptor) = &self.acceptor else { return Next::End };
            let open = acceptor.open();
            let observed = open.observe();
            if open.step() == DoorStep::End {
                return Next::End;
            }
            let now = open.now();
            match open.listener.accept_one() {
                Ok(stream) => {
                    self.starving = false;
                    return Next::Item(Ok(Connection::from(stream, &acceptor.shutdown, acceptor.location)));
                }
                Err(error) => match Trouble::of(&error) {
                    Trouble::Nobody => return open.empty(now, observed).map_or(Next::End, Next::Nobody),
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
                        return if open.observe().refusing { Next::End } else { Next::Item(Err(error)) };
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
    /// Waits for a client, for the refusal, or for this time. Errors are reasons to look again: `poll` fails only
    /// for a signal or want of memory.
    fn sleep(&self, until: Option<Instant>) {
        let listener = PollFd::from_borrowed_fd(self.open().listener.as_fd(), PollFlags::IN);
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

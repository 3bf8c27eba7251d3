//! An accept loop that can be stopped, and that drains the accept queue: what a program sets up and owns. Not here: its state
//! (`listening`), the loop (`incoming`), and what becomes of a connection (`connection`).

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::panic::Location;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use socket2::SockRef;
use winddown_core::{AtRefusal, Milestone, OnFailure, Priority};

use crate::Shutdown;
use crate::listening::{Holds, Listening};
use crate::pass::LatePass;
use crate::socket::Listener;
use crate::sync::Arc;

/// A bound listener that winds down without resetting its clients.
///
/// Closing a listener resets every client in its accept queue. So at the refusal, not at the trigger, the library shuts the
/// door to newcomers, whatever the program's accept loop does at that moment. The loop then accepts the queue dry, and only
/// then is the listener closed:
///
/// - TCP on Linux: behind a filter that drops new SYNs (A5). A newcomer gets no answer. Its system sends the SYN again 1.0 s later,
///   and finds the port closed, or waits another second or more if the queue still is not empty. If newcomers should be refused at
///   once, and one may be reset instead, choose [`AtRefusal::RefuseAtOnce`].
/// - Unix sockets on Linux: after `shutdown(SHUT_RD)`, which refuses newcomers at once and keeps the queue (A7).
/// - On other systems, and for a listener that others hold too ([`shared`](Self::shared)), the door stays open. The loop accepts
///   until the queue is empty, at most for the [linger](winddown_core::Budget::linger), and then closes. A client that connects
///   between the last accept and the close is reset.
///
/// A door that cannot be shut although the system has a way to (a filter of the program's that is locked, a socket of MPTCP's) stays
/// open too, and the [report has a note](crate::Report::notes).
///
/// # Groups (`SO_REUSEPORT`)
///
/// The kernel chooses the member for a newcomer before the filter sees it, so a shut door would delay the newcomers of the whole
/// group. Before it shuts a door the library therefore looks for other members, in `/proc/net/tcp` (A9):
///
/// | other members | what this listener does | measured (the test `reuse_port`): 12 drains, 4 clients without a pause |
/// |---|---|---|
/// | none, or only listeners of this [`Shutdown`] | as alone: every door is shut | 0 clients reset |
/// | of another program, `net.ipv4.tcp_migrate_req` is 1 | leaves its door open; the kernel moves what is left in its queue to another member | 0 reset, 0 delayed |
/// | of another program, and it is 0 | leaves its door open, accepts until the queue is empty, and closes; not empty at the end of the linger: shuts its door | 8 clients reset, 0 delayed |
///
/// In the last case no program can do better: a connection that the kernel has put into the queue between the last accept and the
/// close is lost with it, and shutting the door first delays nearly every newcomer of the group by a second. Set the option to 1.
///
/// # The queue
///
/// The kernel's queue is bounded: listeners of std have room for 128 clients ([`backlog`](Self::backlog)). A client beyond that is not
/// in the queue, and the promise does not cover it. Nor does it cover a client whose handshake is not complete when the
/// [handshake time](Self::handshake) is over, and a connection with `SO_LINGER` set to 0, which a close resets.
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
///         let Ok(connection) = connection else { break }; // the listener is dead; the library knows, and winds down
///         std::thread::spawn(move || { /* serve it */ drop(connection) });
///     }
/// });
/// let exit = shutdown.run();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Acceptor<L: Listener> {
    /// `None` only while this is dropped.
    open: Option<Arc<Listening<L>>>,
    id: u64,
    pub(crate) shutdown: Shutdown,
    pub(crate) location: &'static Location<'static>,
}

impl<L: Listener> Acceptor<L> {
    /// Wraps a listener that this program alone holds: not inherited, not passed on, not duplicated. See
    /// [`shared`](Self::shared) for others.
    ///
    /// # Errors
    ///
    /// No descriptor is left to wake it with, or the listener cannot be examined.
    #[track_caller]
    pub fn new(listener: L, shutdown: &Shutdown) -> io::Result<Self> {
        let inner = shutdown.inner();
        let spare = inner.waiters.pipe(Milestone::Refusing)?.as_fd().try_clone_to_owned()?;
        let label = format!("listener on {}", listener.address());
        let location = Location::caller();
        let now = inner.trigger.clock.now();
        let registered = inner.labels.register(label.into(), Priority::Critical, location, now);
        // The pass first: a listener that is registered is waited for.
        let holds = Holds::new(registered, LatePass::enter(inner).ok());
        let open = Arc::new(Listening::new(listener, inner, spare, holds)?);
        if let Some(member) = open.member {
            inner.doors.add_member(member);
        }
        let id = inner.doors.add(open.clone());
        Ok(Self { open: Some(open), id, shutdown: shutdown.clone(), location })
    }

    /// Returns the address that the listener is bound to: after a bind to port 0, the port that the system chose.
    ///
    /// # Errors
    ///
    /// As for the listener's own `local_addr`.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        self.open().listener.bound_to()
    }

    /// Sets how many clients the kernel's accept queue holds, by another `listen(2)`. Beyond that the kernel drops a TCP client's
    /// SYN, and the client tries again a second later; a Unix client waits in `connect`, or is told `EAGAIN`.
    ///
    /// The listeners of std have 128 unless the system's bound is lower. The kernel lowers a greater number to its bound without
    /// a word: `net.core.somaxconn` on Linux, 4,096 unless set.
    ///
    /// # Errors
    ///
    /// The listener is not bound.
    pub fn backlog(self, clients: u32) -> io::Result<Self> {
        let clients = i32::try_from(clients).unwrap_or(i32::MAX);
        SockRef::from(&self.open().listener).listen(clients)?;
        Ok(self)
    }

    /// Sets what follows if the listener fails while the program does not refuse: if accepting fails with an error that accepting
    /// again would not mend, or if the thread that runs the accept loop panics. The default is that the program winds down with
    /// [`Reason::Failure`](winddown_core::Reason::Failure).
    ///
    /// Either way observers are told ([`Event::ListenerFailed`](winddown_core::Event::ListenerFailed)), the report has a
    /// [failure](crate::Report::failures), and with that the exit code is not 0.
    #[must_use]
    pub fn on_failure(self, policy: OnFailure) -> Self {
        self.open().set_on_failure(policy);
        self
    }

    /// Sets what the listener does when the program begins to refuse.
    #[must_use]
    pub fn at_refusal(self, policy: AtRefusal) -> Self {
        self.open().set_policy(policy);
        self
    }

    /// Says that somebody else holds this listener too (it was inherited, as from systemd, or will be handed over): the door is
    /// not shut, because it would be shut for the other holders as well (A7). The same as
    /// [`at_refusal(AtRefusal::Shared)`](Self::at_refusal).
    ///
    /// The library changes nothing that the other holders would notice: the listener stays as blocking as it is. If it
    /// blocks, and another holder takes the client for which the loop was woken, the loop's thread stays in `accept` until the next
    /// client comes. No system call can end that, so the wind-down does not wait for such a thread: do not join it.
    #[must_use]
    pub fn shared(self) -> Self {
        self.at_refusal(AtRefusal::Shared)
    }

    /// Sets how long to wait, once the door is shut, for handshakes that are under way: about a round trip to the clients.
    /// 1 ms unless set, which is enough inside one data centre; at most a minute. The drain waits for it, so keep it far below
    /// the drain's time.
    #[must_use]
    pub fn handshake(self, time: Duration) -> Self {
        self.open().set_handshake(time);
        self
    }

    pub(crate) fn open(&self) -> &Listening<L> {
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
        if thread::panicking() {
            open.fail(&"its accept loop panicked");
        }
        open.give_up();
        self.shutdown.inner().doors.remove(self.id);
        // After that: until then the attendant may find the door left open, and count it.
        open.close_door();
        let (member, holds) = (open.member, open.take_holds());
        drop(open);
        if let Some(member) = member {
            self.shutdown.inner().doors.remove_member(member);
        }
        drop(holds);
    }
}

impl<L: Listener> fmt::Debug for Acceptor<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("address", &self.open().listener.address()).finish_non_exhaustive()
    }
}

impl<L: Listener> Acceptor<L> {
    /// Waits for a client, for the refusal, or for this time. What `poll` says is a reason to look again: it fails only for a
    /// signal or want of memory.
    ///
    /// # Errors
    ///
    /// A forked child has no descriptor left for a wake pipe of its own. (Its parent's would wake the parent's loop too.) Elsewhere
    /// the pipe has been there since [`new`](Self::new).
    pub(crate) fn sleep(&self, until: Option<Instant>) -> io::Result<()> {
        let listener = PollFd::from_borrowed_fd(self.open().listener.as_fd(), PollFlags::IN);
        let _ = match until {
            None => {
                let told = self.shutdown.inner().waiters.pipe(Milestone::Refusing)?;
                poll(&mut [listener, PollFd::new(&told, PollFlags::IN)], None)
            }
            // The program refuses: the pipe has told for good.
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                poll(&mut [listener], left.try_into().ok().as_ref())
            }
        };
        Ok(())
    }
}

//! A listener that accepts, shared by its owner and the register: its door, its queue, and who is left in it. Not here: the calls
//! of users (`listener`), the accept loop (`incoming`), and when it ends (core's `door`).

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use winddown_core::{AtRefusal, Door, DoorObserved, DoorStep, Empty, Group, Milestone, OnFailure, Unserved};

use crate::backlog;
use crate::doors::Doorway;
use crate::fork::Process;
use crate::inner::Inner;
use crate::label::Registered;
use crate::pass::LatePass;
use crate::reuse_port::{self, Inode};
use crate::socket::{AcceptError, Listener, is_unsupported};
use crate::stream::Stream;
use crate::sync::{Arc, Mutex};

/// The listener and its state, which the loop and the attendant share.
pub(crate) struct Listening<L> {
    pub(crate) listener: L,
    /// Its number, if it may be in a group.
    pub(crate) member: Option<Inode>,
    inner: Arc<Inner>,
    /// In a child of it, the listener is a copy, and the queue, the door and the group are its parent's.
    process: Process,
    /// The zero of the door's times, which are the kernel's and not the manual clock's.
    epoch: Instant,
    end: Mutex<End>,
}

struct End {
    door: Door,
    handshake: Duration,
    /// `None`: it has failed, and that is told.
    on_failure: Option<OnFailure>,
    /// The policy is final: the loop has begun.
    settled: bool,
    mode: Mode,
    /// It is counted among those that are left open.
    left_open: bool,
    /// A descriptor to be closed if no other is available for counting the queue.
    spare: Option<OwnedFd>,
    holds: Holds,
}

/// Whether `accept` may block. The mode belongs to the open file description, so that of a listener that others hold is theirs, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    NonBlocking,
    /// It may block.
    Blocking,
    /// A thread is in an `accept` that may block, or about to be.
    Accepting,
}

/// What keeps the drain waiting for a listener. Dropped in this order: the pass tells the driver.
#[derive(Default)]
pub(crate) struct Holds {
    _registered: Option<Registered>,
    /// `None`: the listener was made when it was too late.
    _pass: Option<LatePass>,
}

impl Holds {
    pub(crate) fn new(registered: Registered, pass: Option<LatePass>) -> Self {
        Self { _registered: Some(registered), _pass: pass }
    }
}

impl<L: Listener> Listening<L> {
    pub(crate) fn new(listener: L, inner: &Arc<Inner>, spare: OwnedFd, holds: Holds) -> io::Result<Self> {
        let member = listener.member()?;
        let end = End {
            door: Door::new(AtRefusal::Drain),
            handshake: Duration::from_millis(1),
            on_failure: Some(OnFailure::default()),
            settled: false,
            mode: Mode::NonBlocking,
            left_open: false,
            spare: Some(spare),
            holds,
        };
        let (process, epoch) = (Process::current(), Instant::now());
        Ok(Self { listener, member, inner: inner.clone(), process, epoch, end: Mutex::new(end) })
    }

    pub(crate) fn set_policy(&self, policy: AtRefusal) {
        self.end.lock().door = Door::new(policy);
    }

    pub(crate) fn set_handshake(&self, time: Duration) {
        self.end.lock().handshake = time.min(Duration::from_secs(60));
    }

    pub(crate) fn set_on_failure(&self, policy: OnFailure) {
        self.end.lock().on_failure = Some(policy);
    }

    /// The loop begins: the policy is final. A listener that others hold keeps the mode that it has.
    pub(crate) fn settle(&self) -> io::Result<()> {
        let mut end = self.end.lock();
        end.settled = true;
        if end.door.loses_queue() {
            return self.listener.never_block();
        }
        // Another holder may change the mode at any time.
        end.mode = Mode::Blocking;
        Ok(())
    }

    /// Accepts a client, if one is in the queue.
    ///
    /// In a listener whose mode is not ours another holder may take the client between the look and the `accept`, which then
    /// blocks until the next one. The wind-down does not wait for such a thread ([`lingered`](Doorway::lingered)).
    pub(crate) fn accept(&self) -> io::Result<L::Stream> {
        let mut end = self.end.lock();
        if end.mode == Mode::NonBlocking {
            drop(end);
            return self.listener.accept_one();
        }
        // Said before the look at the linger: either this finds it over, or the attendant finds this.
        end.mode = Mode::Accepting;
        drop(end);
        let may = !self.observe().lingered && backlog::may_have_clients(&self.listener);
        let accepted = if may { self.listener.accept_one() } else { Err(Errno::AGAIN.into()) };
        self.end.lock().mode = Mode::Blocking;
        accepted
    }

    /// Returns what keeps the drain waiting, to be dropped when the listener is closed.
    pub(crate) fn take_holds(&self) -> Holds {
        std::mem::take(&mut self.end.lock().holds)
    }

    /// The listener is out of order, or its loop has panicked: tells it, once, unless the program refuses already.
    pub(crate) fn fail(&self, error: &dyn fmt::Display) {
        if self.observe().refusing || !self.process.is_current() {
            return;
        }
        let policy = self.end.lock().on_failure.take();
        if let Some(policy) = policy {
            self.inner.listener_failed(format!("listener on {}: {error}", self.listener.address()), policy);
        }
    }

    /// Notes in the report that accepting had to wait for descriptors or memory.
    pub(crate) fn note_shortage(&self, error: &io::Error) {
        let text = || format!("listener on {}: accepting had to wait: {error}", self.listener.address());
        self.inner.faults.note("accept", text);
    }

    /// Finds the other listeners on the address. If they cannot be found, there may be a foreign one.
    fn group(&self) -> Group {
        let Some(inode) = self.member else { return Group::Own };
        reuse_port::find(inode, &self.inner.doors.members()).unwrap_or_else(|error| {
            self.inner.faults.note("group", || {
                format!(
                    "listener on {}: could not look for others in its SO_REUSEPORT group ({error}): left the door open instead",
                    self.listener.address()
                )
            });
            Group::Foreign { migrates: false }
        })
    }

    /// Shuts the door. Says whether it could, and after how long clients that have connected are in the queue.
    fn shut_the_door(&self) -> (bool, Duration) {
        if !self.process.is_current() {
            return (false, Duration::ZERO);
        }
        match self.listener.shut_the_door() {
            Ok(settles_in) => (true, settles_in),
            Err(error) => {
                if !is_unsupported(&error) {
                    self.inner.faults.note("door", || {
                        format!(
                            "listener on {}: could not shut the door ({error}): left it open until the queue was empty",
                            self.listener.address()
                        )
                    });
                }
                (false, Duration::ZERO)
            }
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(crate) fn observe(&self) -> DoorObserved {
        let Inner { waiters, connections, .. } = &*self.inner;
        DoorObserved {
            refusing: waiters.has_reached(Milestone::Refusing),
            lingered: connections.has_lingered(),
            drained: waiters.has_reached(Milestone::LastCall),
        }
    }

    /// Returns what the loop has to do. Shuts the door if that is due.
    pub(crate) fn step(&self) -> DoorStep {
        let observed = self.observe();
        let mut end = self.end.lock();
        loop {
            let step = end.door.poll(observed);
            match step {
                DoorStep::Look => {
                    end.door.meet(self.group());
                    continue;
                }
                DoorStep::Shut => {
                    let (could, settles_in) = self.shut_the_door();
                    let settled_at = self.now() + end.handshake + settles_in;
                    end.door.shut(could, settled_at);
                    continue;
                }
                DoorStep::Accept | DoorStep::End => {}
            }
            let is_left_open = end.door.is_left_open(observed);
            // What was observed before the refusal says nothing of a door that another thread has left open since.
            if observed.refusing && is_left_open != std::mem::replace(&mut end.left_open, is_left_open) {
                if is_left_open {
                    self.inner.doors.leave_open();
                } else {
                    self.inner.doors.close();
                }
                // The driver has the linger to end, or has not.
                self.inner.trigger.driver.notify();
            }
            return step;
        }
    }

    /// How long to wait at a queue that was empty: the end, or the time. `now` and `observed` are from before that accept: the
    /// attendant may have shut the door since, and clients may have come in between.
    pub(crate) fn empty(&self, now: Duration, observed: DoorObserved) -> Result<Option<Instant>, ()> {
        match self.end.lock().door.empty(now, observed) {
            Empty::Wait(until) => Ok(until.and_then(|until| self.epoch.checked_add(until))),
            Empty::End => Err(()),
        }
    }

    /// Counts the clients in the queue, which are not served any more, during a wind-down.
    pub(crate) fn give_up(&self) {
        if self.inner.trigger.lifecycle.is_shutting_down() {
            if self.observe().refusing {
                // The attendant may not have come to it yet.
                let _ = self.step();
            } else {
                // In the lame duck, by the program's will: no newcomer is to slip in between the count and the close.
                self.end.lock().door.meet(self.group());
                if self.end.lock().door.poll(self.observe()) == DoorStep::Shut {
                    let _ = self.shut_the_door();
                }
            }
            self.inner.count_unserved(self.accept_rest());
        }
    }

    /// Takes it off the count of those that are left open. To be called when the register has no share of it.
    pub(crate) fn close_door(&self) {
        if self.end.lock().left_open {
            self.inner.doors.close();
        }
    }
}

impl<L: Listener> Doorway for Listening<L> {
    fn shut(&self) {
        if self.end.lock().settled {
            let _ = self.step();
        }
    }

    fn lingered(&self) {
        self.shut();
        let mut end = self.end.lock();
        if end.mode == Mode::Accepting {
            let holds = std::mem::take(&mut end.holds);
            if std::mem::replace(&mut end.left_open, false) {
                self.inner.doors.close();
            }
            drop(end);
            drop(holds);
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

impl<L: Listener> Listening<L> {
    /// Accepts the clients that are left in the queue, unless it is another holder's, and counts them.
    fn accept_rest(&self) -> Unserved {
        // Far beyond any backlog: where the door is open there may be always one more.
        const MOST: u64 = 1 << 16;
        let mut unserved = Unserved::NONE;
        if !self.end.lock().door.loses_queue() || !self.process.is_current() {
            return unserved;
        }
        // It was dropped, perhaps, before its loop began.
        if self.listener.never_block().is_err() {
            unserved.unknown = true;
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
                Err(error) => match AcceptError::of(&error) {
                    AcceptError::Empty | AcceptError::Broken => return unserved,
                    AcceptError::Next => {}
                    // With the one that was kept for this.
                    AcceptError::Shortage if troubles == 0 => {
                        troubles = 1;
                        let spare = self.end.lock().spare.take();
                        drop(spare);
                    }
                    AcceptError::Shortage => {
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

#[cfg(all(test, not(any(winddown_loom, winddown_shuttle))))]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use winddown_core::{Budget, Outcome, Reason};

    use super::Mode;
    use crate::{Acceptor, Shutdown};

    /// A7: the thread cannot be woken. A client would wake it, and there is none.
    #[test]
    fn a7_the_drain_does_not_wait_for_a_thread_that_blocks_in_accept() {
        let budget = Budget::new(Duration::from_secs(60)).linger(Duration::from_millis(1));
        let shutdown = Shutdown::builder().budget(budget).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let acceptor = Acceptor::new(listener, &shutdown).unwrap().shared();
        acceptor.open().settle().unwrap();
        assert!(acceptor.open().end.lock().mode == Mode::Blocking);
        acceptor.open().end.lock().mode = Mode::Accepting;
        shutdown.trigger(Reason::Requested);
        let report = shutdown.run().report;
        assert_eq!(report.outcome, Outcome::Clean, "{report}");
        assert!(report.took < Duration::from_secs(30), "{report}");
    }
}

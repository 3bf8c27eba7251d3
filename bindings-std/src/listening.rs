//! A listener that accepts, shared by its owner and the register: its door, its queue, and who is left in it. Not here: the calls
//! of users (`listener`), the accept loop (`incoming`), and when it ends (core's `door`).

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use winddown_core::{AtRefusal, Door, DoorObserved, DoorStep, Empty, Milestone, Unserved};

use crate::backlog;
use crate::doors::Doorway;
use crate::inner::Inner;
use crate::socket::{AcceptError, Listener};
use crate::stream::Stream;
use crate::sync::{Arc, Mutex};

/// The listener and its state, which the loop and the attendant share.
pub(crate) struct Listening<L> {
    pub(crate) listener: L,
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

impl<L: Listener> Listening<L> {
    pub(crate) fn new(listener: L, inner: &Arc<Inner>, rope: Arc<UnixStream>) -> Self {
        let end = End {
            door: Door::new(AtRefusal::Drain),
            handshake: Duration::from_millis(1),
            settled: false,
            left_open: false,
            rope: Some(rope),
        };
        Self { listener, inner: inner.clone(), epoch: Instant::now(), end: Mutex::new(end) }
    }

    pub(crate) fn set_policy(&self, policy: AtRefusal) {
        self.end.lock().door = Door::new(policy);
    }

    pub(crate) fn set_handshake(&self, time: Duration) {
        self.end.lock().handshake = time.min(Duration::from_secs(60));
    }

    /// The loop begins: the policy is final.
    pub(crate) fn settle(&self) {
        self.end.lock().settled = true;
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
    pub(crate) fn empty(&self, now: Duration, observed: DoorObserved) -> Result<Option<Instant>, ()> {
        match self.end.lock().door.empty(now, observed) {
            Empty::Wait(until) => Ok(until.and_then(|until| self.epoch.checked_add(until))),
            Empty::End => Err(()),
        }
    }

    /// Counts the clients in the queue, which are not served any more, during a wind-down.
    pub(crate) fn give_up(&self) {
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
                Err(error) => match AcceptError::of(&error) {
                    AcceptError::Empty | AcceptError::Broken => return unserved,
                    AcceptError::Next => {}
                    // With the one that was kept for this.
                    AcceptError::Shortage if troubles == 0 => {
                        troubles = 1;
                        let rope = self.end.lock().rope.take();
                        drop(rope);
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

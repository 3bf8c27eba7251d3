//! An open connection, shared by the register, its owner and its guards: the stream, its state, and which of them ends it. Not
//! here: the calls of users (`connection`, `guards`), and what the state means to the drain (core's `connection`).

use std::io;
use std::net::Shutdown as Half;
use std::ops::Deref;
use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

use winddown_core::{Await, ConnectionState, End, Entered, Gone, Hold, Milestone, Priority, Refused};

use crate::connections::Open;
use crate::fork::Process;
use crate::inner::Inner;
use crate::last_thread::LastThread;
use crate::pass::Admitted;
use crate::report::{AtEnd, Holder, Straggler, thread_of};
use crate::stream::{Stream, lingering_close};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, thread};
use crate::unwinding::{self, Witness};
use crate::wait::wake_all;
use crate::{OwnedPass, Pass};

/// An open connection.
pub(crate) struct Opened<S> {
    pub(crate) id: u64,
    pub(crate) stream: S,
    pub(crate) inner: Arc<Inner>,
    /// In a child of it, the stream is a copy of its parent's.
    process: Process,
    state: ConnectionState,
    ends: Mutex<Ends>,
    since: Duration,
    location: &'static Location<'static>,
    thread: thread::Thread,
    pub(crate) last_thread: LastThread,
    /// A panic has dropped it or a guard of it, which is in the report.
    unwound: AtomicBool,
}

/// The side that ends a connection that is idle when the linger is over.
enum Ends {
    /// The thread that finds it idle, by shutting it down for reading.
    Finder,
    /// Its owner, which has this woken.
    Owner(Option<Waker>),
}

impl<S: Stream> Opened<S> {
    /// Registers a stream.
    pub(crate) fn register(stream: S, inner: &Arc<Inner>, location: &'static Location<'static>) -> Arc<Self> {
        let opened = Arc::new(Self {
            id: inner.connections.next_id(),
            stream,
            inner: inner.clone(),
            process: Process::current(),
            state: ConnectionState::new(),
            ends: Mutex::new(Ends::Finder),
            since: inner.trigger.clock.now(),
            location,
            thread: thread::current(),
            last_thread: LastThread::default(),
            unwound: AtomicBool::new(false),
        });
        let open: Arc<dyn Open> = opened.clone();
        inner.connections.add(opened.id, &open);
        opened
    }

    fn is_refusing(&self) -> bool {
        self.inner.waiters.has_reached(Milestone::Refusing)
    }

    /// The pass of a guard that makes it busy.
    pub(crate) fn admit(&self) -> Result<Admitted<Pass<'_>>, Refused> {
        self.last_thread.set_current();
        Admitted::enter(&self.inner, || self.inner.enter(Priority::Critical))
    }

    /// As `admit`, for a guard that leaves the scope.
    pub(crate) fn admit_owned(&self) -> Result<Admitted<OwnedPass>, Refused> {
        self.last_thread.set_current();
        Admitted::enter(&self.inner, || self.inner.enter_owned(Priority::Critical))
    }

    /// A guard comes, after its pass.
    pub(crate) fn enter(&self, hold: Hold) -> Result<(), Refused> {
        self.state.enter(hold, self.is_refusing()).map(|entered| self.follow(entered))
    }

    /// A guard becomes another one.
    pub(crate) fn exchange(&self, from: Hold, to: Hold) -> Result<(), Refused> {
        if to == Hold::Answered {
            // A guard of this kind is never refused.
            self.inner.connections.begin_answered();
        }
        let refusing = self.is_refusing();
        self.state.exchange(from, to, refusing).map(|entered| {
            self.follow(entered);
            self.left(from, refusing);
        })
    }

    /// A guard goes, before its pass. When this returns, the connection is at work, awaited, ended, or lingers.
    pub(crate) fn leave(&self, hold: Hold) {
        let refusing = self.is_refusing();
        let settle = self.state.leave(hold, refusing);
        self.follow(Entered { settle, await_ended: false });
        self.left(hold, refusing);
        if hold == Hold::Answered {
            self.inner.connections.end_answered();
            self.inner.trigger.driver.notify();
        }
    }

    fn follow(&self, entered: Entered) {
        if entered.await_ended {
            self.inner.connections.end_await();
        }
        if entered.settle {
            // A panicking waker must not unwind into the caller that dropped its guard.
            let _ = wake_all(self.settle());
        }
    }

    /// Awaits its request, if any of it has arrived. `None`: nothing has.
    fn await_request(&self) -> Option<Await> {
        if !self.state.is_receiving() && self.unread() == 0 {
            return None;
        }
        let Inner { connections, trigger, .. } = &*self.inner;
        // Counted first: the guard that takes the request takes it off the count.
        connections.begin_await(self.id, &trigger.clock);
        let began = self.state.begin_await();
        if began != Await::Began {
            connections.never_awaited(self.id);
        }
        // The driver has a deadline more, or one less.
        trigger.driver.notify();
        Some(began)
    }

    /// Whether the connection is the parent's: it was made before this process was forked.
    pub(crate) fn is_inherited(&self) -> bool {
        !self.process.is_current()
    }

    /// How many bytes have arrived that were not read. What cannot be asked (it is not a socket, or the system has no such
    /// call) has none.
    fn unread(&self) -> u64 {
        self.stream.unread().unwrap_or(0)
    }

    /// From now on its owner ends it, and has this woken for that.
    pub(crate) fn end_by_owner(&self, waker: Waker) {
        let replaced = std::mem::replace(&mut *self.ends.lock(), Ends::Owner(Some(waker)));
        drop(replaced);
    }

    /// Tells it that it is over: shuts it down for reading (`true`), or leaves that to its owner, whose waker comes back.
    fn tell_end(&self) -> (bool, Option<Waker>) {
        if let Ends::Owner(waker) = &mut *self.ends.lock() {
            return (false, waker.take());
        }
        self.half_close(Half::Read);
        (true, None)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.state.is_ended()
    }

    /// Ends it for its owner, which says that no more requests come.
    pub(crate) fn dismiss(&self) {
        if self.state.dismiss() {
            self.inner.connections.end_await();
            self.inner.trigger.driver.notify();
        }
    }

    /// Counts its client as lost, for its owner, which has read a request that it will not answer.
    pub(crate) fn lose(&self) {
        let accounting = self.inner.connections.accounting();
        if let Some(gone) = self.state.lose() {
            self.account(gone);
        }
        drop(accounting);
        self.inner.trigger.driver.notify();
    }

    fn half_close(&self, half: Half) {
        if self.is_inherited() {
            return;
        }
        match self.stream.half_close(half) {
            // One that is closed already is what was wanted.
            Err(error) if error.kind() != io::ErrorKind::NotConnected => self.inner.faults.note("connection", || {
                format!("could not shut a connection down ({error}): its thread or task was not told")
            }),
            _ => {}
        }
    }

    /// As [`lingering_close`], but a forked child leaves that to its parent.
    pub(crate) fn lingering_close(&self, at_most: Duration) -> io::Result<()> {
        if self.is_inherited() { Ok(()) } else { lingering_close(&self.stream, at_most) }
    }

    /// It is gone: counts its client.
    fn account(&self, gone: Gone) {
        if gone.await_ended {
            self.inner.connections.end_await();
        }
        if !self.is_inherited() {
            self.inner.count_unserved(gone.account.count(|| self.unread() > 0));
        }
    }

    /// Its owner drops it: the state's last change. Until the client is counted the drain, and the end, wait for this thread.
    pub(crate) fn close(&self) {
        let refusing = self.is_refusing();
        let _accounting = refusing.then(|| self.inner.connections.accounting());
        self.account(self.state.close(refusing));
    }

    /// A guard is gone: if with it the connection is not at work any more, and is late, names it as one that has let go.
    fn left(&self, hold: Hold, refusing: bool) {
        if !refusing || !matches!(hold, Hold::Busy | Hold::Upgraded) || !self.state.is_idle() {
            return;
        }
        let Inner { connections, labels, .. } = &*self.inner;
        if let Some(late_at) = connections.late_at() {
            self.last_thread.set_current();
            labels.stragglers.name(self.straggler(hold, late_at, connections.end_of(self.id)));
        }
    }

    /// A guard of it, or its owner, is dropped: names it, once, if a panic does that.
    pub(crate) fn drop_guard(&self, witness: Witness, hold: Option<Hold>) {
        // Relaxed: it orders nothing.
        if witness.is_unwinding() && !self.unwound.swap(true, Ordering::Relaxed) {
            unwinding::name(&self.inner.labels, &format!("{} from {}", self.label(hold), self.location));
        }
    }

    fn label(&self, hold: Option<Hold>) -> String {
        let state = match hold {
            Some(Hold::Busy) => ", busy",
            Some(Hold::Upgraded) => ", upgraded",
            Some(Hold::Receiving) => ", receiving",
            Some(Hold::Answered) => ", answered",
            None => "",
        };
        format!("connection from {}{state}", self.stream.peer())
    }

    fn straggler(&self, hold: Hold, now: Duration, at_end: AtEnd) -> Straggler {
        Straggler {
            holder: Holder::connection(self.id),
            label: self.label(Some(hold)),
            class: Priority::Critical,
            location: self.location,
            age: now.saturating_sub(self.since),
            thread: thread_of(&self.thread),
            last_thread: self.last_thread.name(),
            at_end,
        }
    }
}

impl<S: Stream> Open for Opened<S> {
    fn state(&self) -> &ConnectionState {
        &self.state
    }

    fn settle(&self) -> Option<Waker> {
        loop {
            if self.await_request().is_some_and(|began| began != Await::Spent) {
                return None;
            }
            match self.state.end() {
                End::Claimed => break,
                // A request has begun to be received since the look for one.
                End::Receiving => {}
                End::No => return None,
            }
        }
        let (shut, owner) = self.tell_end();
        if shut {
            // A byte that arrived before is found by this look; one that comes now has come too late.
            let _ = self.await_request();
        }
        owner
    }

    fn expire(&self) -> Option<Waker> {
        if !self.state.expire() {
            return None;
        }
        self.inner.connections.end_await();
        self.tell_end().1
    }

    fn cut(&self) {
        let Some(gone) = self.state.cut() else { return };
        let late_at = self.inner.connections.late_at();
        let late = gone.at_work.zip(late_at).map(|(hold, at)| self.straggler(hold, at, AtEnd::StillHeld));
        self.account(gone);
        self.half_close(Half::Both);
        if let Some(late) = late {
            self.inner.labels.stragglers.name(late);
            // The thread that made it idle may have said so before it was named.
            if self.state.is_idle() {
                let at_end = self.inner.connections.end_of(self.id);
                self.inner.labels.stragglers.let_go(Holder::connection(self.id), at_end);
            }
        }
    }
}

/// A share that may outlive the connection. `None` only while it is dropped.
pub(crate) struct Share<S: Stream>(pub(crate) Option<Arc<Opened<S>>>);

impl<S: Stream> Deref for Share<S> {
    type Target = Opened<S>;

    fn deref(&self) -> &Opened<S> {
        self.0.as_ref().expect("not dropped")
    }
}

impl<S: Stream> Drop for Share<S> {
    fn drop(&mut self) {
        // The last one closes the descriptor, and says so then, as the register does.
        if let Some(Opened { stream, inner, .. }) = self.0.take().and_then(Arc::into_inner) {
            drop(stream);
            inner.connections.feed();
        }
    }
}

//! What is under way on one connection, and when it counts as answered. Not here: requests and answers (`service`), and reading and
//! writing (`wire`).

use std::mem;
use std::sync::Arc;
use std::task::{Context, Waker};

use parking_lot::Mutex;
use winddown::{OwnedAnswered, OwnedBusy, OwnedReceiving, Refused, Stream};

use crate::Connection;

/// One connection and the requests on it.
///
/// It is busy from the head of a request to the flush behind its answer: what hyper has taken is the kernel's only then.
pub(super) struct Flight<S: Stream> {
    connection: Connection<S>,
    /// Several requests at a time, each in a task of its own (HTTP/2).
    many: bool,
    state: Mutex<State<S>>,
}

struct State<S: Stream> {
    /// Requests whose answers are not at their end.
    open: usize,
    busy: Option<OwnedBusy<S>>,
    /// No answer will be written any more. `busy` becomes `answered` when no request is left.
    over: bool,
    /// Held until the connection is closed: the drain waits for it.
    answered: Option<OwnedAnswered<S>>,
    /// HTTP/1, and every handshake: something was read that no request has come of yet.
    receiving: Option<OwnedReceiving<S>>,
    /// How far the handshake has come of what is around the connection.
    handshake: Handshake,
    /// HTTP/2: the same. What was read may as well be an answer to a ping, so the drain does not wait for it.
    fresh: bool,
    /// Who flushes, where an answer may come to its end without that.
    flushes: Option<Waker>,
    end: End,
}

/// The handshake of TLS, say: bytes that are read are no request, but one follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handshake {
    /// It is under way.
    Begun,
    /// It is over, and nothing was read through it yet. The first request may have been read along with its last bytes.
    Done,
    /// The same, and something was read through it; or there is nothing more that was read along with it.
    Past,
}

/// How far its end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// There is none in sight.
    Open,
    /// An answer has said that it is the last: busy to the very end.
    Last,
    /// It speaks something else: busy as long as that has the I/O.
    Upgraded,
    /// Nothing has come, and nothing will.
    Idle,
}

impl<S: Stream> Flight<S> {
    pub(super) fn new(connection: Connection<S>, many: bool) -> Arc<Self> {
        // From here on it ends itself when the linger is over, with what has come by then: also if that is before its task
        // has begun.
        let _ = connection.poll_lingered(&Context::from_waker(Waker::noop()));
        let handshake = Handshake::Begun;
        let state = State {
            open: 0,
            busy: None,
            over: false,
            answered: None,
            receiving: None,
            handshake,
            fresh: false,
            flushes: None,
            end: End::Open,
        };
        Arc::new(Self { connection, many, state: Mutex::new(state) })
    }

    pub(super) fn connection(&self) -> &Connection<S> {
        &self.connection
    }

    /// Whether the client may still send what would destroy the last answer on its way (A6).
    pub(super) fn wants_lingering(&self) -> bool {
        // Who speaks HTTP/2 says something to everything that it is told.
        self.many || matches!(self.state.lock().end, End::Open | End::Last)
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Arc<Begun>, Refused> {
        let mut state = self.state.lock();
        state.fresh = false;
        if let Some(receiving) = state.receiving.take() {
            // Without the lock: this may wake the connection's task. (HTTP/1 has one request at a time.)
            drop(state);
            let busy = receiving.busy()?;
            state = self.state.lock();
            state.busy.get_or_insert(busy);
        }
        if state.busy.is_none() {
            state.busy = Some(self.connection.busy_owned()?);
        }
        state.open += 1;
        Ok(Arc::new(Begun(self.clone())))
    }

    /// The answer under way says that it is the last.
    pub(super) fn set_last(&self) {
        self.state.lock().end = End::Last;
    }

    /// The handshake is over: the connection speaks HTTP from now on.
    pub(super) fn shake_hands(&self) {
        self.state.lock().handshake = Handshake::Done;
    }

    /// No answer will be written any more: the last one is, or there is none. What the client still sends is no request.
    pub(super) fn answered(&self) {
        let receiving = self.state.lock().receiving.take();
        // Without the lock: this wakes the driver.
        drop(receiving);
        // Has no effect if a request was under way.
        self.connection.dismiss();
        self.failed();
    }

    /// No answer will be written: a request was not whole, or was none. As [`answered`](Self::answered) if one was under way. Else
    /// nothing is said: bytes that were read stay those of a request that is not whole.
    pub(super) fn failed(&self) {
        self.state.lock().over = true;
        self.settle();
    }

    /// If it is over and nothing is left of its requests, it is answered. On HTTP/2 their futures outlive what serves the connection,
    /// and one may be in the middle of its `poll`.
    fn settle(&self) {
        let mut state = self.state.lock();
        let busy = if state.over && state.open == 0 { state.busy.take() } else { None };
        drop(state);
        // Without the lock: this wakes the driver.
        if let Some(answered) = busy.map(OwnedBusy::answered) {
            self.state.lock().answered = Some(answered);
        }
    }

    /// Whether it was closed for want of a request, and what its client still sends decides whether it is lost.
    pub(super) fn awaits_goodbye(&self) -> bool {
        !self.many && self.state.lock().end == End::Idle
    }

    /// The client has closed its side, in answer to the server's close. `request`: it had sent one first, which crossed the close.
    pub(super) fn part(&self, request: bool) {
        if request {
            self.connection.lose();
        } else {
            self.connection.dismiss();
        }
    }

    /// From now on it speaks something else.
    pub(super) fn upgrade(&self) {
        let mut state = self.state.lock();
        state.end = End::Upgraded;
        state.busy = state.busy.take().map(OwnedBusy::upgraded);
    }

    /// Something has arrived.
    pub(super) fn has_read(&self) {
        let mut state = self.state.lock();
        if state.end == End::Idle {
            // Too late for a request. The client's goodbye is none.
            return;
        }
        if self.many && state.handshake != Handshake::Begun {
            state.fresh = true;
        } else if state.busy.is_none() && state.receiving.is_none() {
            drop(state);
            // Without the lock: this may wake the connection's task. It is never refused: this guard has no pass.
            let receiving = self.connection.receiving_owned().ok();
            self.state.lock().receiving = receiving;
        }
    }

    /// Something was read through what is around the connection: the beginning of a request, or the rest of one.
    pub(super) fn has_read_through(&self) {
        let mut state = self.state.lock();
        state.handshake = Handshake::Past;
        // HTTP/2 itself has things to say that are no request.
        let greeting = if self.many { state.receiving.take() } else { None };
        drop(state);
        self.has_read();
        drop(greeting);
    }

    /// Everything that was written so far is the kernel's.
    pub(super) fn flushed(&self, context: &Context<'_>) {
        let mut state = self.state.lock();
        if state.open == 0 && state.end == End::Open {
            let Some(idle) = state.busy.take() else { return };
            state.fresh = false;
            drop(state);
            drop(idle);
        } else if self.many && !state.flushes.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            let replaced = state.flushes.replace(context.waker().clone());
            drop(state);
            drop(replaced);
        }
    }

    /// Whether it waits for a request, with nothing left to write, and there will be none. To be asked when there is nothing to
    /// read.
    pub(super) fn is_over(&self, context: &Context<'_>) -> bool {
        let lingered = self.connection.poll_lingered(context).is_ready();
        let mut state = self.state.lock();
        if !lingered && state.handshake == Handshake::Done {
            // The client has shaken hands and sent nothing more: it is idle. (After the linger it has the head time for its request:
            // it began before.)
            state.handshake = Handshake::Past;
            let greeting = state.receiving.take();
            drop(state);
            drop(greeting);
            return false;
        }
        // A head that is not whole has the head time, which the wind-down ends.
        if !lingered || state.busy.is_some() || state.receiving.is_some() && !self.connection.is_ended() {
            return false;
        }
        if mem::take(&mut state.fresh) {
            // What was read may be a request, which h2 hands out only when it finds nothing more to read.
            drop(state);
            context.waker().wake_by_ref();
            return false;
        }
        state.end = End::Idle;
        let receiving = state.receiving.is_some();
        drop(state);
        if self.many && !receiving {
            // There is no stream, and after the GOAWAYs only streams count.
            self.connection.dismiss();
        }
        true
    }
}

/// A request that has come, until nothing of its answer is left.
pub(super) struct Begun(Arc<dyn Under>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// A flight, on whatever stream.
trait Under: Send + Sync {
    /// The answer to a request is at its end.
    fn ended(&self);
}

impl<S: Stream> Under for Flight<S> {
    fn ended(&self) {
        let mut state = self.state.lock();
        if let Some(busy) = &state.busy {
            // An answer that ends after the cut does not arrive: the service's future was dropped, or its body.
            busy.set_dropped_if_cut();
        }
        state.open -= 1;
        let flushes = if state.open == 0 { state.flushes.take() } else { None };
        drop(state);
        self.settle();
        if let Some(flushes) = flushes {
            flushes.wake();
        }
    }
}

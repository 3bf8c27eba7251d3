//! A listener's end: when it shuts its door, how long it goes on accepting, and whose the rest of its queue is. Not here:
//! sockets, and what becomes of an accepted connection (`connection`).

use core::time::Duration;

/// What a listener does when the program begins to refuse.
///
/// More policies will come: to leave the queue to a successor, and to answer with refusals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AtRefusal {
    /// Shuts the door to newcomers, serves every client in the queue, and closes. The drain's deadline is the only bound.
    /// Where the door cannot be shut newcomers could fill the queue for ever, so there the linger is the bound.
    ///
    /// Whatever is left in the queue is lost.
    #[default]
    Drain,
    /// Leaves the door open, because others hold the listener too. Accepts until the queue is empty, at most for the
    /// linger, and closes its own share.
    ///
    /// Whatever is left in the queue goes to the other holders.
    Shared,
}

/// What the embedding sees of the wind-down when it polls a [`Door`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorObserved {
    /// The program refuses: [`Milestone::Refusing`](crate::Milestone::Refusing) is reached.
    pub refusing: bool,
    /// The linger is over: the sequence said [`Step::EndIdle`](crate::Step::EndIdle).
    pub lingered: bool,
    /// The drain is over: [`Milestone::LastCall`](crate::Milestone::LastCall) or a later one is reached.
    pub drained: bool,
}

/// What the embedding has to do with a listener next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum DoorStep {
    /// Accept. If the queue is empty, [`Door::empty`] says how long to wait.
    Accept,
    /// Keep newcomers out and the queue in, and call [`Door::shut`]. Then poll again.
    Shut,
    /// Accept no more, and close.
    End,
}

/// How long to wait at an empty queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Empty {
    /// Wait for a client or for the refusal, at most until this time. Then accept again.
    Wait(Option<Duration>),
    /// No client will come any more: close.
    End,
}

/// The state machine of one listener's end. It decides; the embedding accepts, waits and closes.
///
/// # Invariants
///
/// 1. Before the refusal it always accepts. (K2: through the lame duck.)
/// 2. It ends by itself only at an empty queue, at the linger's end (door open) or at the drain's (always).
/// 3. Behind a shut door it ends at an empty queue only once handshakes that were under way have had their time (A5).
///
/// ```
/// use core::time::Duration;
/// use winddown_core::{AtRefusal, Door, DoorObserved, DoorStep, Empty};
///
/// let mut door = Door::new(AtRefusal::Drain);
/// let now = Duration::from_secs(1);
/// let refusing = DoorObserved { refusing: true, ..DoorObserved::default() };
/// assert_eq!(door.poll(refusing), DoorStep::Shut);
/// door.shut(true, now + Duration::from_millis(1));
/// // The linger does not bound a queue behind a shut door.
/// assert_eq!(door.poll(DoorObserved { lingered: true, ..refusing }), DoorStep::Accept);
/// assert_eq!(door.empty(now, refusing), Empty::Wait(Some(now + Duration::from_millis(1))));
/// assert_eq!(door.empty(now * 2, refusing), Empty::End);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Door {
    policy: AtRefusal,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The program does not refuse, or nothing was done about it yet.
    Open,
    /// Newcomers are kept out; at this time every handshake that was under way is in the queue.
    Shut { settled_at: Duration },
    /// The program refuses, and newcomers still come.
    LeftOpen,
}

impl Door {
    /// An open door.
    #[must_use]
    pub const fn new(policy: AtRefusal) -> Self {
        Self { policy, state: State::Open }
    }

    /// Returns what to do next. Call it before each accept.
    pub fn poll(&self, observed: DoorObserved) -> DoorStep {
        let over = match self.state {
            State::LeftOpen => observed.lingered || observed.drained,
            State::Open | State::Shut { .. } => observed.drained,
        };
        match (self.state, self.policy) {
            _ if over => DoorStep::End,
            (State::Open, AtRefusal::Drain) if observed.refusing => DoorStep::Shut,
            (State::Open, AtRefusal::Shared) if observed.lingered => DoorStep::End,
            _ => DoorStep::Accept,
        }
    }

    /// Notes whether the door could be shut, and when every handshake that was under way will be in the queue: about a
    /// round trip later. Only the first call counts.
    pub fn shut(&mut self, could: bool, settled_at: Duration) {
        if self.state == State::Open {
            self.state = if could { State::Shut { settled_at } } else { State::LeftOpen };
        }
    }

    /// Returns how long to wait at an empty queue. `now` and `observed` must have been read before the accept that found it
    /// empty: a client that came after that accept is still to be served.
    pub fn empty(&self, now: Duration, observed: DoorObserved) -> Empty {
        match self.state {
            _ if !observed.refusing => Empty::Wait(None),
            State::Shut { settled_at } if now < settled_at => Empty::Wait(Some(settled_at)),
            _ => Empty::End,
        }
    }

    /// Returns whether newcomers still come although the program refuses.
    #[must_use]
    pub fn is_left_open(&self, observed: DoorObserved) -> bool {
        observed.refusing && !matches!(self.state, State::Shut { .. })
    }

    /// Returns whether clients that are left in the queue when the listener closes are lost. `false`: they go to another
    /// holder.
    #[must_use]
    pub fn loses_queue(&self) -> bool {
        self.policy == AtRefusal::Drain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seen(refusing: bool, lingered: bool, drained: bool) -> DoorObserved {
        DoorObserved { refusing, lingered, drained }
    }

    /// Every state, every observation: the table of the documentation.
    #[test]
    fn a1_every_door_in_every_moment() {
        use AtRefusal::{Drain, Shared};
        use DoorStep::{Accept, End, Shut};
        let at = Duration::from_millis(1);
        let door = |policy, state| Door { policy, state };
        let open = State::Open;
        let (shut, left_open) = (State::Shut { settled_at: at }, State::LeftOpen);
        // Policy, state; running, refusing, lingered, drained.
        let table = [
            (Drain, open, [Accept, Shut, Shut, End]),
            (Drain, shut, [Accept, Accept, Accept, End]),
            (Drain, left_open, [Accept, Accept, End, End]),
            (Shared, open, [Accept, Accept, End, End]),
        ];
        for (policy, state, steps) in table {
            let moments =
                [seen(false, false, false), seen(true, false, false), seen(true, true, false), seen(true, true, true)];
            assert_eq!(moments.map(|moment| door(policy, state).poll(moment)), steps, "{policy:?}, {state:?}");
        }
        let (running, refusing) = (seen(false, false, false), seen(true, false, false));
        assert_eq!(door(Drain, open).empty(at, running), Empty::Wait(None));
        // The door was shut, or left open, after the accept that found the queue empty.
        assert_eq!(door(Drain, shut).empty(at, running), Empty::Wait(None));
        assert_eq!(door(Drain, left_open).empty(at, running), Empty::Wait(None));
        assert_eq!(door(Shared, open).empty(at, refusing), Empty::End);
        assert_eq!(door(Drain, left_open).empty(at, refusing), Empty::End);
        assert_eq!(door(Drain, shut).empty(Duration::ZERO, refusing), Empty::Wait(Some(at)));
        assert_eq!(door(Drain, shut).empty(at, refusing), Empty::End);
        assert!(door(Drain, open).loses_queue() && !door(Shared, open).loses_queue());
    }

    #[test]
    fn the_first_attempt_to_shut_a_door_counts() {
        let mut door = Door::new(AtRefusal::Drain);
        door.shut(false, Duration::ZERO);
        door.shut(true, Duration::ZERO);
        assert_eq!(door.state, State::LeftOpen);
        assert!(door.is_left_open(seen(true, false, false)) && !door.is_left_open(seen(false, false, false)));
    }
}

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
    /// Whatever is left in the queue is lost. In a [group](Group) with another program's listener this policy yields to that
    /// listener: see [`Group::Foreign`].
    #[default]
    Drain,
    /// Leaves the door open, because others hold the listener too. Accepts until the queue is empty, at most for the
    /// linger, and closes its own share.
    ///
    /// Whatever is left in the queue goes to the other holders.
    Shared,
    /// Refuses newcomers at once instead of leaving them without an answer: accepts until the queue is empty, and closes. A
    /// client that connects between the last accept and the close is reset.
    ///
    /// If the queue is not empty at the end of the linger, the door is shut then, and the rest is as for [`Drain`](Self::Drain).
    RefuseAtOnce,
}

/// The other listeners on the same address: on Linux those that have set `SO_REUSEPORT`, too. The kernel chooses one of them for
/// each newcomer before a filter sees it (A9), so a shut door delays the newcomers of the whole group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// There are none, or all of them refuse as this one does: no member is left to go to, so the door is shut.
    Own,
    /// There is one that this wind-down does not shut: another program's, most likely.
    ///
    /// With `migrates` the kernel moves the queue of a listener that is closed to another member (`net.ipv4.tcp_migrate_req`),
    /// so this one leaves its door open and closes as [`AtRefusal::Shared`] does. Without it, it closes as
    /// [`AtRefusal::RefuseAtOnce`] does: it delays no newcomer, and may reset one.
    Foreign {
        /// Whether the kernel moves the queue of a member that is closed to another.
        migrates: bool,
    },
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
    /// Find out which other listeners have the address, and call [`Door::meet`]. Then poll again.
    Look,
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
/// use winddown_core::{AtRefusal, Door, DoorObserved, DoorStep, Empty, Group};
///
/// let mut door = Door::new(AtRefusal::Drain);
/// let now = Duration::from_secs(1);
/// let refusing = DoorObserved { refusing: true, ..DoorObserved::default() };
/// assert_eq!(door.poll(refusing), DoorStep::Look);
/// door.meet(Group::Own);
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
    /// The program does not refuse, or the door stays open for now.
    Open,
    /// The program refuses, and no member of another program is there: the door is to be shut.
    Alone,
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
            State::Open | State::Alone | State::Shut { .. } => observed.drained,
        };
        match (self.state, self.policy) {
            _ if over => DoorStep::End,
            (State::Open, AtRefusal::Drain) if observed.refusing => DoorStep::Look,
            (State::Alone, _) => DoorStep::Shut,
            (State::Open, AtRefusal::RefuseAtOnce) if observed.lingered => DoorStep::Shut,
            (State::Open, AtRefusal::Shared) if observed.lingered => DoorStep::End,
            _ => DoorStep::Accept,
        }
    }

    /// Notes which other listeners have the address. Only the first call counts, and only for [`AtRefusal::Drain`].
    pub fn meet(&mut self, group: Group) {
        if self.state != State::Open || self.policy != AtRefusal::Drain {
            return;
        }
        match group {
            Group::Own => self.state = State::Alone,
            Group::Foreign { migrates: true } => self.policy = AtRefusal::Shared,
            Group::Foreign { migrates: false } => self.policy = AtRefusal::RefuseAtOnce,
        }
    }

    /// Notes whether the door could be shut, and when every handshake that was under way will be in the queue: about a
    /// round trip later. Only the first call counts.
    pub fn shut(&mut self, could: bool, settled_at: Duration) {
        if matches!(self.state, State::Open | State::Alone) {
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
        self.policy != AtRefusal::Shared
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
        use AtRefusal::{Drain, RefuseAtOnce, Shared};
        use DoorStep::{Accept, End, Look, Shut};
        let at = Duration::from_millis(1);
        let door = |policy, state| Door { policy, state };
        let open = State::Open;
        let (shut, left_open) = (State::Shut { settled_at: at }, State::LeftOpen);
        // Policy, state; running, refusing, lingered, drained.
        let table = [
            (Drain, open, [Accept, Look, Look, End]),
            (Drain, State::Alone, [Shut, Shut, Shut, End]),
            (Drain, shut, [Accept, Accept, Accept, End]),
            (Drain, left_open, [Accept, Accept, End, End]),
            (Shared, open, [Accept, Accept, End, End]),
            (RefuseAtOnce, open, [Accept, Accept, Shut, End]),
            (RefuseAtOnce, shut, [Accept, Accept, Accept, End]),
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
        assert_eq!(door(RefuseAtOnce, open).empty(at, refusing), Empty::End);
        assert!(door(Drain, open).loses_queue() && !door(Shared, open).loses_queue());
        assert!(door(RefuseAtOnce, open).loses_queue());
    }

    /// A9: what a door does in a group, by whose the other members are.
    #[test]
    fn a9_a_door_yields_to_a_member_of_another_program() {
        let (refusing, lingered) = (seen(true, false, false), seen(true, true, false));
        let met = |group| {
            let mut door = Door::new(AtRefusal::Drain);
            door.meet(group);
            // Only the first look counts.
            door.meet(Group::Own);
            door
        };
        assert_eq!(met(Group::Own).poll(refusing), DoorStep::Shut);
        let migrating = met(Group::Foreign { migrates: true });
        assert_eq!([refusing, lingered].map(|moment| migrating.poll(moment)), [DoorStep::Accept, DoorStep::End]);
        let staying = met(Group::Foreign { migrates: false });
        assert_eq!([refusing, lingered].map(|moment| staying.poll(moment)), [DoorStep::Accept, DoorStep::Shut]);
        assert!(!migrating.loses_queue() && staying.loses_queue());
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

//! The driver without its engine: told the time and what was observed, it says what to do next. It reads no clock,
//! sleeps nowhere, runs nothing, and so is tested through years in milliseconds.

use core::time::Duration;

use crate::plan::bits;
use crate::{Fate, Forced, InFlight, MAX_STAGES, Milestone, Outcome, Plan, Reason, Unserved};

/// What the embedding sees when it polls.
///
/// Read the counts of passes first and the connections afterwards. A connection that turns from at work to awaited, answered or
/// idle does so before its pass is given back, so it is seen in at least one of the two. (One that turns the other way is
/// counted behind the late gate: see [`Step::CloseLate`].)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is another thing that is seen")]
pub struct Observed {
    /// How many passes of each class are alive. What counts is read only after [`Milestone::Refusing`]; a gate that is
    /// [drained](crate::Gate::is_drained) counts as 0.
    pub in_flight: InFlight,
    /// How many passes of the late gate are alive: the gate that stays open after the refusal for what was admitted before
    /// and arrives later (clients in an accept queue, requests on idle connections).
    pub late: usize,
    /// Whether there are open connections, or listeners whose door is left open.
    pub connected: bool,
    /// When the embedding began to await the connection that it has awaited longest: its request had begun to arrive when it
    /// was to be ended. `None`: no connection is awaited.
    pub awaited: Option<Duration>,
    /// Whether there are connections whose last answer is written whole, and that are read until their clients have closed
    /// ([`Hold::Answered`](crate::Hold::Answered)). They are waited for until the drain's deadline, and are not late then.
    pub answered: bool,
    /// Whether an earlier [`Step::EndIdle`] or [`Step::EndIncomplete`], or work on the listeners, is still being carried out.
    pub attending: bool,
    /// The clients that are known to be left without an answer.
    pub unserved: Unserved,
    /// Whether an interrupt ended the drain ([`State::is_drain_ended`](crate::State::is_drain_ended)).
    pub drain_ended: bool,
    /// Whether, and by whom, all waiting was ended.
    pub forced: Option<Forced>,
}

/// What the embedding has to do next. It then polls again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Nothing, until something observed changes, a stage ends or this time has come. `None`: only when begun.
    Wait(Option<Duration>),
    /// A milestone is reached: tell who waits for it. At [`Milestone::Refusing`] refuse admission first; at
    /// [`Milestone::LastCall`] cut what can be cut.
    Reach(Milestone),
    /// The linger is over: await or end the connections that are idle, and from now on those that become so. See
    /// [`ConnectionState`](crate::ConnectionState).
    EndIdle,
    /// The head time is over for the connection that is awaited longest: end those whose time it is. They are not waited for
    /// any more.
    EndIncomplete,
    /// Nothing is in flight and nothing is expected: close the late gate. Whatever entered it in the last moment is counted by
    /// the next poll, and waited for; whatever comes later is refused (P2, P3). Said once, always before
    /// [`Milestone::Closing`].
    CloseLate,
    /// Run this stage, and say when it has [`ended`](Sequence::ended).
    Start {
        /// Its index.
        stage: usize,
        /// When it will be abandoned.
        deadline: Duration,
    },
    /// Do not wait for this stage any more. It is over for the sequence, also should it end later.
    Abandon {
        /// Its index.
        stage: usize,
        /// `false`: there was no time left to begin it, and it must not be begun now.
        started: bool,
    },
    /// It is over. The same for every poll from now on.
    Finish(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Idle,
    Asked,
    LameDuck,
    Draining,
    LastCall {
        until: Duration,
        /// It is there because an interrupt ended the drain, which cannot happen again.
        by_interrupt: bool,
    },
    Closing,
    Done,
}

/// The state machine of one wind-down.
///
/// # Invariants
///
/// 1. Every time it asks to wait until is at most the deadline, `trigger + total` (P5). At the deadline nothing is
///    waited for, so [`Step::Finish`] follows within as many polls as there are stages (P6).
/// 2. Milestones are reached in order, each at most once (P1).
/// 3. Closing begins only when nothing of class Critical or High is in flight, or after it was called late (P3), and only
///    after a poll that saw the late gate closed.
/// 4. A connection is waited for while it is idle, until [`lingers_until`](Self::lingers_until), and while it is awaited, for
///    the budget's head time, and while it is answered; none of them beyond the drain's deadline.
/// 5. Every stage is ended or abandoned, once, and not both (P7). A stage's bit in `over` is set at that moment.
///
/// Time is a `Duration` since an epoch of the caller's choice. It may stand still or jump; one that goes back is taken
/// as standing still. Read the clock, [`Observed::drain_ended`] and [`Observed::forced`] *before* the rest: then what ended while the process was
/// stopped counts as ended, and not as late, however far the clock has jumped (G3).
///
/// The [crate's example](crate) shows the loop around it.
#[derive(Clone, Debug)]
pub struct Sequence {
    plan: Plan,
    part: Part,
    now: Duration,
    end: Duration,
    refuse_at: Duration,
    drain_until: Duration,
    linger_until: Duration,
    lingered: bool,
    late_closed: bool,
    /// Connections that have been awaited since then or longer were to be ended.
    expired: Option<Duration>,
    high_until: Duration,
    high_late: bool,
    /// `None`: there is no such time, or it was told.
    hand_back_at: Option<Duration>,
    /// The clients that were lost before the drain was ended early.
    lost_before: Option<u64>,
    started: u64,
    over: u64,
    deadline: [Duration; MAX_STAGES],
    outcome: Outcome,
}

impl Sequence {
    /// A wind-down that has not begun.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            part: Part::Idle,
            now: Duration::ZERO,
            end: Duration::MAX,
            refuse_at: Duration::MAX,
            drain_until: Duration::MAX,
            linger_until: Duration::MAX,
            lingered: false,
            late_closed: false,
            expired: None,
            high_until: Duration::MAX,
            high_late: false,
            hand_back_at: None,
            lost_before: None,
            started: 0,
            over: 0,
            deadline: [Duration::MAX; MAX_STAGES],
            outcome: Outcome::Clean,
        }
    }

    /// Begins, with the time of the trigger: every deadline is fixed by it, here and now (P5), as [`Plan::times`] says. Does
    /// nothing the second time.
    ///
    /// An interrupt gets no lame duck: a person waits.
    pub fn begin(&mut self, triggered_at: Duration, reason: Reason) {
        if self.part != Part::Idle {
            return;
        }
        let times = self.plan.times(triggered_at, reason);
        self.part = Part::Asked;
        self.now = triggered_at;
        self.end = times.flush;
        self.refuse_at = times.refusing;
        self.drain_until = times.last_call;
        self.high_until = times.high_late;
        self.hand_back_at = times.hand_back;
        self.linger_until = times.linger;
    }

    /// The latest moment at which the longest chain of stages still has what is kept for it.
    fn stages_begin_by(&self) -> Duration {
        self.end.saturating_sub(self.plan.chain())
    }

    /// When the last stage is abandoned at the latest; the budget's flush begins then. `None` before
    /// [`begin`](Self::begin).
    #[must_use]
    pub fn end(&self) -> Option<Duration> {
        (self.part != Part::Idle).then_some(self.end)
    }

    /// Returns the latest time until which the drain waits for idle connections: one linger, and a second one in which peers
    /// notice that they were ended.
    #[must_use]
    pub fn lingers_until(&self) -> Duration {
        self.linger_until.saturating_add(self.plan.budget().linger)
    }

    /// Work on connections may take half of the flush, if it is not done by the last stage's end.
    fn attended_until(&self) -> Duration {
        self.end.saturating_add(self.plan.budget().flush / 2)
    }

    /// A stage that was started is over, by `fate`. `false` where that is no news: it was abandoned, has ended before,
    /// or was never started.
    pub fn ended(&mut self, stage: usize, fate: Fate) -> bool {
        let bit = if stage < MAX_STAGES { 1 << stage } else { 0 };
        if self.started & !self.over & bit == 0 {
            return false;
        }
        self.over |= bit;
        self.at_least(match fate {
            Fate::Completed => Outcome::Clean,
            Fate::Failed | Fate::Panicked => Outcome::Failed,
            Fate::Abandoned | Fate::NotStarted => Outcome::StageAbandoned,
        });
        true
    }

    /// What to do next, at `now` and with what was observed since.
    pub fn poll(&mut self, now: Duration, observed: Observed) -> Step {
        self.now = self.now.max(now);
        let begun = !matches!(self.part, Part::Idle | Part::Done);
        if let Some(by) = observed.forced.filter(|_| begun) {
            self.at_least(Outcome::Forced(by));
        }
        if begun {
            self.at_least(observed.unserved.outcome());
            if observed.drain_ended && observed.unserved.lost > *self.lost_before.get_or_insert(observed.unserved.lost)
            {
                // A client that is lost after the drain was ended was cut.
                self.at_least(Outcome::Forced(Forced::Drain));
            }
        }
        let forced = observed.forced.is_some();
        match self.part {
            Part::Idle => Step::Wait(None),
            Part::Asked => self.enter(Part::LameDuck, Milestone::Triggered),
            Part::LameDuck if forced || observed.drain_ended || self.now >= self.refuse_at => {
                self.enter(Part::Draining, Milestone::Refusing)
            }
            Part::LameDuck => Step::Wait(Some(self.refuse_at)),
            Part::Draining => self.drain(observed, forced),
            Part::LastCall { until, by_interrupt } => {
                let empty = at_work(observed) == (0, 0) && !observed.attending;
                let cut_short = observed.drain_ended && !by_interrupt && !empty;
                if cut_short {
                    self.at_least(Outcome::Forced(Forced::Drain));
                }
                let over = forced || cut_short || self.now >= until || empty;
                if over { self.leave_drain() } else { Step::Wait(Some(until)) }
            }
            Part::Closing => self.close(forced, observed.attending),
            Part::Done => Step::Finish(self.outcome),
        }
    }

    fn enter(&mut self, part: Part, milestone: Milestone) -> Step {
        self.part = part;
        Step::Reach(milestone)
    }

    fn at_least(&mut self, outcome: Outcome) {
        self.outcome = self.outcome.max(outcome);
    }

    /// Closes the late gate first, and begins to close only after another look at what it counts.
    fn leave_drain(&mut self) -> Step {
        if self.late_closed {
            return self.enter(Part::Closing, Milestone::Closing);
        }
        self.late_closed = true;
        Step::CloseLate
    }

    fn drain(&mut self, observed: Observed, forced: bool) -> Step {
        let (critical, high) = at_work(observed);
        let high_counts = high > 0 && !self.high_late;
        let overdue = forced || observed.drain_ended || self.now >= self.drain_until;
        let expired = self.expired;
        let has_time = |since: &Duration| expired.is_none_or(|expired| *since > expired);
        if observed.drain_ended && !self.late_closed && observed.awaited.as_ref().is_some_and(has_time) {
            // A request that had begun to arrive is cut.
            self.at_least(Outcome::Forced(Forced::Drain));
        }
        // First of all: idle connections are told of the end before it comes.
        if observed.connected && !self.lingered && self.now >= self.linger_until {
            self.lingered = true;
            return Step::EndIdle;
        }
        // Behind the late gate no request is admitted, so none is expected.
        let expects = !overdue && !self.late_closed;
        let lingering = expects && observed.connected && self.now < self.lingers_until();
        let head = self.plan.budget().head;
        let awaited = observed.awaited.filter(|since| expects && has_time(since));
        let head_until = awaited.map(|since| since.saturating_add(head));
        if let (Some(since), false) = (awaited, observed.attending || head_until > Some(self.now)) {
            self.expired = Some(since.max(self.now.saturating_sub(head)));
            return Step::EndIncomplete;
        }
        let expecting = lingering || head_until.is_some() || (observed.attending || observed.answered) && !overdue;
        if (critical, high) == (0, 0) && !expecting {
            return self.leave_drain();
        }
        let nothing_counts = critical == 0 && !high_counts;
        // Only work of class High that is late is left: before it is cut, another look at what enters the late gate.
        if nothing_counts && !expecting && !overdue && !self.late_closed {
            return self.leave_drain();
        }
        if overdue || nothing_counts && !expecting {
            let by_interrupt = observed.drain_ended;
            self.at_least(if by_interrupt { Outcome::Forced(Forced::Drain) } else { Outcome::DrainTimedOut });
            let until = self.now.saturating_add(self.plan.budget().force_close).min(self.stages_begin_by());
            return self.enter(Part::LastCall { until, by_interrupt }, Milestone::LastCall);
        }
        let high_is_due = high_counts && self.now >= self.high_until;
        let hands_back_first = self.plan.hands_back_first();
        if self.hand_back_at.is_some_and(|at| self.now >= at) && (hands_back_first || !high_is_due) {
            self.hand_back_at = None;
            if !hands_back_first {
                // Its waiters are released now (P1).
                self.high_until = Duration::MAX;
            }
            return Step::Reach(Milestone::HandBack);
        }
        if high_is_due {
            self.high_late = true;
            self.at_least(Outcome::DrainTimedOut);
            return Step::Reach(Milestone::HighLate);
        }
        let waits = [
            (true, Some(self.drain_until)),
            (high_counts, Some(self.high_until)),
            (true, self.hand_back_at),
            (observed.connected && !self.lingered, Some(self.linger_until)),
            (nothing_counts && lingering, Some(self.lingers_until())),
            (!observed.attending, head_until),
        ];
        let next = waits.into_iter().filter_map(|(counts, until)| until.filter(|_| counts)).min();
        Step::Wait(next)
    }

    fn close(&mut self, forced: bool, attending: bool) -> Step {
        for stage in bits(self.started & !self.over) {
            if forced || self.now >= self.deadline[stage] {
                return self.abandon(stage, true);
            }
        }
        for stage in bits(self.plan.all() & !self.started & !self.over) {
            if !forced && self.plan.needs(stage) & !self.over != 0 {
                continue;
            }
            let latest = self.end.saturating_sub(self.plan.behind(stage));
            let limit = self.plan.limit(stage).unwrap_or(Duration::MAX);
            let deadline = latest.min(self.now.saturating_add(limit));
            if forced || self.now >= deadline {
                return self.abandon(stage, false);
            }
            self.started |= 1 << stage;
            self.deadline[stage] = deadline;
            return Step::Start { stage, deadline };
        }
        match bits(self.started & !self.over).map(|stage| self.deadline[stage]).min() {
            Some(next) => Step::Wait(Some(next)),
            // What is found out about clients is part of the outcome.
            None if attending && !forced && self.now < self.attended_until() => Step::Wait(Some(self.attended_until())),
            None => {
                if attending {
                    self.at_least(Outcome::ClientsLost);
                }
                self.enter(Part::Done, Milestone::Done)
            }
        }
    }

    fn abandon(&mut self, stage: usize, started: bool) -> Step {
        self.over |= 1 << stage;
        self.at_least(Outcome::StageAbandoned);
        Step::Abandon { stage, started }
    }
}

/// What the drain waits for: of class Critical, with what came through the late gate, and of class High.
fn at_work(observed: Observed) -> (usize, usize) {
    let InFlight { critical, high, .. } = observed.in_flight;
    (critical.saturating_add(observed.late), high)
}

//! A witness of one wind-down: holds every single step against what the documentation says may come next.
//!
//! It decides nothing. From the budget and the trigger it knows all the times, from the steps so far where things are;
//! each further step has to be the right one there, and each wait has to be for something, and for no longer than it.

use std::time::Duration;

use winddown_core::{Budget, Fate, Forced, InFlight, MAX_STAGES, Milestone, Observed, Outcome, Reason, Stage, Step};

use super::plan::{self, Graph, kept, total};

/// The times that are fixed at the trigger (P5).
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Nothing is waited for any more.
    pub end: Duration,
    /// The longest chain of stages has what is kept for it if it begins by then.
    pub stages_begin_by: Duration,
    /// The lame duck's end.
    pub refuse: Duration,
    /// The drain's deadline.
    pub drain: Duration,
    /// The cap of class High.
    pub high: Duration,
    /// Work is to be handed back.
    pub hand_back: Option<Duration>,
    /// It is so before work of class High is late.
    pub hands_back_first: bool,
    /// Idle connections are ended.
    pub linger: Duration,
    /// Those that were ended are not waited for any more.
    pub lingers: Duration,
    /// What is not known about clients by then stays unknown: half of the flush is gone.
    pub attended: Duration,
    /// How long an awaited connection is waited for.
    pub head: Duration,
}

impl Times {
    /// By the budget's picture. Where a sum is beyond the end of time, it is the end of time.
    #[must_use]
    pub fn of(budget: &Budget, chain: Duration, trigger: Duration, reason: Reason) -> Self {
        let end = trigger.saturating_add(total(budget)).saturating_sub(budget.flush);
        let stages_begin_by = end.saturating_sub(chain);
        let cut = stages_begin_by.saturating_sub(budget.force_close);
        let lame_duck = if reason.is_interrupt() { Duration::ZERO } else { budget.lame_duck };
        let refuse = trigger.saturating_add(lame_duck).min(end);
        let linger = refuse.saturating_add(budget.linger);
        let drain = budget.drain.map_or(cut, |drain| refuse.saturating_add(drain).min(cut));
        let mut high = refuse.saturating_add(budget.high);
        let mut hand_back = budget.hand_back.map(|time| refuse.max(drain.saturating_sub(time)));
        let hands_back_first = plan::hands_back_first(budget, chain);
        if let Some(hand_back) = &mut hand_back {
            // The later one is not before the earlier one.
            if hands_back_first { high = high.max(*hand_back) } else { *hand_back = high.max(*hand_back) }
        }
        Self {
            end,
            stages_begin_by,
            refuse,
            drain,
            high,
            hand_back,
            hands_back_first,
            linger,
            lingers: linger.saturating_add(budget.linger),
            attended: end.saturating_add(budget.flush / 2),
            head: budget.head,
        }
    }
}

/// Where one stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Waiting,
    Running { deadline: Duration },
    Over,
}

/// What was seen of one wind-down.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is something that happens once")]
pub struct Witness<'a> {
    stages: &'a [Stage],
    graph: Graph,
    force_close: Duration,
    /// What is due when.
    pub times: Times,
    places: [Place; MAX_STAGES],
    now: Duration,
    /// Until when the caller was told to wait.
    due: Duration,
    /// Whether a poll came later than was asked for: then nothing is owed to the stages.
    late: bool,
    last: Option<Milestone>,
    high_late: bool,
    handed_back: bool,
    ended_idle: bool,
    late_closed: bool,
    /// Those that have been awaited since then were ended.
    expired: Option<Duration>,
    last_call_until: Duration,
    /// The last call came because the drain was ended.
    ended: bool,
    /// The clients that were lost when the drain was ended.
    lost_before: Option<u64>,
    worst: Outcome,
}

impl<'a> Witness<'a> {
    /// Of a wind-down that was triggered now.
    #[must_use]
    pub fn new(budget: &Budget, stages: &'a [Stage], graph: Graph, trigger: Duration, reason: Reason) -> Self {
        let times = Times::of(budget, graph.chain, trigger, reason);
        Self {
            stages,
            graph,
            force_close: budget.force_close,
            times,
            places: [Place::Waiting; MAX_STAGES],
            now: trigger,
            due: trigger,
            // At the end of time there is less of it than the budget says.
            late: trigger.checked_add(total(budget)).is_none(),
            last: None,
            high_late: false,
            handed_back: false,
            ended_idle: false,
            late_closed: false,
            expired: None,
            last_call_until: Duration::MAX,
            ended: false,
            lost_before: None,
            worst: Outcome::Clean,
        }
    }

    /// The stages that are running, the lowest first.
    pub fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.stages.len()).filter(|&stage| matches!(self.places[stage], Place::Running { .. }))
    }

    /// The next poll and what came of it.
    ///
    /// # Panics
    ///
    /// When it should have been something else.
    pub fn polled(&mut self, now: Duration, observed: Observed, step: Step) {
        self.late |= now > self.due;
        self.now = self.now.max(now);
        if let (Some(by), true) = (observed.forced, self.last != Some(Milestone::Done)) {
            self.at_least(Outcome::Forced(by));
        }
        if self.last != Some(Milestone::Done) && (observed.unserved.lost > 0 || observed.unserved.unknown) {
            self.at_least(Outcome::ClientsLost);
        }
        if self.last != Some(Milestone::Done) && observed.drain_ended {
            let before = *self.lost_before.get_or_insert(observed.unserved.lost);
            if observed.unserved.lost > before {
                self.at_least(Outcome::Forced(Forced::Drain));
            }
        }
        if self.cuts_last_call_short(observed) && (!is_empty(observed) || observed.attending) {
            self.at_least(Outcome::Forced(Forced::Drain));
        }
        let begun = observed.awaited.is_some_and(|since| Some(since) > self.expired);
        if self.is_draining() && !self.late_closed && observed.drain_ended && begun {
            self.at_least(Outcome::Forced(Forced::Drain));
        }
        match step {
            Step::Wait(until) => {
                self.waits(observed, until.expect("begun"));
                return;
            }
            Step::Reach(milestone) => self.reaches(observed, milestone),
            Step::EndIdle => {
                assert!(self.is_draining() && self.idle_are_owed(observed), "nobody idle is to be ended");
                self.ended_idle = true;
            }
            Step::EndIncomplete => {
                assert!(self.is_draining() && !self.idle_are_owed(observed) && !observed.attending, "not now");
                let due = self.awaited_until(observed).is_some_and(|until| self.now >= until);
                assert!(due, "no awaited connection has had its time");
                let longest = observed.awaited.expect("due");
                self.expired = Some(longest.max(self.now.saturating_sub(self.times.head)));
            }
            Step::CloseLate => {
                assert!(!self.late_closed, "closed twice");
                let only_late = self.waited_for(observed) == (false, false) && !self.expecting(observed);
                if !(self.is_draining() && !self.overdue(observed) && only_late) {
                    self.may_leave(observed);
                }
                self.late_closed = true;
            }
            Step::Start { stage, deadline } => self.starts(observed, stage, deadline),
            Step::Abandon { stage, started } => self.abandons(observed, stage, started),
            Step::Finish(outcome) => {
                assert_eq!(self.last, Some(Milestone::Done), "finished before it was done");
                assert_eq!(outcome, self.worst);
            }
        }
        self.due = self.now;
    }

    /// A stage is said to have ended; `news` is what the sequence made of it (P7).
    ///
    /// # Panics
    ///
    /// When it is news of a stage that is not running, and when it is none of one that is.
    pub fn ended(&mut self, stage: usize, fate: Fate, news: bool) {
        let running = self.running().any(|running| running == stage);
        assert_eq!(news, running, "stage {stage} is {:?}", self.places.get(stage));
        if news {
            self.places[stage] = Place::Over;
            self.at_least(match fate {
                Fate::Completed => Outcome::Clean,
                Fate::Failed | Fate::Panicked => Outcome::Failed,
                Fate::Abandoned | Fate::NotStarted => Outcome::StageAbandoned,
            });
        }
    }

    fn at_least(&mut self, outcome: Outcome) {
        if outcome > self.worst {
            self.worst = outcome;
        }
    }

    fn is_draining(&self) -> bool {
        matches!(self.last, Some(Milestone::Refusing | Milestone::HighLate | Milestone::HandBack))
    }

    /// Whether the drain is ended in the last call that came at its deadline.
    fn cuts_last_call_short(&self, observed: Observed) -> bool {
        self.last == Some(Milestone::LastCall) && observed.drain_ended && !self.ended
    }

    fn overdue(&self, observed: Observed) -> bool {
        observed.forced.is_some() || observed.drain_ended || self.now >= self.times.drain
    }

    /// Whether requests may still come that would be admitted.
    fn expects(&self, observed: Observed) -> bool {
        !self.overdue(observed) && !self.late_closed
    }

    /// Whether idle connections are waited for.
    fn lingering(&self, observed: Observed) -> bool {
        observed.connected && self.expects(observed) && self.now < self.times.lingers
    }

    /// Until when awaited connections are waited for, if there are any.
    fn awaited_until(&self, observed: Observed) -> Option<Duration> {
        let since = observed.awaited.filter(|&since| self.expects(observed) && Some(since) > self.expired);
        since.map(|since| since.saturating_add(self.times.head))
    }

    /// Whether something other than passes is waited for.
    fn expecting(&self, observed: Observed) -> bool {
        let until_the_deadline = (observed.attending || observed.answered) && !self.overdue(observed);
        self.lingering(observed) || self.awaited_until(observed).is_some() || until_the_deadline
    }

    /// Whether there are connections of which the idle ones still have to be told of the end.
    fn idle_are_owed(&self, observed: Observed) -> bool {
        observed.connected && !self.ended_idle && self.now >= self.times.linger
    }

    /// The work that is waited for: critical, and high that is not late.
    fn waited_for(&self, observed: Observed) -> (bool, bool) {
        let InFlight { critical, high, .. } = observed.in_flight;
        (critical > 0 || observed.late > 0, high > 0 && !self.high_late)
    }

    /// When work of class High is late, unless a milestone after that has been reached.
    fn high_until(&self) -> Option<Duration> {
        (self.times.hands_back_first || !self.handed_back).then_some(self.times.high)
    }

    /// When work is to be handed back, if it has not been told yet.
    fn hand_back_at(&self) -> Option<Duration> {
        self.times.hand_back.filter(|_| !self.handed_back)
    }

    /// P3: the late gate is closed, and then the drain ends, only when nothing is in flight or expected, or after the last
    /// call.
    fn may_leave(&self, observed: Observed) {
        let empty = is_empty(observed);
        if self.last == Some(Milestone::LastCall) {
            let ended = observed.forced.is_some() || self.cuts_last_call_short(observed);
            let over = ended || self.now >= self.last_call_until;
            assert!(over || empty && !observed.attending, "P3: the last call is not over");
        } else {
            assert!(self.is_draining() && empty, "P3: leaves with work in flight");
            assert!(!self.expecting(observed), "leaves, and connections have time left");
        }
    }

    /// The stages, one bit each, that wait for nobody who is not over.
    fn may_begin(&self) -> u64 {
        let (mut over, mut may) = (0, 0);
        for stage in 0..self.stages.len() {
            over |= u64::from(self.places[stage] == Place::Over) << stage;
        }
        for stage in 0..self.stages.len() {
            let free = self.places[stage] == Place::Waiting && self.graph.needs[stage] & !over == 0;
            may |= u64::from(free) << stage;
        }
        may
    }

    /// When a stage has to be over, whatever happens.
    fn latest(&self, stage: usize) -> Duration {
        self.times.end.saturating_sub(self.graph.behind[stage])
    }

    fn waits(&mut self, observed: Observed, until: Duration) {
        assert!(observed.forced.is_none(), "waits though forced");
        let in_drain = self.last == Some(Milestone::Triggered) || self.is_draining();
        let ended = observed.drain_ended && in_drain || self.cuts_last_call_short(observed);
        assert!(!ended, "waits though the drain was ended");
        let attends = observed.attending && self.last == Some(Milestone::Closing);
        let end = if attends { self.times.attended } else { self.times.end };
        assert!(until <= end, "P5: waits beyond the end, {end:?}");
        assert!(self.now < until, "waits for what has come");
        let mut soonest = Duration::MAX;
        let mut also = |counts: bool, until: Duration| soonest = if counts { soonest.min(until) } else { soonest };
        match self.last {
            Some(Milestone::Triggered) => also(true, self.times.refuse),
            Some(Milestone::Refusing | Milestone::HighLate | Milestone::HandBack) => {
                let (critical, high) = self.waited_for(observed);
                assert!(critical || high || self.expecting(observed), "waits for nothing");
                also(true, self.times.drain);
                also(high, self.high_until().unwrap_or(Duration::MAX));
                also(true, self.hand_back_at().unwrap_or(Duration::MAX));
                also(observed.connected && !self.ended_idle, self.times.linger);
                also(!critical && !high && self.lingering(observed), self.times.lingers);
                if let Some(until) = self.awaited_until(observed) {
                    also(!observed.attending, until);
                }
            }
            Some(Milestone::LastCall) => {
                assert!(!is_empty(observed) || observed.attending, "waits for nothing");
                also(true, self.last_call_until);
            }
            Some(Milestone::Closing) => {
                assert_eq!(self.may_begin(), 0, "waits, and does not begin stages that it could begin");
                for place in &self.places[..self.stages.len()] {
                    if let Place::Running { deadline } = *place {
                        also(true, deadline);
                    }
                }
                // Once every stage is over, for what is still to be found out about clients.
                also(observed.attending && self.running().next().is_none(), self.times.attended);
            }
            None | Some(Milestone::Done) => panic!("waits after {:?}", self.last),
        }
        assert_eq!(until, soonest, "waits for something else");
        self.due = until;
    }

    /// The place of a milestone among those of this plan.
    fn rank(&self, milestone: Option<Milestone>) -> Option<u32> {
        milestone.map(|milestone| match milestone {
            Milestone::HandBack if self.times.hands_back_first => Milestone::HighLate as u32,
            Milestone::HighLate if self.times.hands_back_first => Milestone::HandBack as u32,
            other => other as u32,
        })
    }

    /// P1, P3: in order, and not before its time.
    fn reaches(&mut self, observed: Observed, milestone: Milestone) {
        assert!(self.rank(self.last) < self.rank(Some(milestone)), "{milestone:?} after {:?}", self.last);
        let high = observed.in_flight.high;
        let forced = observed.forced.is_some();
        let empty = is_empty(observed);
        assert!(!self.is_draining() || !self.idle_are_owed(observed), "the idle were not told before {milestone:?}");
        match milestone {
            Milestone::Triggered => {}
            Milestone::Refusing => {
                assert_eq!(self.last, Some(Milestone::Triggered));
                assert!(forced || observed.drain_ended || self.now >= self.times.refuse, "no lame duck");
            }
            Milestone::HighLate => {
                assert!(self.is_draining(), "high work is late in no drain");
                assert!(self.hand_back_at().is_none_or(|at| at > self.now || !self.times.hands_back_first));
                assert!(high > 0 && self.now >= self.times.high && !self.overdue(observed), "high work is not late");
                self.high_late = true;
                self.at_least(Outcome::DrainTimedOut);
            }
            Milestone::HandBack => {
                let due = self.hand_back_at().is_some_and(|at| self.now >= at);
                assert!(self.is_draining() && due && !self.overdue(observed), "not the time to hand back");
                let (critical, high) = self.waited_for(observed);
                assert!(critical || high || self.expecting(observed), "nothing is left to hand back");
                let high_is_due = high && self.high_until().is_some_and(|until| self.now >= until);
                assert!(self.times.hands_back_first || !high_is_due, "P1: high work is late first");
                self.handed_back = true;
            }
            Milestone::LastCall => {
                let only_late = self.waited_for(observed) == (false, false) && !self.expecting(observed);
                assert!(self.is_draining() && !empty, "the last call is for nobody");
                assert!(self.overdue(observed) || only_late, "P3: the last call is early");
                assert!(self.overdue(observed) || self.late_closed, "P3: cut without a look behind the late gate");
                self.last_call_until = self.now.saturating_add(self.force_close).min(self.times.stages_begin_by);
                self.ended = observed.drain_ended;
                self.at_least(if self.ended { Outcome::Forced(Forced::Drain) } else { Outcome::DrainTimedOut });
            }
            Milestone::Closing => {
                assert!(self.late_closed, "P2: closing with the late gate open");
                self.may_leave(observed);
            }
            Milestone::Done => {
                assert_eq!(self.last, Some(Milestone::Closing));
                let left = (0..self.stages.len()).find(|&stage| self.places[stage] != Place::Over);
                assert_eq!(left, None, "P7: done, and nothing is known of a stage");
                let waited = forced || !observed.attending || self.now >= self.times.attended;
                assert!(waited, "done, and clients may still be found lost");
                if observed.attending {
                    self.at_least(Outcome::ClientsLost);
                }
            }
        }
        let in_time = self.late || forced || self.now <= self.times.stages_begin_by;
        assert!(milestone != Milestone::Closing || in_time, "P5: the drain has eaten the stages' time");
        self.last = Some(milestone);
    }

    fn starts(&mut self, observed: Observed, stage: usize, deadline: Duration) {
        assert_eq!(self.last, Some(Milestone::Closing), "a stage begins outside of closing");
        assert!(observed.forced.is_none(), "begins a stage though forced");
        assert!(
            self.may_begin() >> stage & 1 == 1,
            "stage {stage} is {:?}, or what it waits for is not over",
            self.places[stage]
        );
        let limited = self.stages[stage].limit.map_or(Duration::MAX, |limit| self.now.saturating_add(limit));
        assert_eq!(deadline, limited.min(self.latest(stage)), "stage {stage}'s deadline");
        assert!(deadline <= self.times.end && deadline > self.now);
        let given = deadline.saturating_sub(self.now);
        assert!(self.late || given >= kept(&self.stages[stage]), "P5: less than what is kept for stage {stage}");
        self.places[stage] = Place::Running { deadline };
    }

    fn abandons(&mut self, observed: Observed, stage: usize, started: bool) {
        assert_eq!(self.last, Some(Milestone::Closing), "a stage is abandoned outside of closing");
        let forced = observed.forced.is_some();
        match self.places[stage] {
            Place::Running { deadline } => assert!(started && (forced || self.now >= deadline), "abandoned early"),
            Place::Waiting => {
                let no_time = self.may_begin() >> stage & 1 == 1 && self.now >= self.latest(stage);
                assert!(!started && (forced || no_time), "not begun, though there is time");
                let kept_nothing = kept(&self.stages[stage]) == Duration::ZERO;
                assert!(forced || self.late || kept_nothing, "P5: what was kept for stage {stage} is gone");
            }
            Place::Over => panic!("P7: stage {stage} was over"),
        }
        self.places[stage] = Place::Over;
        self.at_least(Outcome::StageAbandoned);
    }
}

/// Whether no pass is alive that the drain waits for.
fn is_empty(observed: Observed) -> bool {
    let InFlight { critical, high, .. } = observed.in_flight;
    (critical, high, observed.late) == (0, 0, 0)
}

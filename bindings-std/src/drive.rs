//! The driver: turns the steps of the sequence into threads, deadlines and wakes. It decides nothing, runs no user code (P6), and does no
//! work for each connection or pass: helpers do. Not here: the report (`finish`).

use std::panic::Location;
use std::time::Duration;

use winddown_core::{
    Event, Forced, InFlight, Milestone, Observed, Outcome, Phase, Priority, Reason, Repeats, Sequence, State, Step,
    Unserved,
};

use crate::attendant::Job;
use crate::finish::{self, LEAST, wait_until};
use crate::hand_over::Task;
use crate::hook::{Hook, HookEnd, Panicked, Trouble, Work, caught};
use crate::inner::Inner;
use crate::observe::{Notice, Observers};
use crate::panics::Panics;
use crate::report::Cut;
#[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
use crate::signal::Unblocked;
use crate::stage_run::StageRun;
use crate::stripe::Gate;
use crate::sync::Arc;

/// After so many panics the driver gives up, and ends the wind-down at once.
const MOST_PANICS: usize = 100;

/// The driver looks at the clock this often, so that it sees a stop of the process that ended before anything was due.
const BEAT: Duration = Duration::from_millis(250);

/// So many stragglers the driver sorts itself.
const FEW: usize = 64;

/// Waits to be asked, then drives to the end. Returns early when no thread can ask any more. The body of the driver's thread.
///
/// A panic in here is a fault of the library's. It is caught, and the wind-down goes on with its next step; the report says so, and is
/// made in any case.
pub(crate) fn stand_by(inner: &Arc<Inner>) {
    // A program may have been started with its signals blocked. This thread takes them.
    #[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
    let _unblocked = Unblocked::new(inner.signal_numbers.get().into_iter().flatten().copied());
    let mut panics = Panics::default();
    let phase = loop {
        match caught(|| wait_for_trigger(inner)) {
            Ok(phase) => break phase,
            Err(Panicked(message)) => panics.extend([message]),
        }
        if panics.are_more_than(MOST_PANICS) {
            // Without a driver the program would not hear.
            let _ = inner.trigger.fire(Reason::Failure);
        }
    };
    let observers = inner.observers.lock().take();
    if phase == Phase::Running {
        // No thread can ask any more. The observers hear that nothing more comes when their channels go.
        drop(observers);
        inner.dismiss(Vec::new());
    } else if inner.report.get().is_none() {
        // A forked child has nobody to tell: its observers' threads stayed with the parent.
        let observers = observers.filter(|_| !inner.is_forked()).unwrap_or_default();
        if let Err(Panicked(message)) = caught(|| Drive::new(inner, &observers, panics).run()) {
            finish::end_at_once(inner, &observers, &message);
        }
    }
}

/// Waits until the program was asked to stop, or no thread can ask any more: then it is still running.
fn wait_for_trigger(inner: &Inner) -> Phase {
    loop {
        inner.tripwire();
        let key = inner.trigger.driver.key();
        // In this order: a trigger before the last handle was dropped is heard.
        let orphaned = inner.is_orphaned();
        let phase = inner.trigger.lifecycle.load().phase();
        if orphaned || phase != Phase::Running {
            return phase;
        }
        inner.trigger.clock.wait(&inner.trigger.driver, key, None);
    }
}

/// One wind-down under way.
pub(crate) struct Drive<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    sequence: Sequence,
    pub(crate) observers: &'a Observers,
    pub(crate) began: Duration,
    pub(crate) now: Duration,
    /// As observers were last told. `None`: they have not been told that it began.
    repeats: Option<Repeats>,
    /// When observers were last told of interrupts that came too soon after the last one that counted.
    too_soon_at: Option<Duration>,
    pub(crate) refused_at: Duration,
    pub(crate) closed_at: Duration,
    pub(crate) at_refusal: InFlight,
    high_late: bool,
    /// The last call was reached: connections are cut, and queues counted.
    pub(crate) called: bool,
    pub(crate) stages: Vec<StageRun>,
    turns: usize,
    /// When the driver is to look again at the latest.
    wakes_by: Duration,
    /// It looked again much later than that: the process was stopped (G3).
    jumped: bool,
    /// How much later than that it looked, in all, on the system's clock.
    pub(crate) stopped: Duration,
    /// Since when the drain has waited for kickers alone, and for how long it did before.
    kicking_since: Option<Duration>,
    pub(crate) kicking: Duration,
    /// The waits that were ended early, if the sequence was told of them.
    pub(crate) cuts: Vec<Cut>,
    /// How many passes were alive when the time of their class was over.
    pub(crate) late: InFlight,
    /// As the sequence was last told.
    pub(crate) unserved: Unserved,
    pub(crate) panics: Panics,
}

impl<'a> Drive<'a> {
    fn new(inner: &'a Arc<Inner>, observers: &'a Observers, panics: Panics) -> Self {
        let began = inner.trigger.asked_at();
        Self {
            inner,
            sequence: Sequence::new(*inner.plan),
            observers,
            began,
            now: began,
            repeats: None,
            too_soon_at: None,
            refused_at: began,
            closed_at: began,
            at_refusal: InFlight::NONE,
            high_late: false,
            called: false,
            stages: inner.hooks.names().map(StageRun::new).collect(),
            turns: 0,
            wakes_by: began,
            jumped: false,
            stopped: Duration::ZERO,
            kicking_since: None,
            kicking: Duration::ZERO,
            cuts: Vec::new(),
            late: InFlight::NONE,
            unserved: Unserved::NONE,
            panics,
        }
    }

    fn run(mut self) {
        let outcome = loop {
            match caught(|| self.turn()) {
                Ok(None) => {}
                Ok(Some(outcome)) => break outcome,
                Err(Panicked(message)) => self.panics.extend([message]),
            }
            if self.panics.are_more_than(MOST_PANICS) {
                break Outcome::Failed;
            }
        };
        self.finish(outcome);
    }

    /// Takes one step. Returns the outcome if that was the last one.
    fn turn(&mut self) -> Option<Outcome> {
        let inner = self.inner;
        let key = inner.trigger.driver.key();
        let reason = inner.trigger.lifecycle.load().reason()?;
        inner.tripwire();
        // Does something the first time.
        self.sequence.begin(self.began, reason);
        // Clock and what was ended first, and then what happened: whatever ended before has ended, also if the process was
        // stopped meanwhile (G3).
        self.now = inner.trigger.clock.now();
        let state = inner.trigger.lifecycle.load();
        self.collect();
        inner.tripwire();
        self.note_requests(state);
        let mut observed = self.observe(state);
        self.note_kickers(&observed);
        let overslept = self.now.saturating_sub(self.wakes_by);
        if overslept > LEAST {
            self.jumped = true;
            // A test's clock may jump, and stops no process.
            if !inner.trigger.clock.is_manual() {
                self.stopped = self.stopped.saturating_add(overslept);
            }
        }
        self.wakes_by = self.now;
        if self.jumped && observed.attending && Some(self.now) >= self.sequence.end() {
            // The attendant was stopped, too. What it finds out counts, if it needs no longer than a moment.
            self.jumped = false;
            wait_until(inner, self.now.saturating_add(LEAST), || !inner.is_attending());
            self.wakes_by = inner.trigger.clock.now();
            observed = self.observe(state);
        }
        inner.tripwire();
        let step = self.sequence.poll(self.now, observed);
        if !matches!(step, Step::Finish(_)) {
            // The counts that the outcome takes into account. If some are still missing when everything is done, they are
            // unknown.
            self.unserved = observed.unserved;
            self.unserved.unknown |= step == Step::Reach(Milestone::Done) && observed.attending;
        }
        inner.tripwire();
        match step {
            // Made-up time does not pass while the library is at work.
            Step::Wait(_) if observed.attending && inner.trigger.clock.is_manual() => {
                inner.trigger.clock.wait(&inner.trigger.driver, key, None);
            }
            Step::Wait(until) => {
                let until = self.with_beat(until);
                self.wakes_by = until.unwrap_or(Duration::MAX);
                inner.trigger.clock.wait(&inner.trigger.driver, key, until);
            }
            Step::Reach(milestone) => self.reach(milestone),
            Step::EndIdle => {
                inner.connections.set_lingered();
                inner.attend(Job::SettleIdle);
            }
            Step::EndIncomplete => {
                let since = self.now.saturating_sub(inner.plan.budget().head);
                inner.attend(Job::EndIncomplete { since });
            }
            Step::CloseLate => drop(inner.gate_at(Inner::LATE).close()),
            Step::Start { stage, deadline } => self.start(stage, deadline),
            Step::Abandon { stage, started } => self.abandon(stage, started),
            Step::Finish(outcome) => return Some(outcome),
        }
        inner.tripwire();
        None
    }

    /// Returns when the driver looks at the clock again, given when something is due. A test's clock stops no process.
    fn with_beat(&self, due: Option<Duration>) -> Option<Duration> {
        let beat = (!self.inner.trigger.clock.is_manual()).then(|| self.now.saturating_add(BEAT));
        due.into_iter().chain(beat).min()
    }

    /// Takes in the hooks that have ended, and the faults of other parts.
    fn collect(&mut self) {
        for HookEnd { stage, location, at, result } in self.inner.hooks.take_ended() {
            self.hook_ended(stage, location, at, result);
        }
        for (event, failure) in self.inner.faults.take_untold() {
            let at = self.now.saturating_sub(self.began);
            self.observers.tell(&Notice { at, ..Notice::of_failure(event, failure) });
        }
    }

    /// What the drain waits for. Kickers that run are waited for like passes.
    ///
    /// The order of the reads is part of the protocol with connections ([`Observed`]): first the counts of passes; then whether
    /// the attendant is at work, because when it is not, what it changed is seen by the reads that follow; then the connections.
    fn observe(&self, state: State) -> Observed {
        let inner = self.inner;
        let waited_for = |gate: &Gate| match gate {
            gate if gate.is_drained() => 0,
            // The count may be on its way to "drained", which wakes the driver; until then it is not 0.
            gate => gate.in_flight().max(1),
        };
        let late_gate = inner.gate_at(Inner::LATE);
        let [critical, high, low] = Priority::ALL.map(|class| waited_for(inner.gate(class)));
        let critical = critical + inner.kickers.pending();
        let late = if late_gate.is_closed() { waited_for(late_gate) } else { late_gate.in_flight() };
        let attending = inner.is_attending() || inner.connections.is_accounting();
        let awaited = inner.connections.awaited_since();
        let answered = inner.connections.is_any_answered();
        Observed {
            in_flight: InFlight { critical, high, low },
            late,
            attending,
            connected: !inner.connections.is_empty() || self.is_any_door_left_open(),
            awaited,
            answered,
            unserved: inner.unserved(),
            drain_ended: state.is_drain_ended(),
            forced: state.forced(),
        }
    }

    #[cfg(unix)]
    fn is_any_door_left_open(&self) -> bool {
        self.inner.doors.is_any_left_open()
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "there are no listeners")]
    fn is_any_door_left_open(&self) -> bool {
        false
    }

    /// Has the attendant see to the listeners, if there are any.
    #[cfg(unix)]
    fn attend_doors(&self, job: Job) {
        if !self.inner.doors.is_empty() {
            self.inner.attend(job);
        }
    }

    fn reach(&mut self, milestone: Milestone) {
        let inner = self.inner;
        inner.check_signals();
        if milestone >= Milestone::LastCall {
            inner.kickers.give_up();
        }
        match milestone {
            Milestone::Triggered => {
                self.repeats = Some(inner.trigger.lifecycle.load().repeats());
                if let (Some(watchdog), budget) = (inner.watchdog(), inner.plan.budget()) {
                    watchdog.set(self.began.saturating_add(budget.total()));
                }
            }
            Milestone::Refusing => {
                self.refused_at = self.now;
                self.at_refusal = inner.in_flight();
                for class in Priority::ALL {
                    inner.gate(class).close();
                }
            }
            Milestone::HighLate => {
                self.high_late = true;
                self.set_late(&[Priority::High]);
            }
            // It tells, and cuts nothing.
            Milestone::HandBack => {}
            Milestone::LastCall => {
                self.set_late(if self.high_late {
                    &[Priority::Critical]
                } else {
                    &[Priority::Critical, Priority::High]
                });
                // After the count: a holder that lets go in between is counted without a name, and not named without a count.
                inner.connections.set_late(self.now);
                self.cut();
            }
            Milestone::Closing => {
                self.closed_at = self.now;
                if !self.called {
                    self.cut();
                }
                // Only the driver closes, and once; in a child forked meanwhile the parent's may have.
                let _ = inner.trigger.lifecycle.begin_closing();
            }
            Milestone::Done => {
                self.set_late(&[Priority::Low]);
                if self.late.total() > FEW {
                    inner.attend(Job::SortStragglers);
                }
                let _ = inner.trigger.lifecycle.finish();
            }
        }
        inner.tripwire();
        inner.reach(milestone);
        inner.tripwire();
        #[cfg(unix)]
        match milestone {
            Milestone::Refusing => self.attend_doors(Job::ShutDoors),
            // Once: at the end of the last call there may be no time left to wait for another count.
            Milestone::LastCall => self.attend_doors(Job::CountQueues),
            Milestone::Closing if !self.called => self.attend_doors(Job::CountQueues),
            _ => {}
        }
        self.called |= milestone == Milestone::LastCall;
        inner.tripwire();
        inner.kick(milestone);
        if milestone == Milestone::Triggered {
            if let Some(reason) = inner.trigger.lifecycle.load().reason() {
                // The thread that triggered holds the lock until it has stored the message.
                let message = inner.message.lock().as_deref().map(Arc::from);
                let at = self.now.saturating_sub(self.began);
                self.observers.tell(&Notice { message, ..Notice::new(at, Event::Triggered { reason }) });
            }
        } else {
            self.tell(Event::Reached { milestone, in_flight: inner.in_flight() }, None);
        }
    }

    /// The time of these classes is over. Before that is told: those that let go from now on name themselves.
    fn set_late(&mut self, classes: &[Priority]) {
        let mut any_labels = false;
        for &class in classes {
            let late = if class == Priority::Critical { self.inner.gate_at(Inner::LATE).in_flight() } else { 0 };
            *self.late.of_mut(class) = self.inner.gate(class).in_flight() + late;
            any_labels |= self.inner.labels.set_late(class, self.now);
        }
        if any_labels {
            self.inner.attend(Job::NameLate);
        }
    }

    /// Has the connections cut that are left.
    fn cut(&self) {
        if self.inner.connections.set_over() {
            self.inner.attend(Job::Cut);
        }
    }

    fn start(&mut self, stage: usize, deadline: Duration) {
        let inner = self.inner;
        let hooks = inner.hooks.take(stage);
        let run = &mut self.stages[stage];
        run.begin(self.now, self.turns, &hooks);
        self.turns += 1;
        self.tell(Event::StageStarted { stage, within: deadline.saturating_sub(self.now) }, Some(stage));
        inner.tripwire();
        if hooks.is_empty() {
            self.stage_ended(stage, self.now);
        }
        let mut tasks = Vec::new();
        for Hook { work, location } in hooks {
            match work {
                Work::Future(future) => tasks.push(Task { stage, location, future }),
                Work::Closure(run) => {
                    let theirs = inner.clone();
                    inner.run_hook(stage, run, move |result| theirs.hook_ended(stage, location, Trouble::of(result)));
                }
            }
        }
        inner.tripwire();
        inner.hand_over(tasks);
    }

    fn hook_ended(
        &mut self,
        stage: usize,
        location: &'static Location<'static>,
        at: Duration,
        result: Result<(), Trouble>,
    ) {
        if self.stages[stage].hook_ended(location, result) {
            self.stage_ended(stage, at);
        }
    }

    fn stage_ended(&mut self, stage: usize, at: Duration) {
        let run = &mut self.stages[stage];
        run.end(at);
        let fate = run.fate;
        let news = self.sequence.ended(stage, fate);
        debug_assert!(news, "an abandoned stage does not get here");
        self.inner.tripwire();
        self.tell(Event::StageEnded { stage, fate }, Some(stage));
    }

    pub(crate) fn abandon(&mut self, stage: usize, started: bool) {
        let not_begun = if started { Vec::new() } else { self.inner.hooks.give_up(stage) };
        let run = &mut self.stages[stage];
        run.abandon(self.now, &not_begun);
        let fate = run.fate;
        if let Some(cut) = self.cuts.last_mut().filter(|cut| cut.by != Forced::Drain) {
            cut.stages.push(run.name.to_string());
        }
        self.inner.tripwire();
        self.inner.wake_apart(self.inner.waiters.owe(self.inner.hand_over.abandon(stage)));
        self.tell(Event::StageEnded { stage, fate }, Some(stage));
    }

    pub(crate) fn tell(&self, event: Event, stage: Option<usize>) {
        let stage = stage.map(|stage| self.stages[stage].name.clone());
        let at = self.now.saturating_sub(self.began);
        self.observers.tell(&Notice { stage, ..Notice::new(at, event) });
    }
}

mod early;
#[cfg(all(test, unix, not(any(winddown_loom, winddown_shuttle))))]
mod tests;

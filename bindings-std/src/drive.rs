//! The driver: turns the steps of the sequence into threads, deadlines and wakes. It decides nothing, and runs no user
//! code: hooks, kickers, wakers and observers have threads of their own (P6).

use std::panic::Location;
use std::time::Duration;

use winddown_core::{
    Event, InFlight, Milestone, Observed, Outcome, Phase, Priority, Repeats, Sequence, Step, Unserved,
};

use crate::Report;
use crate::attendant::Job;
use crate::hand_over::Task;
use crate::hook::{self, Hook, HookEnd, Trouble, Work};
use crate::inner::Inner;
use crate::observe::{Notice, Observers};
use crate::report::{Holder, Part, Straggler};
use crate::stage_run::StageRun;
use crate::stripe::Gate;
use crate::sync::Arc;
use crate::wait::wake_all;

/// The least time for wakers to return in, who may have to begin a thread first: with a flush of 0, too.
const WAKES: Duration = Duration::from_millis(100);

/// Waits to be asked, then drives to the end. Returns early when nobody can ask any more. The body of the driver's
/// thread.
pub(crate) fn stand_by(inner: &Arc<Inner>) {
    loop {
        let key = inner.trigger.driver.key();
        // In this order: whoever triggered before the last handle was dropped is heard.
        let orphaned = inner.is_orphaned();
        if inner.trigger.lifecycle.load().phase() != Phase::Running {
            break;
        }
        if orphaned {
            // The observers hear that nothing more comes when their channels go.
            let observers = inner.observers.lock().take();
            return drop(observers);
        }
        inner.trigger.clock.wait(&inner.trigger.driver, key, None);
    }
    let observers = inner.observers.lock().take();
    if inner.report.get().is_none() {
        // A forked child has nobody to tell: its observers' threads stayed with the parent.
        let observers = observers.filter(|_| !inner.is_forked()).unwrap_or_default();
        Drive::new(inner, observers).run();
    }
}

/// One wind-down under way.
struct Drive<'a> {
    inner: &'a Arc<Inner>,
    sequence: Sequence,
    observers: Observers,
    began: Duration,
    now: Duration,
    repeats: Repeats,
    refused_at: Duration,
    closed_at: Duration,
    at_refusal: InFlight,
    high_late: bool,
    #[cfg(unix)]
    counts_queues: bool,
    stages: Vec<StageRun>,
    turns: usize,
    stragglers: Vec<Straggler>,
    unlabelled: InFlight,
    /// As the sequence was last told.
    unserved: Unserved,
}

impl<'a> Drive<'a> {
    fn new(inner: &'a Arc<Inner>, observers: Observers) -> Self {
        let began = inner.trigger.asked_at();
        Self {
            inner,
            sequence: Sequence::new(inner.plan),
            observers,
            began,
            now: began,
            repeats: inner.trigger.lifecycle.load().repeats(),
            refused_at: began,
            closed_at: began,
            at_refusal: InFlight::NONE,
            high_late: false,
            #[cfg(unix)]
            counts_queues: false,
            stages: inner.hooks.names().map(StageRun::new).collect(),
            turns: 0,
            stragglers: Vec::new(),
            unlabelled: InFlight::NONE,
            unserved: Unserved::NONE,
        }
    }

    fn run(mut self) {
        let inner = self.inner;
        let reason = inner.trigger.lifecycle.load().reason().expect("the phase is not Running");
        if let Some(watchdog) = inner.watchdog() {
            watchdog.set(self.began.saturating_add(self.inner.plan.budget().total()));
        }
        self.sequence.begin(self.began, reason);
        self.tell(Event::Triggered { reason }, None);
        let outcome = loop {
            let key = inner.trigger.driver.key();
            // Clock and force first, and then what happened: whatever ended before has ended, also if the process was
            // stopped meanwhile (G3).
            self.now = inner.trigger.clock.now();
            let forced = inner.trigger.lifecycle.load().forced();
            self.collect();
            let observed = Observed { forced, ..self.observe() };
            let step = self.sequence.poll(self.now, observed);
            if !matches!(step, Step::Finish(_)) {
                // The counts that the outcome takes into account. If some are still missing when everything is done, they are
                // unknown.
                self.unserved = observed.unserved;
                self.unserved.unknown |= step == Step::Reach(Milestone::Done) && observed.attending;
            }
            match step {
                Step::Wait(until) => inner.trigger.clock.wait(&inner.trigger.driver, key, until),
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
                Step::Finish(outcome) => break outcome,
            }
        };
        self.finish(outcome);
    }

    /// Takes in the hooks that have ended, and the triggers that have joined.
    fn collect(&mut self) {
        for HookEnd { stage, location, at, result } in self.inner.hooks.take_ended() {
            self.hook_ended(stage, location, at, result);
        }
        for failure in self.inner.faults.take_untold() {
            let at = self.now.saturating_sub(self.began);
            self.observers.tell(&Notice { at, ..Notice::of_failure(Event::ListenerFailed, failure) });
        }
        let repeats = self.inner.trigger.lifecycle.load().repeats();
        if repeats != self.repeats {
            self.repeats = repeats;
            self.tell(Event::Repeated { repeats }, None);
        }
    }

    /// What the drain waits for. Kickers that run are waited for like passes.
    ///
    /// The order of the reads is part of the protocol with connections ([`Observed`]): first the counts of passes; then whether
    /// the attendant is at work, because when it is not, what it changed is seen by the reads that follow; then the connections.
    fn observe(&self) -> Observed {
        let inner = self.inner;
        let waited_for = |gate: &Gate| match gate {
            gate if gate.is_drained() => 0,
            // The count may be on its way to "drained", which wakes the driver; until then it is not 0.
            gate => gate.in_flight().max(1),
        };
        let late_gate = inner.gate_at(Inner::LATE);
        let [critical, high, low] = Priority::ALL.map(|class| waited_for(inner.gate(class)));
        let critical = critical + inner.kickers.running();
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
            forced: None,
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
        match milestone {
            Milestone::Triggered => {}
            Milestone::Refusing => {
                self.refused_at = self.now;
                self.at_refusal = inner.in_flight();
                for class in Priority::ALL {
                    inner.gate(class).close();
                }
            }
            Milestone::HighLate => {
                self.high_late = true;
                self.note_stragglers(Priority::High);
            }
            Milestone::LastCall => {
                self.note_stragglers(Priority::Critical);
                if !self.high_late {
                    self.note_stragglers(Priority::High);
                }
                let named = self.cut();
                // Each has a pass, which was counted as one without a label.
                self.unlabelled.critical = self.unlabelled.critical.saturating_sub(named);
            }
            Milestone::Closing => {
                self.closed_at = self.now;
                self.cut();
                // Only the driver closes, and once; in a child forked meanwhile the parent's may have.
                let _ = inner.trigger.lifecycle.begin_closing();
            }
            Milestone::Done => {
                self.note_stragglers(Priority::Low);
                let _ = inner.trigger.lifecycle.finish();
            }
        }
        inner.reach(milestone);
        #[cfg(unix)]
        match milestone {
            Milestone::Refusing => self.attend_doors(Job::ShutDoors),
            // Once: at the end of the last call there may be no time left to wait for another count.
            Milestone::LastCall => {
                self.counts_queues = true;
                self.attend_doors(Job::CountQueues);
            }
            Milestone::Closing if !self.counts_queues => self.attend_doors(Job::CountQueues),
            _ => {}
        }
        inner.kick(milestone);
        if milestone != Milestone::Triggered {
            self.tell(Event::Reached { milestone, in_flight: inner.in_flight() }, None);
        }
    }

    /// Names those of a class whose time is over.
    fn note_stragglers(&mut self, class: Priority) {
        let late = if class == Priority::Critical { self.inner.gate_at(Inner::LATE).in_flight() } else { 0 };
        let alive = self.inner.gate(class).in_flight() + late;
        let labelled = self.inner.labels.of(class, self.now);
        *self.unlabelled.of_mut(class) = alive.saturating_sub(labelled.len());
        self.stragglers.extend(labelled);
    }

    /// Cuts what connections are left, and names those at work. How many there were.
    fn cut(&mut self) -> usize {
        let late = self.inner.connections.cut(self.now);
        let named = late.len();
        self.stragglers.extend(late.into_iter().map(Straggler::from));
        named
    }

    fn start(&mut self, stage: usize, deadline: Duration) {
        let hooks = self.inner.hooks.take(stage);
        let run = &mut self.stages[stage];
        run.begin(self.now, self.turns, &hooks);
        self.turns += 1;
        let name = run.name.clone();
        self.tell(Event::StageStarted { stage, within: deadline.saturating_sub(self.now) }, Some(stage));
        if hooks.is_empty() {
            self.stage_ended(stage, self.now);
        }
        let mut tasks = Vec::new();
        let mut troubled = Vec::new();
        for Hook { work, location } in hooks {
            match work {
                Work::Future(future) => tasks.push(Task { stage, location, future }),
                Work::Closure(run) => {
                    let inner = self.inner.clone();
                    let tell = move |result| inner.hook_ended(stage, location, Trouble::of(result));
                    let started = hook::spawn(&name, run, tell);
                    troubled.extend(started.err().map(|error| (location, Trouble::no_thread(&error))));
                }
            }
        }
        troubled.extend(self.inner.hand_over(tasks));
        for (location, trouble) in troubled {
            self.hook_ended(stage, location, self.now, Err(trouble));
        }
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
        self.tell(Event::StageEnded { stage, fate }, Some(stage));
    }

    fn abandon(&mut self, stage: usize, started: bool) {
        let not_begun = if started { Vec::new() } else { self.inner.hooks.give_up(stage) };
        let run = &mut self.stages[stage];
        run.abandon(self.now, &not_begun);
        let fate = run.fate;
        self.inner.wake_apart(self.inner.waiters.owe(self.inner.hand_over.abandon(stage)));
        self.tell(Event::StageEnded { stage, fate }, Some(stage));
    }

    fn tell(&self, event: Event, stage: Option<usize>) {
        let stage = stage.map(|stage| self.stages[stage].name.clone());
        self.observers.tell(&Notice { at: self.now.saturating_sub(self.began), event, stage, failure: None });
    }

    /// Gives the observers the budget's flush to tell the end, and wakers to return, and then the report to `run()`.
    fn finish(mut self, outcome: Outcome) {
        let inner = self.inner;
        let mut report = self.report(outcome);
        report.failures = inner.faults.failures();
        report.failures.extend(inner.kickers.failures());
        judge_failures(&mut report);
        self.tell(Event::Finished { outcome: report.outcome }, None);
        let told = Arc::new(report.clone());
        self.observers.finish(&told);
        let budget = self.inner.plan.budget();
        let over = self.began.saturating_add(budget.total());
        let told_by = self.now.saturating_add(budget.flush).min(over);
        let woken_by = self.now.saturating_add(budget.flush.max(WAKES)).min(over);
        loop {
            let key = inner.trigger.driver.key();
            self.now = inner.trigger.clock.now();
            let told = self.observers.are_done() || self.now >= told_by;
            let woken = !inner.is_waking() || self.now >= woken_by;
            if told && woken {
                break;
            }
            let until = if told { woken_by } else { told_by };
            inner.trigger.clock.wait(&inner.trigger.driver, key, Some(until));
        }
        report.failures.extend(self.observers.failures());
        report.failures.extend(inner.waker_failures());
        report.failures.extend(inner.panics.lock().failure(Part::Task, "task"));
        judge_failures(&mut report);
        report.notes = inner.faults.notes();
        report.repeats = inner.trigger.lifecycle.load().repeats();
        if let Some(watchdog) = inner.watchdog() {
            watchdog.tell(report.exit_code());
        }
        inner.publish(report);
        let (awaiting, tasks) = inner.hand_over.end();
        bury(inner, tasks);
        // The last that the driver does: nobody waits for it any more, whatever a waker does, nor is there a report any more to
        // name one in that panics.
        let _ = wake_all(awaiting);
    }

    fn report(&mut self, outcome: Outcome) -> Report {
        let inner = self.inner;
        for straggler in &mut self.stragglers {
            straggler.let_go = match straggler.holder {
                Holder::Label(id) => !inner.labels.is_alive(id),
                Holder::Connection(id) => !inner.connections.is_at_work(id),
            };
        }
        let since = |at: Duration| at.saturating_sub(self.began);
        let stages = self.stages.drain(..).map(|run| run.report(self.began));
        Report {
            reason: inner.trigger.lifecycle.load().reason().expect("the phase is not Running"),
            message: inner.message.lock().take().map(Into::into),
            outcome,
            repeats: self.repeats,
            budget: *self.inner.plan.budget(),
            took: since(self.now),
            lame_duck: since(self.refused_at),
            draining: self.closed_at.saturating_sub(self.refused_at),
            closing: self.now.saturating_sub(self.closed_at),
            in_flight: self.at_refusal,
            admitted: inner.admitted(),
            refused: inner.refused(),
            counting: inner.counting(),
            stages: stages.collect(),
            stragglers: std::mem::take(&mut self.stragglers),
            unlabelled: self.unlabelled,
            unserved: self.unserved,
            failures: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Has hooks and kickers that will never run dropped, on a thread of their own: they may own a handle, which would never
/// be the last, and their destructors are a stranger's code (P6).
fn bury(inner: &Inner, tasks: Vec<Task>) {
    let left = (inner.hooks.take_left(), inner.kickers.take_left(), tasks);
    if left.0.is_empty() && left.1.is_empty() && left.2.is_empty() {
        return;
    }
    // Where there is no thread to be had, they are leaked.
    let _ = hook::spawn("leftovers", move || drop(left), |_| ());
}

/// A kicker, a waker or an observer that failed is nothing to keep quiet about (P7).
fn judge_failures(report: &mut Report) {
    if !report.failures.is_empty() {
        report.outcome = report.outcome.max(Outcome::Failed);
    }
}

//! The end of a wind-down: the report, those who hear of it, and the end of the library's threads. Not here: how it came to it (`drive`).

use std::time::Duration;

use winddown_core::{Event, Fate, InFlight, Outcome, Priority, Reason, Unserved};

use crate::Report;
use crate::drive::Drive;
use crate::inner::Inner;
use crate::observe::{Notice, Observers};
use crate::report::{Failure, Part, StageReport};
use crate::sync::Arc;
use crate::wait::wake_all;

/// The least time for observers and wakers, which may have to wait for a processor first.
pub(crate) const LEAST: Duration = Duration::from_millis(100);

impl Drive<'_> {
    /// Gives the observers the budget's flush to tell the end, and wakers to return, and then the report to `run()`.
    pub(crate) fn finish(mut self, outcome: Outcome) {
        let inner = self.inner;
        // Some are only where the driver gave up.
        let left: Vec<_> = (0..self.stages.len()).filter(|&stage| !self.stages[stage].is_over()).collect();
        for &stage in &left {
            self.abandon(stage, self.stages[stage].has_begun());
        }
        let outcome = if left.is_empty() { outcome } else { outcome.max(Outcome::StageAbandoned) };
        inner.tripwire();
        let flush = Flush::new(inner, self.began, self.now);
        // The observers hear the names of those that were late, and what wakers said: half of the time is for that.
        let has_names = self.called || self.late != InFlight::NONE;
        let is_asked = !self.observers.are_done();
        self.observers.ask_to_catch_up();
        let is_known = || self.observers.have_caught_up() && !inner.is_waking();
        let is_told = || !(has_names && inner.is_attending() || is_asked && !is_known());
        wait_until(inner, flush.middle(), is_told);
        let mut report = self.report(outcome);
        let mut known = known_failures(inner);
        known.extend(self.panics.failure(Part::Driver, "driver step"));
        inner.tripwire();
        tell_end(inner, self.observers, &mut report, &known, self.now.saturating_sub(self.began), &flush);
        inner.tripwire();
        end(inner, report);
    }

    fn report(&mut self, outcome: Outcome) -> Report {
        let inner = self.inner;
        let (stragglers, named) = inner.labels.stragglers.take();
        let since = |at: Duration| at.saturating_sub(self.began);
        let stages = self.stages.drain(..).map(|run| run.report(self.began));
        let mut unlabelled = InFlight::NONE;
        for class in Priority::ALL {
            *unlabelled.of_mut(class) = self.late.of(class).saturating_sub(named.of(class));
        }
        Report {
            took: since(self.now),
            lame_duck: since(self.refused_at),
            draining: self.closed_at.saturating_sub(self.refused_at),
            kicking: self.kicking,
            closing: self.now.saturating_sub(self.closed_at),
            stopped: self.stopped,
            in_flight: self.at_refusal,
            stages: stages.collect(),
            stragglers,
            unlabelled,
            unserved: self.unserved,
            cuts: std::mem::take(&mut self.cuts),
            ..report(inner, outcome)
        }
    }
}

/// The time that is left to tell the end.
struct Flush {
    now: Duration,
    end: Duration,
}

impl Flush {
    fn new(inner: &Inner, began: Duration, now: Duration) -> Self {
        let budget = inner.plan.budget();
        let over = began.saturating_add(budget.total());
        let end = now.saturating_add(budget.flush.max(LEAST)).min(over);
        // If the clock has jumped beyond the budget's end (G3), the least time is left all the same.
        Self { now, end: if now > over { now.saturating_add(LEAST) } else { end } }
    }

    fn middle(&self) -> Duration {
        self.now.saturating_add(self.end.saturating_sub(self.now) / 2)
    }
}

/// Waits for something that notifies the driver, at most until then.
pub(crate) fn wait_until(inner: &Inner, until: Duration, is_done: impl Fn() -> bool) {
    let trigger = &inner.trigger;
    loop {
        let key = trigger.driver.key();
        if is_done() || trigger.clock.now() >= until {
            return;
        }
        trigger.clock.wait(&trigger.driver, key, Some(until));
    }
}

/// A report of what every wind-down has, with nothing to say of the rest.
fn report(inner: &Inner, outcome: Outcome) -> Report {
    let state = inner.trigger.lifecycle.load();
    Report {
        reason: state.reason().unwrap_or(Reason::Failure),
        message: inner.message.lock().as_deref().map(str::to_owned),
        outcome,
        chosen_code: inner.chosen_code.close(),
        repeats: state.repeats(),
        budget: *inner.plan.budget(),
        took: Duration::ZERO,
        lame_duck: Duration::ZERO,
        draining: Duration::ZERO,
        kicking: Duration::ZERO,
        closing: Duration::ZERO,
        stopped: Duration::ZERO,
        in_flight: InFlight::NONE,
        admitted: inner.admitted(),
        refused: inner.refused(),
        counting: inner.counting(),
        stages: Vec::new(),
        stragglers: Arc::from([]),
        unlabelled: InFlight::NONE,
        unserved: Unserved::NONE,
        cuts: Vec::new(),
        failures: Vec::new(),
        notes: inner.faults.notes(),
    }
}

/// Returns the failures outside the stages up to now, except those of observers, wakers and the driver.
fn known_failures(inner: &Inner) -> Vec<Failure> {
    let mut failures = inner.faults.failures();
    failures.extend(inner.signal_failures());
    failures.extend(inner.work_failures());
    failures.extend(inner.kickers.failures(inner.trigger.clock.now()));
    failures.extend(inner.task_failures());
    failures
}

/// Completes the report with all that is known, and tells the observers the end. Afterwards only the failures are added that the telling
/// itself brought about, and those of wakers that go wrong meanwhile.
fn tell_end(inner: &Inner, observers: &Observers, report: &mut Report, known: &[Failure], at: Duration, flush: &Flush) {
    // Where there is an observer, wakers had half of the flush. Where there is none, they have the rest of it.
    let wakers = if observers.are_done() { inner.waker_panics() } else { inner.waker_failures() };
    report.failures = [known, &observers.panics(), &wakers].concat();
    judge_failures(report);
    observers.tell(&Notice::new(at, Event::Finished { outcome: report.outcome }));
    observers.finish(&Arc::new(report.clone()));
    inner.tripwire();
    wait_until(inner, flush.end, || observers.are_done() && !inner.is_waking());
    report.failures = [known, &observers.failures(), &inner.waker_failures()].concat();
    judge_failures(report);
}

/// Ends a wind-down whose driver could not make its report.
pub(crate) fn end_at_once(inner: &Arc<Inner>, observers: &Observers, message: &str) {
    let stage = |name: &str| StageReport {
        name: name.to_owned(),
        fate: Fate::Abandoned,
        began: None,
        turn: 0,
        took: Duration::ZERO,
        problems: vec!["unknown: the driver panicked".to_owned()],
    };
    let what = format!("the driver panicked, and its report is lost: {message}");
    let (began, now) = (inner.trigger.asked_at(), inner.trigger.clock.now());
    let took = now.saturating_sub(began);
    let mut report = Report {
        took,
        stages: inner.hooks.names().map(stage).collect(),
        unserved: Unserved::UNKNOWN,
        ..report(inner, Outcome::StageAbandoned)
    };
    let mut known = vec![Failure { part: Part::Driver, what }];
    known.extend(known_failures(inner));
    tell_end(inner, observers, &mut report, &known, took, &Flush::new(inner, began, now));
    end(inner, report);
}

/// Gives the report to those who wait for it, and ends the library's threads.
fn end(inner: &Arc<Inner>, report: Report) {
    if let Some(watchdog) = inner.watchdog() {
        watchdog.tell(report.exit_code());
    }
    inner.publish(report);
    let (awaiting, tasks) = inner.hand_over.end();
    inner.dismiss(tasks);
    // The last that the driver does: the wind-down waits for it no more, whatever a waker does, nor is there a report any more to
    // name one in that panics.
    let _ = wake_all(awaiting);
}

/// A kicker, a waker or an observer that failed is nothing to keep quiet about (P7).
fn judge_failures(report: &mut Report) {
    if !report.failures.is_empty() {
        report.outcome = report.outcome.max(Outcome::Failed);
    }
}

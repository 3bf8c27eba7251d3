//! The world that is wound down: work under passes, people who come, and stages. All of it is made of times, counted from
//! the trigger.

use core::time::Duration;

use winddown_core::{Budget, Fate, Gate, InFlight, Pass, Plan, PlanError, Refused, Sequence, Stage};

use crate::line::What::Number;
use crate::{Ending, Machine, say};

const LAME_DUCK: Duration = Duration::from_millis(40);
/// A visitor comes so long after the trigger, while it is still admitting; and another, so long after the refusal.
const VISIT: Duration = Duration::from_millis(20);
/// When the jobs finish: the two that are there when the trigger comes, and the first visitor's.
const JOBS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(140), Duration::from_millis(90)];
/// The most that the drain may take, and a stage.
const PATIENCE: Duration = Duration::from_millis(200);
/// What a stage takes.
const STAGE: Duration = Duration::from_millis(30);
const NEVER: Duration = Duration::MAX;

/// What is cut is cut by the drain's limit or a stage's. The whole budget is far larger, so that a machine that stands
/// still for a while ends the same way.
pub(crate) fn plan() -> Result<Plan, PlanError> {
    let budget = Budget::new(Duration::from_secs(20))
        .lame_duck(LAME_DUCK)
        .drain(PATIENCE)
        .force_close(Duration::from_millis(50));
    let stage = Stage { limit: Some(PATIENCE), ..Stage::new() };
    Plan::new(budget, &[stage; 2])
}

/// What is there, and until when; `None` is not there.
pub(crate) struct Site<'a> {
    gate: &'a Gate,
    jobs: [Option<(Pass<'a>, Duration)>; JOBS.len()],
    visits: [Option<Duration>; 2],
    stages: [Option<Duration>; 2],
    /// What each stage takes.
    stage_takes: [Duration; 2],
    began: Duration,
}

impl<'a> Site<'a> {
    /// Two jobs that have a pass, and time.
    pub(crate) fn new(gate: &'a Gate) -> Self {
        let job = || gate.enter().ok().map(|pass| (pass, NEVER));
        Self {
            gate,
            jobs: [job(), job(), None],
            visits: [None; 2],
            stages: [None; 2],
            stage_takes: [STAGE; 2],
            began: Duration::ZERO,
        }
    }

    /// It was triggered.
    pub(crate) fn begin(&mut self, now: Duration, ending: Ending) {
        self.began = now;
        for (job, takes) in self.jobs.iter_mut().flatten().zip(JOBS) {
            job.1 = now + takes;
        }
        self.visits[0] = Some(now + VISIT);
        match (ending, &mut self.jobs[0]) {
            (Ending::Late, Some(job)) => job.1 = NEVER,
            (Ending::Hung, _) => self.stage_takes[1] = NEVER,
            _ => {}
        }
    }

    /// From now on nobody is admitted.
    pub(crate) fn refuse(&mut self, now: Duration) {
        self.gate.close();
        self.visits[1] = Some(now + VISIT);
    }

    /// Lets everything happen that is due.
    pub(crate) fn go_on(&mut self, now: Duration, machine: &impl Machine, sequence: &mut Sequence) {
        for (number, visit) in self.visits.iter_mut().enumerate() {
            if visit.take_if(|at| *at <= now).is_some() {
                match self.gate.enter() {
                    Ok(pass) => {
                        self.jobs[2] = Some((pass, self.began + JOBS[2]));
                        say(machine, "visitor ", Number(number), " admitted");
                    }
                    Err(Refused::Closed) => say(machine, "visitor ", Number(number), " refused"),
                    Err(Refused::Full) => say(machine, "no room for visitor ", Number(number), ""),
                }
            }
        }
        for (number, job) in self.jobs.iter_mut().enumerate() {
            if job.take_if(|(_, until)| *until <= now).is_some() {
                say(machine, "job ", Number(number), " finished");
            }
        }
        for (stage, until) in self.stages.iter_mut().enumerate() {
            if until.take_if(|until| *until <= now).is_some() && sequence.ended(stage, Fate::Completed) {
                say(machine, "stage ", Number(stage), " completed");
            }
        }
    }

    /// When the next thing is due, if one ever is.
    pub(crate) fn next(&self) -> Option<Duration> {
        let jobs = self.jobs.iter().flatten().map(|(_, until)| *until);
        let others = self.visits.iter().chain(&self.stages).flatten().copied();
        jobs.chain(others).filter(|at| *at != NEVER).min()
    }

    /// What the drain has to wait for.
    pub(crate) fn in_flight(&self) -> InFlight {
        let critical = if self.gate.is_drained() { 0 } else { self.gate.in_flight().max(1) };
        InFlight { critical, ..InFlight::NONE }
    }

    /// A stage begins.
    pub(crate) fn start(&mut self, stage: usize, now: Duration) {
        self.stages[stage] = Some(now.saturating_add(self.stage_takes[stage]));
    }

    /// A stage is not waited for any more.
    pub(crate) fn abandon(&mut self, stage: usize) {
        self.stages[stage] = None;
    }
}

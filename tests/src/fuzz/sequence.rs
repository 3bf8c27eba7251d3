//! The sans-IO driver with arbitrary plans, clocks, hooks and observations, under the eyes of a
//! [`Witness`]. First the plan itself: what is refused is refused for what is so, and
//! is then mended, so that every input comes to a wind-down.

use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use winddown_core::{
    Budget, Fate, Forced, InFlight, MAX_STAGES, Milestone, Observed, Plan, PlanError, Reason, Sequence, Stage, Step,
    Unserved,
};

use super::{list, parts};
use crate::oracle::plan::{self, Graph};
use crate::oracle::sequence::{Times, Witness};

const NANO: Duration = Duration::from_nanos(1);

/// One wind-down and the world around it.
#[derive(Clone, Debug)]
pub struct Program {
    budget: Budget,
    stages: Vec<Stage>,
    triggered_at: Duration,
    reason: Reason,
    /// Whether stages that are left at the end hang.
    hang: bool,
    turns: Vec<Turn>,
}

/// What the world does between two polls.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// The clock comes exactly to what was waited for.
    Due,
    /// The clock comes to the nanosecond before.
    AlmostDue,
    /// The clock goes on.
    Forward(Duration),
    /// The clock goes back.
    Back(Duration),
    /// Work comes and goes.
    InFlight(InFlight),
    /// Connections come and go.
    Connections { connected: bool, late: u8, attending: bool },
    /// A request has begun to arrive, so long ago; or none is awaited.
    Awaited(Option<Duration>),
    /// Connections are answered for the last time, and read on; or none is left.
    Answered(bool),
    /// Clients are found to be lost.
    Unserved(Unserved),
    /// Somebody has had enough, or it is not seen any more.
    Forced(Option<Forced>),
    /// Somebody has had enough of the drain, or it is not seen any more.
    DrainEnded(bool),
    /// One of the stages that run ends.
    Ends { running: u8, fate: Fate },
    /// Somebody says that a stage, which may not exist, has ended.
    SaysEnded { stage: usize, fate: Fate },
    /// Somebody begins it once more.
    BeginsAgain(Reason),
}

impl Program {
    const TURNS: usize = 64;

    fn stages(bytes: &mut Unstructured) -> Result<Vec<Stage>> {
        let drawn: u8 = bytes.arbitrary()?;
        // 0 to 8, and seldom up to more than there can be.
        let count = usize::from(if drawn < 252 { drawn % 9 } else { bytes.arbitrary::<u8>()? % 70 });
        let (wishes, rings): (u8, bool) = (bytes.arbitrary()?, bytes.arbitrary::<u8>()? > 200);
        let mut stages = Vec::with_capacity(count);
        for index in 0..count {
            let after = if count <= 8 { u64::from(bytes.arbitrary::<u8>()?) } else { bytes.arbitrary()? };
            let earlier = (1_u64 << (index % MAX_STAGES)) - 1;
            let (reserve, limited) = (parts::span(bytes)? / 4, bytes.arbitrary::<u8>()? < 64);
            stages.push(Stage {
                reserve,
                limit: if limited { Some(parts::span(bytes)?) } else { None },
                after: (wishes >> (index % 8) & 1 == 1).then_some(if rings { after } else { after & earlier }),
            });
        }
        Ok(stages)
    }

    fn budget(bytes: &mut Unstructured) -> Result<Budget> {
        let mut budget = Budget::new(parts::span(bytes)?.saturating_mul(8));
        // One bit for each part that is not the usual.
        let other: u8 = bytes.arbitrary()?;
        let parts: [&mut Duration; 7] = [
            &mut budget.lame_duck,
            &mut budget.high,
            &mut budget.linger,
            &mut budget.force_close,
            &mut budget.flush,
            &mut budget.margin,
            &mut budget.pre_stop,
        ];
        for (index, part) in parts.into_iter().enumerate() {
            if other >> index & 1 == 1 {
                *part = parts::span(bytes)?;
            }
        }
        if other >> 3 & 1 == 1 {
            budget.hand_back = Some(parts::span(bytes)?);
        }
        if other >> 6 & 1 == 1 {
            budget.floor = parts::span(bytes)?;
        }
        if other >> 7 == 1 {
            budget.drain = Some(parts::span(bytes)?);
        }
        if other >> 2 & 1 == 1 {
            budget.head = parts::span(bytes)?;
        }
        Ok(budget)
    }

    /// A plan that can be, as much like this one as may be.
    fn mended(&self) -> (Budget, Vec<Stage>) {
        const PART: Duration = Duration::from_secs(2);
        let mut stages = self.stages.clone();
        stages.truncate(MAX_STAGES);
        let mut kept = Duration::ZERO;
        for (index, stage) in stages.iter_mut().enumerate() {
            stage.after = stage.after.map(|after| after & ((1 << index) - 1));
            stage.limit = stage.limit.filter(|limit| !limit.is_zero());
            stage.reserve = stage.reserve.min(PART);
            kept += stage.reserve;
        }
        let mut budget = self.budget;
        let Budget { lame_duck, force_close, flush, margin, pre_stop, .. } = &mut budget;
        let parts = [lame_duck, force_close, flush, margin, pre_stop].map(|part| {
            *part = PART.min(*part);
            *part
        });
        budget.grace = budget.grace.max(kept + parts.into_iter().sum::<Duration>());
        let drain = plan::drain(&budget, Graph::of(&stages).chain);
        budget.hand_back = budget.hand_back.map(|time| if time > drain { drain / 2 } else { time });
        (budget, stages)
    }
}

impl Turn {
    fn next(bytes: &mut Unstructured) -> Result<Self> {
        Ok(match bytes.arbitrary::<u8>()? % 16 {
            0..=3 => Self::Due,
            4 => Self::AlmostDue,
            5 | 6 => Self::Forward(parts::span(bytes)?),
            7 => Self::Back(parts::span(bytes)?),
            8 | 9 => Self::InFlight(parts::in_flight(bytes)?),
            10 => match bytes.arbitrary::<u8>()? {
                0..128 => {
                    let (connected, late, attending) = (bytes.arbitrary()?, bytes.arbitrary()?, bytes.arbitrary()?);
                    Self::Connections { connected, late, attending }
                }
                128..176 => Self::Awaited(Some(parts::span(bytes)?)),
                176..200 => Self::Awaited(None),
                200..224 => Self::Answered(bytes.arbitrary()?),
                224..240 => Self::Unserved(Unserved::INCOMPLETE),
                240..248 => Self::Unserved(Unserved::UNKNOWN),
                _ => Self::Unserved(Unserved::LOST),
            },
            11 => match bytes.arbitrary::<u8>()? {
                0..96 => Self::Forced(Some(parts::forced(bytes)?)),
                96..128 => Self::BeginsAgain(parts::reason(bytes)?),
                128..176 => Self::DrainEnded(true),
                176..192 => Self::DrainEnded(false),
                _ => Self::Forced(None),
            },
            12..=14 => Self::Ends { running: bytes.arbitrary()?, fate: parts::fate(bytes)? },
            _ => {
                let stage: u8 = bytes.arbitrary()?;
                let stage = if stage == u8::MAX { usize::MAX } else { stage.into() };
                Self::SaysEnded { stage, fate: parts::fate(bytes)? }
            }
        })
    }
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            budget: Self::budget(bytes)?,
            stages: Self::stages(bytes)?,
            triggered_at: parts::span(bytes)?,
            reason: parts::reason(bytes)?,
            hang: bytes.arbitrary()?,
            turns: list(bytes, Self::TURNS, Turn::next)?,
        })
    }
}

/// Runs it to its end.
///
/// # Panics
///
/// When a plan is refused that can be, or the other way round, and when a step is not the right one.
pub fn run(program: &Program) {
    let answer = Plan::new(program.budget, &program.stages);
    match (plan::check(&program.budget, &program.stages, &answer), answer) {
        (Some(graph), Ok(plan)) => {
            assert_eq!((plan.budget(), plan.stages()), (&program.budget, program.stages.len()));
            wind_down(program, &plan, &program.stages, graph);
        }
        (_, answer) => {
            // To be told is part of it.
            let mut told = Told(0);
            let error: Option<PlanError> = answer.err();
            std::fmt::write(&mut told, format_args!("{}", error.expect("refused"))).expect("it can be told");
            assert!(told.0 > 0);
            let (budget, stages) = program.mended();
            let answer = Plan::new(budget, &stages);
            let graph = plan::check(&budget, &stages, &answer).expect("mended");
            wind_down(program, &answer.expect("mended"), &stages, graph);
        }
    }
}

/// Counts what is written.
pub(super) struct Told(pub(super) usize);

impl std::fmt::Write for Told {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

struct World<'a> {
    sequence: Sequence,
    witness: Witness<'a>,
    observed: Observed,
    now: Duration,
    due: Duration,
    over: bool,
}

fn wind_down(program: &Program, plan: &Plan, stages: &[Stage], graph: Graph) {
    let mut sequence = Sequence::new(*plan);
    let (trigger, reason) = (program.triggered_at, program.reason);
    let forced = Observed { forced: Some(Forced::Call), ..Observed::default() };
    assert_eq!((sequence.poll(Duration::MAX, forced), sequence.end()), (Step::Wait(None), None), "not begun");
    assert!(!sequence.ended(0, Fate::Completed), "not begun");
    sequence.begin(trigger, reason);
    let witness = Witness::new(plan.budget(), stages, graph, trigger, reason);
    assert_eq!((sequence.end(), sequence.lingers_until()), (Some(witness.times.end), witness.times.lingers));
    check_times(plan, &witness.times, trigger, reason);
    let mut world = World { sequence, witness, observed: Observed::default(), now: trigger, due: trigger, over: false };
    for &turn in &program.turns {
        let _ = world.poll();
        world.turn(turn);
    }
    world.run_out(program.hang);
}

/// P5: anybody may know what the sequence goes by.
fn check_times(plan: &Plan, oracle: &Times, trigger: Duration, reason: Reason) {
    let times = plan.times(trigger, reason);
    let told =
        (times.refusing, times.linger, times.high_late, times.hand_back, times.last_call, times.closing, times.flush);
    let Times { refuse, linger, high, hand_back, drain, stages_begin_by, end, .. } = *oracle;
    assert_eq!(told, (refuse, linger, high, hand_back, drain, stages_begin_by, end));
    assert_eq!(times.end, trigger.saturating_add(plan::total(plan.budget())));
    let released = |by, it| plan.released_by(by).contains(it);
    assert_eq!(released(Milestone::HandBack, Milestone::HighLate), !oracle.hands_back_first);
    assert_eq!(released(Milestone::HighLate, Milestone::HandBack), oracle.hands_back_first);
}

impl World<'_> {
    fn poll(&mut self) -> Step {
        let step = self.sequence.poll(self.now, self.observed);
        self.witness.polled(self.now, self.observed, step);
        if let Step::Wait(Some(until)) = step {
            self.due = until;
        }
        self.over |= step == Step::Reach(Milestone::Done);
        step
    }

    fn ended(&mut self, stage: usize, fate: Fate) {
        let news = self.sequence.ended(stage, fate);
        self.witness.ended(stage, fate, news);
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Due => self.now = self.now.max(self.due),
            Turn::AlmostDue => self.now = self.now.max(self.due.saturating_sub(NANO)),
            Turn::Forward(time) => self.now = self.now.saturating_add(time),
            Turn::Back(time) => self.now = self.now.saturating_sub(time),
            Turn::InFlight(in_flight) => self.observed.in_flight = in_flight,
            Turn::Connections { connected, late, attending } => {
                let Observed { connected: is_connected, late: is_late, attending: is_attending, .. } =
                    &mut self.observed;
                (*is_connected, *is_late, *is_attending) = (connected, late.into(), attending);
            }
            Turn::Awaited(since) => self.observed.awaited = since.map(|since| self.now.saturating_sub(since)),
            Turn::Answered(answered) => self.observed.answered = answered,
            Turn::Unserved(clients) => self.observed.unserved.add(clients),
            Turn::Forced(by) => self.observed.forced = by,
            Turn::DrainEnded(ended) => self.observed.drain_ended = ended,
            Turn::Ends { running, fate } => {
                let count = self.witness.running().count();
                if count > 0 {
                    let stage = self.witness.running().nth(usize::from(running) % count);
                    self.ended(stage.expect("less than the count"), fate);
                }
            }
            Turn::SaysEnded { stage, fate } => self.ended(stage, fate),
            Turn::BeginsAgain(reason) => self.sequence.begin(self.now, reason),
        }
    }

    /// P6: whatever is left, it is over by the deadline, in so many polls and no more.
    fn run_out(&mut self, hang: bool) {
        // Each stage begins and is abandoned, with a wait between; the rest is milestones and their waits.
        for _ in 0..3 * MAX_STAGES + 20 {
            match self.poll() {
                Step::Wait(Some(until)) => self.now = self.now.max(until),
                // They are ended, and counted.
                Step::EndIncomplete => self.observed.awaited = None,
                Step::Start { stage, .. } if !hang => self.ended(stage, Fate::Completed),
                Step::Finish(_) => {
                    // Nothing changes it any more.
                    self.observed.forced = Some(Forced::Interrupt);
                    let _ = self.poll();
                    assert!(self.over, "finished without being done");
                    assert_eq!(self.sequence.end(), Some(self.witness.times.end), "P5: the end has moved");
                    return;
                }
                _ => {}
            }
        }
        panic!("P6: never over");
    }
}

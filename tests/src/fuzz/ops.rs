//! Sequences of operations on the whole core, one at a time: lifecycle, escalation, a gate and a wait group, each next to
//! its model. After every operation everything that can be asked is asked of both. (Races are another target's.)

mod door;

use std::fmt::Write as _;
use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use winddown_core::{Escalation, Forced, Gate, Lifecycle, Outcome, Phase, Reason, WaitGroup};

use self::door::{Bell, Door, DoorOp};
use super::sequence::Told;
use super::{list, parts};
use crate::oracle::{self, outcome};

/// What is done, in order.
#[derive(Clone, Debug)]
pub struct Program {
    policy: Escalation,
    ops: Vec<Op>,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Trigger(Reason),
    TriggerUncounted(Reason),
    /// As a handler does it: at a time, by the policy.
    TriggerAt(Duration, Reason),
    Force(Forced),
    BeginClosing,
    Finish,
    Gate(DoorOp),
    Group(DoorOp),
    WaitForGroup,
    Compare(Outcome, Outcome, Reason),
    TellAll,
}

impl Program {
    const OPS: usize = 64;
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let policy = match bytes.arbitrary::<u8>()? {
            0..128 => Escalation::default(),
            128..144 => Escalation::NEVER,
            _ => Escalation {
                spacing: parts::span(bytes)?,
                force_at: bytes.arbitrary::<u8>()?.checked_sub(128).map(|at| at % 10),
                exit_at: bytes.arbitrary::<u8>()?.checked_sub(128).map(|at| at % 10),
                drain_at: bytes.arbitrary::<u8>()?.checked_sub(128).map(|at| at % 10),
            },
        };
        Ok(Self { policy, ops: list(bytes, Self::OPS, Op::next)? })
    }
}

impl Op {
    fn next(bytes: &mut Unstructured) -> Result<Self> {
        Ok(match bytes.arbitrary::<u8>()? {
            0..16 => Self::Trigger(parts::reason(bytes)?),
            16..24 => Self::TriggerUncounted(parts::reason(bytes)?),
            24..34 => Self::TriggerAt(parts::span(bytes)?, Reason::Interrupt),
            34 | 35 => Self::TriggerAt(parts::span(bytes)?, parts::reason(bytes)?),
            36 => Self::Force(Forced::Drain),
            37..44 => Self::Force(parts::forced(bytes)?),
            44..52 => Self::BeginClosing,
            52..60 => Self::Finish,
            60..66 => Self::WaitForGroup,
            66..74 => Self::Compare(parts::outcome(bytes)?, parts::outcome(bytes)?, parts::reason(bytes)?),
            74 => Self::TellAll,
            75..166 => Self::Gate(DoorOp::next(bytes)?),
            _ => Self::Group(DoorOp::next(bytes)?),
        })
    }
}

/// Does all of it twice, and compares.
///
/// # Panics
///
/// When the core and a model differ.
pub fn run(program: &Program) {
    run_asked_before(program, 0);
}

/// As [`run`], with a lifecycle that was asked so often before. The long count ends after 511, which is more than a program has
/// operations.
///
/// # Panics
///
/// As [`run`].
pub fn run_asked_before(program: &Program, times: u16) {
    let (gate_bell, group_bell) = (Bell::default(), Bell::default());
    let (gate, group) = (Gate::with_notify(&gate_bell), WaitGroup::with_notify(&group_bell));
    let mut world = World {
        life: Life::begun(program.policy, times),
        gate: Door::new(&gate, None, &gate_bell),
        group: Door::new(group.gate(), Some(&group), &group_bell),
    };
    for &op in &program.ops {
        world.run(op);
    }
    world.gate.empty();
    world.group.empty();
}

struct World<'a> {
    life: Life,
    gate: Door<'a>,
    group: Door<'a>,
}

impl World<'_> {
    fn run(&mut self, op: Op) {
        match op {
            Op::Gate(op) => self.gate.run(op),
            Op::Group(op) => self.group.run(op),
            Op::WaitForGroup => self.group.wait(),
            Op::Compare(one, other, reason) => compare(one, other, reason),
            Op::TellAll => self.tell_all(),
            op => {
                self.life.run(op);
                self.life.check();
            }
        }
    }

    /// Everything that can be printed, is.
    fn tell_all(&self) {
        let mut told = Told(0);
        let state = self.life.real.load();
        write!(told, "{:?} {:?}", self.life, state).expect("told");
        write!(told, "{:?} {:?}", self.gate, self.group).expect("told");
        let before = told.0;
        write!(told, "{}", state.phase()).expect("told");
        assert!(told.0 > before);
        if let Some(reason) = state.reason() {
            let before = told.0;
            write!(told, "{reason}").expect("told");
            assert!(told.0 > before);
        }
    }
}

/// P7: the worst is the greatest, and has the code that the table has.
fn compare(one: Outcome, other: Outcome, reason: Reason) {
    let (rank, other_rank) = (outcome::rank(one), outcome::rank(other));
    assert_eq!(one.cmp(&other), rank.cmp(&other_rank));
    assert_eq!(one.exit_code(reason), outcome::exit_code(rank, reason));
    let mut told = Told(0);
    write!(told, "{one}").expect("told");
    assert!(told.0 > 0);
}

/// A lifecycle, and the policy for interrupts.
#[derive(Debug)]
struct Life {
    real: Lifecycle,
    model: oracle::lifecycle::Lifecycle,
    policy: Escalation,
}

impl Life {
    fn begun(policy: Escalation, asked: u16) -> Self {
        let model = oracle::lifecycle::Lifecycle::new();
        let mut life = Self { real: Lifecycle::new(), model, policy };
        for _ in 0..asked {
            life.run(Op::TriggerUncounted(Reason::Signal(u8::MAX)));
        }
        life.check();
        life
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Trigger(reason) => assert_eq!(self.real.trigger(reason), self.model.trigger(reason, true)),
            Op::TriggerUncounted(reason) => {
                assert_eq!(self.real.trigger_uncounted(reason), self.model.trigger(reason, false));
            }
            Op::TriggerAt(at, reason) => {
                let asked = self.real.trigger_at(at, reason, &self.policy);
                assert_eq!(asked, self.model.trigger_at(at, reason, &self.policy));
            }
            Op::Force(by) => assert_eq!(self.real.force(by), self.model.force(by)),
            Op::BeginClosing => {
                assert_eq!(self.real.begin_closing(), self.model.step(Phase::Draining, Phase::Closing));
            }
            Op::Finish => assert_eq!(self.real.finish(), self.model.step(Phase::Closing, Phase::Done)),
            _ => unreachable!("no operation on a lifecycle"),
        }
    }

    fn check(&self) {
        let state = self.real.load();
        assert!(self.model.is(state), "{state:?} is not {:?}", self.model);
        assert_eq!(self.real.is_shutting_down(), self.model.phase != Phase::Running);
        assert_eq!(self.real.asked_at(), self.model.asked_at);
        assert_eq!(self.policy.decide(state), oracle::escalation::decide(&self.policy, &self.model));
    }
}

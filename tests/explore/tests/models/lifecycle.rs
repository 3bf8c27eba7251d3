//! The phase word: P1 among those who ask, force and drive at once.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use winddown_core::{Escalate, Escalation, Forced, Lifecycle, Phase, Reason, Repeats, State, Triggered};

use crate::explore::{Witness, explore};

const SECOND: Duration = Duration::from_secs(1);

/// Those who ask, told apart by their reason.
const REASONS: [Reason; 3] = [Reason::Signal(15), Reason::Interrupt, Reason::Failure];

struct Program {
    life: Lifecycle,
    /// What each one did before asking.
    before: [Witness; 3],
    /// What the driver did before each of its steps.
    driven: Witness,
}

impl Program {
    fn new() -> Arc<Self> {
        let before = std::array::from_fn(|_| Witness::new());
        Arc::new(Self { life: Lifecycle::new(), before, driven: Witness::new() })
    }

    fn ask(&self, who: usize) -> Triggered {
        self.before[who].note(1);
        let triggered = self.life.trigger(REASONS[who]);
        if triggered.is_first() {
            assert_eq!(self.life.load().reason(), Some(REASONS[who]), "the first reason was replaced");
        }
        self.look();
        triggered
    }

    /// Whoever sees a phase sees what led to it.
    fn look(&self) -> State {
        let state = self.life.load();
        let Some(reason) = state.reason() else {
            assert_eq!((state.phase(), state.forced(), state.repeats()), (Phase::Running, None, Repeats::default()));
            return state;
        };
        let first = REASONS.iter().position(|&known| known == reason).expect("one of those who asked");
        assert_eq!(self.before[first].seen(), 1, "asked, and cannot see why");
        let steps = match state.phase() {
            Phase::Running => unreachable!("there is a reason"),
            Phase::Draining => 0,
            Phase::Closing => 1,
            Phase::Done => 2,
        };
        assert!(self.driven.seen() >= steps, "driven on, and cannot see how");
        state
    }
}

/// P1: of three, one was the first, its reason is kept, and the others are counted.
#[test]
fn three_who_ask() {
    explore(Some(3), || {
        let program = Program::new();
        let threads = [1, 2].map(|who| {
            let program = program.clone();
            thread::spawn(move || program.ask(who))
        });
        let mut asked = vec![program.ask(0)];
        asked.extend(threads.map(|thread| thread.join().unwrap()));
        let first = asked.iter().position(|asked| asked.is_first()).expect("one was the first");
        assert_eq!(asked.iter().filter(|asked| asked.is_first()).count(), 1, "P1: two were the first");
        let state = program.look();
        assert_eq!(state.reason(), Some(REASONS[first]), "the first reason was replaced");
        let others = if first == 1 { 2 } else { 1 };
        assert_eq!(state.repeats(), Repeats { interrupts: 1, others, ..Repeats::default() });
    });
}

/// Who joins sees what the first one did before asking.
#[test]
fn who_joins_sees_why() {
    explore(None, || {
        let program = Program::new();
        let theirs = program.clone();
        let other = thread::spawn(move || {
            theirs.before[1].note(1);
            if !theirs.life.trigger(REASONS[1]).is_first() {
                assert_eq!(theirs.before[0].seen(), 1, "joined, and cannot see whom");
            }
        });
        program.before[0].note(1);
        if !program.life.trigger(REASONS[0]).is_first() {
            assert_eq!(program.before[1].seen(), 1, "joined, and cannot see whom");
        }
        other.join().unwrap();
    });
}

/// P1: phases go forward one step at a time, whoever asks, forces and looks meanwhile.
#[test]
fn driven_asked_and_forced_at_once() {
    explore(Some(3), || {
        let program = Program::new();
        let theirs = program.clone();
        let driver = thread::spawn(move || {
            if theirs.life.load().phase() == Phase::Running {
                assert!(!theirs.life.finish(), "done without having begun");
                return false;
            }
            theirs.driven.note(1);
            assert!(theirs.life.begin_closing(), "only the driver does");
            theirs.driven.note(2);
            assert!(theirs.life.finish() && !theirs.life.begin_closing());
            true
        });
        let theirs = program.clone();
        let forcer = thread::spawn(move || {
            let before = theirs.look();
            let did_it = theirs.life.force(Forced::Call);
            let after = theirs.look();
            assert!(before.phase() <= after.phase(), "back from {:?} to {:?}", before.phase(), after.phase());
            assert!(!did_it || after.forced() == Some(Forced::Call));
            did_it
        });
        assert!(program.ask(0).is_first());
        let forced = program.life.force(Forced::Interrupt);
        program.look();
        let (driven, called) = (driver.join().unwrap(), forcer.join().unwrap());
        let state = program.look();
        assert!(!(forced && called), "forced twice");
        assert_eq!(state.phase(), if driven { Phase::Done } else { Phase::Draining });
        let by = if called { Some(Forced::Call) } else { forced.then_some(Forced::Interrupt) };
        assert_eq!(state.forced(), by);
    });
}

/// The level is chosen in the read-modify-write that counts: two interrupts never take the same one.
#[test]
fn two_interrupts_take_two_levels() {
    explore(None, || {
        let life = Arc::new(Lifecycle::new());
        let policy = Escalation { spacing: Duration::ZERO, ..Escalation::default() };
        let press = move |life: &Lifecycle| life.trigger_at(SECOND, Reason::Interrupt, &policy);
        assert!(press(&life).0.is_first());
        let theirs = life.clone();
        let other = thread::spawn(move || press(&theirs).1);
        let taken = [press(&life).1, other.join().unwrap()];
        let state = life.load();
        // Two at the same moment may count as one.
        let both = state.repeats().interrupts == 3;
        assert_eq!(u8::from(!both), state.repeats().too_soon);
        assert!(taken.contains(&Escalate::EndDrain) && state.is_drain_ended());
        assert!(taken.contains(if both { &Escalate::Force } else { &Escalate::Join }), "both took the same level");
        assert_eq!(state.forced(), both.then_some(Forced::Interrupt));
    });
}

/// However their accesses fall.
#[test]
fn two_interrupts_at_one_moment_count_as_one() {
    explore(None, || {
        let life = Arc::new(Lifecycle::new());
        let press = |life: &Lifecycle| life.trigger_at(SECOND, Reason::Interrupt, &Escalation::default());
        let theirs = life.clone();
        let other = thread::spawn(move || press(&theirs).0.is_first());
        let first = press(&life).0.is_first();
        assert!(first ^ other.join().unwrap(), "P1: one was the first");
        assert_eq!(life.load().repeats().interrupts, 1, "two counted");
    });
}

/// Two who take the same step: one has taken it.
#[test]
fn two_drivers() {
    explore(None, || {
        let program = Program::new();
        assert!(program.ask(0).is_first());
        let theirs = program.clone();
        let other = thread::spawn(move || [theirs.life.begin_closing(), theirs.life.finish()]);
        let own = [program.life.begin_closing(), program.life.finish()];
        let other = other.join().unwrap();
        assert!(own[0] ^ other[0], "one began to close");
        assert!(!(own[1] && other[1]), "finished twice");
        let phase = if own[1] || other[1] { Phase::Done } else { Phase::Closing };
        assert_eq!(program.life.load().phase(), phase);
    });
}

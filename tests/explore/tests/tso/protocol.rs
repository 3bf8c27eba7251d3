//! The striped gate's protocol, access by access, and the mistakes that can be made in it.
//!
//! Each slot has a pair of counters that only grow: who enters or leaves counts on the slot of the thread that acts. A
//! thread's own slot is written by plain stores; a shared one by locked additions, and the closer marks its counters.

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};

use crate::code::{Code, Event, Local, Op, Word};

/// 0 while running, then 1.
pub(crate) const PHASE: Word = Word(0);
/// Slow leavers so far, and from the publication on `BIAS` more, less those who were inside then.
pub(crate) const LATE: Word = Word(1);
pub(crate) const DRAINED: Word = Word(2);
/// For passes that are handed to another thread, and back.
pub(crate) const MESSAGE: Word = Word(3);
pub(crate) const REPLY: Word = Word(4);
/// The slots, two words each.
const SLOTS: u8 = 5;

/// Above what is ever counted here.
pub(crate) const BIAS: i8 = 64;
/// What the closer marks the counters of a shared slot with.
pub(crate) const CLOSED: i8 = 32;

/// The protocol, and mistakes in it: `main.rs` says what each one is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Variant {
    Right,
    SumIsIgnored,
    NoBarrier,
    BarrierFirst,
    SettledBeforePublication,
    OnePass,
    EnterLooksFirst,
    LeaveLooksFirst,
    FenceOnEnterOnly,
    EnteredFirst,
    NoClosedBit,
    LateFirst,
    RungByAll,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Slot {
    /// One thread's.
    Own,
    /// Of threads that have none, and of all where there is no barrier.
    Shared,
}

pub(crate) struct Gate {
    pub(crate) variant: Variant,
    /// Where there is none, the closer's marks on shared slots do what it does for the others.
    pub(crate) barrier: bool,
    pub(crate) slots: &'static [Slot],
}

/// A slot's number, as a thread's code has it.
pub(crate) type At = u8;

fn entered(at: At) -> Word {
    Word(SLOTS + 2 * at)
}

fn left(at: At) -> Word {
    Word(SLOTS + 2 * at + 1)
}

fn running(local: Local) -> bool {
    local.seen == 0
}

fn marked(local: Local) -> bool {
    local.seen & CLOSED != 0
}

/// One of a slot's two counters, and how it is summed.
#[derive(Clone, Copy)]
struct Side {
    word: fn(At) -> Word,
    add: fn(&mut Local, i8),
    load: Ordering,
    mark: Ordering,
}

const LEFT: Side = Side { word: left, add: |local, value| local.sum -= value & !CLOSED, load: Acquire, mark: Acquire };
const ENTERED: Side =
    Side { word: entered, add: |local, value| local.sum += value & !CLOSED, load: Relaxed, mark: Release };

impl Gate {
    fn is(&self, variant: Variant) -> bool {
        self.variant == variant
    }

    fn slot(&self, at: At) -> Slot {
        self.slots[usize::from(at)]
    }

    fn all(&self) -> impl Iterator<Item = At> + Clone + use<> {
        0..u8::try_from(self.slots.len()).expect("a few")
    }

    pub(crate) fn enter(&self, code: &mut Code, at: At, admitted: impl Fn(&mut Code), refused: impl Fn(&mut Code)) {
        let admitted = |code: &mut Code| {
            code.push(Op::Note(Event::Admitted));
            admitted(code);
        };
        let undo = |code: &mut Code| {
            code.push(Op::Note(Event::Undone));
            self.count_out(code, at, None);
            refused(code);
        };
        let count = |code: &mut Code| match self.slot(at) {
            Slot::Own => {
                code.push(Op::Increment(entered(at), Relaxed));
                if self.is(Variant::EnterLooksFirst) {
                    return admitted(code);
                }
                if self.is(Variant::FenceOnEnterOnly) {
                    code.push(Op::Fence);
                }
                code.push(Op::LightBarrier);
                code.look(PHASE, Acquire);
                code.either(running, admitted, undo);
            }
            Slot::Shared => {
                code.update(entered(at), Acquire, |_, old| old + 1);
                code.either(marked, undo, admitted);
            }
        };
        code.look(PHASE, Acquire);
        code.either(running, count, &refused);
    }

    /// A second pass beside one that the thread has.
    pub(crate) fn split(&self, code: &mut Code, at: At) {
        match self.slot(at) {
            Slot::Own => code.push(Op::Increment(entered(at), Relaxed)),
            Slot::Shared => code.update(entered(at), Relaxed, |_, old| old + 1),
        }
        code.push(Op::Note(Event::Admitted));
    }

    pub(crate) fn leave(&self, code: &mut Code, at: At) {
        self.count_out(code, at, Some(Event::Leaves));
    }

    /// What is noted is so from the first access on.
    fn count_out(&self, code: &mut Code, at: At, note: Option<Event>) {
        let note = |code: &mut Code| code.0.extend(note.map(Op::Note));
        match self.slot(at) {
            Slot::Own if self.is(Variant::LeaveLooksFirst) => {
                code.look(PHASE, Acquire);
                note(code);
                code.push(Op::Increment(left(at), Release));
                code.either(running, |_| (), |code| self.leave_late(code));
            }
            Slot::Own if self.is(Variant::LateFirst) => {
                code.look(PHASE, Acquire);
                note(code);
                let count = |code: &mut Code| code.push(Op::Increment(left(at), Release));
                let quick = |code: &mut Code| {
                    count(code);
                    code.look(PHASE, Acquire);
                    code.either(running, |_| (), |code| self.leave_late(code));
                };
                let late = |code: &mut Code| {
                    code.update(LATE, AcqRel, |_, old| old + 1);
                    count(code);
                    code.when(|local| local.seen + 1 >= BIAS, |code| self.settle(code));
                };
                code.either(running, quick, late);
            }
            Slot::Own => {
                code.push(Op::Increment(left(at), Release));
                note(code);
                code.push(Op::LightBarrier);
                code.look(PHASE, Acquire);
                code.either(running, |_| (), |code| self.leave_late(code));
            }
            Slot::Shared if self.is(Variant::NoClosedBit) => {
                code.look(PHASE, Acquire);
                note(code);
                code.push(Op::Update(left(at), Release, |_, old| old + 1, |_, _| ()));
                code.either(running, |_| (), |code| self.leave_late(code));
            }
            Slot::Shared => {
                code.update(left(at), Release, |_, old| old + 1);
                note(code);
                code.when(marked, |code| self.leave_late(code));
            }
        }
    }

    fn leave_late(&self, code: &mut Code) {
        code.look(LATE, Relaxed);
        let paid = |code: &mut Code| {
            code.push(Op::Update(LATE, AcqRel, |_, old| old, |_, _| ()));
            self.settle(code);
        };
        let unpaid = |code: &mut Code| {
            code.update(LATE, AcqRel, |_, old| old + 1);
            let published = |local: Local| local.seen + 1 >= BIAS;
            let so = if self.is(Variant::SettledBeforePublication) { |_: Local| true } else { published };
            code.when(so, |code| self.settle(code));
        };
        code.either(|local| local.seen >= BIAS, paid, unpaid);
    }

    pub(crate) fn close(&self, code: &mut Code) {
        if self.is(Variant::BarrierFirst) {
            self.barrier(code);
        }
        code.update(PHASE, AcqRel, |_, _| 1);
        code.when(running, |code| {
            if !self.is(Variant::BarrierFirst) {
                self.barrier(code);
            }
            self.sum(code, |code, at, side| match self.slot(at) {
                Slot::Shared if !self.is(Variant::NoClosedBit) => {
                    code.push(Op::Update((side.word)(at), side.mark, |_, old| old | CLOSED, side.add));
                }
                _ => code.push(Op::Load((side.word)(at), side.load, side.add)),
            });
            code.push(Op::Load(LATE, Relaxed, |_, value| assert!(value < BIAS, "published twice")));
            // The library's difference has no sign: it must not be less than nobody.
            let publish = |local: Local, old: i8| {
                assert!(local.sum >= 0, "fewer than nobody inside");
                old + BIAS - local.sum
            };
            let publish =
                if self.is(Variant::Right) { publish } else { |local: Local, old: i8| old + BIAS - local.sum };
            code.update(LATE, AcqRel, publish);
            // Those who were late are as many as were inside, or more.
            let settled = |local: Local| local.seen >= local.sum;
            let so = if self.is(Variant::SumIsIgnored) { |local: Local| local.sum == 0 } else { settled };
            code.when(so, |code| self.settle(code));
        });
    }

    fn barrier(&self, code: &mut Code) {
        if self.barrier && !self.is(Variant::NoBarrier) && !self.is(Variant::FenceOnEnterOnly) {
            code.push(Op::BeginBarrier);
            code.push(Op::EndBarrier);
        }
    }

    /// Rings, once, if nobody is inside.
    fn settle(&self, code: &mut Code) {
        self.sum(code, |code, at, side| code.push(Op::Load((side.word)(at), side.load, side.add)));
        code.when(
            |local| local.sum == 0,
            |code| {
                let ring = |code: &mut Code| code.push(Op::Note(Event::Rings));
                code.update(DRAINED, Release, |_, _| 1);
                let so = if self.is(Variant::RungByAll) { |_: Local| true } else { running };
                code.when(so, ring);
            },
        );
    }

    /// `entered - left` of all slots: every `left` first.
    fn sum(&self, code: &mut Code, read: impl Fn(&mut Code, At, Side)) {
        let lefts = self.all().map(|at| (at, LEFT));
        let entereds = self.all().map(|at| (at, ENTERED));
        let mut order: Vec<_> = lefts.clone().chain(entereds.clone()).collect();
        match self.variant {
            Variant::OnePass => order.sort_by_key(|(at, _)| *at),
            Variant::EnteredFirst => order = entereds.chain(lefts).collect(),
            _ => {}
        }
        for (at, side) in order {
            read(code, at, side);
        }
    }

    /// A look from outside.
    pub(crate) fn is_drained(code: &mut Code) {
        code.look(DRAINED, Acquire);
    }
}

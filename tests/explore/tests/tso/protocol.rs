//! The striped gate's protocol, access by access, and the mistakes that can be made in it.
//!
//! Each slot has a pair of counters that only grow: who enters or leaves counts on the slot of the thread that acts. A
//! thread's own slot is written by plain stores; a shared one by locked additions, and the closer marks its counters.

use crate::code::{Code, Event, Local, Op, Word};

/// 0 while running, then 1.
const PHASE: Word = Word(0);
/// Slow leavers so far, and from the publication on `BIAS` more, less those who were inside then.
const LATE: Word = Word(1);
const DRAINED: Word = Word(2);
/// For passes that are handed to another thread, and back.
pub(crate) const MESSAGE: Word = Word(3);
pub(crate) const REPLY: Word = Word(4);
/// The slots, two words each.
const SLOTS: u8 = 5;

/// Above what is ever counted here.
const BIAS: i8 = 64;
/// What the closer marks the counters of a shared slot with.
const CLOSED: i8 = 32;

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

#[derive(Clone, Copy, PartialEq)]
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

fn add_entered(local: &mut Local, value: i8) {
    local.sum += value & !CLOSED;
}

fn add_left(local: &mut Local, value: i8) {
    local.sum -= value & !CLOSED;
}

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
            self.count_out(code, at, None);
            refused(code);
        };
        let count = |code: &mut Code| match self.slot(at) {
            Slot::Own => {
                code.push(Op::Increment(entered(at)));
                if self.is(Variant::EnterLooksFirst) {
                    return admitted(code);
                }
                if self.is(Variant::FenceOnEnterOnly) {
                    code.push(Op::Fence);
                }
                code.look(PHASE);
                code.either(running, admitted, undo);
            }
            Slot::Shared => {
                code.update(entered(at), |_, old| old + 1);
                code.either(marked, undo, admitted);
            }
        };
        code.look(PHASE);
        code.either(running, count, &refused);
    }

    /// A second pass beside one that the thread has.
    pub(crate) fn split(&self, code: &mut Code, at: At) {
        match self.slot(at) {
            Slot::Own => code.push(Op::Increment(entered(at))),
            Slot::Shared => code.update(entered(at), |_, old| old + 1),
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
                code.look(PHASE);
                note(code);
                code.push(Op::Increment(left(at)));
                code.either(running, |_| (), |code| self.leave_late(code));
            }
            Slot::Own if self.is(Variant::LateFirst) => {
                code.look(PHASE);
                note(code);
                let count = |code: &mut Code| code.push(Op::Increment(left(at)));
                let quick = |code: &mut Code| {
                    count(code);
                    code.look(PHASE);
                    code.either(running, |_| (), |code| self.leave_late(code));
                };
                let late = |code: &mut Code| {
                    code.update(LATE, |_, old| old + 1);
                    count(code);
                    code.when(|local| local.seen + 1 >= BIAS, |code| self.settle(code));
                };
                code.either(running, quick, late);
            }
            Slot::Own => {
                code.push(Op::Increment(left(at)));
                note(code);
                code.look(PHASE);
                code.either(running, |_| (), |code| self.leave_late(code));
            }
            Slot::Shared if self.is(Variant::NoClosedBit) => {
                code.look(PHASE);
                note(code);
                code.push(Op::Update(left(at), |_, old| old + 1, |_, _| ()));
                code.either(running, |_| (), |code| self.leave_late(code));
            }
            Slot::Shared => {
                code.update(left(at), |_, old| old + 1);
                note(code);
                code.when(marked, |code| self.leave_late(code));
            }
        }
    }

    fn leave_late(&self, code: &mut Code) {
        code.update(LATE, |_, old| old + 1);
        let published = |local: Local| local.seen + 1 >= BIAS;
        let so = if self.is(Variant::SettledBeforePublication) { |_: Local| true } else { published };
        code.when(so, |code| self.settle(code));
    }

    pub(crate) fn close(&self, code: &mut Code) {
        if self.is(Variant::BarrierFirst) {
            self.barrier(code);
        }
        code.update(PHASE, |_, _| 1);
        code.when(running, |code| {
            if !self.is(Variant::BarrierFirst) {
                self.barrier(code);
            }
            self.sum(code, |code, word, slot, add| match slot {
                Slot::Shared if !self.is(Variant::NoClosedBit) => {
                    code.push(Op::Update(word, |_, old| old | CLOSED, add));
                }
                _ => code.push(Op::Load(word, add)),
            });
            code.update(LATE, |local, old| old + BIAS - local.sum);
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
        self.sum(code, |code, word, _, add| code.push(Op::Load(word, add)));
        code.when(
            |local| local.sum == 0,
            |code| {
                let ring = |code: &mut Code| code.push(Op::Note(Event::Rings));
                code.update(DRAINED, |_, _| 1);
                let so = if self.is(Variant::RungByAll) { |_: Local| true } else { running };
                code.when(so, ring);
            },
        );
    }

    /// `entered - left` of all slots: every `left` first.
    fn sum(&self, code: &mut Code, read: impl Fn(&mut Code, Word, Slot, fn(&mut Local, i8))) {
        let lefts = self.all().map(|at| (at, left(at), add_left as fn(&mut Local, i8)));
        let entereds = self.all().map(|at| (at, entered(at), add_entered as fn(&mut Local, i8)));
        let mut order: Vec<_> = lefts.clone().chain(entereds.clone()).collect();
        match self.variant {
            Variant::OnePass => order.sort_by_key(|(at, ..)| *at),
            Variant::EnteredFirst => order = entereds.chain(lefts).collect(),
            _ => {}
        }
        for (at, word, add) in order {
            read(code, word, self.slot(at), add);
        }
    }
}

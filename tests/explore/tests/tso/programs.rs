//! Who does what at the gate: small enough that every state can be looked at.

use crate::code::{Code, Op, Program, Word};
use crate::protocol::Slot::{Own, Shared};
use crate::protocol::{At, Gate, MESSAGE, REPLY, Slot, Variant};

/// What is handed over: a pass, or the word that there will be none.
const PASS: i8 = 1;
const NONE: i8 = 2;

const WORDS: [&str; crate::code::WORDS] = [
    "phase",
    "late",
    "drained",
    "message",
    "reply",
    "entered 0",
    "left 0",
    "entered 1",
    "left 1",
    "entered 2",
    "left 2",
];

type Thread = (&'static str, fn(&Gate, &mut Code));

const CLOSER: Thread = ("closer", |gate, code| gate.close(code));
const CLOSER_2: Thread = ("second closer", |gate, code| gate.close(code));
const A: Thread = ("a", |gate, code| visit(gate, code, 0));
const B: Thread = ("b", |gate, code| visit(gate, code, 1));
const C: Thread = ("c", |gate, code| visit(gate, code, 2));
/// On the slot of `a`, which has to be a shared one.
const BESIDE_A: Thread = ("beside a", |gate, code| visit(gate, code, 0));
const A_TWICE: Thread = ("a, twice", |gate, code| {
    visit(gate, code, 0);
    visit(gate, code, 0);
});
const CLOSES_INSIDE: Thread = ("closes inside", |gate, code| {
    let inside = |code: &mut Code| {
        gate.close(code);
        gate.leave(code, 0);
    };
    gate.enter(code, 0, inside, |code| gate.close(code));
});
const GIVES: Thread =
    ("gives", |gate, code| gate.enter(code, 0, |code| give(code, MESSAGE), |code| none(code, MESSAGE)));
const TAKES: Thread = ("takes", |gate, code| take(code, MESSAGE, |code| gate.leave(code, 1)));
/// Gives a pass away, and gets a part of it back.
const LENDS: Thread = ("lends", |gate, code| {
    let lend = |code: &mut Code| {
        give(code, MESSAGE);
        take(code, REPLY, |code| gate.leave(code, 0));
    };
    gate.enter(code, 0, lend, |code| none(code, MESSAGE));
});
/// Gets a pass, makes two of it, and gives one back.
const SPLITS: Thread = ("splits", |gate, code| {
    take(code, MESSAGE, |code| {
        gate.split(code, 1);
        give(code, REPLY);
        gate.leave(code, 1);
    });
});
/// Keeps a half.
const HALVES: Thread = ("halves", |gate, code| {
    let halve = |code: &mut Code| {
        gate.split(code, 0);
        give(code, MESSAGE);
        gate.leave(code, 0);
    };
    gate.enter(code, 0, halve, |code| none(code, MESSAGE));
});

fn visit(gate: &Gate, code: &mut Code, at: At) {
    gate.enter(code, at, |code| gate.leave(code, at), |_| ());
}

fn give(code: &mut Code, to: Word) {
    code.push(Op::Store(to, PASS));
}

fn none(code: &mut Code, to: Word) {
    code.push(Op::Store(to, NONE));
}

fn take(code: &mut Code, from: Word, then: impl FnOnce(&mut Code)) {
    code.push(Op::Await(from));
    code.when(|local| local.seen == PASS, then);
}

/// Where the threads have slots of their own, and a barrier; those without are on a shared one.
const STRIPED: &[(&str, &[Slot], &[Thread])] = &[
    ("one", &[Own], &[CLOSER, A]),
    ("two", &[Own, Own], &[CLOSER, A, B]),
    ("twice", &[Own, Own], &[CLOSER, A_TWICE, B]),
    ("two closers", &[Own, Own], &[CLOSER, CLOSER_2, A, B]),
    ("closed from inside", &[Own, Own], &[CLOSES_INSIDE, B]),
    ("moved", &[Own, Own], &[CLOSER, GIVES, TAKES]),
    ("moved, and another", &[Own, Own, Own], &[CLOSER, GIVES, TAKES, C]),
    ("halved", &[Own, Own], &[CLOSER, HALVES, TAKES]),
    ("halved, and another", &[Own, Own, Own], &[CLOSER, HALVES, TAKES, C]),
    ("lent", &[Own, Own], &[CLOSER, LENDS, SPLITS]),
    ("lent, and another", &[Own, Own, Own], &[CLOSER, LENDS, SPLITS, C]),
    ("shared by two", &[Shared], &[CLOSER, A, BESIDE_A]),
    ("mixed", &[Own, Shared], &[CLOSER, A, B]),
    ("mixed, three", &[Shared, Own], &[CLOSER, A, BESIDE_A, B]),
    ("mixed, moved", &[Own, Shared], &[CLOSER, GIVES, TAKES]),
    ("mixed, moved the other way", &[Shared, Own], &[CLOSER, GIVES, TAKES]),
    ("mixed, halved, and another", &[Own, Shared, Own], &[CLOSER, HALVES, TAKES, C]),
    ("mixed, lent, and another", &[Own, Shared, Own], &[CLOSER, LENDS, SPLITS, C]),
];

/// Where there is no barrier, and all slots are shared.
const FALLBACK: &[(&str, &[Slot], &[Thread])] = &[
    ("fallback, two", &[Shared, Shared], &[CLOSER, A, B]),
    ("fallback, three", &[Shared, Shared], &[CLOSER, A, BESIDE_A, B]),
    ("fallback, twice", &[Shared, Shared], &[CLOSER, A_TWICE, B]),
    ("fallback, two closers", &[Shared, Shared], &[CLOSER, CLOSER_2, A, B]),
    ("fallback, moved", &[Shared, Shared], &[CLOSER, GIVES, TAKES]),
    ("fallback, halved, and another", &[Shared, Shared, Shared], &[CLOSER, HALVES, TAKES, C]),
    ("fallback, lent, and another", &[Shared, Shared, Shared], &[CLOSER, LENDS, SPLITS, C]),
];

/// Striped, and too large to be looked at every time.
const LARGE: &[(&str, &[Slot], &[Thread])] = &[
    ("three", &[Own, Own, Own], &[CLOSER, A, B, C]),
    ("mixed, three, one of them twice", &[Own, Own, Shared], &[CLOSER, A_TWICE, B, C]),
];

pub(crate) fn programs(variant: Variant) -> impl Iterator<Item = Program> {
    written(variant, true, STRIPED).chain(written(variant, false, FALLBACK))
}

pub(crate) fn large_programs(variant: Variant) -> impl Iterator<Item = Program> {
    written(variant, true, LARGE)
}

fn written(
    variant: Variant,
    barrier: bool,
    programs: &'static [(&'static str, &[Slot], &[Thread])],
) -> impl Iterator<Item = Program> {
    programs.iter().map(move |(name, slots, threads)| {
        let gate = Gate { variant, barrier, slots };
        let threads = threads.iter().map(|(name, write)| {
            let mut code = Code::default();
            write(&gate, &mut code);
            (*name, code)
        });
        Program { name, words: WORDS, threads: threads.collect() }
    })
}

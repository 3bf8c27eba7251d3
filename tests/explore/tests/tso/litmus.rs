//! The machine does what an x86 may do, and no more: short programs whose outcomes are known.
//!
//! Two threads say what they have seen, and somebody rings unless it is what only a weak memory shows. So that outcome is a
//! lost wake.

use std::sync::atomic::Ordering::Relaxed;

use crate::code::{Code, Event, Op, Program, WORDS, Word};
use crate::machine::Violation;
use crate::search::search;

const X: Word = Word(0);
const Y: Word = Word(1);
const BY_A: Word = Word(2);
const BY_B: Word = Word(3);
/// Of no interest.
const Z: Word = Word(4);

const OLD: i8 = 1;
const NEW: i8 = 2;

/// Whether each of two threads, which begin like this, can see nothing in the word behind it.
fn both_see_nothing(a: (&[Op], Word), b: (&[Op], Word)) -> bool {
    let tells = |(begin, seen): (&[Op], Word), to: Word| {
        let mut code = Code(begin.to_vec());
        code.look(seen, Relaxed);
        code.either(
            |local| local.seen == 0,
            |code| code.push(Op::Store(to, OLD)),
            |code| code.push(Op::Store(to, NEW)),
        );
        code
    };
    let mut observer = Code::default();
    let ring = |code: &mut Code| code.push(Op::Note(Event::Rings));
    observer.push(Op::Await(BY_A));
    observer.either(
        |local| local.seen == OLD,
        |code| {
            code.push(Op::Await(BY_B));
            code.when(|local| local.seen == NEW, ring);
        },
        ring,
    );
    let threads = vec![("a", tells(a, BY_A)), ("b", tells(b, BY_B)), ("observer", observer)];
    let mut words = [""; WORDS];
    words[..5].copy_from_slice(&["x", "y", "by a", "by b", "z"]);
    match search(&Program { name: "litmus", words, threads }) {
        Ok(_) => false,
        Err(found) => {
            assert_eq!(found.violation, Violation::LostWake, "{}", found.trace.join("\n"));
            true
        }
    }
}

fn locked(word: Word) -> Op {
    Op::Update(word, Relaxed, |_, old| old + 1, |_, _| ())
}

#[test]
fn a_load_overtakes_a_store_to_another_word() {
    assert!(both_see_nothing((&[Op::Store(X, 1)], Y), (&[Op::Store(Y, 1)], X)));
    assert!(both_see_nothing((&[Op::Increment(X, Relaxed)], Y), (&[Op::Increment(Y, Relaxed)], X)));
    assert!(both_see_nothing((&[Op::Store(X, 1), Op::Fence], Y), (&[Op::Store(Y, 1)], X)), "one fence is not enough");
    assert!(both_see_nothing((&[Op::Fence, Op::Store(X, 1)], Y), (&[Op::Fence, Op::Store(Y, 1)], X)), "too early");
}

#[test]
fn no_load_overtakes_a_fence_or_a_locked_instruction() {
    assert!(!both_see_nothing((&[Op::Store(X, 1), Op::Fence], Y), (&[Op::Store(Y, 1), Op::Fence], X)));
    assert!(!both_see_nothing((&[locked(X)], Y), (&[Op::Store(Y, 1), Op::Fence], X)));
    assert!(!both_see_nothing((&[locked(X)], Y), (&[locked(Y)], X)));
    assert!(!both_see_nothing((&[Op::Store(X, 1), locked(Z)], Y), (&[Op::Store(Y, 1), locked(Z)], X)));
}

#[test]
fn a_barrier_fences_the_others() {
    let [begin, end] = [Op::BeginBarrier, Op::EndBarrier];
    assert!(!both_see_nothing((&[Op::Store(X, 1), begin, end], Y), (&[Op::Store(Y, 1)], X)));
    assert!(both_see_nothing((&[begin, end, Op::Store(X, 1)], Y), (&[Op::Store(Y, 1)], X)), "too early");
}

#[test]
fn a_thread_sees_its_own_stores_at_once() {
    assert!(!both_see_nothing((&[Op::Store(X, 1)], X), (&[], Y)));
}

#[test]
fn stores_reach_memory_in_order() {
    let awaits = [Op::Await(Y)];
    assert!(!both_see_nothing((&awaits, X), (&[Op::Store(X, 1), Op::Store(Y, 1)], BY_B)));
    assert!(both_see_nothing((&awaits, X), (&[Op::Store(Y, 1), Op::Store(X, 1)], BY_B)));
}

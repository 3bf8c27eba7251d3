//! The gate, the wait group and the lifecycle, on real threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use winddown_core::{Forced, Gate, Lifecycle, Notify, Phase, Reason, Refused, Repeats, Triggered, WaitGroup};
use winddown_tests::patience::must_end;

/// Counts how often it was rung.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Notify for Bell {
    fn notify(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn p4_an_empty_gate_is_drained_by_its_close() {
    let bell = Bell::default();
    let gate = Gate::with_notify(&bell);
    assert!(!gate.is_closed() && !gate.is_drained());
    assert!(gate.close());
    assert!(gate.is_closed() && gate.is_drained());
    assert!(!gate.close(), "the second call did not do it");
    assert_eq!(bell.rung(), 1);
}

#[test]
fn p4_the_last_pass_after_the_close_announces() {
    let bell = Bell::default();
    let gate = Gate::with_notify(&bell);
    let (one, two) = (gate.enter().unwrap(), gate.enter().unwrap());
    assert!(gate.close());
    drop(one);
    assert_eq!((gate.in_flight(), gate.is_drained(), bell.rung()), (1, false, 0));
    drop(two);
    assert_eq!((gate.in_flight(), gate.is_drained(), bell.rung()), (0, true, 1));
}

#[test]
fn p4_a_pass_that_left_before_the_close_announces_nothing() {
    let bell = Bell::default();
    let gate = Gate::with_notify(&bell);
    drop(gate.enter());
    assert_eq!((gate.is_drained(), bell.rung()), (false, 0));
    gate.close();
    assert_eq!(bell.rung(), 1);
}

#[test]
fn p2_nobody_is_admitted_after_the_refusal() {
    let gate = Gate::new();
    let inside = gate.enter();
    gate.close();
    for _ in 0..3 {
        assert_eq!(gate.enter().unwrap_err(), Refused::Closed);
    }
    assert_eq!(gate.in_flight(), 1);
    drop(inside);
    assert_eq!(gate.enter().unwrap_err(), Refused::Closed);
}

/// P3: work that was admitted may fan out, and all of it is waited for.
#[test]
fn p3_a_split_pass_is_waited_for() {
    let gate = Gate::new();
    let pass = gate.enter().unwrap();
    gate.close();
    let part = pass.split().unwrap();
    drop(pass);
    assert!(!gate.is_drained());
    drop(part);
    assert!(gate.is_drained());
}

#[test]
fn p3_a_forgotten_pass_is_a_straggler() {
    let bell = Bell::default();
    let gate = Gate::with_notify(&bell);
    std::mem::forget(gate.enter());
    gate.close();
    assert_eq!((gate.in_flight(), gate.is_drained(), bell.rung()), (1, false, 0));
}

#[test]
fn an_owned_pass_keeps_its_gate() {
    let gate = std::sync::Arc::new(Gate::new());
    let pass = Gate::enter_owned(gate.clone()).unwrap();
    let part = pass.split().unwrap();
    drop(pass);
    gate.close();
    assert_eq!(Gate::enter_owned(gate.clone()).unwrap_err(), Refused::Closed);
    assert_eq!(gate.in_flight(), 1);
    drop(part);
    assert!(gate.is_drained());
}

/// P2, P3, P4 at once: threads that enter, split and leave without a pause, and one that closes in the middle. Every
/// round: each one admitted has left when the gate is drained, what it wrote is seen, and the bell rang once.
#[test]
fn p2_p3_p4_a_storm_is_drained_exactly_once() {
    must_end(|| (0..400).for_each(storm));
}

fn storm(round: usize) {
    const THREADS: usize = 4;
    {
        let (bell, inside) = (Bell::default(), AtomicUsize::new(0));
        let gate = Gate::with_notify(&bell);
        let start = Barrier::new(THREADS + 1);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    while let Ok(pass) = gate.enter() {
                        inside.fetch_add(1, Ordering::Relaxed);
                        let part = pass.split().unwrap();
                        drop(pass);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        drop(part);
                    }
                });
            }
            start.wait();
            for _ in 0..round % 64 {
                std::hint::spin_loop();
            }
            assert!(gate.close());
            while !gate.is_drained() {
                thread::yield_now();
            }
            assert_eq!(inside.load(Ordering::Relaxed), 0, "drained with somebody inside");
        });
        assert_eq!((bell.rung(), gate.in_flight()), (1, 0));
    }
}

#[test]
fn one_close_of_many_did_it() {
    for _ in 0..500 {
        let gate = Gate::new();
        let closed: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| usize::from(gate.close()))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(closed, 1);
    }
}

#[test]
fn a_wait_group_is_sealed_by_its_wait_and_done_with_its_last_member() {
    let group = winddown::WaitGroup::new();
    let member = group.join().unwrap();
    assert!(!group.wait_timeout(std::time::Duration::ZERO));
    assert_eq!(group.join().unwrap_err(), Refused::Closed);
    let part = member.split().unwrap();
    drop(member);
    assert_eq!(group.members(), 1);
    let theirs = thread::spawn(move || drop(part));
    let waits = group.clone();
    must_end(move || waits.wait());
    assert!(group.wait_timeout(std::time::Duration::MAX));
    theirs.join().unwrap();

    let group = WaitGroup::new();
    let mut members = vec![group.join().unwrap(), group.join().unwrap()];
    let mut sleeps = 0;
    group.wait_with(|| {
        sleeps += 1;
        members.pop();
    });
    assert_eq!((sleeps, group.is_done()), (2, true));
}

#[test]
fn p1_phases_go_one_way_and_only_one_step() {
    let life = Lifecycle::new();
    assert!(!life.begin_closing() && !life.finish() && !life.force(Forced::Call));
    assert_eq!((life.load().phase(), life.load().reason()), (Phase::Running, None));
    assert!(!life.is_shutting_down());

    assert_eq!(life.trigger(Reason::Failure), Triggered::First);
    assert!(life.is_shutting_down() && !life.finish());
    assert!(life.begin_closing() && !life.begin_closing());
    assert_eq!(life.load().phase(), Phase::Closing);
    assert!(life.finish() && !life.finish() && !life.begin_closing());
    assert_eq!(life.load().phase(), Phase::Done);
    assert!(!life.force(Forced::Call), "there is nothing left to force");
    assert_eq!((life.load().reason(), life.load().forced()), (Some(Reason::Failure), None));
}

#[test]
fn p1_the_first_reason_wins_and_later_ones_are_counted() {
    for first in [Reason::Requested, Reason::Failure, Reason::Interrupt, Reason::Signal(15), Reason::Signal(255)] {
        let life = Lifecycle::new();
        assert!(life.trigger(first).is_first());
        let interrupts = u8::from(first.is_interrupt());
        assert_eq!(life.load().repeats(), Repeats { interrupts, ..Repeats::default() });
        let joined = life.trigger(Reason::Signal(2));
        assert_eq!(joined, Triggered::Joined(Repeats { interrupts: interrupts + 1, ..Repeats::default() }));
        let joined = life.trigger_uncounted(Reason::Interrupt);
        assert_eq!(joined, Triggered::Joined(Repeats { interrupts: interrupts + 1, too_soon: 1, others: 0 }));
        assert_eq!(life.load().reason(), Some(first));
    }
}

#[test]
fn p1_counts_saturate_and_spill_into_nothing() {
    let life = Lifecycle::new();
    assert!(life.trigger(Reason::Signal(255)).is_first());
    assert!(life.force(Forced::Interrupt) && !life.force(Forced::Call));
    for _ in 0..1_000 {
        let _ = life.trigger(Reason::Requested);
        let _ = life.trigger(Reason::Interrupt);
        let _ = life.trigger_uncounted(Reason::Interrupt);
    }
    let state = life.load();
    assert_eq!(state.repeats(), Repeats { interrupts: 7, too_soon: 31, others: 511 });
    assert_eq!((state.phase(), state.reason()), (Phase::Draining, Some(Reason::Signal(255))));
    assert_eq!(state.forced(), Some(Forced::Interrupt));
}

#[test]
fn p1_one_trigger_of_many_is_the_first() {
    for _ in 0..500 {
        let life = Lifecycle::new();
        let firsts: Vec<u8> = thread::scope(|scope| {
            let ask = |signal| life.trigger(Reason::Signal(signal)).is_first().then_some(signal);
            let threads: Vec<_> = (10..14).map(|signal| scope.spawn(move || ask(signal))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(firsts.len(), 1);
        assert_eq!(life.load().reason(), Some(Reason::Signal(firsts[0])));
        assert_eq!(life.load().repeats(), Repeats { others: 3, ..Repeats::default() });
    }
}

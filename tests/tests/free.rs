//! P10: what a program that was not asked to stop pays: no allocation for passes, and none for waiting. A program of its own,
//! for its allocator.

use std::task::{Poll, Waker};

use winddown::{Cancelled, Milestone, Reason, Shutdown};
use winddown_tests::child::own_process;
use winddown_tests::sys::Counting;
use winddown_tests::waker::poll;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn shutdown() -> Shutdown {
    Shutdown::builder().build().unwrap()
}

/// How often `body` asks for memory.
fn allocations(body: impl FnOnce()) -> usize {
    let before = Counting::calls();
    body();
    Counting::calls() - before
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(Box::new(7))), 1);
}

/// P10: at the first pass of a thread, too.
#[test]
fn p10_passes_and_checks_allocate_nothing() {
    let shutdown = shutdown();
    let token = shutdown.token();
    let passes = || {
        for _ in 0..1_000 {
            let (pass, owned) = (shutdown.enter(), shutdown.enter_owned());
            assert!(pass.is_ok() && owned.is_ok() && !shutdown.is_shutting_down() && !token.should_stop());
        }
    };
    assert_eq!(allocations(passes), 0);
}

/// A waiter that comes needs none where there was one before; so many more that come need as many as a vector that grows
/// to hold them.
#[test]
fn p10_a_waiter_needs_none_but_for_the_growth() {
    const WAITERS: usize = 10_000;
    let shutdown = shutdown();
    let waker = Waker::noop();
    let fresh = || shutdown.token_at(Milestone::Refusing).cancelled();
    let mut waiters: Vec<Cancelled> = (0..WAITERS).map(|_| fresh()).collect();
    let all = |waiters: &mut [Cancelled]| {
        for waiter in waiters {
            assert_eq!(poll(waiter, waker), Poll::Pending);
        }
    };
    // The list, and a doubling each time.
    let growth = 1 + usize::try_from(WAITERS.ilog2()).unwrap();
    let first = allocations(|| all(&mut waiters));
    assert!((1..=growth).contains(&first), "{first} allocations for {WAITERS} waiters");
    assert_eq!(allocations(|| all(&mut waiters)), 0, "polled again");
    let come_and_go = || {
        for waiter in &mut waiters {
            *waiter = fresh();
        }
        all(&mut waiters);
    };
    assert_eq!(allocations(come_and_go), 0, "gone, and others come");
    assert_eq!(allocations(|| drop(waiters)), 0);
    shutdown.trigger(Reason::Requested);
    let ready = || assert_eq!(poll(&mut shutdown.token().cancelled(), waker), Poll::Ready(()));
    assert_eq!(allocations(ready), 0, "after the trigger");
}

/// A long-lived parent keeps nothing of children that are gone: neither of many that come and go, nor of many at a time.
#[test]
fn children_that_are_gone_leave_memory_as_it_was() {
    const MANY: usize = 10_000;
    if let Some(process) = own_process("children_that_are_gone_leave_memory_as_it_was") {
        process.end().assert_code(0);
        return;
    }
    let shutdown = shutdown();
    let parent = shutdown.token().child();
    let families = || {
        for token in [&shutdown.token(), &*parent] {
            (0..MANY).for_each(|_| drop(token.child().child()));
            let at_a_time: Vec<_> = (0..MANY).map(|_| token.child()).collect();
            drop(at_a_time);
            drop((0..MANY).fold(token.child(), |child, _| child.child()));
        }
    };
    // The lists of the two parents are there from now on.
    let _ = shutdown.token().child();
    let _ = parent.child();
    let before = Counting::bytes();
    families();
    let after = Counting::bytes();
    assert!(after <= before + 1024, "{before} bytes before, {after} after");
}

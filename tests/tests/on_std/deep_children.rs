//! Children of tokens by the 100,000, below each other and side by side, on a thread with little stack. Not here: what few
//! children do (`on_smol/children`), and what they allocate (`free`).

use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, JoinHandle};

use winddown::testing::assert_clean;
use winddown::{Budget, Builder, Cancelled, Child, Milestone, Reason, Shutdown, Token, TokenDescriptor};
use winddown_tests::child::own_process;
use winddown_tests::patience::must_end;
use winddown_tests::steps::secs;
use winddown_tests::sys;
use winddown_tests::waker::{Counts, counted, poll};

use crate::descriptors::{self, tells};
use crate::timed;

const MANY: usize = 100_000;

/// Runs `body` on a thread with 128 KiB of stack, on which a recursion over `MANY` levels has no room. `must_end` is the limit
/// for one that takes a time in the square of them. (`build` needs more stack than that in a debug build.)
fn on_a_small_stack(builder: Builder, body: impl FnOnce(Shutdown) + Send + 'static) {
    must_end(move || {
        let shutdown = builder.build().unwrap();
        thread::Builder::new().stack_size(128 << 10).spawn(move || body(shutdown)).unwrap().join().unwrap();
    });
}

/// Makes `MANY` children, each of the one before.
fn levels(token: &Token) -> Vec<Child> {
    let mut levels = vec![token.child()];
    while let Some(last) = levels.last().filter(|_| levels.len() < MANY) {
        levels.push(last.child());
    }
    levels
}

/// Makes as many, and returns the first and the last: the levels between have no handle.
fn ends(token: &Token) -> (Child, Child) {
    let top = token.child();
    let leaf = (1..MANY).fold(top.clone(), |child, _| child.child());
    (top, leaf)
}

/// Everything that waits for a token.
struct Waiting {
    token: Token,
    sleeper: JoinHandle<()>,
    cancelled: Cancelled,
    counts: Arc<Counts>,
    channel: crossbeam_channel::Receiver<std::convert::Infallible>,
    descriptor: TokenDescriptor,
}

impl Waiting {
    fn new(token: &Token) -> Self {
        let (waker, counts) = counted();
        let mut cancelled = token.cancelled();
        assert_eq!(poll(&mut cancelled, &waker), Poll::Pending);
        let (sleeps, token) = (token.clone(), token.clone());
        let sleeper = thread::spawn(move || sleeps.wait());
        let (channel, descriptor) = (token.receiver(), token.descriptor().unwrap());
        Self { token, sleeper, cancelled, counts, channel, descriptor }
    }

    fn hears_nothing(&self) {
        assert!(!self.token.should_stop() && !tells(&self.descriptor));
        assert!(self.channel.try_recv().is_err_and(|error| error.is_empty()));
        assert_eq!(self.counts.wakes(), 0);
    }

    /// Returns when each of them has been told, the task (whose waker comes last) by a poll.
    fn hears(mut self, reason: Reason) -> Arc<Counts> {
        self.sleeper.join().unwrap();
        assert!(self.channel.recv().is_err());
        descriptors::wait(&self.descriptor);
        assert_eq!(poll(&mut self.cancelled, std::task::Waker::noop()), Poll::Ready(()));
        assert_eq!(self.token.reason(), Some(reason));
        self.counts
    }
}

#[test]
fn a_child_100_000_levels_deep_is_asked_100_000_times() {
    on_a_small_stack(timed().1, |shutdown| {
        let (_top, leaf) = ends(&shutdown.token());
        assert!((0..MANY).all(|_| !leaf.should_stop()));
    });
}

#[test]
fn p4_the_stop_of_the_topmost_is_heard_100_000_levels_below() {
    on_a_small_stack(timed().1, |shutdown| {
        let (top, leaf) = ends(&shutdown.token());
        let [whole, told] = [&shutdown.token(), &*leaf].map(Waiting::new);
        top.stop(Reason::Failure);
        assert!(leaf.should_stop());
        assert_eq!(told.hears(Reason::Failure).wakes(), 1);
        whole.hears_nothing();
        shutdown.trigger(Reason::Requested);
        assert_eq!(whole.hears(Reason::Requested).wakes(), 1);
    });
}

#[test]
fn p4_a_stop_in_the_middle_is_heard_by_the_levels_below_only() {
    on_a_small_stack(timed().1, |shutdown| {
        let levels = levels(&shutdown.token());
        let [above, below] = [&levels[MANY / 2 - 1], &levels[MANY / 2 + 1]].map(|child| Waiting::new(child));
        levels[MANY / 2].stop(Reason::Failure);
        assert!(levels.iter().enumerate().all(|(level, child)| child.should_stop() == (level >= MANY / 2)));
        assert_eq!(below.hears(Reason::Failure).wakes(), 1);
        above.hears_nothing();
        levels[MANY - 1].stop(Reason::Interrupt);
        levels[0].stop(Reason::Requested);
        assert_eq!(above.hears(Reason::Requested).wakes(), 1);
        let reasons = [MANY / 2 - 1, MANY / 2, MANY - 2, MANY - 1].map(|level| levels[level].reason().unwrap());
        assert_eq!(reasons, [Reason::Requested, Reason::Failure, Reason::Failure, Reason::Interrupt]);
    });
}

#[test]
fn p4_the_trigger_and_later_milestones_are_heard_100_000_levels_below() {
    for milestone in [Milestone::Triggered, Milestone::LastCall] {
        on_a_small_stack(timed().1, move |shutdown| {
            let (_top, leaf) = ends(&shutdown.token_at(milestone));
            let told = Waiting::new(&leaf);
            shutdown.trigger(Reason::Requested);
            assert!(milestone > Milestone::Triggered || leaf.should_stop());
            let counts = told.hears(Reason::Requested);
            assert_clean(&shutdown.run().report);
            assert_eq!(counts.wakes(), 1);
            assert!(leaf.child().child().should_stop());
        });
    }
}

#[test]
fn p4_a_signal_is_heard_100_000_levels_below() {
    let test = "deep_children::p4_a_signal_is_heard_100_000_levels_below";
    if let Some(process) = own_process(test) {
        process.end().assert_code(0);
        return;
    }
    let budget = Budget::new(secs(30)).flush(secs(10));
    on_a_small_stack(Shutdown::builder().budget(budget).signals(), |shutdown| {
        let (_top, leaf) = ends(&shutdown.token());
        let told = Waiting::new(&leaf);
        sys::raise(libc::SIGTERM);
        assert!(leaf.should_stop());
        let counts = told.hears(Reason::Signal(15));
        assert_clean(&shutdown.run().report);
        assert_eq!(counts.wakes(), 1);
    });
}

#[test]
fn children_100_000_levels_deep_are_dropped_in_any_order() {
    on_a_small_stack(timed().1, |shutdown| {
        let (top, leaf) = ends(&shutdown.token());
        drop(top);
        drop(leaf);
        let parents_first = levels(&shutdown.token());
        parents_first.into_iter().for_each(drop);
        let mut children_first = levels(&shutdown.token());
        while children_first.pop().is_some() {}
        // From the middle on, in steps of a prime: each of them once.
        let mut middle_first: Vec<_> = levels(&shutdown.token()).into_iter().map(Some).collect();
        for step in 0..MANY {
            drop(middle_first[(MANY / 2 + step * 7_919) % MANY].take().unwrap());
        }
        // A future keeps its own level alive, and with it all levels above.
        let waiting = ends(&shutdown.token()).1.cancelled();
        assert!(!format!("{waiting:?}").contains("should_stop: true"));
        shutdown.trigger(Reason::Requested);
        drop((shutdown, waiting));
    });
}

#[test]
fn of_100_000_children_of_one_parent_half_are_dropped_and_the_others_hear_its_stop() {
    on_a_small_stack(timed().1, |shutdown| {
        let parent = shutdown.token().child();
        let (waker, counts) = counted();
        let mut waiting: Vec<_> = (0..MANY)
            .map(|_| {
                let mut cancelled = parent.child().cancelled();
                assert_eq!(poll(&mut cancelled, &waker), Poll::Pending);
                Some(cancelled)
            })
            .collect();
        for step in 0..MANY / 2 {
            drop(waiting[step * 7_919 % MANY].take().unwrap());
        }
        parent.stop(Reason::Requested);
        assert_eq!(counts.wakes(), MANY / 2);
        let told = |cancelled: &mut Cancelled| poll(cancelled, &waker).is_ready();
        assert!(waiting.iter_mut().flatten().all(told));
        drop(parent);
        drop(waiting);
        assert_eq!(counts.alive(), 1);
    });
}

//! Futures of `run()` that are dropped half way, or left alone; and executors that are.

use std::future::pending;
use std::sync::Arc;
use std::task::Waker;

use futures_lite::future::{or, yield_now};
use smol::{block_on, channel};
use winddown::testing::{assert_clean, assert_outcome};
use winddown_smol::{Fate, Lost, Outcome, Reason, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::waker::{counted, poll};

use crate::{Several, apart, endless, running, thread_name, timed};

/// A hook in two halves, on whichever threads: what it does, where it is, and what lets it go on.
struct Halves {
    stage: Stage,
    said: channel::Receiver<(&'static str, String)>,
    go: channel::Sender<()>,
}

impl Halves {
    fn new() -> Self {
        let (say, said) = channel::unbounded();
        let (go, gone) = channel::bounded(1);
        let hook = async move {
            say.try_send(("first", thread_name())).unwrap();
            gone.recv().await.unwrap();
            yield_now().await;
            say.try_send(("second", thread_name())).unwrap();
        };
        Self { stage: Stage::new("halves").hook(hook), said, go }
    }
}

fn said(who: &'static str, thread: &str) -> (&'static str, String) {
    (who, thread.to_owned())
}

/// All that is said from here on.
fn rest(said: &channel::Receiver<(&'static str, String)>) -> Vec<(&'static str, String)> {
    std::iter::from_fn(|| said.recv_blocking().ok()).collect()
}

#[test]
fn run_dropped_before_the_trigger_changes_nothing() {
    must_end(|| {
        let Halves { stage, said: words, go } = Halves::new();
        let shutdown = timed().1.stage(stage).build().unwrap();
        drop((running(&shutdown), shutdown.run()));
        shutdown.trigger(Reason::Requested);
        assert_eq!(words.recv_blocking().unwrap(), said("first", "wd:halves"));
        go.try_send(()).unwrap();
        assert_clean(&block_on(shutdown.run()).report);
        assert_eq!(rest(&words), [said("second", "wd:halves")]);
    });
}

#[test]
fn run_dropped_while_draining_changes_nothing() {
    must_end(|| {
        let Halves { stage, said: words, go } = Halves::new();
        let (clock, builder) = timed();
        let shutdown = builder.stage(stage).build().unwrap();
        let pass = shutdown.enter_owned();
        let mut run = running(&shutdown);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(8));
        assert!(poll(&mut run, Waker::noop()).is_pending());
        drop(run);
        go.try_send(()).unwrap();
        drop(pass);
        assert_clean(&block_on(shutdown.run()).report);
        assert_eq!(rest(&words).iter().map(|(half, _)| *half).collect::<Vec<_>>(), ["first", "second"]);
    });
}

/// It goes on where it was, on a thread of its own.
#[test]
fn run_dropped_while_a_hook_is_pending_leaves_it_to_a_thread() {
    must_end(|| {
        let Halves { stage, said: words, go } = Halves::new();
        let shutdown = timed().1.stage(stage).build().unwrap();
        let executor = Several::new();
        let run = executor.executor().spawn(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        assert_eq!(words.recv_blocking().unwrap(), said("first", "place"));
        assert!(block_on(run.cancel()).is_none());
        go.try_send(()).unwrap();
        assert_clean(&block_on(shutdown.run()).report);
        assert_eq!(rest(&words), [said("second", "wd:halves")], "once, and not from the beginning");
    });
}

#[test]
fn p4_of_two_that_await_the_one_that_is_dropped_leaves_its_hooks_to_the_other() {
    must_end(|| {
        let Halves { stage, said: words, go } = Halves::new();
        let shutdown = timed().1.stage(stage).build().unwrap();
        let mut one = running(&shutdown);
        shutdown.trigger(Reason::Requested);
        // Polled until it has the hook.
        let hooked = async { Err(words.recv().await) };
        assert!(block_on(or(async { Ok((&mut one).await) }, hooked)).is_err_and(|said| said.is_ok()));
        let (waker, counts) = counted();
        let mut other = shutdown.run();
        assert!(poll(&mut other, &waker).is_pending());
        drop(one);
        assert_eq!(counts.wakes(), 1);
        let executor = Several::new();
        let other = executor.executor().spawn(other);
        go.try_send(()).unwrap();
        assert_clean(&block_on(other).report);
        assert_eq!(rest(&words), [said("second", "place")]);
    });
}

#[test]
fn run_awaited_again_is_the_same_exit() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let mut run = running(&shutdown);
        shutdown.trigger(Reason::Failure);
        let exit = block_on(&mut run);
        assert_eq!(exit.code(), 1);
        for again in [run, shutdown.run(), shutdown.clone().run()] {
            let again = apart(again).join().unwrap();
            assert!(Arc::ptr_eq(&again.report, &exit.report));
        }
        assert!(Arc::ptr_eq(&shutdown.threads().run().report, &exit.report));
    });
}

/// P6: who has hooks and does not poll them is late, and not waited for.
#[test]
fn p6_the_hooks_of_one_that_is_left_alone_are_abandoned_and_named() {
    must_end(|| {
        let (clock, builder) = timed();
        let (hook, polled, gone) = endless();
        let shutdown = builder.stage(Stage::new("alone").hook(hook)).build().unwrap();
        let run = running(&shutdown);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(9_500));
        let report = shutdown.threads().run().report;
        assert_outcome(&report, Outcome::StageAbandoned);
        assert_eq!(report.stages[0].fate, Fate::Abandoned);
        assert!(report.stages[0].problems[0].contains(file!()), "{report}");
        assert!(polled.recv().is_err(), "it never ran");
        gone.recv().unwrap();
        assert!(Arc::ptr_eq(&block_on(run).report, &report));
    });
}

/// Another one that does poll is enough.
#[test]
fn one_that_is_left_alone_keeps_no_hook_from_another_that_polls() {
    must_end(|| {
        let Halves { stage, said: words, go } = Halves::new();
        let shutdown = timed().1.stage(stage).build().unwrap();
        let left_alone = running(&shutdown);
        let polls = apart(running(&shutdown));
        go.try_send(()).unwrap();
        shutdown.trigger(Reason::Requested);
        assert_clean(&polls.join().unwrap().report);
        assert_eq!(rest(&words).len(), 2);
        drop(left_alone);
    });
}

/// With `run()` and tasks in it, all of them pending.
#[test]
fn an_executor_that_goes_first_takes_its_tasks_along_and_nothing_else() {
    must_end(|| {
        let Halves { stage, said: words, go } = Halves::new();
        let (clock, builder) = timed();
        let shutdown = builder.stage(stage).build().unwrap();
        let executor = Several::new();
        let tasks = executor.tasks(&shutdown);
        let (never, polled, gone) = endless();
        let task = tasks.spawn(never).unwrap();
        polled.recv().unwrap();
        executor.executor().spawn(running(&shutdown)).detach();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(8));
        assert_eq!(shutdown.in_flight().critical, 1);
        drop(executor);
        gone.recv().unwrap();
        assert_eq!(block_on(task), Err(Lost::Dropped));
        // The clock has not moved: the drain is over because the pass was given back.
        assert_eq!(words.recv_blocking().unwrap(), said("first", "wd:halves"));
        go.try_send(()).unwrap();
        let report = block_on(shutdown.run()).report;
        assert_clean(&report);
        assert_eq!(rest(&words), [said("second", "wd:halves")]);
        assert!(tasks.spawn(pending::<()>()).is_err());
    });
}

#[test]
fn an_executor_that_goes_with_a_hook_under_way_leaves_it_to_a_thread() {
    must_end(|| {
        let Halves { stage, said: words, go } = Halves::new();
        let shutdown = timed().1.stage(stage).build().unwrap();
        let executor = Several::new();
        executor.executor().spawn(running(&shutdown)).detach();
        shutdown.trigger(Reason::Requested);
        assert_eq!(words.recv_blocking().unwrap(), said("first", "place"));
        drop(executor);
        go.try_send(()).unwrap();
        assert_clean(&block_on(shutdown.run()).report);
        assert_eq!(rest(&words), [said("second", "wd:halves")]);
    });
}

/// A task for an executor that is gone.
#[test]
fn a_task_that_finds_no_executor_is_lost_and_holds_nothing() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let tasks = executor.tasks(&shutdown);
        drop(executor);
        let task = tasks.spawn(pending::<()>()).expect("the program runs");
        assert_eq!(block_on(task), Err(Lost::Dropped));
        shutdown.trigger(Reason::Requested);
        assert_clean(&block_on(shutdown.run()).report);
    });
}

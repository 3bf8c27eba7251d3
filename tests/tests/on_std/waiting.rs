//! Tokens, `run`, and what dropping handles does.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::select;
use winddown::{Budget, Milestone, Notice, Reason, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::secs;

use crate::timed;

#[test]
fn tokens_wait_with_and_without_a_limit() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let token = shutdown.token();
        assert!(!token.wait_timeout(Duration::ZERO) && !token.wait_deadline(Instant::now()));
        let theirs = token.clone();
        let timed = thread::spawn(move || theirs.wait_timeout(secs(5)));
        clock.wait_for_sleeper(secs(5));
        clock.advance(secs(5));
        assert!(!timed.join().unwrap(), "the time ran out");
        let waits: [fn(&winddown::Token) -> bool; 3] = [
            |token| {
                token.wait();
                true
            },
            |token| token.wait_timeout(Duration::MAX),
            |token| token.wait_deadline(Instant::now() + secs(3_600)),
        ];
        let waiting = waits.map(|wait| {
            let theirs = token.clone();
            thread::spawn(move || wait(&theirs))
        });
        shutdown.trigger(Reason::Requested);
        for thread in waiting {
            assert!(thread.join().unwrap());
        }
        assert!(token.wait_timeout(Duration::ZERO) && token.wait_deadline(Instant::now()));
    });
}

#[test]
fn a_receiver_ends_a_select() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (_keep, jobs) = crossbeam_channel::unbounded::<()>();
        let stop = shutdown.token().receiver();
        let closing = shutdown.token_at(Milestone::Closing).receiver();
        let worker = thread::spawn(move || {
            select! {
                recv(jobs) -> _ => false,
                recv(stop) -> message => message.is_err(),
            }
        });
        let pass = shutdown.enter_owned();
        shutdown.trigger(Reason::Requested);
        assert!(worker.join().unwrap());
        assert!(closing.try_recv().unwrap_err().is_empty());
        drop(pass);
        assert!(closing.recv().is_err() && shutdown.token().receiver().recv().is_err());
    });
}

#[test]
fn run_may_be_called_before_the_trigger_by_many_and_again() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let runs: Vec<_> =
            (0..3).map(|_| shutdown.clone()).map(|own| thread::spawn(move || own.run().code())).collect();
        shutdown.trigger(Reason::Failure);
        assert!(runs.into_iter().all(|run| run.join().unwrap() == 1));
        assert_eq!(shutdown.run().code(), 1);
    });
}

/// The wind-down goes on without a handle, and an owned pass is all that is left of it.
#[test]
fn handles_dropped_while_draining_change_nothing() {
    must_end(|| {
        let (_, builder) = timed();
        let (sender, ran) = mpsc::channel();
        let shutdown = builder.stage(Stage::new("close").hook(move || sender.send(()))).build().unwrap();
        let pass = shutdown.enter_owned();
        let done = shutdown.token_at(Milestone::Done);
        shutdown.trigger(Reason::Requested);
        drop(shutdown);
        assert!(!done.should_stop());
        drop(pass);
        ran.recv().unwrap();
        done.wait();
    });
}

#[test]
fn a_trigger_just_before_the_last_handle_is_dropped_is_heard() {
    must_end(|| {
        for _ in 0..1_000 {
            let (_, builder) = timed();
            let (sender, ran) = mpsc::channel();
            let shutdown = builder.stage(Stage::new("close").hook(move || sender.send(()))).build().unwrap();
            shutdown.trigger(Reason::Requested);
            drop(shutdown);
            ran.recv().unwrap();
        }
    });
}

/// What never ran may own a handle: it goes with the wind-down, so that the last handle can be the last.
#[test]
fn leftovers_are_dropped_with_the_wind_down() {
    must_end(|| {
        let (clock, builder) = timed();
        let (sender, held) = mpsc::channel::<()>();
        let budget = Budget::new(secs(11)).lame_duck(secs(1));
        let shutdown = builder.budget(budget).stage(Stage::new("never")).build().unwrap();
        let owns = (sender, shutdown.clone());
        shutdown.hook("never", move || drop(owns)).unwrap();
        let owns = shutdown.clone();
        shutdown.kicker_at_last_call(move || drop(owns)).keep();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(1));
        shutdown.force();
        assert_eq!(shutdown.run().code(), 13);
        drop(shutdown);
        assert!(held.recv().is_err());
    });
}

/// A driver that nobody can ask any more ends; so do observers and watchdog. Seen by what they hold.
#[test]
fn handles_dropped_while_running_end_the_driver() {
    must_end(|| {
        let (_, builder) = timed();
        let (sender, held) = mpsc::channel::<()>();
        let in_hook = sender.clone();
        let shutdown = builder
            .watchdog(secs(1))
            .observer(move |_: &Notice| drop(sender.clone()))
            .stage(Stage::new("close").hook(move || drop(in_hook)))
            .build()
            .unwrap();
        drop(shutdown);
        assert!(held.recv().is_err(), "until every sender is gone");
    });
}

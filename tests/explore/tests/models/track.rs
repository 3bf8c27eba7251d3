//! Tracked tasks: futures that hold a pass. The pass is given back when nothing of the work is left, whoever ends it.

use std::time::Duration;

use loom::thread;
use winddown::testing::{ManualClock, assert_clean, assert_outcome};
use winddown::{Budget, Lost, Outcome, Reason, Shutdown};

use crate::bell::Bell;
use crate::explore::explore;
use crate::story::Story;

const SECOND: Duration = Duration::from_secs(1);

fn shutdown(clock: &ManualClock) -> Shutdown {
    let budget = Budget::new(30 * SECOND).drain(SECOND);
    Shutdown::builder().budget(budget).manual_clock(clock).build().unwrap()
}

/// P3: work that ends while the program winds down: the drain ends after it, and after all that it owned.
#[test]
fn a_task_that_ends_against_the_driver() {
    explore(Some(2), || {
        let (shutdown, story) = (shutdown(&ManualClock::new()), Story::new());
        let mut task = shutdown.work().label("task").track(story.hook()).unwrap();
        story.before();
        let other = thread::spawn(move || Bell::new().run(&mut task));
        story.let_it_end();
        assert!(shutdown.trigger(Reason::Requested));
        let exit = shutdown.run();
        story.was_told_to_its_end();
        assert_clean(&exit.report);
        assert_eq!(other.join().unwrap(), Ok(()));
    });
}

/// P3: the same for work that its executor drops.
#[test]
fn a_task_that_is_dropped_against_the_driver() {
    explore(Some(2), || {
        let (shutdown, story) = (shutdown(&ManualClock::new()), Story::new());
        let task = shutdown.work().label("task").track(story.hook()).unwrap();
        let other = thread::spawn(move || drop(task));
        assert!(shutdown.trigger(Reason::Requested));
        let exit = shutdown.run();
        story.was_told_when_it_was_gone();
        assert_clean(&exit.report);
        other.join().unwrap();
    });
}

/// P4, P6: work that nothing ends but the last call, which comes while it registers. The wind-down goes on without time.
#[test]
fn a_task_against_the_last_call() {
    explore(Some(1), || {
        let clock = ManualClock::new();
        let (shutdown, story) = (shutdown(&clock), Story::new());
        let mut task = shutdown.work().label("task").track(story.hook()).unwrap();
        story.before();
        let theirs = story.clone();
        let other = thread::spawn(move || {
            let lost = Bell::new().run(&mut task);
            assert!(theirs.is_gone(), "ready, and the future is not gone");
            lost
        });
        assert!(shutdown.trigger(Reason::Requested));
        clock.advance(SECOND);
        let exit = shutdown.run();
        story.was_told_when_it_was_gone();
        assert_outcome(&exit.report, Outcome::DrainTimedOut);
        assert_eq!(other.join().unwrap(), Err(Lost::Late));
    });
}

/// P4: work that may end while it is called for the last time: it ends one way or the other, once.
#[test]
fn a_task_that_ends_against_the_last_call() {
    explore(Some(1), || {
        let clock = ManualClock::new();
        let (shutdown, story) = (shutdown(&clock), Story::new());
        let mut task = shutdown.work().label("task").track(story.hook()).unwrap();
        story.before();
        let other = thread::spawn(move || Bell::new().run(&mut task));
        assert!(shutdown.trigger(Reason::Requested));
        clock.advance(SECOND);
        story.let_it_end();
        let exit = shutdown.run();
        story.was_told_when_it_was_gone();
        let ended = other.join().unwrap();
        match exit.report.outcome {
            Outcome::Clean => assert_eq!(ended, Ok(()), "dropped, and nobody says so"),
            outcome => assert_eq!(outcome, Outcome::DrainTimedOut),
        }
    });
}

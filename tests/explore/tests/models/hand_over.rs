//! The reactor hand-over: hooks that are futures go from the driver to a task that awaits the end, or to a thread, and how they
//! ended goes back. A wake that is lost, a hook that is forgotten and a lock that is held where a stranger's code runs are
//! deadlocks to loom. Not here: the hook (`story`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;

use loom::thread;
use winddown::testing::{ManualClock, assert_clean, assert_outcome, assert_stages};
use winddown::{Budget, Ended, Forced, Outcome, Phase, Reason, Shutdown, Stage};

use crate::bell::{Bell, poll};
use crate::explore::explore;
use crate::story::{Story, is_the_driver};

const SECOND: Duration = Duration::from_secs(1);

fn shutdown_by(clock: &ManualClock, stages: impl IntoIterator<Item = Stage>) -> Shutdown {
    let builder = Shutdown::builder().budget(Budget::new(30 * SECOND)).manual_clock(clock);
    stages.into_iter().fold(builder, winddown::Builder::stage).build().unwrap()
}

fn shutdown(stages: impl IntoIterator<Item = Stage>) -> Shutdown {
    shutdown_by(&ManualClock::new(), stages)
}

/// Asks, with a hook to come.
fn ask(shutdown: &Shutdown, story: &Story) {
    story.before();
    assert!(shutdown.trigger(Reason::Requested));
}

/// One who awaits the end, and takes hooks from now on.
fn awaiting(shutdown: &Shutdown, bell: &Arc<Bell>) -> Ended {
    let mut ended = shutdown.ended();
    assert!(bell.poll(&mut ended).is_pending());
    ended
}

/// P4: a task that comes while the hook is handed over; or while it has a thread already, or while all is over.
#[test]
fn a_task_that_comes_against_the_driver() {
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        let mut ended = shutdown.ended();
        let task = thread::spawn(move || Bell::new().run(&mut ended));
        ask(&shutdown, &story);
        story.let_it_end();
        let exit = task.join().unwrap();
        assert_clean(&exit.report);
        story.was_told_to_its_end();
    });
}

/// P4: a task that polls while it is handed another hook, of a stage that runs beside, and while there is the report.
#[test]
fn a_task_that_polls_against_the_driver() {
    explore(Some(1), || {
        let [left, right] = [(); 2].map(|()| Story::new());
        let stage = |name, story: &Arc<Story>| Stage::new(name).async_hook(story.hook());
        // Between the two hooks the driver sleeps, until a third one has ended.
        let third = Stage::new("third").hook(|| ());
        let shutdown = shutdown([stage("left", &left), third, stage("right", &right).after("third")]);
        let bell = Bell::new();
        let mut ended = awaiting(&shutdown, &bell);
        left.let_it_end();
        right.let_it_end();
        left.before();
        ask(&shutdown, &right);
        let exit = bell.run(&mut ended);
        assert_clean(&exit.report);
        left.was_told_to_its_end();
        right.was_told_to_its_end();
    });
}

/// P4: a task that comes while the report is made.
#[test]
fn a_task_that_comes_against_the_report() {
    explore(Some(2), || {
        let shutdown = shutdown([]);
        assert!(shutdown.trigger(Reason::Requested));
        let exit = Bell::new().run(&mut shutdown.ended());
        assert_clean(&exit.report);
    });
}

/// A hook on a thread of its own: what it did, and that it is gone, is seen by whoever hears of it.
#[test]
fn a_thread_against_the_driver() {
    explore(Some(2), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        story.let_it_end();
        ask(&shutdown, &story);
        assert_clean(&shutdown.run().report);
        story.was_told_to_its_end();
    });
}

/// P4: a task that goes while it is handed a hook, which goes on on a thread.
#[test]
fn a_task_that_goes_against_the_driver() {
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        let ended = awaiting(&shutdown, &Bell::new());
        story.let_it_end();
        let task = thread::spawn(move || drop(ended));
        ask(&shutdown, &story);
        assert_clean(&shutdown.run().report);
        story.was_told_to_its_end();
        task.join().unwrap();
    });
}

/// P4: a task that goes with a hook under way, which is woken meanwhile.
#[test]
fn a_task_that_goes_against_its_hook() {
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        let bell = Bell::new();
        let mut ended = awaiting(&shutdown, &bell);
        let theirs = story.clone();
        let other = thread::spawn(move || theirs.let_it_end());
        ask(&shutdown, &story);
        bell.run_until(&mut ended, || story.was_polled());
        drop(ended);
        assert_clean(&shutdown.run().report);
        story.was_told_to_its_end();
        other.join().unwrap();
    });
}

/// P4: a task that goes, with a hook or without, while another one awaits the end.
#[test]
fn one_task_that_goes_and_another_against_the_driver() {
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        let (bell, other) = (Bell::new(), Bell::new());
        let (mut ended, mut others) = (awaiting(&shutdown, &bell), awaiting(&shutdown, &other));
        let theirs = story.clone();
        let task = thread::spawn(move || {
            other.run_until(&mut others, || theirs.was_polled());
            drop(others);
            theirs.let_it_end();
        });
        ask(&shutdown, &story);
        let exit = bell.run(&mut ended);
        assert_clean(&exit.report);
        story.was_told_to_its_end();
        task.join().unwrap();
    });
}

/// P7: of two hooks that come from the same place each is heard of once.
#[test]
fn two_hooks_that_end_against_the_driver() {
    explore(Some(1), || {
        let [short, long] = [(); 2].map(|()| Story::new());
        let mut stage = Stage::new("one");
        for story in [&short, &long] {
            stage = stage.async_hook(story.hook());
        }
        let shutdown = shutdown([stage]);
        let bell = Bell::new();
        let mut ended = awaiting(&shutdown, &bell);
        short.let_it_end();
        let theirs = long.clone();
        let other = thread::spawn(move || theirs.let_it_end());
        short.before();
        ask(&shutdown, &long);
        let exit = bell.run(&mut ended);
        assert_clean(&exit.report);
        short.was_told_to_its_end();
        long.was_told_to_its_end();
        other.join().unwrap();
    });
}

/// P6: a hook that may end, and is given up meanwhile, in a task: nothing is left of it when that is through.
#[test]
fn a_force_against_a_hook() {
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        let bell = Bell::new();
        let mut ended = awaiting(&shutdown, &bell);
        let (theirs, handle) = (story.clone(), shutdown.clone());
        let task = thread::spawn(move || {
            let exit = bell.run(&mut ended);
            drop(ended);
            assert!(!theirs.was_polled() || theirs.is_gone(), "over, and the hook that it polled is not gone");
            exit
        });
        ask(&shutdown, &story);
        assert!(handle.force());
        story.let_it_end();
        let exit = task.join().unwrap();
        assert_outcome(&exit.report, Outcome::Forced(Forced::Call));
        story.wait_until_gone();
        story.was_not_told_too_early(&exit.report);
    });
}

/// P6: the same on a thread of the hook's own.
#[test]
fn a_force_against_a_hook_on_a_thread() {
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        ask(&shutdown, &story);
        assert!(shutdown.force());
        story.let_it_end();
        let exit = shutdown.run();
        assert_outcome(&exit.report, Outcome::Forced(Forced::Call));
        story.wait_until_gone();
        story.was_not_told_too_early(&exit.report);
    });
}

/// P6: the same for one that never ends.
#[test]
fn a_force_against_a_hook_that_never_ends() {
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        ask(&shutdown, &story);
        assert!(shutdown.force());
        assert_outcome(&shutdown.run().report, Outcome::Forced(Forced::Call));
        story.wait_until_gone();
    });
}

/// P5: a hook whose time is over is dropped there and then, not when all is over: the next stage may want what it holds.
#[test]
fn a_deadline_against_a_hook() {
    explore(Some(1), || {
        let clock = ManualClock::new();
        let story = Story::new();
        let theirs = story.clone();
        let wants = Stage::new("wants").hook(move || theirs.wait_until_gone());
        let holds = Stage::new("holds").limit(SECOND).async_hook(story.hook());
        let shutdown = shutdown_by(&clock, [wants, holds]);
        ask(&shutdown, &story);
        clock.wait_for_sleeper(SECOND);
        clock.advance(SECOND);
        let exit = shutdown.run();
        assert_outcome(&exit.report, Outcome::StageAbandoned);
        assert_stages(&exit.report, &["holds", "wants"]);
        assert!(story.is_gone(), "dropped for the next stage");
        story.was_not_told_too_early(&exit.report);
    });
}

/// P9: a waker of those who await the end, and a hook, may come back to it, wherever they are woken, polled and dropped.
/// P6: before the end, none of them on the driver's thread.
#[test]
fn a_waker_that_comes_back() {
    struct ComesBack {
        shutdown: Shutdown,
        other: Mutex<Option<Ended>>,
        bell: Arc<Bell>,
        /// Not asserted where it is seen: a panic there is the driver's, which catches it and goes on.
        by_the_driver: Arc<AtomicBool>,
    }
    impl ComesBack {
        fn come_back(&self) {
            let by_the_driver = is_the_driver() && self.shutdown.phase() != Phase::Done;
            self.by_the_driver.fetch_or(by_the_driver, Ordering::Relaxed);
            let _ = poll(&mut self.shutdown.ended(), Waker::noop());
            drop(self.other.lock().unwrap().take());
        }
    }
    impl Wake for ComesBack {
        fn wake(self: Arc<Self>) {
            self.come_back();
            self.bell.clone().wake();
        }
    }
    impl Drop for ComesBack {
        fn drop(&mut self) {
            self.come_back();
        }
    }
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        let bell = Bell::new();
        let by_the_driver = Arc::new(AtomicBool::new(false));
        let comes_back = || -> Waker {
            let other = Mutex::new(Some(awaiting(&shutdown, &bell)));
            let (shutdown, bell, by_the_driver) = (shutdown.clone(), bell.clone(), by_the_driver.clone());
            Arc::new(ComesBack { shutdown, other, bell, by_the_driver }).into()
        };
        let [mut replaced, mut dropped, mut woken] = [(); 3].map(|()| shutdown.ended());
        for ended in [&mut replaced, &mut dropped, &mut woken] {
            assert!(poll(ended, &comes_back()).is_pending());
        }
        assert!(bell.poll(&mut replaced).is_pending());
        drop(dropped);
        story.comes_back(&shutdown);
        story.let_it_end();
        ask(&shutdown, &story);
        let exit = bell.run(&mut replaced);
        assert_clean(&exit.report);
        assert!(!by_the_driver.load(Ordering::Relaxed), "woken by the driver");
        story.was_told_to_its_end();
        drop(woken);
    });
}

/// P9: the same for a hook that is given up, where it is dropped.
#[test]
fn a_hook_that_comes_back() {
    explore(Some(1), || {
        let story = Story::new();
        let shutdown = shutdown([Stage::new("one").async_hook(story.hook())]);
        let bell = Bell::new();
        let mut ended = awaiting(&shutdown, &bell);
        story.comes_back(&shutdown);
        ask(&shutdown, &story);
        bell.run_until(&mut ended, || story.was_polled());
        assert!(shutdown.force());
        let exit = bell.run(&mut ended);
        assert_outcome(&exit.report, Outcome::Forced(Forced::Call));
        drop(ended);
        assert!(story.is_gone(), "over, and the hook that it polled is not gone");
        story.was_not_told_too_early(&exit.report);
    });
}

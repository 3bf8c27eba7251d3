//! What runs on when its task is dropped at the deadline, and what the report says of it (P7). Not here: tasks that are dropped whole
//! (`tasks`).

use std::future::pending;
use std::process::Stdio;
use std::sync::mpsc;

use smol::io::AsyncReadExt;
use smol::{block_on, channel};
use winddown::testing::assert_outcome;
use winddown_smol::{AtEnd, Lost, Outcome, Reason, Report};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::sys;

use crate::{Dropped, Several, timed};

/// A child process that ends with its test, even if that fails.
struct Process(u32);

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = sys::kill(self.0, libc::SIGKILL);
    }
}

/// A line for each straggler: its label, and what was known of it at the end.
fn named(report: &Report) -> Vec<(&str, AtEnd)> {
    assert_outcome(report, Outcome::DrainTimedOut);
    report.stragglers.iter().map(|late| (&*late.label, late.at_end)).collect()
}

/// A child process outlives the task that has it, unless it is killed when it is dropped.
#[test]
fn p7_a_task_with_a_child_process_is_reported_as_dropped_and_not_as_let_go() {
    for kill_on_drop in [false, true] {
        must_end(move || {
            let (clock, builder) = timed();
            let shutdown = builder.build().unwrap();
            let executor = Several::new();
            let mut program = smol::process::Command::new("sleep");
            program.arg("1000").stdout(Stdio::piped()).kill_on_drop(kill_on_drop);
            let mut child = program.spawn().unwrap();
            let process = (!kill_on_drop).then(|| Process(child.id()));
            let mut output = child.stdout.take().unwrap();
            let task = executor.tasks(&shutdown).label("converter").spawn(async move { child.status().await }).unwrap();
            shutdown.trigger(Reason::Requested);
            clock.wait_for_sleeper(secs(9));
            clock.advance(secs(9));
            assert!(matches!(block_on(task), Err(Lost::Late)));
            let report = block_on(shutdown.run()).report;
            assert_eq!(named(&report), [("converter", AtEnd::Dropped)]);
            let text = report.to_string();
            assert!(
                text.contains("\"converter\" (critical), cancelled (what it started elsewhere may run on), 9 s"),
                "{text}"
            );
            if let Some(process) = process {
                sys::kill(process.0, 0).expect("it runs on");
                drop(process);
            }
            // The end of its output is the end of the process.
            assert_eq!(block_on(output.read(&mut [0])).unwrap(), 0);
        });
    }
}

/// The thread that waits for the process holds a pass, so the drain waits for it too.
#[test]
fn p7_a_child_process_whose_waiter_holds_a_pass_is_reported_as_still_held() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let executor = Several::new();
        let pass = shutdown.work().label("sleep").enter_owned().unwrap();
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process(child.id());
        let (begins, has_begun) = mpsc::channel();
        let (sender, reaped) = mpsc::channel();
        let wait = move || {
            begins.send(()).unwrap();
            child.wait().unwrap();
            drop(pass);
            sender.send(()).unwrap();
        };
        let task = executor.tasks(&shutdown).label("request").spawn(smol::unblock(wait)).unwrap();
        // One that has not begun is dropped with the task.
        has_begun.recv().unwrap();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        assert_eq!(block_on(task), Err(Lost::Late));
        clock.wait_for_sleeper(ms(9_500));
        assert_eq!(shutdown.in_flight().critical, 1);
        clock.advance(ms(500));
        let report = block_on(shutdown.run()).report;
        assert_eq!(named(&report), [("sleep", AtEnd::StillHeld), ("request", AtEnd::Dropped)]);
        drop(process);
        reaped.recv().unwrap();
        assert_eq!(shutdown.in_flight().critical, 0);
    });
}

/// A closure that blocks, and a task that was detached, know nothing of the task that began them.
#[test]
fn p7_a_task_whose_parts_run_elsewhere_is_reported_as_dropped() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let executor = Several::new();
        let (go, gone) = mpsc::channel();
        let (go_on, goes_on) = channel::bounded(1);
        let (begins, has_begun) = mpsc::channel();
        let (ends, has_ended) = mpsc::channel();
        let (begins_too, ends_too) = (begins.clone(), ends.clone());
        let closure = move || {
            begins.send(()).unwrap();
            gone.recv().unwrap();
            ends.send("the closure").unwrap();
        };
        let part = async move {
            begins_too.send(()).unwrap();
            goes_on.recv().await.unwrap();
            ends_too.send("the part").unwrap();
        };
        let tasks = executor.tasks(&shutdown);
        let blocks = tasks.label("blocks").spawn(smol::unblock(closure)).unwrap();
        let spawner = executor.executor().clone();
        let splits = async move {
            spawner.spawn(part).detach();
            drop(spawner);
            pending::<()>().await;
        };
        let splits = tasks.label("splits").spawn(splits).unwrap();
        has_begun.recv().unwrap();
        has_begun.recv().unwrap();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        assert_eq!((block_on(blocks), block_on(splits)), (Err(Lost::Late), Err(Lost::Late)));
        let report = block_on(shutdown.run()).report;
        assert_eq!(named(&report), [("blocks", AtEnd::Dropped), ("splits", AtEnd::Dropped)]);
        // They run on.
        go.send(()).unwrap();
        assert_eq!(has_ended.recv().unwrap(), "the closure");
        go_on.try_send(()).unwrap();
        assert_eq!(has_ended.recv().unwrap(), "the part");
    });
}

/// Its handle is dropped, which cancels a task of async-task at its next `await` only.
#[test]
fn p7_a_cancelled_task_that_is_being_polled_is_reported_as_still_held() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let executor = Several::new();
        let (go, gone) = mpsc::channel();
        let (begins, has_begun) = mpsc::channel();
        let (sender, dropped) = mpsc::channel();
        let dropped_future = Dropped(sender);
        let polled = shutdown.work().label("polled").track(async move {
            let _dropped = dropped_future;
            begins.send(()).unwrap();
            gone.recv().unwrap();
            pending::<()>().await;
        });
        let task = executor.executor().spawn(polled.unwrap());
        has_begun.recv().unwrap();
        drop(task);
        shutdown.trigger(Reason::Requested);
        for until in [9_000, 9_500] {
            clock.wait_for_sleeper(ms(until));
            clock.advance(ms(until).saturating_sub(clock.now()));
        }
        let report = block_on(shutdown.run()).report;
        assert_eq!(named(&report), [("polled", AtEnd::StillHeld)]);
        assert!(dropped.try_recv().is_err(), "it runs on");
        go.send(()).unwrap();
        dropped.recv().unwrap();
    });
}

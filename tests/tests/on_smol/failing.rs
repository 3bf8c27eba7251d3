//! Tasks and connections on smol that panic or fail: each is one failure. Not here: what a panic in a task does to that task (`tasks`).

use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, panic_any};

use futures_lite::FutureExt;
use futures_lite::future::yield_now;
use smol::{block_on, channel};
use winddown::Part;
use winddown::testing::assert_outcome;
use winddown_smol::{Connection, Lost, Outcome, Reason, Report, Shutdown};
use winddown_tests::patience::must_end;

use crate::{Several, timed};

fn over(shutdown: &Shutdown) -> Report {
    shutdown.trigger(Reason::Requested);
    Report::clone(&block_on(shutdown.run()).report)
}

/// The one failure that there is.
fn failure(report: &Report, part: Part) -> &str {
    assert_outcome(report, Outcome::Failed);
    assert_eq!(report.exit_code(), 10);
    let [failure] = &*report.failures else { panic!("{report}") };
    assert!(failure.part == part && report.to_string().contains(&failure.what), "{report}");
    &failure.what
}

/// Of a task that the library does not know of, and whose executor catches the panic.
#[test]
fn p7_a_task_that_panics_with_a_busy_connection_is_named_with_the_thread_that_polled_it() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let (ours, _client) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown).unwrap();
        let serves = async move {
            let _busy = connection.busy_owned().unwrap();
            yield_now().await;
            panic_any("under a busy connection");
        };
        block_on(executor.executor().spawn(AssertUnwindSafe(serves).catch_unwind())).unwrap_err();
        let report = over(&shutdown);
        let what = failure(&report, Part::Work);
        assert!(what.contains("thread \"place\" held connection from ") && what.contains(", busy from "), "{what}");
    });
}

#[test]
fn p7_a_tracked_task_that_panics_with_a_busy_connection_is_one_failure() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let (ours, _client) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown).unwrap();
        let serves = async move {
            let _busy = connection.busy_owned().unwrap();
            yield_now().await;
            panic_any("in the task");
        };
        let task = executor.tasks(&shutdown).label("client").spawn(serves).unwrap();
        assert!(matches!(block_on(task), Err(Lost::Panicked(message)) if message.starts_with("in the task")));
        let report = over(&shutdown);
        let what = failure(&report, Part::Task);
        assert!(what.contains("\"client\"") && what.contains("in the task") && what.contains(", busy from"), "{what}");
    });
}

/// At once, and with the error in it; and of one that is read, which is a failure all the same.
#[test]
fn p7_an_error_of_a_fallible_task_whose_handle_was_dropped_is_kept() {
    must_end(|| {
        let fails = |shutdown: &Shutdown, when: &str| {
            let executor = Several::new();
            let tasks = executor.tasks(shutdown).label("import");
            let (go, gone) = channel::bounded::<()>(1);
            let task = tasks.try_spawn(async move {
                let _ = gone.recv().await;
                Err::<(), _>(io::Error::other("no such table"))
            });
            let task = task.unwrap();
            let is_over = || {
                while shutdown.in_flight().critical > 0 {
                    std::thread::yield_now();
                }
            };
            match when {
                "before" => {
                    drop(task);
                    drop(go);
                    is_over();
                }
                "after" => {
                    drop(go);
                    is_over();
                    drop(task);
                }
                _ => {
                    drop(go);
                    assert_eq!(block_on(task), Err(Lost::Failed("no such table".to_owned())));
                }
            }
        };
        for when in ["before", "after", "read"] {
            let shutdown = timed().1.build().unwrap();
            fails(&shutdown, when);
            let report = over(&shutdown);
            let what = failure(&report, Part::Task);
            let expected = format!("a task failed: \"import\" from {}:", file!());
            assert!(what.starts_with(&expected) && what.ends_with(": no such table"), "{when}: {what}");
        }
    });
}

/// The task's last act, for which the drain waits; and as a part of work that was admitted.
#[test]
fn p7_an_error_that_ends_the_drain_is_in_its_report() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let parts = executor.tasks(&shutdown).within(shutdown.enter_owned().unwrap());
        shutdown.trigger(Reason::Requested);
        let stops = parts.label("part").try_spawn_with(|token| async move {
            token.cancelled().await;
            Err::<u8, _>("the last act")
        });
        drop((stops.unwrap(), parts));
        let report = over(&shutdown);
        let what = failure(&report, Part::Task);
        assert!(what.contains("\"part\"") && what.ends_with("the last act"), "{what}");
    });
}

//! The thread that had a straggler last, where the library knows it. Not here: the other things that the report says of stragglers
//! (`report`, `tracked`).

use std::future::poll_fn;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use winddown::testing::ManualClock;
use winddown::{AtEnd, Budget, Connection, Milestone, Reason, Report, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::waker::poll;

use crate::timed;

fn on<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(body).unwrap()
}

/// The label, the thread that admitted it, the one that had it last, and the end, of each straggler.
fn named(report: &Report) -> Vec<(&str, &str, Option<&str>, AtEnd)> {
    report
        .stragglers
        .iter()
        .map(|late| (&*late.label, &*late.thread, late.last_thread.as_deref(), late.at_end))
        .collect()
}

/// Winds down until the drain's time is over, has `at_last_call` called, and returns the report.
fn over(clock: &ManualClock, shutdown: &Shutdown, at_last_call: impl FnOnce()) -> Report {
    shutdown.trigger(Reason::Requested);
    clock.wait_for_sleeper(secs(9));
    clock.advance(secs(9));
    shutdown.token_at(Milestone::LastCall).wait();
    // Most likely they are named by then: what a thread does now has to be added.
    clock.wait_for_sleeper(ms(9_500));
    at_last_call();
    clock.advance(ms(500));
    Report::clone(&shutdown.run().report)
}

/// Its future has not returned from its `poll`: that is the thread to look at.
#[test]
fn p7_a_task_that_blocks_a_thread_is_named_with_that_thread() {
    must_end(|| {
        let (begins, has_begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let own = shutdown.clone();
        let mut polls = 0;
        let task = on("admits", move || {
            let blocks = poll_fn(move |_| {
                polls += 1;
                if polls == 3 {
                    begins.send(()).unwrap();
                    let _ = gone.recv();
                }
                Poll::<()>::Pending
            });
            own.work().label("blocks").track(blocks).unwrap()
        });
        let mut task = task.join().unwrap();
        let task = on("polls first", move || {
            assert!(poll(&mut task, Waker::noop()).is_pending());
            task
        });
        let mut task = task.join().unwrap();
        let blocked = on("polls last", move || (0..2).for_each(|_| drop(poll(&mut task, Waker::noop()))));
        has_begun.recv().unwrap();
        let report = over(&clock, &shutdown, || ());
        assert_eq!(named(&report), [("blocks", "admits", Some("polls last"), AtEnd::StillHeld)]);
        assert!(report.to_string().contains(", on thread \"admits\", last on thread \"polls last\""), "{report}");
        drop(go);
        blocked.join().unwrap();
    });
}

#[test]
fn p7_a_connection_is_named_with_the_thread_that_made_it_busy() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.budget(Budget::new(secs(11)).linger(Duration::ZERO)).build().unwrap();
        let own = shutdown.clone();
        let (ours, client) = UnixStream::pair().unwrap();
        let connection = on("admits", move || Connection::new(ours, &own)).join().unwrap();
        let (connection, busy) = on("works", move || {
            let busy = connection.busy_owned().unwrap();
            (connection, busy)
        })
        .join()
        .unwrap();
        let report = over(&clock, &shutdown, || ());
        let [straggler] = &*report.stragglers else { panic!("{report}") };
        assert_eq!((&*straggler.thread, straggler.last_thread.as_deref()), ("admits", Some("works")));
        drop((connection, busy, client));
    });
}

#[test]
fn p7_a_thread_without_a_name_is_named_by_its_id() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let own = shutdown.clone();
        let admits = thread::spawn(move || own.work().label("import").enter_owned().unwrap());
        let id = admits.thread().id();
        let pass = admits.join().unwrap();
        let gives_back = || {
            let thread = thread::spawn(|| drop(pass));
            let id = thread.thread().id();
            thread.join().unwrap();
            id
        };
        let mut last = None;
        let report = over(&clock, &shutdown, || last = Some(gives_back()));
        let expected = format!(", on thread {id:?}, last on thread {:?}\n", last.unwrap());
        assert!(report.to_string().contains(&expected), "{report}");
    });
}

/// And one that the library has seen nowhere else is said to be where it was admitted.
#[test]
fn p7_a_pass_is_named_with_the_thread_that_gave_it_back_late() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let own = shutdown.clone();
        let admit = move || ["given back", "kept"].map(|label| own.work().label(label).enter_owned().unwrap());
        let [given_back, kept] = on("admits", admit).join().unwrap();
        let report = over(&clock, &shutdown, || on("gives back", || drop(given_back)).join().unwrap());
        let expected =
            [("given back", "admits", Some("gives back"), AtEnd::LetGo), ("kept", "admits", None, AtEnd::StillHeld)];
        assert_eq!(named(&report), expected);
        assert_eq!(report.to_string().matches("last on thread").count(), 1, "{report}");
        drop(kept);
    });
}

//! Threads that panic while they hold admitted work: who is named, and how often. Not here: panics of hooks and kickers (`strangers`), and
//! of a program on smol (`on_smol`).

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::task::{Poll, Waker};
use std::thread;

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Connection, Lost, Outcome, Part, Reason, Report, Shutdown, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::waker::poll;

use crate::timed;

fn built() -> Shutdown {
    timed().1.build().unwrap()
}

/// Runs a closure on a thread of this name, which panics.
fn panics(name: &str, body: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body).unwrap();
    assert!(thread.join().is_err(), "{name} has not panicked");
}

fn over(shutdown: &Shutdown) -> Report {
    shutdown.trigger(Reason::Requested);
    Report::clone(&shutdown.run().report)
}

/// Asserts that each of these pieces of work has a failure, in this order.
fn assert_named(report: &Report, held: &[String]) {
    assert_eq!((report.failures.len(), report.exit_code()), (held.len(), 10), "{report}");
    for (failure, held) in report.failures.iter().zip(held) {
        assert_eq!(failure.part, Part::Work);
        assert!(failure.what.starts_with("a panic dropped admitted work: thread "), "{failure:?}");
        assert!(failure.what.contains(held), "{failure:?} does not name {held}");
    }
}

/// The one failure that there is.
fn failure(report: &Report) -> &str {
    assert_outcome(report, Outcome::Failed);
    assert_eq!(report.exit_code(), 10);
    let [failure] = &*report.failures else { panic!("{report}") };
    assert!(failure.part == Part::Work && report.to_string().contains(&failure.what), "{report}");
    &failure.what
}

/// Long before the wind-down, and borrowed or owned.
#[test]
fn p7_a_panic_under_a_labelled_pass_is_named_with_label_place_and_thread() {
    must_end(|| {
        for owned in [false, true] {
            let shutdown = built();
            let own = shutdown.clone();
            let line = line!() + 3;
            panics("worker-7", move || {
                let work = || own.work().label("import");
                let passes = if owned { (None, work().enter_owned().ok()) } else { (work().enter().ok(), None) };
                panic_any(passes.0.is_some());
            });
            let expected =
                format!("a panic dropped admitted work: thread \"worker-7\" held \"import\" from {}:", file!());
            let report = over(&shutdown);
            assert!(failure(&report).starts_with(&expected), "{report}");
            let places = [line, line - 1].map(|line| format!("{}:{line}:", file!()));
            assert!(places.iter().any(|place| failure(&report).contains(place)), "{report}");
        }
    });
}

/// The report is not made before.
#[test]
fn p7_a_panic_that_ends_the_drain_is_in_its_report() {
    must_end(|| {
        let shutdown = built();
        let pass = shutdown.work().label("last").enter_owned().unwrap();
        let token = shutdown.token();
        let last = thread::spawn(move || {
            token.wait();
            let _pass = pass;
            panic_any("under the last pass");
        });
        let report = over(&shutdown);
        assert!(last.join().is_err());
        assert!(failure(&report).contains("held \"last\""), "{report}");
    });
}

#[test]
fn p7_a_panic_that_the_program_catches_around_its_pass_is_named() {
    must_end(|| {
        let shutdown = built();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _pass = shutdown.work().label("import").enter().unwrap();
            panic_any("caught outside");
        }));
        assert!(caught.is_err());
        assert!(failure(&over(&shutdown)).contains("\"import\""));
    });
}

#[test]
fn a_panic_that_the_program_catches_under_its_pass_is_its_own() {
    must_end(|| {
        let shutdown = built();
        let pass = shutdown.work().label("import").enter().unwrap();
        assert!(catch_unwind(|| panic_any("caught inside")).is_err());
        drop(pass);
        assert_clean(&over(&shutdown));
    });
}

#[test]
fn a_panic_under_a_pass_without_a_label_is_the_programs_own() {
    must_end(|| {
        let shutdown = built();
        let own = shutdown.clone();
        panics("plain", move || {
            let _passes = (own.enter(), own.enter_owned());
            panic_any("under plain passes");
        });
        assert_clean(&over(&shutdown));
    });
}

/// The innermost first. A connection and its guards are one piece of work.
#[test]
fn p7_one_panic_through_several_guards_names_each_piece_of_work() {
    must_end(|| {
        let shutdown = built();
        let own = shutdown.clone();
        panics("nested", move || {
            let _outer = own.work().label("outer").enter_owned().unwrap();
            let connection = Connection::new(UnixStream::pair().unwrap().0, &own);
            let _busy = connection.busy().unwrap();
            let _inner = own.work().label("inner").enter().unwrap();
            panic_any("through four guards");
        });
        let report = over(&shutdown);
        let held = ["\"inner\"", "connection", "\"outer\""];
        assert_named(&report, &held.map(|held| format!("thread \"nested\" held {held} from ")));
    });
}

/// Two shutdowns: each has its own report.
#[test]
fn p7_one_panic_through_guards_of_two_shutdowns_is_named_in_both_reports() {
    must_end(|| {
        let both = [built(), built()];
        let [one, other] = both.clone();
        panics("of two", move || {
            let _passes = (one.work().label("one").enter().unwrap(), other.work().label("other").enter().unwrap());
            panic_any("through both");
        });
        for (shutdown, label) in both.iter().zip(["one", "other"]) {
            assert!(failure(&over(shutdown)).contains(label));
        }
    });
}

/// Nobody reads thousands of them.
#[test]
fn p7_of_many_panics_of_one_thread_and_of_several_ten_are_named_and_the_others_counted() {
    must_end(|| {
        let shutdown = built();
        for number in 0..6 {
            let own = shutdown.clone();
            // Made on another thread than the one that panics.
            let [first, second] =
                ["first", "second"].map(|part| own.work().label(format!("{part} {number}")).enter_owned());
            panics("several", move || {
                for pass in [first, second] {
                    let caught = catch_unwind(AssertUnwindSafe(|| {
                        let _pass = pass.unwrap();
                        panic_any("once more");
                    }));
                    assert!(caught.is_err());
                }
                panic_any("without a pass");
            });
        }
        let mut report = over(&shutdown);
        let others = report.failures.pop().unwrap();
        assert_eq!(others.what, "and 2 more pieces of admitted work were dropped by panics");
        let held = (0..5).flat_map(|number| ["first", "second"].map(|part| format!("held \"{part} {number}\" from ")));
        assert_named(&report, &held.collect::<Vec<_>>());
    });
}

/// In a task, whose panics the library catches.
#[test]
fn p7_one_panic_that_a_task_catches_around_several_passes_names_each() {
    must_end(|| {
        let shutdown = built();
        let own = shutdown.clone();
        let task = shutdown.work().label("task").track(async move {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _passes = ["first", "second"].map(|label| own.work().label(label).enter_owned().unwrap());
                panic_any("caught by the task");
            }));
            assert!(caught.is_err());
        });
        assert_eq!(poll(&mut Box::pin(task.unwrap()), Waker::noop()), Poll::Ready(Ok(())));
        assert_named(&over(&shutdown), &["first", "second"].map(|label| format!("held \"{label}\" from ")));
    });
}

/// A name that looks like an id is a name.
#[test]
fn p7_a_thread_without_a_name_that_panics_is_named_by_its_id() {
    must_end(|| {
        let shutdown = built();
        let own = [shutdown.clone(), shutdown.clone()];
        let [first, second] = own.map(|own| {
            move || {
                let _pass = own.work().label("import").enter().unwrap();
                panic_any("without a name");
            }
        });
        let thread = thread::spawn(first);
        let id = thread.thread().id();
        assert!(thread.join().is_err());
        panics("ThreadId(x)", second);
        let report = over(&shutdown);
        assert_named(&report, &[format!("thread {id:?} held \"import\""), "thread \"ThreadId(x)\" held".to_owned()]);
    });
}

/// Takes a pass while a panic unwinds.
struct CleansUp<'a>(&'a Shutdown);

impl Drop for CleansUp<'_> {
    fn drop(&mut self) {
        drop(self.0.work().label("cleaning up").enter());
    }
}

#[test]
fn a_destructor_that_takes_a_pass_during_a_panic_has_not_panicked() {
    must_end(|| {
        let shutdown = built();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _cleans_up = CleansUp(&shutdown);
            panic_any("before the pass");
        }));
        assert!(caught.is_err());
        assert_clean(&over(&shutdown));
    });
}

/// Whatever its owner holds of it.
#[test]
fn p7_a_panic_that_drops_a_connection_is_named_with_the_client_and_the_state() {
    must_end(|| {
        type Hold = fn(&Connection<TcpStream>);
        let holds: [(&str, Hold); 8] = [
            ("", |_| panic_any("idle")),
            (", receiving", |connection| {
                let _guard = connection.receiving();
                panic_any("receiving")
            }),
            (", receiving", |connection| {
                let _guard = connection.receiving_owned();
                panic_any("receiving")
            }),
            (", busy", |connection| {
                let _guard = connection.receiving().unwrap().busy();
                panic_any("busy")
            }),
            (", busy", |connection| {
                let _guard = connection.busy_owned().unwrap().held_by(());
                panic_any("busy")
            }),
            (", upgraded", |connection| {
                let _guard = connection.upgrade(|_| ());
                panic_any("upgraded")
            }),
            (", upgraded", |connection| {
                let _guard = connection.busy().unwrap().upgraded();
                panic_any("upgraded")
            }),
            (", answered", |connection| {
                let _guard = connection.busy_owned().unwrap().answered();
                panic_any("answered")
            }),
        ];
        for (state, hold) in holds {
            let shutdown = built();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let connection = Connection::new(listener.accept().unwrap().0, &shutdown);
            panics("server", move || hold(&{ connection }));
            let peer = client.local_addr().unwrap();
            let expected = format!("thread \"server\" held connection from {peer}{state} from {}:", file!());
            let report = over(&shutdown);
            assert!(failure(&report).contains(&expected), "{report}\nis not {expected:?}");
        }
    });
}

/// The library names it, because it knows what the panic said.
#[test]
fn p7_a_panic_that_the_library_catches_is_one_failure_with_what_was_held() {
    must_end(|| {
        let shutdown = built();
        let own = shutdown.clone();
        let mut task = Box::pin(
            shutdown
                .work()
                .label("task")
                .track(async move {
                    let _pass = own.work().label("lease").enter().unwrap();
                    panic_any("in the poll");
                })
                .unwrap(),
        );
        assert!(matches!(poll(&mut task, Waker::noop()), Poll::Ready(Err(Lost::Panicked(_)))));
        let report = over(&shutdown);
        assert_outcome(&report, Outcome::Failed);
        let [failure] = &*report.failures else { panic!("{report}") };
        assert_eq!(failure.part, Part::Task);
        for part in ["a task panicked: \"task\"", "in the poll", "held \"lease\""] {
            assert!(failure.what.contains(part), "{report} has no {part:?}");
        }
    });
}

#[test]
fn p7_a_panic_that_a_tracked_task_catches_around_its_pass_is_named() {
    must_end(|| {
        let shutdown = built();
        let own = shutdown.clone();
        let mut task = Box::pin(
            shutdown
                .work()
                .label("task")
                .track(async move {
                    let part = || {
                        let _pass = own.work().label("part").enter().unwrap();
                        panic_any("caught by the task");
                    };
                    catch_unwind(AssertUnwindSafe(part)).is_err()
                })
                .unwrap(),
        );
        assert_eq!(poll(&mut task, Waker::noop()), Poll::Ready(Ok(true)));
        assert!(failure(&over(&shutdown)).contains("held \"part\""));
    });
}

/// Of a stage: its fate says it.
#[test]
fn p7_a_hook_that_panics_under_a_labelled_pass_is_named_by_its_stage_alone() {
    must_end(|| {
        let (_, builder) = timed();
        let (pass, held) = std::sync::mpsc::channel();
        let shutdown = builder
            .stage(Stage::new("flush").hook(move || -> () {
                let _pass: winddown::Labelled<winddown::OwnedPass> = held.recv().unwrap();
                panic_any("in the hook");
            }))
            .build()
            .unwrap();
        let low = shutdown.work().priority(winddown::Priority::Low).label("cache").enter_owned().unwrap();
        pass.send(low).unwrap();
        let report = over(&shutdown);
        assert_outcome(&report, Outcome::Failed);
        assert!(report.failures.is_empty(), "{report}");
        let [problem] = &*report.stages[0].problems else { panic!("{report}") };
        assert!(problem.contains("in the hook") && problem.contains("held \"cache\""), "{report}");
    });
}

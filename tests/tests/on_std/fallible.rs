//! Tracked futures that may fail, polled by hand: the report keeps their errors. Not here: tasks on smol (`on_smol`).

use std::io;
use std::task::{Poll, Waker};

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Lost, Outcome, OwnedPass, Part, Reason, Report, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::waker::poll;

use crate::strangers::Broken;
use crate::timed;

fn over(shutdown: &Shutdown) -> Report {
    shutdown.trigger(Reason::Requested);
    Report::clone(&shutdown.run().report)
}

/// Whoever polls it drops the result. Before the wind-down, and as a part of work when all other work is refused.
#[test]
fn p7_an_error_of_a_fallible_task_is_kept_with_label_place_and_causes() {
    must_end(|| {
        for part in [false, true] {
            let (_, builder) = timed();
            let shutdown = builder.build().unwrap();
            let whole: Option<OwnedPass> = part.then(|| shutdown.enter_owned().unwrap());
            if part {
                shutdown.trigger(Reason::Requested);
                shutdown.token_at(winddown::Milestone::Refusing).wait();
            }
            let work = || shutdown.work().label("import");
            let fails = async { Err::<(), _>(Broken(io::Error::other("no space"))) };
            let line = line!() + 2;
            let polled = match &whole {
                Some(whole) => poll(&mut Box::pin(work().try_track_part(whole, fails).unwrap()), Waker::noop()),
                None => poll(&mut Box::pin(work().try_track(fails).unwrap()), Waker::noop()),
            };
            assert_eq!(polled, Poll::Ready(Err(Lost::Failed("the pool is broken: no space".to_owned()))));
            drop(whole);
            let report = over(&shutdown);
            assert_outcome(&report, Outcome::Failed);
            let [failure] = &*report.failures else { panic!("{report}") };
            let place = format!("{}:{}:", file!(), if part { line } else { line + 1 });
            assert!(failure.what.starts_with(&format!("a task failed: \"import\" from {place}")), "{report}");
            assert!(failure.what.ends_with(": the pool is broken: no space"), "{report}");
            assert_eq!((failure.part, report.exit_code()), (Part::Task, 10));
        }
    });
}

#[test]
fn p7_of_many_errors_ten_are_named_and_the_others_counted_and_a_result_that_is_ok_is_none() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let run = |result: Result<u8, String>| {
            let task = shutdown.work().label("import").try_track(async move { result });
            poll(&mut Box::pin(task.unwrap()), Waker::noop())
        };
        assert_eq!(run(Ok(7)), Poll::Ready(Ok(7)));
        for error in 0..11 {
            let error = format!("error {error}");
            assert_eq!(run(Err(error.clone())), Poll::Ready(Err(Lost::Failed(error))));
        }
        let report = over(&shutdown);
        let (last, named) = report.failures.split_last().unwrap();
        assert_eq!((named.len(), &*last.what), (10, "and 1 more task failed"));
        for (error, failure) in named.iter().enumerate() {
            assert!(failure.what.starts_with("a task failed: \"import\" from "), "{failure:?}");
            assert!(failure.what.ends_with(&format!(": error {error}")), "{failure:?}");
        }
    });
}

/// The reader has it.
#[test]
fn an_error_of_a_task_that_is_not_said_to_be_fallible_is_a_value() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let mut task = shutdown.work().label("import").track(async { Err::<(), _>("read") }).unwrap();
        assert_eq!(poll(&mut task, Waker::noop()), Poll::Ready(Ok(Err("read"))));
        assert_clean(&over(&shutdown));
    });
}

//! What only this binding says of who was late and of who may take how long: places, threads, the text, notices.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{AtEnd, Budget, Event, Notice, Outcome, Priority, Reason, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{hang, timed};

/// P6: no sum of times stops the driver or the watchdog.
#[test]
fn p6_a_watchdog_without_end_is_no_matter() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.budget(Budget::new(Duration::MAX)).watchdog(Duration::MAX).build().unwrap();
        clock.advance(secs(3_600));
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
    });
}

/// P5: with what the drain and the stages before it have left over.
#[test]
fn p5_observers_hear_how_long_a_stage_has() {
    must_end(|| {
        let (_, builder) = timed();
        let (sender, notices) = mpsc::channel();
        let shutdown = builder
            .stage(Stage::new("second"))
            .stage(Stage::new("first").reserve(secs(2)))
            .observer(move |notice: &Notice| drop(sender.send(notice.clone())))
            .build()
            .unwrap();
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        let within: Vec<_> = notices
            .iter()
            .filter_map(|notice| match notice.event {
                Event::StageStarted { within, .. } => Some((notice.stage.unwrap().to_string(), within)),
                _ => None,
            })
            .collect();
        assert_eq!(within, [("first".to_owned(), ms(8_500)), ("second".to_owned(), ms(9_500))]);
    });
}

#[test]
fn stragglers_are_named_with_place_and_thread_and_in_the_text() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (handle, last_call) = (shutdown.clone(), shutdown.token_for(Priority::Critical));
        let (entered, has_entered) = mpsc::channel();
        let line = line!() + 2;
        let late = move || {
            let pass = handle.work().label("slow").enter_owned();
            entered.send(()).unwrap();
            last_call.wait();
            drop(pass);
        };
        let thread = thread::Builder::new().name("tortoise".to_owned()).spawn(late).unwrap();
        has_entered.recv().unwrap();
        std::mem::forget(shutdown.enter());
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        thread.join().unwrap();
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        let [late] = &*report.stragglers else { panic!("{report}") };
        assert_eq!((&*late.label, &*late.thread, late.age, late.at_end), ("slow", "tortoise", secs(9), AtEnd::LetGo));
        assert_eq!((late.location.file(), late.location.line()), (file!(), line));
        assert_eq!(report.unlabelled.critical, 1, "the forgotten one has no name");
        let text = report.to_string();
        assert!(text.contains("late: \"slow\" (critical), finished after its deadline, 9 s old"), "{text}");
        assert!(text.contains("late: 1 without a label (critical)") && text.contains("exit code 11"), "{text}");
    });
}

/// P7: those that did not end, and those that did not begin.
#[test]
fn p7_hooks_that_are_given_up_are_named_with_their_place() {
    must_end(|| {
        let (clock, builder) = timed();
        let never = Stage::new("never").hook(|| ()).hook(|| ());
        let shutdown = builder.stage(never).stage(Stage::new("hung").hook(hang)).build().unwrap();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(8_500));
        assert!(shutdown.force());
        let report = shutdown.run().report;
        let problems = |stage| report.stage(stage).map(|stage| stage.problems.concat()).unwrap();
        let place = |stage, what| problems(stage).matches(&format!("the hook from {}:", file!())).count() == what;
        assert!(place("hung", 1) && problems("hung").ends_with("did not end"), "{report}");
        assert!(place("never", 2) && problems("never").ends_with("did not begin"), "{report}");
    });
}

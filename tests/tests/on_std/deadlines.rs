//! Who may take how long, who was late, and who asked again.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use winddown::testing::{assert_clean, assert_outcome, assert_stages};
use winddown::{Budget, Escalation, Event, Fate, Forced, InFlight, Notice, Outcome, Phase, Priority, Reason, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{hang, timed};

#[test]
fn p5_p6_every_deadline_is_counted_from_the_trigger() {
    must_end(|| {
        let (clock, builder) = timed();
        let stage = |name: &'static str| Stage::new(name).hook(hang);
        let shutdown = builder
            .budget(Budget::new(secs(11)).lame_duck(secs(1)).high(secs(2)))
            .stage(stage("second"))
            .stage(stage("first"))
            .build()
            .unwrap();
        clock.advance(secs(100));
        let late = shutdown.work().label("report 7").enter_owned();
        let high = shutdown.work().priority(Priority::High).enter_owned();
        let low = shutdown.work().priority(Priority::Low).label("prefetch").enter_owned();
        let tells = Priority::ALL.map(|class| shutdown.token_for(class));
        let told = || [0, 1, 2].map(|class| tells[class].should_stop());
        shutdown.trigger(Reason::Requested);
        // Lame duck until 101, High until 103, all until 107, last call until 107.5, stages until 108.5 and 109.5.
        for (until, expected) in
            [(101_000, [false, false, true]), (103_000, [false, false, true]), (107_000, [false, true, true])]
        {
            clock.wait_for_sleeper(ms(until));
            assert_eq!(told(), expected, "at {until}");
            clock.advance(ms(until).saturating_sub(clock.now()));
        }
        for until in [107_500, 108_500, 109_500] {
            clock.wait_for_sleeper(ms(until));
            assert_eq!(told(), [true; 3]);
            clock.advance(ms(until).saturating_sub(clock.now()));
        }
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::StageAbandoned);
        assert_stages(&report, &["first", "second"]);
        assert_eq!(report.took, ms(9_500));
        assert!(report.stages.iter().all(|stage| stage.fate == Fate::Abandoned && stage.took == secs(1)));
        assert_eq!((report.lame_duck, report.draining, report.closing), (secs(1), ms(6_500), secs(2)));
        assert_eq!(report.unlabelled, InFlight { critical: 0, high: 1, low: 0 });
        let named: Vec<_> = report.stragglers.iter().map(|late| (&*late.label, late.class, late.age)).collect();
        assert_eq!(named, [("report 7", Priority::Critical, secs(7)), ("prefetch", Priority::Low, ms(9_500))]);
        drop((late, high, low));
    });
}

/// P6: no sum of times stops the driver.
#[test]
fn p6_a_budget_without_end_is_no_matter() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.budget(Budget::new(Duration::MAX)).watchdog(Duration::MAX).build().unwrap();
        clock.advance(secs(3_600));
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
    });
}

/// P5: what the drain leaves over is the stages'.
#[test]
fn p5_a_part_that_ends_early_gives_its_time_to_the_rest() {
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
fn stragglers_are_named_with_place_age_and_thread_and_who_lets_go_at_the_last_call_too() {
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
        assert_eq!((&*late.label, &*late.thread, late.age, late.let_go), ("slow", "tortoise", secs(9), true));
        assert_eq!((late.location.file(), late.location.line()), (file!(), line));
        assert_eq!(report.unlabelled.critical, 1, "the forgotten one has no name");
        let text = report.to_string();
        assert!(text.contains("late: \"slow\" (critical), let go late, 9 s old"), "{text}");
        assert!(text.contains("late: 1 without a label (critical)") && text.contains("exit code 11"), "{text}");
    });
}

#[test]
fn a_force_by_call_ends_a_hung_stage() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.stage(Stage::new("never")).stage(Stage::new("hung").hook(hang)).build().unwrap();
        assert!(!shutdown.force(), "there is nothing to force while running");
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(8_500));
        assert!(shutdown.force());
        assert!(!shutdown.force());
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::Forced(Forced::Call));
        let fates: Vec<_> = report.stages.iter().map(|stage| stage.fate).collect();
        assert_eq!(fates, [Fate::NotStarted, Fate::Abandoned]);
        assert!(report.stages[1].problems[0].contains(file!()), "{report}");
    });
}

/// 300 ms after the last one that counted, to the nanosecond.
#[test]
fn interrupts_count_only_when_spaced() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let pass = shutdown.enter_owned();
        let interrupt = || shutdown.trigger(Reason::Interrupt);
        assert!(interrupt());
        clock.advance(ms(300).saturating_sub(Duration::from_nanos(1)));
        assert!(!interrupt() && shutdown.phase() == Phase::Draining);
        clock.advance(Duration::from_nanos(1));
        assert!(!interrupt());
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::Forced(Forced::Interrupt));
        assert_eq!((report.repeats.interrupts, report.repeats.others, report.exit_code()), (2, 1, 130));
        drop(pass);
    });
}

#[test]
fn a_program_can_replace_the_escalation() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.escalation(Escalation::NEVER).build().unwrap();
        let pass = shutdown.enter_owned();
        for _ in 0..10 {
            shutdown.trigger(Reason::Interrupt);
        }
        drop(pass);
        assert_clean(&shutdown.run().report);
    });
}

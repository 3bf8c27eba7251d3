//! What observers hear of the end, held against what `run()` returns. Not here: observers that panic or hang (`strangers`).

use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use winddown::testing::assert_outcome;
use winddown::{Builder, Event, Milestone, Notice, Observer, Outcome, Part, Reason, Report, Shutdown, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::waker::poll;

use crate::futures::{registered, waker};
use crate::timed;

/// Sends what it hears of the end.
struct Hears(mpsc::Sender<(Option<Outcome>, Option<Report>)>);

impl Observer for Hears {
    fn notice(&mut self, notice: &Notice) {
        if let Event::Finished { outcome } = notice.event {
            self.0.send((Some(outcome), None)).unwrap();
        }
    }

    fn finished(&mut self, report: &Report) {
        self.0.send((None, Some(report.clone()))).unwrap();
    }
}

/// Runs it, and asserts that observers hear a failure of this part, and the same as `run()` returns in every field.
fn assert_told(builder: Builder, part: Part, sets_up: impl FnOnce(&Shutdown)) -> Arc<Report> {
    let (sender, heard) = mpsc::channel();
    let shutdown = builder.observer(Hears(sender)).build().unwrap();
    sets_up(&shutdown);
    shutdown.trigger_with(Reason::Requested, "told");
    let report = shutdown.run().report;
    let heard: Vec<_> = heard.iter().collect();
    let [(Some(outcome), None), (None, Some(told))] = &*heard else { panic!("{heard:?}") };
    assert_eq!(*outcome, report.outcome, "{report}");
    assert_eq!(format!("{told:?}"), format!("{:?}", *report));
    assert!(report.failures.iter().any(|failure| failure.part == part), "{report}");
    report
}

#[test]
fn p7_observers_hear_of_a_task_that_panicked() {
    must_end(|| {
        assert_told(timed().1, Part::Task, |shutdown| {
            let task = shutdown.work().label("job").track(async { panic!("bad row") }).unwrap();
            let _: Poll<Result<(), _>> = poll(&mut pin!(task), Waker::noop());
        });
    });
}

#[test]
fn p7_observers_hear_of_a_waker_that_panicked_whenever_it_was_woken() {
    for at in [Milestone::Triggered, Milestone::Refusing, Milestone::Done] {
        must_end(move || {
            let mut kept = None;
            assert_told(timed().1, Part::Waker, |shutdown| {
                kept = Some(registered(shutdown, at, &waker(|| panic!("woken at the wrong moment"))));
            });
        });
    }
}

/// It is not known before it returns. So it is waited for, for half of the time that there is to tell the end.
#[test]
fn p7_observers_hear_of_a_waker_that_panics_before_half_of_the_flush_is_over() {
    must_end(|| {
        let (clock, builder) = timed();
        let (go, gone) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let waker = waker(move || {
            gone.lock().unwrap().recv().unwrap();
            panic!("at last");
        });
        let goes = thread::spawn(move || {
            clock.wait_for_sleeper(ms(250));
            go.send(()).unwrap();
        });
        let mut kept = None;
        assert_told(builder, Part::Waker, |shutdown| kept = Some(registered(shutdown, Milestone::Refusing, &waker)));
        goes.join().unwrap();
    });
}

#[test]
fn p7_observers_hear_of_an_observer_that_has_panicked() {
    must_end(|| {
        let (sender, panics) = mpsc::channel::<()>();
        let first = move |_: &Notice| {
            let _dropped_after_the_panic = &sender;
            panic!("at the first word");
        };
        let builder = timed().1.observer(first).stage(Stage::new("last").hook(move || {
            // The sender goes when the observer does.
            let _ = panics.recv();
        }));
        assert_told(builder, Part::Observer, |_| ());
    });
}

/// The end is told when every observer has handled what came before, or half of the flush is over.
#[test]
fn p7_observers_hear_of_an_observer_that_panics_in_an_earlier_notice() {
    must_end(|| {
        let (clock, builder) = timed();
        let (go, gone) = mpsc::channel::<()>();
        let slow = move |notice: &Notice| {
            if matches!(notice.event, Event::Reached { milestone: Milestone::Done, .. }) {
                gone.recv().unwrap();
                panic!("with the end in sight");
            }
        };
        let goes = thread::spawn(move || {
            clock.wait_for_sleeper(ms(250));
            go.send(()).unwrap();
        });
        assert_told(builder.observer(slow), Part::Observer, |_| ());
        goes.join().unwrap();
    });
}

/// It may return while the observers are told. It was late all the same, and `run()` says so as well.
#[test]
fn p7_observers_hear_of_a_waker_that_does_not_return_within_half_of_the_flush() {
    must_end(|| {
        let (clock, builder) = timed();
        let (go, gone) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let waker = waker(move || gone.lock().unwrap().recv().unwrap());
        let goes = thread::spawn(move || {
            clock.wait_for_sleeper(ms(250));
            clock.advance(ms(250));
            clock.wait_for_sleeper(ms(500));
            go.send(()).unwrap();
        });
        let mut kept = None;
        assert_told(builder, Part::Waker, |shutdown| kept = Some(registered(shutdown, Milestone::Refusing, &waker)));
        goes.join().unwrap();
    });
}

#[test]
fn p7_observers_hear_of_a_kicker_that_hangs_and_of_notes() {
    must_end(|| {
        let (clock, builder) = timed();
        let passes = thread::spawn(move || {
            for (until, by) in [(secs(9), secs(9)), (ms(9_500), ms(500))] {
                clock.wait_for_sleeper(until);
                clock.advance(by);
            }
        });
        let report = assert_told(builder, Part::Kicker, |shutdown| {
            shutdown.kicker(crate::hang).keep();
            shutdown.note("odd", || "it went another way".to_owned());
        });
        assert_eq!(report.notes, ["it went another way"]);
        passes.join().unwrap();
    });
}

#[test]
fn the_first_notice_carries_the_message_of_the_trigger() {
    must_end(|| {
        for _ in 0..50 {
            let (sender, notices) = mpsc::channel();
            let builder = timed().1.observer(move |notice: &Notice| drop(sender.send(notice.clone())));
            let shutdown = builder.build().unwrap();
            let theirs = shutdown.clone();
            thread::spawn(move || theirs.trigger_with(Reason::Failure, "the database is gone"));
            let report = shutdown.run().report;
            assert_outcome(&report, Outcome::Clean);
            let notices: Vec<_> = notices.iter().collect();
            assert_eq!(notices[0].message.as_deref(), Some("the database is gone"));
            assert!(notices[0].to_string().ends_with("failure: winding down (the database is gone)"), "{}", notices[0]);
            assert!(notices[1..].iter().all(|notice| notice.message.is_none()), "{notices:?}");
        }
    });
}

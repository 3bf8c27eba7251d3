//! Tracked futures, polled by hand: what the report says of those that are late. Not here: where executors poll them (`on_smol`).

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;

use winddown::testing::assert_outcome;
use winddown::{AtEnd, Lost, Outcome, Reason, Tracked};
use winddown_tests::patience::must_end;
use winddown_tests::steps::ms;
use winddown_tests::waker::poll;

use crate::timed;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ready at its second poll.
fn ready_late() -> Work {
    let mut polls = 0;
    Box::pin(poll_fn(move |_| {
        polls += 1;
        if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
    }))
}

/// Panics at its second poll.
fn panics_late() -> Work {
    let mut late = ready_late();
    Box::pin(poll_fn(move |context| late.as_mut().poll(context).map(|()| panic!("late"))))
}

/// Only a holder that gave its pass back itself has let go. What a dropped future had started elsewhere may run on.
#[test]
fn p7_a_future_is_reported_as_let_go_only_if_it_was_ready() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let track = |label: &'static str, future: Work| -> Tracked<Work> {
            let mut tracked = shutdown.work().label(label).track(future).unwrap();
            assert_eq!(poll(&mut tracked, Waker::noop()), Poll::Pending);
            tracked
        };
        let mut ready = track("ready", ready_late());
        let mut late = track("late", Box::pin(pending()));
        let mut panics = track("panics", panics_late());
        let dropped = track("dropped", Box::pin(pending()));
        let mut returns = track("returns", Box::pin(pending()));
        let untouched = track("untouched", Box::pin(pending()));
        let (begins, has_begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let mut polled = shutdown.work().label("polled").track(async move {
            begins.send(()).unwrap();
            gone.recv().unwrap();
        });
        let polled = thread::spawn(move || poll(polled.as_mut().unwrap(), Waker::noop()));
        has_begun.recv().unwrap();

        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(9_000));
        clock.advance(ms(9_000));
        clock.wait_for_sleeper(ms(9_500));
        assert_eq!(poll(&mut ready, Waker::noop()), Poll::Ready(Ok(())));
        assert_eq!(poll(&mut late, Waker::noop()), Poll::Ready(Err(Lost::Late)));
        assert_eq!(poll(&mut panics, Waker::noop()), Poll::Ready(Err(Lost::Panicked("late".to_owned()))));
        drop(dropped);
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        let named: Vec<_> = report.stragglers.iter().map(|late| (&*late.label, late.at_end)).collect();
        let expected = [
            ("ready", AtEnd::LetGo),
            ("late", AtEnd::Dropped),
            ("panics", AtEnd::Dropped),
            ("dropped", AtEnd::Dropped),
            ("returns", AtEnd::StillHeld),
            ("untouched", AtEnd::StillHeld),
            ("polled", AtEnd::StillHeld),
        ];
        assert_eq!(named, expected);
        let text = report.to_string();
        for line in [
            "\"ready\" (critical), finished after its deadline, 9 s",
            "\"late\" (critical), cancelled (",
            "\"polled\" (critical), not finished",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }

        // The report is made: what they do now is not in it.
        assert_eq!(poll(&mut returns, Waker::noop()), Poll::Ready(Err(Lost::Late)));
        drop(untouched);
        go.send(()).unwrap();
        assert_eq!(polled.join().unwrap(), Poll::Ready(Ok(())));
    });
}

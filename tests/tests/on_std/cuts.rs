//! What this binding does and says when waiting is ended before its time: kickers, the report's data and its lines.

use std::sync::mpsc;

use winddown::testing::assert_outcome;
use winddown::{Cut, Forced, InFlight, Outcome, Priority, Reason, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{hang, timed};

fn told(cuts: &[Cut]) -> Vec<(Forced, InFlight, Vec<&str>)> {
    cuts.iter().map(|cut| (cut.by, cut.in_flight, cut.stages.iter().map(|name| &**name).collect())).collect()
}

/// P7.
#[test]
fn interrupts_that_cut_are_reported_and_kickers_at_the_last_call_run() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.stage(Stage::new("never")).stage(Stage::new("hung").hook(hang)).build().unwrap();
        let (kicked, was_kicked) = mpsc::channel();
        shutdown.kicker_at_last_call(move || kicked.send(()).unwrap()).keep();
        let work = || shutdown.work();
        let held = (work().enter_owned(), work().priority(Priority::High).enter_owned(), work().enter_owned());
        let low = work().priority(Priority::Low).enter_owned();
        shutdown.trigger(Reason::Interrupt);
        clock.wait_for_sleeper(ms(5_000));
        clock.advance(ms(2_100));
        shutdown.trigger(Reason::Interrupt);
        was_kicked.recv().expect("kicked");
        clock.wait_for_sleeper(ms(2_600));
        clock.advance(ms(500));
        clock.wait_for_sleeper(ms(8_500));
        clock.advance(ms(600));
        shutdown.trigger(Reason::Interrupt);
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::Forced(Forced::Interrupt));
        let all = InFlight { critical: 2, high: 1, low: 1 };
        let stages = vec!["hung", "never"];
        assert_eq!(told(&report.cuts), [(Forced::Drain, all, vec![]), (Forced::Interrupt, InFlight::NONE, stages)]);
        assert_eq!([report.cuts[0].at, report.cuts[1].at], [ms(2_100), ms(3_200)]);
        let text = report.to_string();
        assert!(text.contains("\n  an interrupt ended the drain after 2.10 s, with 3 passes in flight\n"), "{text}");
        let forced = "\n  an interrupt forced the end after 3.20 s: stages \"hung\", \"never\" did not complete\n";
        assert!(text.contains(forced), "{text}");
        drop((held, low));
    });
}

/// A stage that was abandoned before is not the force's.
#[test]
fn a_force_by_call_is_reported_with_what_it_cut() {
    must_end(|| {
        let (clock, builder) = timed();
        let builder = builder.stage(Stage::new("hung").hook(hang));
        let shutdown = builder.stage(Stage::new("early").limit(secs(1)).hook(hang)).build().unwrap();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(1));
        clock.advance(secs(1));
        clock.wait_for_sleeper(ms(9_500));
        assert!(shutdown.force());
        let report = shutdown.run().report;
        assert_eq!(told(&report.cuts), [(Forced::Call, InFlight::NONE, vec!["hung"])]);
        let text = report.to_string();
        let line = "\n  the program forced the end after 1 s: stage \"hung\" did not complete\n";
        assert!(text.contains(line), "{text}");
    });
}

/// P7: what is cut is not "nothing" when the code is 130.
#[test]
fn an_interrupt_that_ends_the_drain_names_the_kickers_that_held_it() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (began, has_begun) = mpsc::channel();
        let kick = || {
            let began = began.clone();
            move || {
                began.send(()).unwrap();
                hang();
            }
        };
        let kickers = [shutdown.kicker(kick()), shutdown.kicker(kick())];
        shutdown.trigger(Reason::Interrupt);
        (0..2).for_each(|_| has_begun.recv().expect("kicked"));
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(1));
        shutdown.trigger(Reason::Interrupt);
        clock.wait_for_sleeper(ms(1_500));
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::Forced(Forced::Drain));
        assert_eq!(report.cuts[0].kickers, 2);
        let text = report.to_string();
        assert!(text.contains("\n  an interrupt ended the drain after 1 s, with 2 kickers running\n"), "{text}");
        kickers.into_iter().for_each(winddown::Kicker::keep);
    });
}

#[test]
fn a_wind_down_that_nobody_cuts_has_no_cuts() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        shutdown.trigger(Reason::Interrupt);
        assert_eq!(shutdown.run().report.cuts, []);
    });
}

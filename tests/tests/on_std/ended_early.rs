//! What observers hear of requests that come while the program winds down, and of what those end. Not here: the report's lines about it
//! (`cuts`), and real signals (`interrupts`).

use std::sync::mpsc;

use winddown::{Builder, Escalate, Escalation, Event, Forced, Reason, Shutdown, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{hang, timed};

/// Sends each notice as a line, without the time.
fn heard(builder: Builder) -> (Shutdown, mpsc::Receiver<(Event, String)>) {
    let (sender, heard) = mpsc::channel();
    let builder = builder.on_notice(move |notice| {
        let line = notice.to_string();
        let line = line.split_once(" s  ").unwrap().1.to_owned();
        let _ = sender.send((notice.event, line));
    });
    (builder.build().unwrap(), heard)
}

/// The line about the next end of waiting.
fn next_end(heard: &mpsc::Receiver<(Event, String)>) -> String {
    heard.iter().find(|(event, _)| matches!(event, Event::EndedEarly { .. })).expect("something is ended").1
}

/// Each line names the next level, if the policy has one that one more interrupt reaches.
#[test]
fn observers_hear_what_an_interrupt_ended_and_what_the_next_one_ends() {
    const USUAL: Escalation = Escalation { spacing: ms(300), drain_at: Some(2), force_at: Some(3), exit_at: Some(4) };
    const DRAIN: &str = "an interrupt ended the drain: the stages run";
    const ALL: &str = "an interrupt ended all waiting";
    for (escalation, lines) in [
        (
            USUAL,
            vec![
                format!("{DRAIN}; interrupt again to end all waiting"),
                format!("{ALL}; interrupt again to end the process"),
            ],
        ),
        (
            Escalation { exit_at: None, ..USUAL },
            vec![format!("{DRAIN}; interrupt again to end all waiting"), ALL.to_owned()],
        ),
        (
            Escalation { force_at: None, exit_at: Some(3), ..USUAL },
            vec![format!("{DRAIN}; interrupt again to end the process")],
        ),
        (Escalation { force_at: None, exit_at: None, ..USUAL }, vec![DRAIN.to_owned()]),
        (Escalation { force_at: Some(4), exit_at: None, ..USUAL }, vec![DRAIN.to_owned()]),
        (Escalation { drain_at: None, force_at: Some(2), exit_at: None, ..USUAL }, vec![ALL.to_owned()]),
    ] {
        must_end(move || {
            let (clock, builder) = timed();
            let (shutdown, heard) = heard(builder.escalation(escalation).stage(Stage::new("hung").hook(hang)));
            let pass = shutdown.enter();
            shutdown.trigger(Reason::Interrupt);
            for line in lines {
                clock.advance(ms(300));
                shutdown.trigger(Reason::Interrupt);
                assert_eq!(next_end(&heard), line);
            }
            shutdown.force();
            let _ = shutdown.run();
            drop(pass);
        });
    }
}

/// However early it was ended.
#[test]
fn observers_hear_that_the_program_ended_all_waiting_after_they_heard_that_it_began() {
    must_end(|| {
        for _ in 0..50 {
            let (shutdown, heard) = heard(timed().1);
            let pass = shutdown.enter();
            shutdown.trigger(Reason::Requested);
            assert!(shutdown.force());
            let _ = shutdown.run();
            drop(pass);
            let heard: Vec<_> = heard.iter().collect();
            assert!(matches!(heard[0].0, Event::Triggered { .. }), "{heard:?}");
            let ended: Vec<_> = heard.iter().filter(|(event, _)| matches!(event, Event::EndedEarly { .. })).collect();
            let event = Event::EndedEarly { by: Forced::Call, next: Escalate::Join };
            assert_eq!(ended, [&(event, "the program ended all waiting".to_owned())]);
        }
    });
}

/// A notice for each would hide the others.
#[test]
fn observers_hear_of_a_storm_of_interrupts_once_in_each_time_that_they_have_to_be_apart() {
    must_end(|| {
        let escalation = Escalation { spacing: ms(300), ..Escalation::NEVER };
        let (clock, builder) = timed();
        let (shutdown, heard) = heard(builder.escalation(escalation));
        let pass = shutdown.enter();
        shutdown.trigger(Reason::Interrupt);
        // The driver has read the counts, and tells of what is added.
        assert!(matches!(heard.recv().unwrap().0, Event::Triggered { .. }));
        let mut told = 0;
        let mut requested = 0;
        // One that counts begins each of the times; the first has begun it.
        for time in 0..2 {
            for _ in 0..10 {
                shutdown.trigger(Reason::Interrupt);
                shutdown.trigger(Reason::Requested);
                requested += 1;
                // Both are seen by then.
                loop {
                    match heard.recv().unwrap().0 {
                        Event::InterruptTooSoon { .. } => told += 1,
                        Event::Repeated { repeats } if repeats.others == requested => break,
                        _ => {}
                    }
                }
            }
            assert_eq!(told, time + 1);
            clock.advance(ms(300));
            shutdown.trigger(Reason::Interrupt);
        }
        drop(pass);
        let report = shutdown.run().report;
        assert_eq!((report.repeats.interrupts, report.repeats.too_soon), (3, 20));
        assert!(report.took < secs(1));
    });
}

//! The exit code that a program chooses: until when, and what outranks it. Not here: the process that ends with it (`exit_codes`).

use std::sync::{Arc, OnceLock, mpsc};

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Notice, Observer, Outcome, Reason, Report, Shutdown, Stage};
use winddown_tests::patience::must_end;

use crate::timed;

#[test]
fn the_last_choice_before_the_report_counts() {
    must_end(|| {
        let shutdown = timed().1.stage(Stage::new("last")).build().unwrap();
        assert!(shutdown.set_exit_code(3));
        let theirs = shutdown.clone();
        shutdown.hook("last", move || assert!(theirs.set_exit_code(130))).unwrap();
        shutdown.trigger(Reason::Requested);
        let exit = shutdown.run();
        assert_clean(&exit.report);
        assert_eq!((exit.code(), exit.report.exit_code(), exit.report.chosen_code), (130, 130, Some(130)));
        assert!(exit.report.to_string().ends_with("\n  exit code 130, chosen by the program"), "{}", exit.report);
    });
}

/// Chooses a code when it hears that it is over.
struct TooLate {
    shutdown: Arc<OnceLock<Shutdown>>,
    told: mpsc::Sender<(u8, bool)>,
}

impl Observer for TooLate {
    fn notice(&mut self, _: &Notice) {}

    fn finished(&mut self, report: &Report) {
        let in_time = self.shutdown.get().unwrap().set_exit_code(4);
        self.told.send((report.exit_code(), in_time)).unwrap();
    }
}

#[test]
fn a_choice_after_the_report_was_told_is_refused_and_changes_nothing() {
    for chosen in [None, Some(3)] {
        must_end(move || {
            let (told, hears) = mpsc::channel();
            let handle = Arc::new(OnceLock::new());
            let shutdown = timed().1.observer(TooLate { shutdown: handle.clone(), told }).build().unwrap();
            handle.set(shutdown.clone()).unwrap();
            assert!(chosen.is_none_or(|code| shutdown.set_exit_code(code)));
            shutdown.trigger(Reason::Requested);
            let exit = shutdown.run();
            assert!(!shutdown.set_exit_code(5));
            let code = chosen.unwrap_or(0);
            assert_eq!((exit.code(), hears.recv()), (code, Ok((code, false))));
        });
    }
}

/// P7.
#[test]
fn p7_a_chosen_code_hides_no_failure() {
    must_end(|| {
        let shutdown = timed().1.stage(Stage::new("broken").hook(|| Err("it is broken"))).build().unwrap();
        assert!(shutdown.set_exit_code(130));
        shutdown.trigger(Reason::Requested);
        let exit = shutdown.run();
        assert_outcome(&exit.report, Outcome::Failed);
        assert!(exit.code() == 10 && exit.report.to_string().ends_with("\n  exit code 10"), "{}", exit.report);
    });
}

/// A program that failed may say how, but not that it did not.
#[test]
fn p7_a_chosen_code_takes_the_place_of_1_but_0_does_not() {
    for (chosen, code) in [(0, 1), (78, 78)] {
        must_end(move || {
            let shutdown = timed().1.build().unwrap();
            assert!(shutdown.set_exit_code(chosen));
            shutdown.trigger(Reason::Failure);
            assert_eq!(shutdown.run().code(), code);
        });
    }
}

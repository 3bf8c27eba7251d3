//! Errors and their causes, as programs print them. Not here: which error is returned when (`budget`, `process`).

use std::error::Error;
use std::io;

use winddown::{BuildError, PlanError, SignalError};

/// The text and each source behind it, as a chain of errors is usually printed.
fn printed(error: &dyn Error) -> String {
    let sources = std::iter::successors(error.source(), |&source| source.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

const CAUSE: &str = "the cause of it";

fn os(signal: i32) -> SignalError {
    SignalError::Os { signal, source: io::Error::other(CAUSE) }
}

#[test]
fn a_chain_of_errors_prints_each_cause_once() {
    let table: [(Box<dyn Error>, &str); 3] = [
        (Box::new(os(15)), "signal 15 could not be listened to: the cause of it"),
        (Box::new(BuildError::Signal(os(2))), "signal 2 could not be listened to: the cause of it"),
        (Box::new(BuildError::Thread(io::Error::other(CAUSE))), "could not start a thread: the cause of it"),
    ];
    for (error, expected) in table {
        assert_eq!(printed(&*error), expected);
        assert_eq!(format!("{error:?}"), expected, "as `main` prints it");
        assert!(!error.to_string().contains(CAUSE), "{error}");
    }
}

#[test]
fn an_error_without_a_source_prints_all_that_it_says() {
    let name = || "http".to_owned();
    let plan = PlanError::TooManyStages { given: 65 };
    let table = [
        BuildError::DuplicateStage(name()),
        BuildError::UnknownStage { stage: name(), after: name() },
        BuildError::ZeroLimit(name()),
        BuildError::Cycle(vec![name()]),
        BuildError::TooManyStages { given: 65 },
        BuildError::DoesNotFit { error: plan, chain: Vec::new() },
        BuildError::Signal(SignalError::Unknown { signal: 65 }),
        BuildError::Signal(SignalError::Forbidden { signal: 65 }),
        BuildError::Signal(SignalError::Taken { signal: 65 }),
    ];
    for error in table {
        assert!(error.source().is_none());
        let text = error.to_string();
        assert_eq!(format!("{error:?}"), text, "as `main` prints it");
        assert!(text.contains("\"http\"") || text.contains("65"), "it names the thing: {text}");
    }
}

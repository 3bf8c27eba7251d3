//! Connections that speak something else from now on, or whose stream is given away.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Connection, Milestone, Outcome, Reason, Shutdown, Unserved};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::timed;

fn connected(shutdown: &Shutdown) -> (Connection<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Connection::new(ours, shutdown), theirs)
}

/// A4: without a closure, and with no end of the stream.
#[test]
fn a4_a_busy_connection_that_was_upgraded_is_named_as_such() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (connection, _theirs) = connected(&shutdown);
        let _upgraded = connection.busy().unwrap().upgraded();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        clock.wait_for_sleeper(secs(9));
        assert!(!connection.is_ended());
        clock.advance(ms(8_500));
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        assert_eq!(report.stragglers[0].label, "connection from a local peer, upgraded");
    });
}

#[test]
fn a_stream_that_is_given_away_is_not_cut_and_its_client_is_not_lost() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (connection, mut theirs) = connected(&shutdown);
        let number = connection.stream().as_raw_fd();
        theirs.write_all(b"a request").unwrap();
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        let mut stream = connection.into_stream().unwrap();
        assert_eq!(stream.as_raw_fd(), number, "not a duplicate, where it is not shared");
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!(report.unserved, Unserved::NONE);
        let mut request = [0; 9];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"an answer").unwrap();
        drop(stream);
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).unwrap();
        assert_eq!((&request, &*answer), (b"a request", "an answer"));
    });
}

/// The guard's pass is waited for; the stream is a duplicate then.
#[test]
fn p3_a_guard_outlives_the_connection_whose_stream_is_given_away() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (connection, mut theirs) = connected(&shutdown);
        let number = connection.stream().as_fd().as_raw_fd();
        let busy = connection.busy_owned().unwrap();
        let mut stream = connection.into_stream().unwrap();
        assert_ne!(stream.as_raw_fd(), number);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        assert_eq!(shutdown.in_flight().critical, 1);
        stream.write_all(b"an answer").unwrap();
        drop((busy, stream));
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "an answer");
        assert_clean(&shutdown.run().report);
    });
}

/// P7: what the promise rests on could not be done, and the report says so.
#[test]
fn p7_a_connection_that_cannot_be_shut_down_is_a_note_in_the_report() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        // A pipe, which is no socket.
        let (reader, _writer) = std::io::pipe().unwrap();
        let connection = Connection::new(std::os::fd::OwnedFd::from(reader), &shutdown);
        shutdown.trigger(Reason::Requested);
        clock.advance(secs(60));
        let report = shutdown.run().report;
        drop(connection);
        let [note] = &report.notes[..] else { panic!("one note: {report}") };
        assert!(note.starts_with("could not shut a connection down (Socket operation on non-socket"), "{note}");
    });
}

//! Values that hold a pass until they are dropped.

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Connection, Holding, Outcome, Reason, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::timed;

/// Looks how much is in flight when it is dropped.
struct Body<'a>(&'a Shutdown, &'a mut usize);

impl Drop for Body<'_> {
    fn drop(&mut self) {
        *self.1 = self.0.in_flight().total();
    }
}

#[test]
fn p3_a_pass_that_a_body_holds_is_given_back_after_the_body() {
    let shutdown = timed().1.build().unwrap();
    let mut in_flight = 0;
    let body = shutdown.enter_owned().unwrap().held_by(Body(&shutdown, &mut in_flight));
    assert_eq!(shutdown.in_flight().total(), 1);
    drop(body);
    assert_eq!((in_flight, shutdown.in_flight().total()), (1, 0));
}

/// As a server does that writes the answer when the handler has returned it.
#[test]
fn p3_the_drain_waits_for_a_body_that_holds_a_pass() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let handler = |shutdown: &Shutdown| {
            let pass = shutdown.work().label("answer").enter_owned().unwrap();
            pass.held_by(Cursor::new("an answer"))
        };
        let mut body = handler(&shutdown);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        let mut written = String::new();
        body.read_to_string(&mut written).unwrap();
        assert_eq!((&*written, shutdown.in_flight().critical), ("an answer", 1));
        drop(body);
        assert_clean(&shutdown.run().report);
    });
}

#[test]
fn p7_a_body_that_is_never_dropped_is_named_by_its_label() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let _body = shutdown.work().label("answer").enter_owned().unwrap().held_by(());
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        assert_eq!(report.stragglers[0].label, "answer");
    });
}

#[test]
fn a_connection_is_busy_as_long_as_its_answer_s_body() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown);
        let body = connection.busy_owned().unwrap().held_by(Cursor::new("an answer"));
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        clock.wait_for_sleeper(secs(9));
        assert!(!connection.is_ended(), "the linger is for idle ones");
        drop(body);
        // Idle, and so ended: shut down for reading.
        assert_eq!(connection.stream().read(&mut [0]).unwrap(), 0);
        drop(connection);
        assert_clean(&shutdown.run().report);
    });
}

#[test]
fn a_holding_is_what_it_holds_the_pass_for() {
    let shutdown = timed().1.build().unwrap();
    let pass = || shutdown.enter_owned().unwrap();
    let mut text = pass().held_by(Cursor::new(b"one\ntwo\n".to_vec()));
    let mut line = String::new();
    text.read_line(&mut line).unwrap();
    text.seek(SeekFrom::Start(0)).unwrap();
    text.read_line(&mut line).unwrap();
    assert_eq!((&*line, text.position()), ("one\none\n", 4));
    text.write_all(b"zwo\n").unwrap();
    let (cursor, _pass) = text.into_parts();
    assert_eq!(cursor.into_inner(), b"one\nzwo\n");

    let mut numbers = shutdown.enter().unwrap().held_by(1..4);
    assert_eq!((numbers.len(), numbers.next()), (3, Some(1)));
    assert_eq!(numbers.sum::<i32>(), 5);
    let bytes: Holding<_, _> = Holding::new("bytes", (pass(), pass()));
    assert_eq!((AsRef::<[u8]>::as_ref(&bytes), shutdown.in_flight().total()), (&b"bytes"[..], 3));
}

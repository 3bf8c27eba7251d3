//! Streams whose read a token interrupts.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown as Half;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use winddown::{Interruptible, Reason, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::sys;

use crate::timed;

fn pair() -> (Shutdown, Interruptible<UnixStream>, UnixStream) {
    let shutdown = timed().1.build().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let line = Interruptible::new(&shutdown.token(), ours).unwrap();
    (shutdown, line, theirs)
}

fn interrupted(line: &mut impl Read) -> bool {
    line.read(&mut [0; 8]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn a4_a_blocked_read_is_interrupted_once_and_the_stream_goes_on() {
    must_end(|| {
        let (shutdown, mut line, mut theirs) = pair();
        let reader = thread::spawn(move || {
            assert!(!line.was_interrupted() && interrupted(&mut line) && line.was_interrupted());
            line.write_all(b"goodbye").unwrap();
            let mut answer = [0; 8];
            let read = line.read(&mut answer).unwrap();
            assert_eq!(&answer[..read], b"bye");
            assert_eq!(line.read(&mut answer).unwrap(), 0);
        });
        shutdown.trigger(Reason::Requested);
        let mut said = [0; 7];
        theirs.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"goodbye");
        theirs.write_all(b"bye").unwrap();
        theirs.shutdown(Half::Write).unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn bytes_that_had_arrived_are_read_before_the_interruption() {
    must_end(|| {
        let (shutdown, mut line, mut theirs) = pair();
        theirs.write_all(b"last words").unwrap();
        shutdown.trigger(Reason::Requested);
        let (mut piece, mut read) = ([0; 3], Vec::new());
        while let Ok(length @ 1..) = line.read(&mut piece) {
            read.extend_from_slice(&piece[..length]);
        }
        assert_eq!(read, b"last words");
        assert!(line.was_interrupted());
        theirs.write_all(b"x").unwrap();
        assert_eq!(line.read(&mut piece).unwrap(), 1);
    });
}

/// There are bytes at every read, and still it hears of the end.
#[test]
fn a_peer_that_never_stops_sending_does_not_hold_the_interruption_up() {
    must_end(|| {
        let (shutdown, mut line, mut theirs) = pair();
        theirs.write_all(b"x").unwrap();
        shutdown.trigger(Reason::Requested);
        while line.read(&mut [0]).is_ok() {
            theirs.write_all(b"x").unwrap();
        }
        assert!(line.was_interrupted());
    });
}

#[test]
fn the_end_of_the_stream_is_read_before_the_interruption() {
    must_end(|| {
        let (shutdown, mut line, theirs) = pair();
        drop(theirs);
        shutdown.trigger(Reason::Requested);
        assert_eq!(line.read(&mut [0; 8]).unwrap(), 0);
        assert!(!line.was_interrupted());
    });
}

#[test]
fn the_stream_s_read_timeout_ends_a_wait() {
    must_end(|| {
        let (shutdown, mut line, mut theirs) = pair();
        line.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!(interrupted(&mut line) && !line.was_interrupted());
        theirs.write_all(b"x").unwrap();
        assert_eq!(line.read(&mut [0; 8]).unwrap(), 1);
        shutdown.trigger(Reason::Requested);
        assert!(interrupted(&mut line) && line.was_interrupted());
        assert!(interrupted(&mut line), "the timeout is the socket's own again");
    });
}

/// `poll` says EINTR after every signal that has a handler.
#[test]
fn a_signal_does_not_end_a_read() {
    must_end(|| {
        let (_shutdown, mut line, mut theirs) = pair();
        let (ready, is_ready) = mpsc::channel();
        let reader = thread::spawn(move || {
            ready.send(()).unwrap();
            line.read(&mut [0; 8]).unwrap()
        });
        is_ready.recv().unwrap();
        for _ in 0..1_000 {
            sys::disturb(&reader).unwrap();
            thread::yield_now();
        }
        theirs.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn a_buffered_reader_keeps_half_a_line_over_the_interruption() {
    must_end(|| {
        let (shutdown, line, mut theirs) = pair();
        let (mut reader, mut read) = (BufReader::new(line), Vec::new());
        theirs.write_all(b"half a ").unwrap();
        shutdown.trigger(Reason::Requested);
        assert_eq!(reader.read_until(b'\n', &mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        theirs.write_all(b"line\n").unwrap();
        reader.read_until(b'\n', &mut read).unwrap();
        assert_eq!(read, b"half a line\n");
    });
}

/// As stdin is.
#[test]
fn a_pipe_s_read_is_interrupted_as_a_socket_s_is() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (ours, mut theirs) = std::io::pipe().unwrap();
        let mut pipe = Interruptible::new(&shutdown.token(), ours).unwrap();
        theirs.write_all(b"x").unwrap();
        shutdown.trigger(Reason::Requested);
        assert_eq!(pipe.read(&mut [0; 8]).unwrap(), 1);
        assert!(interrupted(&mut pipe) && pipe.was_interrupted());
        drop(theirs);
        assert_eq!(pipe.read(&mut [0; 8]).unwrap(), 0);
    });
}

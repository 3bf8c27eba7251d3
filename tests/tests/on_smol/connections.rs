//! Connections of tasks: idle, busy, upgraded and cut, by the lines of the contracts' section A. Accepting them is `sockets`'.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use smol::block_on;
use winddown::testing::{assert_clean, assert_outcome};
use winddown_smol::{AtEnd, Connection, Milestone, Outcome, Reason, Shutdown};
use winddown_tests::lines::read_line;
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::apart;
use crate::sockets::{ended, greeted, serving, tcp, timed};

/// A3: during the linger, and with word that it is the last; and who is idle when it is over has a read pending, which ends.
#[test]
fn a3_a_request_on_its_way_is_answered_and_who_is_idle_is_ended() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (incoming, address) = tcp(&shutdown);
        let (_executor, accept) = serving(incoming);
        let (quick, quiet) = (greeted(address), greeted(address));
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        (&quick).write_all(b"again\n").unwrap();
        assert_eq!(read_line(&quick).unwrap(), "bye again\n");
        assert!(ended(&quick));
        drop(quick);
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        assert!(ended(&quiet), "idle, and ended when the linger was over");
        let report = block_on(shutdown.run()).report;
        assert_clean(&report);
        assert!(report.stragglers.is_empty());
        block_on(accept);
    });
}

/// Busy over the linger's end, in another task than the one that reads; and then idle: ended at once.
#[test]
fn a3_who_is_busy_is_waited_for_and_ended_when_it_is_idle() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown).unwrap();
        let busy = connection.busy_owned().unwrap();
        let reader = apart(async move { (&connection).read(&mut [0; 8]).await.map(|read| (read, connection)) });
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        clock.wait_for_sleeper(secs(9));
        assert!(!reader.is_finished());
        let writer = thread::spawn(move || drop(busy));
        let (read, connection) = reader.join().unwrap().unwrap();
        assert_eq!(read, 0);
        writer.join().unwrap();
        drop(connection);
        assert_clean(&block_on(shutdown.run()).report);
        assert!(ended(theirs));
    });
}

/// A4: an upgraded one and a busy one, in the middle of a read and of a write: cut at the drain's deadline, and named.
#[test]
fn a4_what_never_ends_is_cut_woken_and_named() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (mut incoming, address) = tcp(&shutdown);
        let clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let [endless, stuck] = [(); 2].map(|()| block_on(incoming.next()).unwrap().unwrap());
        let upgraded = endless.busy_owned().unwrap().upgraded();
        let endless = apart(async move {
            let read = (&endless).read(&mut [0]).await.unwrap();
            drop(upgraded);
            read
        });
        let (filled, is_full) = mpsc::channel();
        let stuck = apart(async move {
            let _busy = stuck.busy().unwrap();
            filled.send(()).unwrap();
            (&stuck).write_all(&vec![b'x'; 64 << 20]).await.unwrap_err().kind()
        });
        is_full.recv().unwrap();
        shutdown.trigger(Reason::Requested);
        assert!(block_on(incoming.next()).is_none());
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        clock.wait_for_sleeper(secs(9));
        clock.advance(ms(8_500));
        assert_eq!((endless.join().unwrap(), stuck.join().unwrap()), (0, ErrorKind::BrokenPipe));
        let report = block_on(shutdown.run()).report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        let named: Vec<_> = report.stragglers.iter().map(|late| (&*late.label, late.at_end)).collect();
        let peers = clients.map(|client| client.local_addr().unwrap());
        let expected = [
            (&*format!("connection from {}, upgraded", peers[0]), AtEnd::LetGo),
            (&*format!("connection from {}, busy", peers[1]), AtEnd::LetGo),
        ];
        assert_eq!(named, expected);
        assert_eq!(report.unlabelled.total(), 0);
    });
}

/// Whoever comes when all is over is cut at once, and a task that reads is not left to wait for ever.
#[test]
fn a_connection_that_comes_too_late_is_cut() {
    must_end(|| {
        let (_, shutdown) = timed();
        shutdown.trigger(Reason::Requested);
        assert_clean(&block_on(shutdown.run()).report);
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown).unwrap();
        assert_eq!(block_on((&connection).read(&mut [0])).unwrap(), 0);
        assert!(connection.busy().is_err() && connection.busy_owned().is_err());
        let (mut incoming, _) = tcp(&shutdown);
        assert!(block_on(incoming.next()).is_none());
    });
}

/// Has a large answer written to a client that goes on sending, with `lingering` behind it or without. How many of 20 clients
/// get the whole answer.
fn large_answers(lingering: bool) -> usize {
    const ANSWER: usize = 256 << 10;
    let (_, shutdown) = timed();
    let (mut incoming, address) = tcp(&shutdown);
    let mut whole = || {
        let mut client = TcpStream::connect(address).unwrap();
        let connection = block_on(incoming.next()).unwrap().unwrap();
        // Unread when the answer is written.
        client.write_all(&[b'y'; 4096]).unwrap();
        let server = apart(async move {
            (&connection).write_all(&vec![b'x'; ANSWER]).await?;
            if lingering { connection.lingering_close(secs(20)).await } else { Ok(()) }
        });
        let mut answer = Vec::new();
        let _ = client.set_read_timeout(Some(secs(20)));
        let read = client.read_to_end(&mut answer);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = server.join().unwrap();
        read.is_ok() && answer.len() == ANSWER
    };
    (0..20).filter(|_| whole()).count()
}

#[test]
fn a6_a_lingering_close_delivers_the_last_answer() {
    must_end(|| {
        assert_eq!(large_answers(true), 20);
        assert!(large_answers(false) < 20, "a plain close loses some, or this test shows nothing");
    });
}

#[test]
fn a6_a_lingering_close_ends_at_its_limit_and_when_the_peer_is_gone() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (mut incoming, address) = tcp(&shutdown);
        let client = TcpStream::connect(address).unwrap();
        let connection = block_on(incoming.next()).unwrap().unwrap();
        for limit in [Duration::from_millis(10), Duration::ZERO] {
            block_on(connection.lingering_close(limit)).unwrap();
        }
        drop(client);
        block_on(connection.lingering_close(Duration::MAX)).unwrap();
    });
}

/// The reactor gives it back, too.
#[test]
fn a_stream_that_is_given_away_is_not_cut() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown).unwrap();
        let mut stream = connection.into_stream().unwrap();
        shutdown.trigger(Reason::Requested);
        assert_clean(&block_on(shutdown.run()).report);
        stream.write_all(b"an answer").unwrap();
        drop(stream);
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "an answer");
    });
}

/// Answers a client that keeps its end open, and closes the connection in a task of its own.
fn answered(shutdown: &Shutdown, at_most: Duration) -> (thread::JoinHandle<()>, UnixStream) {
    let (ours, mut client) = UnixStream::pair().unwrap();
    let connection = Connection::new(ours, shutdown).unwrap();
    let server = apart(async move {
        let busy = connection.busy_owned().unwrap();
        (&connection).write_all(b"bye\n").await.unwrap();
        connection.close_after(busy, at_most).await.unwrap();
    });
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "bye\n");
    // Not a request.
    client.write_all(b"?").unwrap();
    (server, client)
}

/// The drain's deadline falls into the lingering read: the connection is cut, its task woken, and it is not late.
#[test]
fn p7_a_client_that_keeps_its_end_open_after_a_whole_answer_is_not_late() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (server, client) = answered(&shutdown, secs(600));
        shutdown.trigger(Reason::Requested);
        clock.advance(secs(1));
        // Nothing but the lingering read is left.
        clock.wait_for_sleeper(secs(9));
        assert_eq!(shutdown.in_flight().critical, 0);
        clock.advance(secs(8));
        server.join().unwrap();
        let exit = block_on(shutdown.run());
        assert_clean(&exit.report);
        assert_eq!((exit.code(), exit.report.took), (0, secs(9)));
        assert_eq!((exit.report.unserved.lost, exit.report.unserved.incomplete), (0, 0));
        drop(client);
    });
}

/// A6: the drain waits for the lingering read, and goes on when that is over.
#[test]
fn a6_the_drain_waits_for_a_lingering_read_to_its_limit() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let begun = Instant::now();
        let (server, client) = answered(&shutdown, ms(300));
        shutdown.trigger(Reason::Requested);
        // No idle connection is waited for any more.
        clock.advance(secs(1));
        let report = block_on(shutdown.run()).report;
        assert!(begun.elapsed() >= ms(300), "{:?}", begun.elapsed());
        assert_clean(&report);
        assert_eq!(report.took, secs(1));
        server.join().unwrap();
        drop(client);
    });
}

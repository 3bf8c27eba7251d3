//! Listeners and connections, on real sockets: the lines of the contracts' section A by their numbers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use winddown::testing::{ManualClock, assert_clean, assert_outcome};
use winddown::{Acceptor, AtEnd, Budget, Connection, Milestone, Outcome, Reason, Shutdown, lingering_close};
use winddown_tests::child::Child;
use winddown_tests::lines::{Fate, ask_once, read_line, serve, serve_all, without_a_pause};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

/// Drains until 9, ends at 9.5; idle connections linger until 0.5 after the refusal, which is at 0.
fn timed() -> (ManualClock, Shutdown) {
    let clock = ManualClock::new();
    let shutdown = Shutdown::builder().budget(Budget::new(secs(11))).manual_clock(&clock).build().unwrap();
    (clock, shutdown)
}

fn tcp(shutdown: &Shutdown) -> (Acceptor<TcpListener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (Acceptor::new(listener, shutdown).unwrap(), address)
}

/// A connection that the server has, and has answered once.
fn greeted(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    (&stream).write_all(b"hello\n").unwrap();
    assert_eq!(read_line(&stream).unwrap(), "ok hello\n");
    stream
}

/// Twenty that the kernel has accepted and nobody else.
fn queued(address: SocketAddr) -> Vec<TcpStream> {
    let ask = |number| {
        let stream = TcpStream::connect(address).unwrap();
        writeln!(&stream, "{number}").unwrap();
        stream
    };
    (0..20).map(ask).collect()
}

fn ended(mut stream: impl Read) -> bool {
    matches!(stream.read(&mut [0]), Ok(0))
}

#[test]
fn a1_a5_the_accept_queue_at_the_refusal_is_served() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        let clients = queued(address);
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        serve_all(acceptor);
        for (number, stream) in clients.into_iter().enumerate() {
            assert_eq!(read_line(&stream).unwrap(), format!("bye {number}\n"));
        }
        assert_clean(&shutdown.run().report);
        assert_eq!(ask_once(address), Fate::Refused);
    });
}

/// What the test above is about: without an accept they are reset.
#[test]
fn a1_a_queue_that_is_not_accepted_is_reset() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        let clients = queued(address);
        drop(acceptor);
        assert!(clients.iter().all(|stream| read_line(stream).is_err()));
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
    });
}

/// A5: clients that connect without a pause, and none of them is let in and then reset.
#[test]
fn a5_nobody_slips_in_between_the_last_accept_and_the_close() {
    must_end(|| {
        for _ in 0..20 {
            let (_, shutdown) = timed();
            let (acceptor, address) = tcp(&shutdown);
            let acceptor = thread::spawn(move || serve_all(acceptor));
            let fates = without_a_pause(address);
            shutdown.trigger(Reason::Requested);
            assert_clean(&shutdown.run().report);
            acceptor.join().unwrap();
            assert_eq!(fates.iter().filter(|&fate| fate == Fate::Reset).count(), 0);
        }
    });
}

/// K2: through the lame duck, and not longer.
#[test]
fn k2_newcomers_are_served_through_the_lame_duck() {
    must_end(|| {
        let clock = ManualClock::new();
        let budget = Budget::new(secs(11)).lame_duck(secs(2));
        let shutdown = Shutdown::builder().budget(budget).manual_clock(&clock).build().unwrap();
        let (acceptor, address) = tcp(&shutdown);
        let acceptor = thread::spawn(move || serve_all(acceptor));
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(2));
        drop(greeted(address));
        clock.advance(secs(2));
        assert_clean(&shutdown.run().report);
        acceptor.join().unwrap();
        assert_eq!(ask_once(address), Fate::Refused);
    });
}

/// A2: woken though nobody connects.
#[test]
fn a2_an_accept_loop_that_waits_is_woken() {
    must_end(|| {
        for _ in 0..100 {
            let (_, shutdown) = timed();
            let (acceptor, _) = tcp(&shutdown);
            let acceptor = thread::spawn(move || acceptor.incoming().count());
            shutdown.trigger(Reason::Requested);
            assert_clean(&shutdown.run().report);
            assert_eq!(acceptor.join().unwrap(), 0);
        }
    });
}

/// P6: one that is not iterated is a straggler, by name.
#[test]
fn an_acceptor_that_nobody_iterates_is_named() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (_acceptor, address) = tcp(&shutdown);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        assert_eq!(report.stragglers[0].label, format!("listener on {address}"));
        assert_eq!((report.stragglers.len(), report.unlabelled.total()), (1, 0), "{report}");
    });
}

/// A3: during the linger, and with word that it is the last.
#[test]
fn a3_a_request_on_its_way_to_an_idle_connection_is_answered() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        thread::spawn(move || serve_all(acceptor));
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
        let report = shutdown.run().report;
        assert_clean(&report);
        assert!(report.stragglers.is_empty());
    });
}

/// A3: an idle connection never holds a drain: one whose owner does not even read is left behind.
#[test]
fn a3_an_idle_connection_holds_nothing() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        let _client = TcpStream::connect(address).unwrap();
        let mut incoming = acceptor.incoming();
        let connection = incoming.next().unwrap().unwrap();
        shutdown.trigger(Reason::Requested);
        assert!(incoming.next().is_none());
        for until in [500, 1_000] {
            clock.wait_for_sleeper(ms(until));
            clock.advance(ms(500));
        }
        assert_clean(&shutdown.run().report);
        assert!(ended(connection.stream()) && connection.busy().is_err());
    });
}

/// A connection that is busy over the linger's end, and then idle: ended at once.
#[test]
fn a3_who_becomes_idle_after_the_linger_is_ended_at_once() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        let (_slow, _idle) = (TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap());
        let mut incoming = acceptor.incoming();
        let (slow, idle) = (incoming.next().unwrap().unwrap(), incoming.next().unwrap().unwrap());
        let busy = slow.busy().unwrap();
        shutdown.trigger(Reason::Requested);
        assert!(incoming.next().is_none());
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        assert!(ended(idle.stream()));
        drop(idle);
        drop(busy);
        assert!(ended(slow.stream()));
        drop(slow);
        assert_clean(&shutdown.run().report);
    });
}

/// A3: one that was busy at the refusal, and has not said that it closes, may bring its next request.
#[test]
fn a3_who_was_busy_at_the_refusal_may_bring_one_more() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        let client = TcpStream::connect(address).unwrap();
        let mut incoming = acceptor.incoming();
        let connection = incoming.next().unwrap().unwrap();
        let busy = connection.busy().unwrap();
        assert!(!connection.is_closing());
        shutdown.trigger(Reason::Requested);
        assert!(incoming.next().is_none());
        clock.wait_for_sleeper(ms(500));
        (&client).write_all(b"once more\n").unwrap();
        drop(busy);
        let server = thread::spawn(move || serve(&connection));
        assert_eq!(read_line(&client).unwrap(), "bye once more\n");
        drop(client);
        server.join().unwrap();
        assert_clean(&shutdown.run().report);
    });
}

/// All are busy when the linger is over, and another goes on: still, who becomes idle is ended.
#[test]
fn a3_who_becomes_idle_while_others_work_on_is_ended_at_once() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        let _clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let mut incoming = acceptor.incoming();
        let [one, other] = [incoming.next().unwrap().unwrap(), incoming.next().unwrap().unwrap()];
        let (busy, works_on) = (one.busy().unwrap(), other.busy().unwrap());
        shutdown.trigger(Reason::Requested);
        assert!(incoming.next().is_none());
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        clock.wait_for_sleeper(secs(9));
        drop(busy);
        assert!(ended(one.stream()));
        drop(works_on);
        drop((one, other));
        assert_clean(&shutdown.run().report);
    });
}

/// A request that leads to an upgrade is over before the upgrade is.
#[test]
fn a4_an_upgrade_outlives_the_request_that_led_to_it() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown);
        let busy = connection.busy().unwrap();
        let upgraded = connection.upgrade(|_: &UnixStream| ()).unwrap();
        drop(busy);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        clock.wait_for_sleeper(secs(9));
        theirs.write_all(b"x").unwrap();
        assert_eq!((connection.stream()).read(&mut [0]).unwrap(), 1, "not shut down");
        drop(upgraded);
        assert!(ended(connection.stream()));
        drop(connection);
        assert_clean(&shutdown.run().report);
    });
}

/// Whoever comes when all is over is cut at once, not left to wait for ever.
#[test]
fn a_connection_that_comes_too_late_is_cut() {
    must_end(|| {
        let (_, shutdown) = timed();
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown);
        assert!(ended(connection.stream()) && connection.busy().is_err());
        let (acceptor, _) = tcp(&shutdown);
        assert_eq!(acceptor.incoming().count(), 0);
    });
}

/// A4: one that says goodbye.
#[test]
fn a4_an_upgraded_connection_is_told_and_may_say_goodbye() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        let client = TcpStream::connect(address).unwrap();
        let mut incoming = acceptor.incoming();
        let connection = incoming.next().unwrap().unwrap();
        let reader = thread::spawn(move || {
            let goodbye = |mut stream: &TcpStream| {
                stream.write_all(b"goodbye\n").unwrap();
                stream.shutdown(std::net::Shutdown::Read).unwrap();
            };
            let _upgraded = connection.upgrade(goodbye).unwrap();
            ended(connection.stream())
        });
        shutdown.trigger(Reason::Requested);
        assert!(incoming.next().is_none());
        assert_eq!(read_line(&client).unwrap(), "goodbye\n");
        assert!(reader.join().unwrap());
        assert_clean(&shutdown.run().report);
    });
}

/// A4: one that does not, and a busy one whose client never reads: cut at the drain's deadline, and named.
#[test]
fn a4_what_never_ends_is_cut_and_named() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        let clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let mut incoming = acceptor.incoming();
        let [endless, stuck] = [incoming.next().unwrap().unwrap(), incoming.next().unwrap().unwrap()];
        let (upgraded, is_upgraded) = mpsc::channel();
        let endless = thread::spawn(move || {
            let guard = endless.upgrade(|_: &TcpStream| ()).unwrap();
            upgraded.send(()).unwrap();
            let cut = ended(endless.stream());
            drop(guard);
            cut
        });
        let (filled, is_full) = mpsc::channel();
        let stuck = thread::spawn(move || {
            let _busy = stuck.busy().unwrap();
            filled.send(()).unwrap();
            stuck.stream().write_all(&vec![b'x'; 64 << 20]).unwrap_err().kind()
        });
        is_upgraded.recv().unwrap();
        is_full.recv().unwrap();
        shutdown.trigger(Reason::Requested);
        assert!(incoming.next().is_none());
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        clock.wait_for_sleeper(secs(9));
        clock.advance(ms(8_500));
        assert!(endless.join().unwrap());
        assert_eq!(stuck.join().unwrap(), ErrorKind::BrokenPipe);
        let report = shutdown.run().report;
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

/// Has a large answer written to a client that goes on sending, and the stream closed by `close`. How many of 20 clients
/// get the whole answer.
fn large_answers(close: fn(&TcpStream)) -> usize {
    const ANSWER: usize = 256 << 10;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let whole = |_| {
        let mut client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        // Unread when the answer is written.
        client.write_all(&[b'y'; 4096]).unwrap();
        let server = thread::spawn(move || {
            let written = (&server).write_all(&vec![b'x'; ANSWER]);
            close(&server);
            drop(server);
            written
        });
        let mut answer = Vec::new();
        let _ = client.set_read_timeout(Some(Duration::from_secs(20)));
        let read = client.read_to_end(&mut answer);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = server.join().unwrap();
        read.is_ok() && answer.len() == ANSWER
    };
    (0..20).filter(|&number: &i32| whole(number)).count()
}

#[test]
fn a6_a_lingering_close_delivers_the_last_answer() {
    must_end(|| {
        assert_eq!(large_answers(|stream| lingering_close(stream, Duration::from_secs(20)).unwrap()), 20);
        assert!(large_answers(|_| ()) < 20, "a plain close loses some, or this test shows nothing");
    });
}

#[test]
fn a6_a_lingering_close_ends_at_its_limit_and_when_the_peer_is_gone() {
    must_end(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        lingering_close(&server, Duration::from_millis(10)).unwrap();
        lingering_close(&server, Duration::ZERO).unwrap();
        drop(client);
        lingering_close(&server, Duration::MAX).unwrap();
    });
}

/// Answers a client that keeps its end open, by a guard of either kind, and closes the connection in a thread of its own.
fn answered(shutdown: &Shutdown, owned: bool, at_most: Duration) -> (thread::JoinHandle<()>, UnixStream) {
    let (ours, mut client) = UnixStream::pair().unwrap();
    let connection = Connection::new(ours, shutdown);
    let server = thread::spawn(move || {
        if owned {
            let busy = connection.busy_owned().unwrap();
            connection.stream().write_all(b"bye\n").unwrap();
            busy.lingering_close(at_most).unwrap();
        } else {
            let busy = connection.busy().unwrap();
            connection.stream().write_all(b"bye\n").unwrap();
            busy.lingering_close(at_most).unwrap();
        }
    });
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "bye\n");
    // Not a request.
    client.write_all(b"?").unwrap();
    (server, client)
}

/// The drain's deadline falls into the lingering read: the connection is cut, and not late.
#[test]
fn p7_a_client_that_keeps_its_end_open_after_a_whole_answer_is_not_late() {
    for owned in [true, false] {
        must_end(move || {
            let (clock, shutdown) = timed();
            let (server, client) = answered(&shutdown, owned, secs(600));
            shutdown.trigger(Reason::Requested);
            clock.wait_for_sleeper(ms(500));
            clock.advance(ms(500));
            clock.wait_for_sleeper(ms(1_000));
            clock.advance(ms(500));
            // Nothing but the lingering read is left.
            clock.wait_for_sleeper(secs(9));
            assert_eq!(shutdown.in_flight().critical, 0);
            clock.advance(secs(8));
            // The cut ends the read at once.
            server.join().unwrap();
            let exit = shutdown.run();
            assert_clean(&exit.report);
            assert_eq!((exit.code(), exit.report.took), (0, secs(9)));
            assert_eq!((exit.report.unserved.lost, exit.report.unserved.incomplete), (0, 0));
            drop(client);
        });
    }
}

/// A6: the drain waits for the lingering read, and goes on when that is over.
#[test]
fn a6_the_drain_waits_for_a_lingering_read_to_its_limit() {
    for owned in [true, false] {
        must_end(move || {
            let (clock, shutdown) = timed();
            let begun = std::time::Instant::now();
            let (server, client) = answered(&shutdown, owned, ms(300));
            shutdown.trigger(Reason::Requested);
            // No idle connection is waited for any more.
            clock.advance(secs(1));
            let report = shutdown.run().report;
            assert!(begun.elapsed() >= ms(300), "{:?}", begun.elapsed());
            assert_clean(&report);
            assert_eq!(report.took, secs(1));
            server.join().unwrap();
            drop(client);
        });
    }
}

fn unix(name: &str) -> (UnixListener, PathBuf) {
    let path = std::env::temp_dir().join(format!("winddown-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    (UnixListener::bind(&path).unwrap(), path)
}

/// A7.
#[test]
fn a7_a_unix_listener_refuses_newcomers_and_serves_its_queue() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (listener, path) = unix("queue");
        let acceptor = Acceptor::new(listener, &shutdown).unwrap();
        let clients: Vec<_> = (0..20)
            .map(|number| {
                let stream = UnixStream::connect(&path).unwrap();
                writeln!(&stream, "{number}").unwrap();
                stream
            })
            .collect();
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        serve_all(acceptor);
        for (number, stream) in clients.into_iter().enumerate() {
            assert_eq!(read_line(&stream).unwrap(), format!("bye {number}\n"));
        }
        assert_clean(&shutdown.run().report);
        assert!(UnixStream::connect(&path).is_err());
        std::fs::remove_file(path).unwrap();
    });
}

/// A7: the other holder of a listener goes on as before.
#[test]
fn a7_a_shared_listener_stays_reachable_for_the_other_holder() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (ours, path) = unix("shared");
        let theirs = ours.try_clone().unwrap();
        serve_all_of_none(Acceptor::new(ours, &shutdown).unwrap().shared(), &shutdown);
        let _client = UnixStream::connect(&path).unwrap();
        theirs.set_nonblocking(false).unwrap();
        theirs.accept().unwrap();
        std::fs::remove_file(path).unwrap();

        let (_, shutdown) = timed();
        let ours = TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = ours.try_clone().unwrap();
        serve_all_of_none(Acceptor::new(ours, &shutdown).unwrap().shared(), &shutdown);
        let _client = TcpStream::connect(theirs.local_addr().unwrap()).unwrap();
        theirs.set_nonblocking(false).unwrap();
        theirs.accept().unwrap();
    });
}

fn serve_all_of_none<L: winddown::Listener>(acceptor: Acceptor<L>, shutdown: &Shutdown) {
    shutdown.trigger(Reason::Requested);
    assert_eq!(acceptor.incoming().count(), 0);
    assert_clean(&shutdown.run().report);
}

/// Bad manners, each of them in the middle of a wind-down that is clean all the same.
#[test]
fn clients_of_every_kind_are_seen_off() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (acceptor, address) = tcp(&shutdown);
        thread::spawn(move || serve_all(acceptor));
        // Never writes; sends half a line; disconnects in the middle; pipelines a hundred.
        let silent = TcpStream::connect(address).unwrap();
        let half = greeted(address);
        (&half).write_all(b"no end of").unwrap();
        drop({
            let gone = greeted(address);
            (&gone).write_all(b"not waiting for it\nnor for th").unwrap();
            gone
        });
        let pipelined = greeted(address);
        let hundred: Vec<_> = (0..100).map(|number| format!("{number}\n")).collect();
        (&pipelined).write_all(hundred.concat().as_bytes()).unwrap();
        for number in 0..100 {
            assert_eq!(read_line(&pipelined).unwrap(), format!("ok {number}\n"));
        }
        // The silent one was accepted before this one was answered: connections come in order.
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        for stream in [silent, half, pipelined] {
            assert!(ended(stream));
        }
        assert_clean(&shutdown.run().report);
    });
}

/// Any stream can be a connection, whoever accepted it.
#[test]
fn a_stream_of_any_origin_can_be_registered() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown);
        let server = thread::spawn(move || serve(&connection));
        (&theirs).write_all(b"hello\n").unwrap();
        assert_eq!(read_line(&theirs).unwrap(), "ok hello\n");
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(ms(500));
        clock.advance(ms(500));
        server.join().unwrap();
        assert_clean(&shutdown.run().report);
    });
}

fn victim(scenario: &str) -> (Child, SocketAddr) {
    let mut child = Child::start(env!("CARGO_BIN_EXE_victim"), &[scenario]);
    let address = child.wait_for("ready ").trim().trim_start_matches("ready ").parse().unwrap();
    (child, address)
}

/// A8: out of descriptors, the loop waits instead of spinning, and goes on when one of its own connections closes.
#[test]
fn a8_without_descriptors_it_waits_for_one() {
    let (mut child, address) = victim("starving");
    let mut clients: Vec<_> = (0..30).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &clients {
        (&*client).write_all(b"hello\n").unwrap();
    }
    // The first ones hold all that there is. A loop that spins would do so for this second: to spin takes time, and not to
    // spin is seen by none being taken.
    let second = std::time::Instant::now() + secs(1);
    assert_eq!(read_line(&clients[0]).unwrap(), "ok hello\n");
    while std::time::Instant::now() < second {
        thread::park_timeout(ms(50));
    }
    clients.remove(0);
    // The others are served when those before them have gone. Each of them, in the end.
    for client in clients.drain(..) {
        assert_eq!(read_line(&client).unwrap(), "ok hello\n");
    }
    child.signal(libc::SIGTERM);
    let busy = child.wait_for("processor time: ");
    let busy: f64 = busy.trim().trim_start_matches("processor time: ").parse().unwrap();
    assert!(busy < 0.5, "{busy} s of spinning");
    child.end().assert_code(0);
}

/// 10,000 connections open when the signal comes: told, lingered for, ended.
#[test]
fn ten_thousand_open_connections_are_ended() {
    let (mut child, address) = victim("crowd");
    let mut clients = Vec::new();
    for hundred in 1..=100 {
        clients.extend((0..100).map_while(|_| TcpStream::connect(address).ok()));
        // Not faster than they are accepted: the queue holds 128.
        child.wait_for(&format!("{hundred} hundred here"));
    }
    child.signal(libc::SIGTERM);
    for client in clients {
        assert!(ended(client));
    }
    child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean");
}

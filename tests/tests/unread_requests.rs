//! Connections whose request has arrived when the linger is over, whole or in part, and that the program has not read. Not
//! here: clients in the accept queue (`accept_queue`), and connections that are idle or at work (`sockets`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, mpsc};
use std::thread;

use winddown::testing::{ManualClock, assert_clean, assert_outcome};
use winddown::{Acceptor, Budget, Connection, Listener, Milestone, Outcome, Reason, Report, Shutdown};
use winddown_tests::lines::{read_line, serve};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

/// Drains until 9, ends at 9.5. The linger is over at 0.5, and the head time of a request that is awaited then at 5.5.
fn timed() -> (ManualClock, Shutdown) {
    timed_with(Budget::new(secs(11)))
}

fn timed_with(budget: Budget) -> (ManualClock, Shutdown) {
    let clock = ManualClock::new();
    let shutdown = Shutdown::builder().budget(budget).manual_clock(&clock).build().unwrap();
    (clock, shutdown)
}

/// Lets time pass up to `until`, when the driver waits for that.
fn pass(clock: &ManualClock, until: u64) {
    clock.wait_for_sleeper(ms(until));
    clock.advance(ms(until).saturating_sub(clock.now()));
}

/// Winds down past the linger, until the driver waits for the end of a request's head time alone. `end_accepting` is called
/// when the program refuses.
fn wind_down_until_awaited(clock: &ManualClock, shutdown: &Shutdown, end_accepting: impl FnOnce()) {
    // As long as there is work, the driver does not wait for idle connections, which would hide the head time.
    let work = shutdown.enter_owned().unwrap();
    shutdown.trigger(Reason::Requested);
    end_accepting();
    pass(clock, 500);
    clock.wait_for_sleeper(ms(5_500));
    drop(work);
    pass(clock, 1_000);
    clock.wait_for_sleeper(ms(5_500));
}

/// A connection and its client, which has sent these bytes. They have arrived: a Unix socket delivers at once.
fn connected(shutdown: &Shutdown, bytes: &str) -> (Connection<UnixStream>, UnixStream) {
    let (ours, mut client) = UnixStream::pair().unwrap();
    client.write_all(bytes.as_bytes()).unwrap();
    (Connection::new(ours, shutdown), client)
}

/// A connection with a request that a loop has accepted and sent to a worker. The channel keeps it over the linger's end.
fn in_a_channel<L: Listener>(
    listener: L,
    clock: &ManualClock,
    shutdown: &Shutdown,
    mut client: impl Write,
    arrived: impl Fn(&L::Stream),
) -> mpsc::Receiver<Connection<L::Stream>> {
    let mut incoming = Acceptor::new(listener, shutdown).unwrap().incoming();
    let (sender, receiver) = mpsc::channel();
    client.write_all(b"hello\n").unwrap();
    let connection = incoming.next().unwrap().unwrap();
    arrived(connection.stream());
    sender.send(connection).unwrap();
    wind_down_until_awaited(clock, shutdown, || assert!(incoming.next().is_none()));
    receiver
}

fn tcp_in_a_channel(clock: &ManualClock, shutdown: &Shutdown) -> (mpsc::Receiver<Connection<TcpStream>>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let arrived = |stream: &TcpStream| assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
    (in_a_channel(listener, clock, shutdown, &client, arrived), client)
}

fn unix_in_a_channel(
    clock: &ManualClock,
    shutdown: &Shutdown,
    name: &str,
) -> (mpsc::Receiver<Connection<UnixStream>>, UnixStream) {
    let path = std::env::temp_dir().join(format!("winddown-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    (in_a_channel(listener, clock, shutdown, &client, |_| ()), client)
}

/// What was counted, in the order in which the report has it.
fn counts(report: &Report) -> (u64, bool, u64, u64) {
    let unserved = report.unserved;
    (unserved.lost, unserved.unknown, unserved.incomplete, unserved.unused)
}

fn ended(mut stream: impl Read) -> bool {
    matches!(stream.read(&mut [0]), Ok(0))
}

/// The client is served when a worker takes its connection, after the linger.
fn is_served_after_the_linger<S: winddown::Stream>(
    shutdown: &Shutdown,
    receiver: &mpsc::Receiver<Connection<S>>,
    client: impl Read,
) where
    for<'a> &'a S: Read + Write,
{
    let connection = receiver.recv().unwrap();
    let worker = thread::spawn(move || serve(&connection));
    assert_eq!(read_line(client).unwrap(), "bye hello\n");
    worker.join().unwrap();
    let report = shutdown.run().report;
    assert_clean(&report);
    assert_eq!((counts(&report), report.took), ((0, false, 0, 0), secs(1)));
}

#[test]
fn a3_a_tcp_request_in_a_channel_of_the_programs_is_answered_after_the_linger() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (receiver, client) = tcp_in_a_channel(&clock, &shutdown);
        is_served_after_the_linger(&shutdown, &receiver, client);
    });
}

#[test]
fn a3_a_unix_request_in_a_channel_of_the_programs_is_answered_after_the_linger() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (receiver, client) = unix_in_a_channel(&clock, &shutdown, "answered");
        is_served_after_the_linger(&shutdown, &receiver, client);
    });
}

/// No worker takes the connection: the drain ends with the head time, and the client is lost.
fn is_lost_after_the_head_time<S: winddown::Stream>(
    clock: &ManualClock,
    shutdown: &Shutdown,
    receiver: mpsc::Receiver<Connection<S>>,
) {
    pass(clock, 5_500);
    let report = shutdown.run().report;
    drop(receiver);
    assert_outcome(&report, Outcome::ClientsLost);
    assert_eq!((counts(&report), report.exit_code(), report.took), ((1, false, 0, 0), 15, ms(5_500)));
    assert!(report.stragglers.is_empty() && report.unlabelled.total() == 0, "{report}");
}

#[test]
fn a3_a_tcp_request_that_is_never_read_is_lost_after_the_head_time() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (receiver, _client) = tcp_in_a_channel(&clock, &shutdown);
        is_lost_after_the_head_time(&clock, &shutdown, receiver);
    });
}

#[test]
fn a3_a_unix_request_that_is_never_read_is_lost_after_the_head_time() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (receiver, _client) = unix_in_a_channel(&clock, &shutdown, "never-read");
        is_lost_after_the_head_time(&clock, &shutdown, receiver);
    });
}

/// Reads one line as the documentation of `Connection` has it, and answers it.
fn receive(connection: &Connection<UnixStream>, has_half: &mpsc::Sender<()>) -> bool {
    let mut reader = BufReader::with_capacity(4, connection.stream());
    assert!(!reader.fill_buf().unwrap().is_empty());
    let receiving = connection.receiving().unwrap();
    has_half.send(()).unwrap();
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    if !request.ends_with('\n') {
        return false;
    }
    let busy = receiving.busy().unwrap();
    connection.stream().write_all(format!("answer to {request}").as_bytes()).unwrap();
    drop(busy);
    true
}

/// A worker that has read half a request.
fn receiving(shutdown: &Shutdown) -> (thread::JoinHandle<bool>, UnixStream) {
    let (connection, client) = connected(shutdown, "half");
    let (sender, has_half) = mpsc::channel();
    let worker = thread::spawn(move || receive(&connection, &sender));
    has_half.recv().unwrap();
    (worker, client)
}

#[test]
fn a3_half_a_request_is_incomplete_after_the_head_time() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (worker, _client) = receiving(&shutdown);
        wind_down_until_awaited(&clock, &shutdown, || ());
        pass(&clock, 5_500);
        assert!(!worker.join().unwrap());
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!((counts(&report), report.exit_code(), report.took), ((0, false, 1, 0), 0, ms(5_500)));
        assert!(report.stragglers.is_empty() && report.unlabelled.total() == 0, "{report}");
    });
}

/// Its owner hears of it while the drain goes on for other work.
#[test]
fn a3_a_reader_of_half_a_request_is_woken_after_the_head_time() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (worker, _client) = receiving(&shutdown);
        let work = shutdown.enter_owned().unwrap();
        shutdown.trigger(Reason::Requested);
        pass(&clock, 500);
        pass(&clock, 5_500);
        assert!(!worker.join().unwrap());
        drop(work);
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!(counts(&report), (0, false, 1, 0));
    });
}

#[test]
fn a3_half_a_request_is_answered_if_the_rest_comes_within_the_head_time() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (worker, mut client) = receiving(&shutdown);
        wind_down_until_awaited(&clock, &shutdown, || ());
        clock.advance(ms(4_499));
        client.write_all(b" and half\n").unwrap();
        assert_eq!(read_line(&client).unwrap(), "answer to half and half\n");
        assert!(worker.join().unwrap());
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!((counts(&report), report.took), ((0, false, 0, 0), ms(5_499)));
    });
}

/// Winds down past the linger, with work under way that keeps the drain. An idle connection shows when the linger is over for
/// it and for every connection before it.
fn after_the_linger(clock: &ManualClock, shutdown: &Shutdown) -> winddown::OwnedPass {
    let work = shutdown.enter_owned().unwrap();
    let (idle, _client) = connected(shutdown, "");
    shutdown.trigger(Reason::Requested);
    pass(clock, 500);
    assert!(ended(idle.stream()));
    drop(idle);
    clock.wait_for_sleeper(secs(9));
    work
}

#[test]
fn a3_a_silent_connection_that_comes_after_the_linger_is_ended_at_once() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let work = after_the_linger(&clock, &shutdown);
        let (connection, _client) = connected(&shutdown, "");
        assert!(connection.is_ended() && ended(connection.stream()));
        drop(work);
        // The owner that keeps it does not hold the drain: for a second linger at most, in which peers notice.
        pass(&clock, 1_000);
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!(counts(&report), (0, false, 0, 0));
    });
}

#[test]
fn a3_a_request_on_a_connection_that_comes_after_the_linger_is_awaited() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let work = after_the_linger(&clock, &shutdown);
        let (connection, client) = connected(&shutdown, "hello\n");
        assert!(!connection.is_ended());
        clock.wait_for_sleeper(ms(5_500));
        drop(work);
        pass(&clock, 1_000);
        clock.wait_for_sleeper(ms(5_500));
        let worker = thread::spawn(move || serve(&connection));
        assert_eq!(read_line(client).unwrap(), "bye hello\n");
        worker.join().unwrap();
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!((counts(&report), report.took), ((0, false, 0, 0), secs(1)));
    });
}

/// The end of a stream is no request.
#[test]
fn a3_a_client_that_has_closed_is_not_awaited() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (connection, client) = connected(&shutdown, "");
        drop(client);
        shutdown.trigger(Reason::Requested);
        pass(&clock, 500);
        pass(&clock, 1_000);
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!((counts(&report), report.took), ((0, false, 0, 0), secs(1)));
        assert!(connection.is_ended());
    });
}

/// Once for each connection: a client that sends on and on does not hold the drain.
#[test]
fn a3_a_second_request_is_not_awaited_again() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let work = shutdown.enter_owned().unwrap();
        let (connection, client) = connected(&shutdown, "one\ntwo\n");
        shutdown.trigger(Reason::Requested);
        pass(&clock, 500);
        clock.wait_for_sleeper(ms(5_500));
        let busy = connection.busy().unwrap();
        let mut first = [0; 4];
        connection.stream().read_exact(&mut first).unwrap();
        assert_eq!(&first, b"one\n");
        connection.stream().write_all(b"answer\n").unwrap();
        assert!(!connection.is_ended());
        drop(busy);
        assert!(connection.is_ended());
        assert_eq!(read_line(&client).unwrap(), "answer\n");
        drop(work);
        pass(&clock, 1_000);
        let report = shutdown.run().report;
        assert_clean(&report);
        // The client has had its answer: it is not lost.
        assert_eq!((counts(&report), report.took), ((0, false, 0, 0), secs(1)));
    });
}

/// Awaits connections until the drain's deadline, which comes before the head time.
fn at_the_drains_deadline(begin: impl Fn(&Shutdown) -> Held) -> Arc<Report> {
    let (clock, shutdown) = timed_with(Budget::new(secs(11)).head(secs(60)));
    let held = begin(&shutdown);
    let work = after_the_linger(&clock, &shutdown);
    drop(work);
    pass(&clock, 1_000);
    pass(&clock, 9_000);
    let report = shutdown.run().report;
    drop(held);
    assert_eq!(report.took, secs(9));
    assert!(report.stragglers.is_empty() && report.unlabelled.total() == 0, "{report}");
    report
}

/// What stays until the end.
type Held = Box<dyn std::any::Any>;

#[test]
fn p6_an_unread_request_at_the_drains_deadline_is_lost_and_not_late() {
    must_end(|| {
        let report = at_the_drains_deadline(|shutdown| Box::new(connected(shutdown, "hello\n")));
        assert_outcome(&report, Outcome::ClientsLost);
        assert_eq!((counts(&report), report.exit_code()), ((1, false, 0, 0), 15));
    });
}

#[test]
fn p6_half_a_request_at_the_drains_deadline_is_incomplete_and_not_late() {
    must_end(|| {
        let report = at_the_drains_deadline(|shutdown| {
            let (connection, client) = connected(shutdown, "half a request");
            let receiving = connection.receiving_owned().unwrap();
            // The program has begun to read. The rest of what has arrived is unread, and does not make the client a lost one.
            connection.stream().read_exact(&mut [0; 4]).unwrap();
            Box::new((connection, client, receiving))
        });
        assert_clean(&report);
        assert_eq!((counts(&report), report.exit_code()), ((0, false, 1, 0), 0));
    });
}

/// A worker that comes to a request after its head time, while other work keeps the drain open: the client is answered.
#[test]
fn a3_a_request_that_is_answered_after_its_head_time_is_not_lost() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (connection, _client) = connected(&shutdown, "?");
        let work = shutdown.enter_owned().unwrap();
        shutdown.trigger(Reason::Requested);
        pass(&clock, 500);
        pass(&clock, 5_500);
        while !connection.is_ended() {
            thread::yield_now();
        }
        let busy = connection.busy().unwrap();
        (&connection).read_exact(&mut [0]).unwrap();
        drop(busy);
        drop(connection);
        drop(work);
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!(counts(&report), (0, false, 0, 0));
    });
}

/// What a client sends after its answer is no request that was lost (A6), but what it sends on a connection that is closed
/// without an answer is.
#[test]
fn p7_unread_bytes_at_the_close_are_lost_unless_the_client_was_answered() {
    for answered in [true, false] {
        must_end(move || {
            let (_, shutdown) = timed();
            let (connection, mut client) = connected(&shutdown, "");
            let work = shutdown.enter_owned().unwrap();
            shutdown.trigger(Reason::Requested);
            shutdown.token_at(Milestone::Refusing).wait();
            if answered {
                drop(connection.busy().unwrap());
            }
            client.write_all(b"?").unwrap();
            drop(connection);
            drop(work);
            assert_eq!(counts(&shutdown.run().report), (u64::from(!answered), false, 0, 0));
        });
    }
}

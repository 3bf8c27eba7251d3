//! What a listener does beside accepting: how it refuses, what it leaves to other holders, and what is told of it when it fails. Not
//! here: the accept queue (`accept_queue`), and groups (`reuse_port`).

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use winddown::testing::{ManualClock, assert_clean};
use winddown::{
    Acceptor, AtRefusal, Budget, Event, Listener, Milestone, Notice, OnFailure, Outcome, Part, Phase, Reason, Report,
    Shutdown, UnixSocket,
};
use winddown_tests::lines::{read_line, serve_with};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::sys;

fn shutdown() -> Shutdown {
    Shutdown::builder().budget(Budget::new(secs(10)).linger(ms(50))).build().unwrap()
}

fn tcp() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("winddown-{}-{name}", std::process::id()))
}

/// Serves one line after the other, each after `work`.
fn serve_in_turn(acceptor: Acceptor<TcpListener>, work: Duration) -> thread::JoinHandle<usize> {
    let serve = move |connection: std::io::Result<_>| serve_with(&connection.unwrap(), |_| thread::sleep(work));
    thread::spawn(move || acceptor.incoming().map(serve).count())
}

/// A5: how long a newcomer waits for its refusal. Behind a filter its SYN is dropped, and sent again after a second.
#[test]
fn a5_a_newcomer_is_refused_after_a_second_or_at_once_as_the_policy_says() {
    for (policy, at_least, at_most) in
        [(AtRefusal::Drain, ms(900), ms(3_500)), (AtRefusal::RefuseAtOnce, ms(0), ms(500))]
    {
        let shutdown = shutdown();
        let (listener, address) = tcp();
        let acceptor = Acceptor::new(listener, &shutdown).unwrap().at_refusal(policy);
        let busy = TcpStream::connect(address).unwrap();
        (&busy).write_all(b"long\n").unwrap();
        let (release, released) = mpsc::channel();
        let server = thread::spawn(move || {
            for connection in acceptor.incoming() {
                serve_with(&connection.unwrap(), |line| {
                    if line == "long\n" {
                        released.recv().unwrap();
                    }
                });
            }
        });
        let refusing = shutdown.token_at(Milestone::Refusing);
        shutdown.trigger(Reason::Requested);
        refusing.wait();
        if policy == AtRefusal::Drain {
            // The door is shut while the loop is at work; the newcomer's first SYN falls into that time.
            thread::sleep(ms(30));
            let newcomer = thread::spawn(move || (Instant::now(), TcpStream::connect(address)));
            thread::sleep(ms(100));
            release.send(()).unwrap();
            server.join().unwrap();
            let (began, result) = newcomer.join().unwrap();
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert!((at_least..at_most).contains(&began.elapsed()), "{policy:?}: {:?}", began.elapsed());
        } else {
            release.send(()).unwrap();
            server.join().unwrap();
            let began = Instant::now();
            assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert!((at_least..at_most).contains(&began.elapsed()), "{policy:?}: {:?}", began.elapsed());
        }
        drop(busy);
        assert_clean(&shutdown.run().report);
    }
}

/// The queue outlasts the linger: from then on the door is shut, and every client in it is answered.
#[test]
fn a5_a_door_that_refuses_at_once_is_shut_when_the_linger_is_over() {
    let shutdown = shutdown();
    let (listener, address) = tcp();
    let acceptor = Acceptor::new(listener, &shutdown).unwrap().at_refusal(AtRefusal::RefuseAtOnce);
    let server = serve_in_turn(acceptor, ms(20));
    let clients: Vec<_> = (0..20)
        .map(|number| {
            let mut client = TcpStream::connect(address).unwrap();
            writeln!(client, "{number}").unwrap();
            client
        })
        .collect();
    shutdown.trigger(Reason::Requested);
    for client in clients {
        assert!(read_line(&mut &client).is_ok_and(|line| !line.is_empty()), "a client was not answered");
    }
    assert_eq!(server.join().unwrap(), 20);
    assert_clean(&shutdown.run().report);
}

/// A7, of the mode: `O_NONBLOCK` belongs to all holders of a description.
#[test]
fn a7_a_shared_listener_keeps_the_mode_that_its_other_holder_relies_on() {
    must_end(|| {
        let (ours, address) = tcp();
        let theirs = ours.try_clone().unwrap();
        keeps_the_mode(ours, move || theirs.accept().map(drop), || drop(TcpStream::connect(address)));
        let file = path("mode");
        let ours = UnixListener::bind(&file).unwrap();
        let theirs = ours.try_clone().unwrap();
        keeps_the_mode(ours, move || theirs.accept().map(drop), || drop(UnixStream::connect(&file)));
        fs::remove_file(file).unwrap();
    });
}

fn keeps_the_mode<L: Listener>(
    ours: L,
    accept: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    connect: impl Fn(),
) {
    let shutdown = shutdown();
    let incoming = Acceptor::new(ours, &shutdown).unwrap().shared().incoming();
    let server = thread::spawn(move || incoming.count());
    let other = thread::spawn(accept);
    // With a mode of ours it would fail at once. Time only helps to find that.
    thread::park_timeout(ms(100));
    // Both wait for clients until the other holder has got one.
    while !other.is_finished() {
        connect();
        thread::yield_now();
    }
    other.join().unwrap().unwrap();
    shutdown.trigger(Reason::Requested);
    // Our thread may be in an `accept` that waits for the next client: the wind-down does not wait for it.
    let report = shutdown.run().report;
    assert!(report.stragglers.is_empty(), "{report}");
    while !server.is_finished() {
        connect();
        thread::yield_now();
    }
}

/// Clients of a listener with `TCP_DEFER_ACCEPT` are connected long before they are in its queue.
#[test]
#[cfg(target_os = "linux")]
fn a5_a_client_whose_accept_is_deferred_is_served() {
    let shutdown = shutdown();
    let (listener, address) = tcp();
    sys::set_option(&listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 5).unwrap();
    let acceptor = Acceptor::new(listener, &shutdown).unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    let refusing = shutdown.token_at(Milestone::Refusing);
    let server = thread::spawn(move || {
        for connection in acceptor.incoming() {
            let connection = connection.unwrap();
            thread::spawn(move || serve_with(&connection, |_| ()));
        }
    });
    shutdown.trigger(Reason::Requested);
    refusing.wait();
    thread::sleep(ms(30));
    client.write_all(b"late\n").unwrap();
    assert_eq!(read_line(&mut client).unwrap(), "bye late\n");
    server.join().unwrap();
    assert_clean(&shutdown.run().report);
}

/// P7: the fallback is in the report.
#[test]
#[cfg(target_os = "linux")]
fn p7_a_door_that_cannot_be_shut_is_a_note_in_the_report() {
    let shutdown = shutdown();
    let (listener, address) = tcp();
    // The program allows no other filter than its own.
    sys::set_option(&listener, libc::SOL_SOCKET, libc::SO_LOCK_FILTER, 1).unwrap();
    let server = serve_in_turn(Acceptor::new(listener, &shutdown).unwrap(), ms(0));
    shutdown.trigger(Reason::Requested);
    server.join().unwrap();
    let report = shutdown.run().report;
    assert_clean(&report);
    let [note] = &report.notes[..] else { panic!("one note: {report}") };
    let expected = format!("listener on {address}: could not shut the door");
    assert!(note.starts_with(&expected) && note.contains("left it open"), "{note}");
    assert!(report.to_string().contains(note));
}

#[test]
fn a_listener_says_where_it_listens_and_how_many_wait() {
    let shutdown = shutdown();
    let (listener, address) = tcp();
    let acceptor = Acceptor::new(listener, &shutdown).unwrap();
    assert_eq!(acceptor.local_addr().unwrap(), address);
    // More than the 128 of std's listener, and one that accepts none of them.
    let incoming = acceptor.backlog(400).unwrap().incoming();
    assert_eq!(incoming.local_addr().unwrap(), address);
    let connect = |_| TcpStream::connect_timeout(&address, ms(500)).expect("there is room in the queue");
    let clients: Vec<_> = (0..300).map(connect).collect();
    drop((incoming, clients));

    let file = path("address");
    let acceptor = Acceptor::new(UnixSocket::bind(&file).unwrap(), &shutdown).unwrap();
    assert_eq!(acceptor.local_addr().unwrap().as_pathname(), Some(&*file));
}

#[test]
fn a_socket_file_goes_with_its_listener_unless_another_took_its_place() {
    let file = path("file");
    let shutdown = shutdown();
    let acceptor = Acceptor::new(UnixSocket::bind(&file).unwrap(), &shutdown).unwrap();
    shutdown.trigger(Reason::Requested);
    assert_eq!(acceptor.incoming().count(), 0);
    assert_clean(&shutdown.run().report);
    assert!(!file.exists());

    let ours = UnixSocket::bind(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let successor = UnixListener::bind(&file).unwrap();
    drop(ours);
    assert!(file.exists(), "the successor's file is not ours to remove");
    drop(successor);
    fs::remove_file(&file).unwrap();
}

/// What observers were told of a listener's failure.
fn failing(policy: Option<OnFailure>, fail: impl FnOnce(Acceptor<TcpListener>, TcpListener)) -> (Shutdown, String) {
    let (sender, told) = mpsc::channel();
    let observer = move |notice: &Notice| {
        if notice.event == Event::ListenerFailed {
            sender.send(notice.to_string()).unwrap();
        }
    };
    let shutdown = Shutdown::builder().budget(Budget::new(secs(10))).observer(observer).build().unwrap();
    let (listener, _) = tcp();
    let other = listener.try_clone().unwrap();
    let mut acceptor = Acceptor::new(listener, &shutdown).unwrap();
    if let Some(policy) = policy {
        acceptor = acceptor.on_failure(policy);
    }
    fail(acceptor, other);
    let notice = told.recv_timeout(secs(30)).unwrap();
    (shutdown, notice)
}

/// The kernel takes the listener out of service, as another holder or a bug would have it.
fn out_of_order(acceptor: Acceptor<TcpListener>, other: TcpListener) {
    let mut incoming = acceptor.incoming();
    TcpStream::from(OwnedFd::from(other)).shutdown(Half::Read).unwrap();
    assert!(incoming.next().unwrap().is_err());
    assert!(incoming.next().is_none(), "the error is the last item");
}

fn assert_told(report: &Report, notice: &str, part: &str) {
    let [failure] = &report.failures[..] else { panic!("one failure: {report}") };
    assert_eq!((failure.part, report.outcome), (Part::Listener, Outcome::Failed));
    for text in [notice, &failure.what, &report.to_string()] {
        assert!(text.contains("listener on 127.0.0.1:") && text.contains(part), "{text}");
    }
    assert_ne!(report.exit_code(), 0);
}

#[test]
fn p7_a_listener_that_fails_is_told_and_triggers_the_wind_down() {
    let (shutdown, notice) = failing(None, out_of_order);
    let report = shutdown.run().report;
    assert_eq!(report.reason, Reason::Failure);
    assert_told(&report, &notice, "Invalid argument");
}

#[test]
fn p7_a_program_may_go_on_without_a_listener_that_failed() {
    let (shutdown, notice) = failing(Some(OnFailure::GoOn), out_of_order);
    assert_eq!(shutdown.phase(), Phase::Running);
    shutdown.trigger(Reason::Requested);
    let report = shutdown.run().report;
    assert_eq!(report.reason, Reason::Requested);
    assert_told(&report, &notice, "Invalid argument");
}

#[test]
fn p7_an_accept_loop_that_panics_is_told_and_triggers_the_wind_down() {
    let panics = |acceptor: Acceptor<TcpListener>, _| {
        let looped = thread::spawn(move || {
            let _incoming = acceptor.incoming();
            panic!("a bug in the loop");
        });
        looped.join().unwrap_err();
    };
    let (shutdown, notice) = failing(None, panics);
    let report = shutdown.run().report;
    assert_eq!(report.reason, Reason::Failure);
    assert_told(&report, &notice, "its accept loop panicked");
}

/// In the lame duck the driver has the observers, and tells them. The reason stays the first one.
#[test]
fn p7_a_listener_that_fails_in_the_lame_duck_is_told() {
    let (sender, told) = mpsc::channel();
    let observer = move |notice: &Notice| {
        if notice.event == Event::ListenerFailed {
            sender.send(notice.to_string()).unwrap();
        }
    };
    let clock = ManualClock::new();
    let budget = Budget::new(secs(30)).lame_duck(secs(5));
    let shutdown = Shutdown::builder().budget(budget).observer(observer).manual_clock(&clock).build().unwrap();
    let (listener, _) = tcp();
    let other = listener.try_clone().unwrap();
    let acceptor = Acceptor::new(listener, &shutdown).unwrap();
    shutdown.trigger(Reason::Requested);
    // The driver sleeps until the refusal.
    clock.wait_for_sleeper(secs(5));
    out_of_order(acceptor, other);
    let notice = told.recv_timeout(secs(30)).unwrap();
    // Only the lame duck passes: the observers have time left to hear the end.
    clock.advance(secs(5));
    let report = shutdown.run().report;
    assert_eq!(report.reason, Reason::Requested);
    assert_told(&report, &notice, "Invalid argument");
}

/// A listener that ends with the wind-down has not failed.
#[test]
fn a_listener_that_winds_down_is_no_failure() {
    let shutdown = shutdown();
    let (listener, address) = tcp();
    let server = serve_in_turn(Acceptor::new(listener, &shutdown).unwrap(), ms(0));
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"1\n").unwrap();
    let mut byte = [0];
    client.read_exact(&mut byte).unwrap();
    drop(client);
    shutdown.trigger(Reason::Requested);
    server.join().unwrap();
    let report = shutdown.run().report;
    assert_clean(&report);
    assert!(report.failures.is_empty() && report.notes.is_empty(), "{report}");
}

//! Listeners as streams, on real sockets: the lines of the contracts' section A by their numbers. What is decided when is
//! tested in `tests/sockets.rs`, on threads; here, that tasks are woken for it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

use futures_lite::io::BufReader;
use futures_lite::stream::Stream as _;
use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt};
use smol::{Async, Executor, block_on};
use winddown::testing::{ManualClock, assert_clean, assert_outcome};
use winddown::{Listener, Stream};
use winddown_smol::{Budget, Connection, Incoming, Milestone, Outcome, Reason, Shutdown};
use winddown_tests::lines::{Fate, ask_once, read_line, without_a_pause};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::sys;
use winddown_tests::waker::counted;

use crate::{Several, apart, own_process};

/// Drains until 9, ends at 9.5; idle connections linger until 0.5 after the refusal, which is at 0.
pub(crate) fn timed() -> (ManualClock, Shutdown) {
    let (clock, builder) = crate::timed();
    (clock, builder.build().unwrap())
}

pub(crate) fn tcp(shutdown: &Shutdown) -> (Incoming<TcpListener>, SocketAddr) {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    (Incoming::new(listener, shutdown).unwrap(), address)
}

fn unix(name: &str) -> (Async<UnixListener>, PathBuf) {
    let path = std::env::temp_dir().join(format!("winddown-smol-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    (Async::<UnixListener>::bind(&path).unwrap(), path)
}

/// Serves every connection as a task of its own, until there are no more.
async fn serve_all<L: Listener + Sync>(executor: Arc<Executor<'static>>, mut incoming: Incoming<L>)
where
    for<'a> &'a L::Stream: Read + Write,
{
    while let Some(connection) = incoming.next().await {
        executor.spawn(serve(connection.expect("the listener works"))).detach();
    }
    assert!(incoming.next().await.is_none(), "for ever after");
}

/// Answers lines until the peer or the program has had enough: as `winddown_tests::lines`, in a task.
async fn serve<S: Stream>(connection: Connection<S>)
where
    for<'a> &'a S: Read + Write,
{
    let mut lines = BufReader::new(&connection);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await.is_err() || !line.ends_with('\n') {
            return;
        }
        let Ok(busy) = connection.busy_owned() else { return };
        let closing = connection.is_closing();
        let answer = if closing { format!("bye {line}") } else { format!("ok {line}") };
        if (&connection).write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if closing {
            let _ = connection.close_after(busy, secs(1)).await;
            return;
        }
    }
}

/// A server that has begun, on an executor of its own.
pub(crate) fn serving<L: Listener + Sync>(incoming: Incoming<L>) -> (Several, smol::Task<()>)
where
    for<'a> &'a L::Stream: Read + Write,
{
    let several = Several::new();
    let accept = several.executor().spawn(serve_all(several.executor().clone(), incoming));
    (several, accept)
}

/// A connection that the server has, and has answered once.
pub(crate) fn greeted(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    (&stream).write_all(b"hello\n").unwrap();
    assert_eq!(read_line(&stream).unwrap(), "ok hello\n");
    stream
}

/// Twenty that the kernel has accepted and nobody else, each with a question.
fn queued<S>(connect: impl Fn() -> io::Result<S>) -> Vec<S>
where
    for<'a> &'a S: Write,
{
    let ask = |number| {
        let stream = connect().unwrap();
        writeln!(&stream, "{number}").unwrap();
        stream
    };
    (0..20).map(ask).collect()
}

fn all_are_served<S>(clients: Vec<S>)
where
    for<'a> &'a S: Read,
{
    for (number, stream) in clients.into_iter().enumerate() {
        assert_eq!(read_line(&stream).unwrap(), format!("bye {number}\n"));
    }
}

/// Whether the other side has ended it; waits for that.
pub(crate) fn ended(mut stream: impl Read) -> bool {
    matches!(stream.read(&mut [0]), Ok(0))
}

#[test]
fn a1_a5_the_accept_queue_at_the_refusal_is_served() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (incoming, address) = tcp(&shutdown);
        let clients = queued(|| TcpStream::connect(address));
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        let (_executor, accept) = serving(incoming);
        all_are_served(clients);
        block_on(accept);
        assert_clean(&block_on(shutdown.run()).report);
        assert_eq!(ask_once(address), Fate::Refused);
    });
}

#[test]
fn a7_so_is_that_of_a_unix_listener() {
    must_end(|| {
        let (_, shutdown) = timed();
        let (listener, path) = unix("queue");
        let incoming = Incoming::new(listener, &shutdown).unwrap();
        let clients = queued(|| UnixStream::connect(&path));
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        let (_executor, accept) = serving(incoming);
        all_are_served(clients);
        block_on(accept);
        assert_clean(&block_on(shutdown.run()).report);
        assert!(UnixStream::connect(&path).is_err());
        fs::remove_file(path).unwrap();
    });
}

/// A7: the other holder of a listener goes on as before.
#[test]
fn a7_a_shared_listener_stays_reachable_for_the_other_holder() {
    must_end(|| {
        let (_, shutdown) = timed();
        let ours = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
        let theirs = ours.get_ref().try_clone().unwrap();
        let mut incoming = Incoming::configured(ours, &shutdown, |acceptor| Ok(acceptor.shared())).unwrap();
        shutdown.trigger(Reason::Requested);
        assert!(block_on(incoming.next()).is_none());
        assert_clean(&block_on(shutdown.run()).report);
        let _client = TcpStream::connect(theirs.local_addr().unwrap()).unwrap();
        theirs.set_nonblocking(false).unwrap();
        theirs.accept().unwrap();
    });
}

/// A5: clients that connect without a pause, and none of them is let in and then reset.
#[test]
fn a5_nobody_slips_in_between_the_last_accept_and_the_close() {
    must_end(|| {
        for _ in 0..10 {
            let (_, shutdown) = timed();
            let (incoming, address) = tcp(&shutdown);
            let (_executor, accept) = serving(incoming);
            let fates = without_a_pause(address);
            shutdown.trigger(Reason::Requested);
            assert_clean(&block_on(shutdown.run()).report);
            block_on(accept);
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
        let (incoming, address) = tcp(&shutdown);
        let (_executor, accept) = serving(incoming);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(2));
        drop(greeted(address));
        clock.advance(secs(2));
        assert_clean(&block_on(shutdown.run()).report);
        block_on(accept);
        assert_eq!(ask_once(address), Fate::Refused);
    });
}

/// P4, A2: woken by the refusal alone, though nobody connects.
#[test]
fn p4_a2_a_stream_that_waits_is_woken() {
    must_end(|| {
        for _ in 0..50 {
            let (_, shutdown) = timed();
            let (mut incoming, _) = tcp(&shutdown);
            let accept = apart(async move { incoming.next().await.is_none() });
            shutdown.trigger(Reason::Requested);
            assert_clean(&block_on(shutdown.run()).report);
            assert!(accept.join().unwrap());
        }
    });
}

/// P6: one that is not polled is a straggler, by name.
#[test]
fn p6_one_that_nobody_polls_is_named() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (_incoming, address) = tcp(&shutdown);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        clock.wait_for_sleeper(ms(9_500));
        clock.advance(ms(500));
        let report = block_on(shutdown.run()).report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        assert_eq!(report.stragglers[0].label, format!("listener on {address}"));
        assert_eq!(report.stragglers[0].location.file(), file!());
    });
}

/// A1: its clients are reset. They are counted, and the pass is given back after the listener is closed.
#[test]
fn a1_p7_a_stream_that_is_dropped_counts_its_queue_as_lost() {
    must_end(|| {
        let (clock, shutdown) = timed();
        let (incoming, address) = tcp(&shutdown);
        let clients = queued(|| TcpStream::connect(address));
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        drop(incoming);
        assert_eq!(ask_once(address), Fate::Refused);
        assert!(clients.iter().all(|stream| read_line(stream).is_err()));
        let exit = block_on(shutdown.run());
        assert_outcome(&exit.report, Outcome::ClientsLost);
        assert_eq!((exit.code(), exit.report.unserved.lost), (15, 20));
    });
}

/// A8: woken by a connection that closes, and not only by the time.
#[test]
fn a8_without_descriptors_it_goes_on_when_a_connection_closes() {
    if let Some(child) = own_process("sockets::a8_without_descriptors_it_goes_on_when_a_connection_closes") {
        child.end().assert_code(0).assert_said("1 passed");
        return;
    }
    let (_, shutdown) = timed();
    let (mut incoming, address) = tcp(&shutdown);
    let _clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
    sys::limit_descriptors(64).unwrap();
    let mut all: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
    drop(all.pop());
    let first = block_on(incoming.next()).unwrap().unwrap();
    let (waker, counts) = counted();
    let mut next = || Pin::new(&mut incoming).poll_next(&mut Context::from_waker(&waker));
    assert!(next().is_pending());
    let before = counts.wakes();
    drop(first);
    assert!(counts.wakes() > before, "on the thread that closes it");
    let Poll::Ready(Some(Ok(second))) = next() else { panic!("there is a descriptor, and somebody") };
    assert!(next().is_pending());
    drop(second);
}

/// A8: it waits instead of spinning.
#[test]
fn a8_without_descriptors_it_does_not_spin_and_serves_all_in_the_end() {
    let Some(mut child) = own_process("sockets::a8_without_descriptors_it_does_not_spin_and_serves_all_in_the_end")
    else {
        return starving();
    };
    let line = child.wait_for("ready ");
    let address: SocketAddr = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let mut clients: Vec<_> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &clients {
        (&*client).write_all(b"hello\n").unwrap();
    }
    // The first ones hold all that there is. A loop that spins would do so for this second: to spin takes time, and not to
    // spin is seen by none being taken.
    let second = Instant::now() + secs(1);
    assert_eq!(read_line(&clients[0]).unwrap(), "ok hello\n");
    while Instant::now() < second {
        thread::park_timeout(ms(50));
    }
    clients.remove(0);
    // The others are served when those before them have gone. Each of them, in the end.
    for client in clients.drain(..) {
        assert_eq!(read_line(&client).unwrap(), "ok hello\n");
    }
    child.signal(libc::SIGTERM);
    let busy = child.wait_for("processor time: ");
    let busy: f64 = busy.trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(busy < 0.5, "{busy} s of spinning");
    child.end().assert_code(0).assert_said("1 passed");
}

fn starving() {
    let shutdown = Shutdown::builder().signals().build().unwrap();
    let (incoming, address) = tcp(&shutdown);
    let (_executor, accept) = serving(incoming);
    sys::limit_descriptors(24).unwrap();
    println!("ready {address}");
    let exit = block_on(shutdown.run());
    block_on(accept);
    println!("processor time: {}", sys::processor_time().as_secs_f64());
    assert_clean(&exit.report);
}

/// P7 (case 19): a listener that fails is told, whatever the stream of connections makes of the error.
#[test]
fn p7_a_listener_that_fails_under_http_triggers_the_wind_down() {
    must_end(|| {
        block_on(async {
            let shutdown = Shutdown::builder().budget(Budget::new(secs(10))).build().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let other = listener.try_clone().unwrap();
            let incoming = Incoming::new(Async::new(listener).unwrap(), &shutdown).unwrap();
            let address = incoming.local_addr().unwrap();
            assert_eq!(address, other.local_addr().unwrap());
            let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
            let hello = hyper::service::service_fn(|_| async {
                Ok::<_, std::convert::Infallible>(hyper::Response::new("hello".to_owned()))
            });
            let served = smol::spawn(winddown_smol::http::serve(
                incoming,
                hyper::server::conn::http1::Builder::new(),
                hello,
                tasks,
            ));
            TcpStream::from(std::os::fd::OwnedFd::from(other)).shutdown(std::net::Shutdown::Read).unwrap();
            served.await;
            let report = shutdown.run().await.report;
            assert_eq!((report.reason, report.outcome), (Reason::Failure, Outcome::Failed));
            let [failure] = &report.failures[..] else { panic!("one failure: {report}") };
            let expected = format!("listener on {address}: Invalid argument");
            assert!(failure.part == winddown::Part::Listener && failure.what.starts_with(&expected), "{failure:?}");
        });
    });
}

/// A7: why the mode of a listener that others hold is not kept on smol. The reactor changes it before the library sees the
/// listener (see `Incoming::configured`).
#[test]
fn a7_the_reactor_makes_a_listener_non_blocking_before_the_library_has_it() {
    let ours = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = ours.try_clone().unwrap();
    let _ours = Async::new(ours).unwrap();
    assert_eq!(theirs.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

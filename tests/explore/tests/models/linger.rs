//! The linger's end against guards, requests and new connections: first the word that decides (core's), then the library whole.
//! Streams are real sockets with their bytes in them, so no read here blocks; the clock is never moved, so nothing times out.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use winddown::testing::{ManualClock, assert_clean};
use winddown::{Budget, Connection, Milestone, Phase, Reason, Shutdown};
use winddown_core::{Account, Await, ConnectionState, End, Hold};

use crate::bell::Bell;
use crate::explore::explore;

/// A word, and how often each thing was done that is to be done once.
struct Word {
    state: ConnectionState,
    settled: AtomicUsize,
    taken_off: AtomicUsize,
}

impl Word {
    /// Lingered and awaited, if it is to be.
    fn new(awaited: bool) -> Arc<Self> {
        let word = Self { state: ConnectionState::new(), settled: AtomicUsize::new(0), taken_off: AtomicUsize::new(0) };
        if awaited {
            assert!(word.state.linger());
            assert_eq!(word.state.begin_await(), Await::Began);
        }
        Arc::new(word)
    }

    fn settle(&self, told: bool) {
        self.settled.fetch_add(usize::from(told), Ordering::Relaxed);
    }

    fn take_off(&self, told: bool) {
        self.taken_off.fetch_add(usize::from(told), Ordering::Relaxed);
    }
}

/// The last guard's drop against the linger's end: one of the two settles the connection.
#[test]
fn word_the_last_guard_against_the_linger() {
    explore(None, || {
        let word = Word::new(false);
        for _ in 0..2 {
            let _ = word.state.enter(Hold::Busy, false).unwrap();
        }
        let theirs = word.clone();
        let guards = thread::spawn(move || {
            for _ in 0..2 {
                theirs.settle(theirs.state.leave(Hold::Busy, true));
            }
        });
        word.settle(word.state.linger());
        guards.join().unwrap();
        assert_eq!(word.settled.load(Ordering::Relaxed), 1);
        assert!(word.state.is_idle());
    });
}

/// The head time's end, the cut and the request itself: one of them takes it off the count.
#[test]
fn word_a_request_against_the_head_time_and_the_cut() {
    explore(None, || {
        let word = Word::new(true);
        let theirs = word.clone();
        let request = thread::spawn(move || {
            // Refused once it is cut.
            theirs.take_off(theirs.state.enter(Hold::Busy, true).is_ok_and(|entered| entered.await_ended));
        });
        word.take_off(word.state.expire());
        word.take_off(word.state.cut().unwrap().await_ended);
        request.join().unwrap();
        assert_eq!(word.taken_off.load(Ordering::Relaxed), 1);
    });
}

/// The decision to await against a request that takes its guard: it is awaited, or at work, and settled in the end.
#[test]
fn word_an_await_against_a_request() {
    explore(None, || {
        let word = Word::new(false);
        assert!(word.state.linger());
        let theirs = word.clone();
        let request = thread::spawn(move || {
            theirs.take_off(theirs.state.enter(Hold::Busy, true).unwrap().await_ended);
            theirs.settle(theirs.state.leave(Hold::Busy, true));
        });
        let awaited = word.state.begin_await();
        let ended = awaited != Await::Began && word.state.end() == End::Claimed;
        request.join().unwrap();
        let taken_off = word.taken_off.load(Ordering::Relaxed);
        let settled = word.settled.load(Ordering::Relaxed);
        match awaited {
            // Before the request, which took it over, or after it.
            Await::Began => assert!(taken_off == 1 || settled == 1),
            Await::AtWork => assert!(taken_off == 0 && (ended || settled == 1)),
            Await::Already | Await::Spent => panic!("never awaited before"),
        }
    });
}

/// A reader that begins to receive against the end of an idle connection: it is never told of the end while it is awaited.
#[test]
fn word_a_request_that_begins_against_the_end() {
    explore(None, || {
        let word = Word::new(false);
        assert!(word.state.linger());
        let theirs = word.clone();
        let reader = thread::spawn(move || {
            let settle = theirs.state.enter(Hold::Receiving, true).unwrap().settle;
            let ended_before = theirs.state.is_ended();
            (settle, ended_before, settle.then(|| theirs.state.begin_await()))
        });
        let ended = word.state.end();
        // It looks once more, if it is told to.
        let awaited = (ended == End::Receiving).then(|| word.state.begin_await());
        let (settle, ended_before, theirs) = reader.join().unwrap();
        assert!(ended != End::Claimed || ended_before, "told of the end while a request is received");
        assert!(settle, "a request that begins is awaited, whatever was decided before");
        let began = [awaited, theirs].iter().filter(|&&awaited| awaited == Some(Await::Began)).count();
        assert_eq!(began, 1);
        assert!(!word.state.is_ended() && word.state.expire(), "awaited, and not ended");
    });
}

/// The last answer's guard against the linger's end: the connection is never awaited, told of the end, late or counted.
#[test]
fn word_a_last_answer_against_the_linger_and_the_cut() {
    explore(None, || {
        let word = Word::new(false);
        let _ = word.state.enter(Hold::Busy, false).unwrap();
        let theirs = word.clone();
        let answer = thread::spawn(move || {
            assert!(!theirs.state.exchange(Hold::Busy, Hold::Answered, true).unwrap().await_ended);
            assert!(!theirs.state.leave(Hold::Answered, true), "settled after its last answer");
        });
        if word.state.linger() {
            assert_eq!(word.state.begin_await(), Await::Spent, "awaited after its last answer");
            assert_eq!(word.state.end(), End::No, "told of the end after its last answer");
        }
        let cut = word.state.cut().unwrap();
        assert!(!cut.await_ended && cut.account == Account::Settled, "{cut:?}");
        answer.join().unwrap();
        assert!(word.state.is_idle() && word.state.is_ended());
    });
}

/// The head time.
const HEAD: Duration = Duration::from_secs(5);
/// The drain's deadline.
const DRAIN: Duration = Duration::from_secs(28);

/// With no linger: idle connections are settled as soon as the program refuses.
fn shutdown(clock: &ManualClock) -> Shutdown {
    let budget = Budget::new(Duration::from_secs(30)).linger(Duration::ZERO).head(HEAD);
    Shutdown::builder().budget(budget).manual_clock(clock).build().unwrap()
}

/// A connection, and its client, which has sent this much.
fn connected(shutdown: &Shutdown, bytes: &[u8]) -> (Connection<UnixStream>, UnixStream) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(bytes).unwrap();
    (Connection::new(ours, shutdown), theirs)
}

/// Takes the next byte as a request: admitted, and no stage begins meanwhile (P3).
fn serve_one(shutdown: &Shutdown, connection: &Connection<UnixStream>) {
    let busy = connection.busy().expect("P3: the request had arrived, and was refused");
    connection.stream().read_exact(&mut [0]).unwrap();
    assert!(shutdown.phase() <= Phase::Draining, "P3: the drain has ended with a request at work");
    drop(busy);
}

/// Winds down with this thread's work under way, beside the driver and the attendant.
fn wind_down(explored: impl Fn(&Shutdown, &ManualClock) + Send + Sync + 'static) {
    explore(Some(1), move || {
        let clock = ManualClock::new();
        let shutdown = shutdown(&clock);
        explored(&shutdown, &clock);
        let report = shutdown.run().report;
        assert_clean(&report);
        assert_eq!(report.unserved.lost, 0);
    });
}

/// Waits, so that the driver and the attendant can go on without a preemption.
fn refuse(shutdown: &Shutdown) {
    shutdown.trigger(Reason::Requested);
    shutdown.token_at(Milestone::Refusing).wait();
}

/// P3: a request in the socket that no thread has read when the linger is over.
#[test]
fn a_request_that_has_arrived_against_the_linger() {
    wind_down(|shutdown, _| {
        let (connection, _client) = connected(shutdown, b"1");
        refuse(shutdown);
        serve_one(shutdown, &connection);
    });
}

/// P3: a second request in the socket while the first one is at work. The guard makes the connection awaited before its pass
/// is given back, and the driver reads the passes first: so it is always seen as one of the two. (That the driver does takes one
/// more preemption to be seen: 700,000 executions, of which the planted bug needs few.)
#[test]
fn a_next_request_against_the_driver() {
    wind_down(|shutdown, clock| {
        let (connection, _client) = connected(shutdown, b"12");
        let busy = connection.busy().unwrap();
        connection.stream().read_exact(&mut [0]).unwrap();
        refuse(shutdown);
        drop(busy);
        // It waits for the second request, and not for anything else.
        clock.wait_for_sleeper(HEAD);
        serve_one(shutdown, &connection);
    });
}

/// The same with a guard that leaves the scope.
#[test]
fn a_next_request_behind_an_owned_guard_against_the_driver() {
    wind_down(|shutdown, _| {
        let (connection, _client) = connected(shutdown, b"12");
        let busy = connection.busy_owned().unwrap();
        connection.stream().read_exact(&mut [0]).unwrap();
        refuse(shutdown);
        drop(busy);
        serve_one(shutdown, &connection);
    });
}

/// P3: the rest of a request that has begun to be read.
#[test]
fn a_request_that_is_being_read_against_the_linger() {
    wind_down(|shutdown, _| {
        let (connection, mut client) = connected(shutdown, b"1");
        let receiving = connection.receiving().unwrap();
        connection.stream().read_exact(&mut [0]).unwrap();
        refuse(shutdown);
        client.write_all(b"2").unwrap();
        let busy = receiving.busy().expect("P3: half of the request had arrived, and it was refused");
        connection.stream().read_exact(&mut [0]).unwrap();
        drop(busy);
    });
}

/// P2, P3: a request that comes in the last moment is refused, or the drain waits for it.
#[test]
fn a_late_request_against_the_late_gate() {
    wind_down(|shutdown, _| {
        let (connection, _client) = connected(shutdown, b"");
        refuse(shutdown);
        if let Ok(busy) = connection.busy() {
            assert!(shutdown.phase() <= Phase::Draining, "P3: admitted, and the drain has ended");
            drop(busy);
        }
    });
}

/// P4: a connection that comes while other work is drained is told of the linger's end.
#[test]
fn a_new_connection_against_the_linger() {
    wind_down(|shutdown, _| {
        let pass = shutdown.enter_owned().unwrap();
        refuse(shutdown);
        let (connection, _client) = connected(shutdown, b"");
        let bell = Bell::new();
        let waker = bell.clone().into();
        while connection.poll_lingered(&Context::from_waker(&waker)) == Poll::Pending {
            bell.wait();
        }
        drop(connection);
        drop(pass);
    });
}

/// P3: a connection whose last answer is written. The guard is counted as answered before its pass is given back, and the driver reads
/// the passes first: so it always sees one of the two. At its end the driver is told.
#[test]
fn an_answered_connection_against_the_driver() {
    wind_down(|shutdown, clock| {
        let (connection, _client) = connected(shutdown, b"1");
        let busy = connection.busy().unwrap();
        connection.stream().read_exact(&mut [0]).unwrap();
        refuse(shutdown);
        let answered = busy.answered();
        // It waits for the connection until the drain's deadline, and not for anything else.
        clock.wait_for_sleeper(DRAIN);
        drop(answered);
        drop(connection);
    });
}

/// The same with a guard that leaves the scope.
#[test]
fn an_answered_connection_behind_an_owned_guard_against_the_driver() {
    wind_down(|shutdown, clock| {
        let (connection, _client) = connected(shutdown, b"1");
        let busy = connection.busy_owned().unwrap();
        refuse(shutdown);
        let answered = busy.answered();
        clock.wait_for_sleeper(DRAIN);
        drop(connection);
        drop(answered);
    });
}

/// A stream whose client sends a byte at the last moment before it is shut down for reading.
struct Late {
    stream: UnixStream,
    client: UnixStream,
    calls: AtomicUsize,
}

impl AsFd for Late {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // The first call is for the look whether bytes have arrived, the second for the shutdown.
        if self.calls.fetch_add(1, Ordering::SeqCst) == 1 {
            (&self.client).write_all(b"?").unwrap();
        }
        self.stream.as_fd()
    }
}

/// Shut down first and looked at afterwards: a byte that was in time is found.
#[test]
fn a_byte_that_arrives_while_its_connection_is_ended() {
    wind_down(|shutdown, clock| {
        let (stream, client) = UnixStream::pair().unwrap();
        let connection = Connection::new(Late { stream, client, calls: AtomicUsize::new(0) }, shutdown);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(HEAD);
        let busy = connection.busy().expect("P3: the request had arrived, and was refused");
        (&connection).read_exact(&mut [0]).unwrap();
        drop(busy);
    });
}

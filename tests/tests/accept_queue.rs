//! Clients that wait in the accept queue when the program refuses: a table of every kind of server, and how those are counted
//! that no loop accepts. Not here: connections that were accepted (`unread_requests`), and what is decided when (`sockets`).

use std::any::Any;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libc::{SIGCONT, SIGINT, SIGSTOP, SIGTERM};
use smol::Async;
use winddown::testing::{ManualClock, assert_clean, assert_outcome};
use winddown::{Acceptor, Budget, Listener, Milestone, Outcome, Reason, Report};
use winddown_smol::{Incoming, Shutdown};
use winddown_tests::child::{Child, own_process};
use winddown_tests::lines::read_line;
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::sys;

/// How many clients wait in the queue when the signal comes.
const QUEUED: usize = 40;

/// Where a server listens.
#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A client's end of a connection.
trait Client: Read + Write + Send {}
impl<T: Read + Write + Send> Client for T {}

impl Address {
    fn of(socket: &str, shown: &str) -> Self {
        if socket == "unix" { Self::Unix(shown.into()) } else { Self::Tcp(shown.parse().unwrap()) }
    }

    /// Connects. A TCP client whose SYN is dropped gives up soon.
    fn connect(&self) -> io::Result<Box<dyn Client>> {
        Ok(match self {
            Self::Tcp(address) => Box::new(TcpStream::connect_timeout(address, ms(250))?),
            Self::Unix(path) => Box::new(UnixStream::connect(path)?),
        })
    }

    /// Connects and sends a request.
    fn ask(&self, line: &str) -> io::Result<Box<dyn Client>> {
        let mut client = self.connect()?;
        writeln!(client, "{line}")?;
        Ok(client)
    }
}

/// A server of the victim's, with clients that have asked and were not answered.
struct Server {
    child: Child,
    address: Address,
    asked: Vec<(String, Box<dyn Client>)>,
}

impl Server {
    fn start(binding: &str, socket: &str, server: &str) -> Self {
        let variables = [("WINDDOWN_LINGER_SECONDS", "0.05")];
        let arguments = ["queue", binding, socket, server];
        let mut child = Child::start_with(env!("CARGO_BIN_EXE_victim"), &arguments, &variables);
        let line = child.wait_for("ready ");
        let address = Address::of(socket, line.trim().trim_start_matches("ready "));
        Self { child, address, asked: Vec::new() }
    }

    fn ask(&mut self, line: String) -> io::Result<()> {
        let client = self.address.ask(&line)?;
        self.asked.push((line, client));
        Ok(())
    }

    /// Has the server work on a request until it is told `release`.
    fn ask_long(&mut self) {
        self.ask("long".to_owned()).unwrap();
        self.child.wait_for("at work on the long request");
    }

    /// Fills the queue and sends the signal while the process is stopped, so that it accepts none of them before the signal.
    fn signal_with_a_queue(&mut self, clients: usize, signal: i32) {
        self.child.signal(SIGSTOP);
        self.child.wait_for_state('T');
        for number in 0..clients {
            self.ask(format!("{number}")).unwrap();
        }
        self.child.signal(signal);
        self.child.signal(SIGCONT);
        self.child.wait_for("refusing");
    }

    /// Newcomers get no connection. The door is shut a moment after the refusal: a newcomer that comes before is a client like
    /// the others, and has to be answered.
    fn refuses_newcomers(&mut self) {
        for attempt in 0..10 {
            if self.ask(format!("newcomer {attempt}")).is_err() {
                return;
            }
            thread::park_timeout(ms(1 << attempt));
        }
        panic!("the door is open: ten newcomers were connected after the refusal, within a second");
    }

    fn answers_all(self) {
        let asked = self.asked.len();
        let mut unanswered = Vec::new();
        for (line, mut client) in self.asked {
            let answer = read_line(&mut client);
            let whole = [format!("ok {line}\n"), format!("bye {line}\n")];
            if !answer.as_ref().is_ok_and(|answer| whole.contains(answer)) {
                unanswered.push(format!("{line:?} got {answer:?}"));
            }
        }
        let end = self.child.end();
        let count = unanswered.len();
        assert!(count == 0, "{count} of {asked} clients without an answer: {unanswered:#?}\n{end:?}\n{}", end.output);
        end.assert_code(0).assert_said("wind-down by SIGTERM: clean");
        end.assert_said("Unserved { lost: 0, unknown: false, incomplete: 0, unused: 0 }");
    }
}

/// Every client that waits in the queue gets its whole answer, and a newcomer none.
fn every_client_is_answered(binding: &'static str, socket: &'static str, server: &'static str) {
    must_end(move || {
        let mut server = Server::start(binding, socket, server);
        server.signal_with_a_queue(QUEUED, SIGTERM);
        server.refuses_newcomers();
        server.answers_all();
    });
}

/// The same of a loop that works on a request when the program refuses, until after the linger. The door is shut meanwhile.
fn every_client_is_answered_after_the_long_request(binding: &'static str, socket: &'static str) {
    must_end(move || {
        let mut server = Server::start(binding, socket, "serial");
        server.ask_long();
        server.signal_with_a_queue(QUEUED, SIGTERM);
        server.refuses_newcomers();
        server.child.wait_for("the linger is over");
        server.child.say("release");
        server.answers_all();
    });
}

/// A test for each cell: a row is a binding and a socket, a column a loop.
macro_rules! table {
    ($($row:ident: $binding:literal, $socket:literal;)*) => {$(
        mod $row {
            #[test]
            fn a1_a5_a7_a_quick_loop_answers_every_client_in_the_queue() {
                super::every_client_is_answered($binding, $socket, "quick");
            }

            #[test]
            fn a1_a5_a7_a_loop_that_is_stuck_in_a_request_answers_every_client_in_the_queue() {
                super::every_client_is_answered_after_the_long_request($binding, $socket);
            }

            #[test]
            fn a1_a5_a7_several_that_share_a_loop_answer_every_client_in_the_queue() {
                super::every_client_is_answered($binding, $socket, "shared");
            }

            #[test]
            fn a1_a5_a7_a8_a_loop_without_descriptors_answers_every_client_in_the_queue() {
                super::every_client_is_answered($binding, $socket, "starving");
            }
        }
    )*};
}

table! {
    threads_tcp4: "threads", "tcp4";
    threads_tcp6: "threads", "tcp6";
    threads_unix: "threads", "unix";
    smol_tcp4: "smol", "tcp4";
    smol_tcp6: "smol", "tcp6";
    smol_unix: "smol", "unix";
}

/// A forced end waits for nothing, so not for the count either. If that is not done, the report says that it is not known.
#[test]
fn p6_a_queue_at_a_forced_end_is_lost_or_unknown() {
    for (binding, socket) in CELLS {
        must_end(move || {
            let mut server = Server::start(binding, socket, "serial");
            server.ask_long();
            server.signal_with_a_queue(5, SIGINT);
            server.child.signal(SIGINT);
            let end = server.child.end();
            end.assert_code(130).assert_said("forced by an interrupt").assert_said(", incomplete: 0, unused: 0 }");
            let counts = ["lost: 5, unknown: false", "lost: 0, unknown: true", "lost: 5, unknown: true"];
            let counted = counts.iter().any(|counts| end.output.contains(&format!("Unserved {{ {counts}")));
            assert!(counted, "{binding}, {socket}:\n{}", end.output);
        });
    }
}

/// The rows of the table, for tests that go through them in one process.
const CELLS: [(&str, &str); 6] = [
    ("threads", "tcp4"),
    ("threads", "tcp6"),
    ("threads", "unix"),
    ("smol", "tcp4"),
    ("smol", "tcp6"),
    ("smol", "unix"),
];

/// A server in this process, with a loop that has begun and is stuck: no thread or task asks it for the next connection.
struct Stuck {
    cell: (&'static str, &'static str),
    clock: ManualClock,
    shutdown: Shutdown,
    address: Address,
    incoming: Box<dyn Any>,
    clients: Vec<Box<dyn Client>>,
}

impl Stuck {
    /// Drains until 9, ends at 9.5; the linger is over at 0.5. With a lame duck of 2 all that is 2 later, but for the end.
    fn server(cell: (&'static str, &'static str), budget: Budget) -> Self {
        let clock = ManualClock::new();
        let shutdown: Shutdown = Shutdown::builder().budget(budget).manual_clock(&clock).build().unwrap();
        let (incoming, address) = match cell.1 {
            "tcp4" => tcp("127.0.0.1:0", cell.0, &shutdown),
            "tcp6" => tcp("[::1]:0", cell.0, &shutdown),
            _ => {
                let path = unix_path();
                (accept(UnixListener::bind(&path).unwrap(), cell.0, &shutdown), Address::Unix(path))
            }
        };
        Self { cell, clock, shutdown, address, incoming, clients: Vec::new() }
    }

    /// Has so many clients wait in the queue that have sent a request, and so many that have sent nothing.
    fn queue(&mut self, asking: usize, silent: usize) {
        self.clients.extend((0..asking).map(|_| self.address.ask("?").unwrap()));
        self.clients.extend((0..silent).map(|_| self.address.connect().unwrap()));
    }

    /// Winds down to the drain's deadline and beyond.
    fn winds_down(self) -> Arc<Report> {
        self.shutdown.trigger(Reason::Requested);
        self.clock.wait_for_sleeper(secs(9));
        self.clock.advance(secs(9));
        // The listener is late, so the last call takes all of its time.
        self.clock.wait_for_sleeper(ms(9_500));
        self.clock.advance(ms(500));
        self.report()
    }

    fn report(self) -> Arc<Report> {
        let report = self.shutdown.threads().run().report;
        println!("{:?}:\n{report}", self.cell);
        report
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            let _ = fs::remove_file(path);
        }
    }
}

/// A path for a socket that no other test has.
fn unix_path() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("winddown-{}-queue-{number}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn tcp(address: &str, binding: &str, shutdown: &Shutdown) -> (Box<dyn Any>, Address) {
    let listener = TcpListener::bind(address).unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    (accept(listener, binding, shutdown), address)
}

fn accept<L: Listener>(listener: L, binding: &str, shutdown: &Shutdown) -> Box<dyn Any> {
    if binding == "smol" {
        Box::new(Incoming::new(Async::new(listener).unwrap(), shutdown).unwrap())
    } else {
        Box::new(Acceptor::new(listener, shutdown.threads()).unwrap().incoming())
    }
}

/// Without a lame duck.
const fn budget() -> Budget {
    Budget::new(secs(11))
}

/// What was counted, in the order in which the report has it.
fn counts(report: &Report) -> (u64, bool, u64, u64) {
    let unserved = report.unserved;
    (unserved.lost, unserved.unknown, unserved.incomplete, unserved.unused)
}

#[test]
fn p6_a_queue_at_the_drains_deadline_is_counted() {
    must_end(|| {
        for cell in CELLS {
            let mut server = Stuck::server(cell, budget());
            server.queue(7, 3);
            let report = server.winds_down();
            assert_outcome(&report, Outcome::ClientsLost);
            assert_eq!((counts(&report), report.exit_code()), ((7, false, 0, 3), 15), "{cell:?}");
        }
    });
}

/// A8: no descriptor is left, even if one is closed, so no client can be accepted and looked at. Of a TCP listener the kernel
/// says how many there are; of a Unix listener it does not.
#[test]
fn p6_a8_a_queue_at_the_drains_deadline_is_known_or_unknown_without_descriptors() {
    let test = "p6_a8_a_queue_at_the_drains_deadline_is_known_or_unknown_without_descriptors";
    if let Some(child) = own_process(test) {
        child.end().assert_code(0).assert_said("1 passed");
        return;
    }
    let mut servers: Vec<_> = CELLS.map(|cell| Stuck::server(cell, budget())).into();
    for server in &mut servers {
        server.queue(7, 3);
    }
    sys::limit_descriptors(3).unwrap();
    for server in servers {
        let cell = server.cell;
        let report = server.winds_down();
        let expected = if cell.1 == "unix" { (0, true, 0, 0) } else { (10, false, 0, 0) };
        assert_outcome(&report, Outcome::ClientsLost);
        assert_eq!((counts(&report), report.exit_code()), (expected, 15), "{cell:?}");
    }
}

#[test]
fn p6_a_silent_client_alone_in_the_queue_is_not_lost() {
    must_end(|| {
        for cell in CELLS {
            let mut server = Stuck::server(cell, budget());
            server.queue(0, 1);
            let report = server.winds_down();
            // By the listener, which is late.
            assert_outcome(&report, Outcome::DrainTimedOut);
            assert_eq!(counts(&report), (0, false, 0, 1), "{cell:?}");
            assert_eq!(report.stragglers.len(), 1, "{cell:?}");
        }
    });
}

/// K2: in the lame duck the program still accepts, so a queue that it drops is lost.
#[test]
fn k2_a_queue_that_is_dropped_in_the_lame_duck_is_counted() {
    must_end(|| {
        for cell in CELLS {
            let mut server = Stuck::server(cell, budget().lame_duck(secs(2)));
            server.queue(7, 3);
            server.shutdown.trigger(Reason::Requested);
            server.clock.wait_for_sleeper(secs(2));
            server.incoming = Box::new(());
            server.clock.advance(secs(2));
            let report = server.report();
            assert_outcome(&report, Outcome::ClientsLost);
            assert_eq!((counts(&report), report.exit_code()), ((7, false, 0, 3), 15), "{cell:?}");
            assert_eq!(report.draining, ms(0), "{cell:?}");
        }
    });
}

/// A7, A10: the queue of a listener that others hold too is theirs, whether the acceptor is dropped or stays.
#[test]
fn a7_a10_a_queue_of_a_shared_listener_is_left_to_its_other_holder() {
    fn check<L: Listener + Sync>(ours: L, theirs: &L, address: &Address, binding: &str, stays: bool) -> Arc<Report> {
        let clock = ManualClock::new();
        let shutdown: Shutdown = Shutdown::builder().budget(budget()).manual_clock(&clock).build().unwrap();
        let _clients = [(); 5].map(|()| address.ask("?").unwrap());
        let incoming: Box<dyn Any> = if binding == "smol" {
            Box::new(
                Incoming::configured(Async::new(ours).unwrap(), &shutdown, |acceptor| Ok(acceptor.shared())).unwrap(),
            )
        } else {
            Box::new(Acceptor::new(ours, shutdown.threads()).unwrap().shared().incoming())
        };
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        let incoming = stays.then_some(incoming);
        if stays {
            for until in [500, 9_000, 9_500] {
                clock.wait_for_sleeper(ms(until));
                clock.advance(ms(until).saturating_sub(clock.now()));
            }
        }
        let report = shutdown.threads().run().report;
        let left = [(); 5].map(|()| theirs.accept_one().is_ok());
        assert_eq!((counts(&report), left), ((0, false, 0, 0), [true; 5]), "{binding}, {address:?}, stays: {stays}");
        drop(incoming);
        report
    }
    fn check_tcp(address: &str, binding: &str, stays: bool) -> Arc<Report> {
        let ours = TcpListener::bind(address).unwrap();
        let address = Address::Tcp(ours.local_addr().unwrap());
        let theirs = ours.try_clone().unwrap();
        check(ours, &theirs, &address, binding, stays)
    }
    fn check_unix(binding: &str, stays: bool) -> Arc<Report> {
        let path = unix_path();
        let ours = UnixListener::bind(&path).unwrap();
        let theirs = ours.try_clone().unwrap();
        let report = check(ours, &theirs, &Address::Unix(path.clone()), binding, stays);
        fs::remove_file(path).unwrap();
        report
    }
    must_end(|| {
        for (binding, socket) in CELLS {
            for (stays, outcome) in [(false, Outcome::Clean), (true, Outcome::DrainTimedOut)] {
                let report = match socket {
                    "tcp4" => check_tcp("127.0.0.1:0", binding, stays),
                    "tcp6" => check_tcp("[::1]:0", binding, stays),
                    _ => check_unix(binding, stays),
                };
                assert_outcome(&report, outcome);
            }
        }
    });
}

/// The acceptor goes while the library finds its door left open, a little later in each round.
#[test]
fn a7_a_shared_listener_that_is_dropped_at_the_refusal_does_not_hold_the_drain() {
    must_end(|| {
        for round in 0..1_200 {
            let clock = ManualClock::new();
            let shutdown: Shutdown = Shutdown::builder().budget(budget()).manual_clock(&clock).build().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let incoming = Acceptor::new(listener, shutdown.threads()).unwrap().shared().incoming();
            shutdown.trigger(Reason::Requested);
            shutdown.token_at(Milestone::Refusing).wait();
            let later = Instant::now() + Duration::from_nanos(500 * (round % 400));
            while Instant::now() < later {
                std::hint::spin_loop();
            }
            drop(incoming);
            // Without time that passes.
            assert_clean(&shutdown.threads().run().report);
        }
    });
}

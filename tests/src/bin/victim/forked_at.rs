//! A server under load that forks at one moment of its life. Its child winds down to the end, and the parent looks whether anything of
//! its own has changed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{self, ExitCode, Termination};
use std::sync::mpsc;
use std::thread;

use winddown::{Acceptor, Budget, Connection, Milestone, Reason, Shutdown, Stage, TokenDescriptor, UnixSocket};
use winddown_tests::lines::{self, serve_all};
use winddown_tests::steps::ms;
use winddown_tests::sys;

use crate::Anything;
use crate::forked::{Counted, in_child, is_readable, looks};

/// Forks when the program is asked to (`MOMENT` is on the list below), and says "ready ADDRESS" before.
///
/// | moment | the parent then |
/// |---|---|
/// | `at-once` | has served no client, or few |
/// | `load` | serves clients |
/// | `idle`, `receiving`, `busy`, `upgraded`, `answered` | has a connection in that state, too |
/// | `lame-duck`, `refusing` | has been asked to stop, has begun to refuse |
/// | `lingered` | has ended its idle connections |
/// | `last-call` | is at the drain's deadline |
/// | `closing` | runs its stages |
/// | `done` | is over |
///
/// (The child of a parent that is being asked to stop, or was, forces its own wind-down: it has its parent's deadlines.)
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
pub(crate) fn forked_at(options: &[String]) -> Result<ExitCode, Anything> {
    let [moment] = options else { return Err("it takes MOMENT".into()) };
    let budget = Budget::new(ms(10_000)).linger(ms(100)).head(ms(2_000));
    let budget = match &**moment {
        "lame-duck" => budget.lame_duck(ms(1_000)).drain(ms(5_000)),
        // The child waits in vain for what its parent's other threads had in hand.
        "refusing" | "lingered" => budget.drain(ms(5_000)),
        _ => budget.drain(ms(700)),
    };
    let (closing, is_closing) = mpsc::channel::<()>();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let mut go_on = Some(go_on);
    let hook = move || {
        drop(closing);
        // Until it is dropped.
        let _ = may_go_on.recv();
    };
    let shutdown = Shutdown::builder().budget(budget).signals().stage(Stage::new("last").hook(hook)).build()?;
    let mut server = Server::new(&shutdown)?;
    let run = shutdown.clone();
    let run = thread::spawn(move || run.run());
    println!("ready {} {}", server.address, server.path.display());
    if moment != "at-once" {
        wait_for_clients(50);
    }

    let idle = Line::new(&shutdown)?;
    let (receiving, busy, upgraded, answered) =
        (Line::new(&shutdown)?, Line::new(&shutdown)?, Line::new(&shutdown)?, Line::new(&shutdown)?);
    let at = |moments: &[&str]| moments.contains(&&**moment);
    let is_receiving = at(&["receiving", "lingered"]).then(|| receiving.ours.receiving_owned()).transpose()?;
    let is_busy = at(&["busy", "refusing"]).then(|| busy.ours.busy_owned()).transpose()?;
    let goodbye = |mut stream: &UnixStream| drop(stream.write_all(b"goodbye"));
    let is_upgraded = at(&["upgraded"]).then(|| upgraded.ours.upgrade(goodbye)).transpose()?;
    let is_answered = at(&["answered", "last-call"]).then(|| answered.ours.busy_owned()).transpose()?;
    let is_answered = is_answered.map(winddown::OwnedBusy::answered);
    let guards = (is_receiving, is_busy, is_upgraded, is_answered);

    let winding_down = at(&["lame-duck", "refusing", "lingered", "last-call", "closing", "done"]);
    if at(&["last-call", "closing", "done"]) {
        // The drain would wait for it.
        server.acceptor = None;
    }
    if winding_down {
        shutdown.trigger(Reason::Requested);
    }
    match &**moment {
        "refusing" => shutdown.token_at(Milestone::Refusing).wait(),
        "lingered" => assert_eq!(idle.ours.stream().read(&mut [0])?, 0),
        "last-call" => shutdown.token_at(Milestone::LastCall).wait(),
        "closing" => assert!(is_closing.recv().is_err()),
        "done" => {
            go_on = None;
            shutdown.token_at(Milestone::Done).wait();
        }
        _ => {}
    }

    let mut winds_down = || {
        in_child(|| {
            sys::alarm(if winding_down { 1 } else { 5 });
            shutdown.trigger(Reason::Requested);
            if winding_down {
                // Now, and not when its parent's deadlines come.
                shutdown.force();
            }
            drop(go_on.take());
            let exit = shutdown.run();
            drop(server.acceptor.take());
            println!("child: {}", exit.report.outcome);
            Ok(0)
        })
    };
    let mut code = winds_down()?;
    // At the fork another thread had a lock, of this library's or of another's, which is taken for ever in the child: a limit that the
    // documentation of `Shutdown` names. Another child takes its turn.
    for _ in 0..3 {
        if code == 128 + libc::SIGALRM {
            println!("the child met a lock that another thread had at the fork");
            code = winds_down()?;
        }
    }
    assert_eq!(code, 0, "the child came to its end");
    println!("the child is gone");

    if !winding_down {
        for line in [&idle, &receiving, &busy, &upgraded, &answered] {
            line.is_as_it_was()?;
        }
        assert!(!is_readable(&server.told)?, "the child told the parent's descriptor");
        let (looks_before, accepted_before) = looks();
        wait_for_clients(accepted_before + 50);
        let (looks, accepted) = looks();
        let (looks, accepted) = (looks - looks_before, accepted - accepted_before);
        assert!(
            looks <= 2 * accepted + 2,
            "the parent's loop was woken for nothing: {looks} looks for {accepted} clients"
        );
        server.answers_at_its_file()?;
    }
    if at(&["lame-duck", "refusing"]) {
        busy.is_as_it_was()?;
    }
    if !at(&["done"]) {
        assert!(server.path.exists() || winding_down, "the child removed the parent's socket file");
    }
    drop(guards);
    drop((idle, receiving, busy, upgraded, answered, go_on));
    drop(server.acceptor.take());
    shutdown.trigger(Reason::Requested);
    let exit = run.join().expect("no panic");
    println!("{}", exit.report);
    assert_eq!((exit.report.failures.len(), exit.report.notes.len()), (0, 0), "{}", exit.report);
    Ok(Termination::report(exit))
}

/// What the parent serves on, and what its first thread holds itself.
struct Server {
    address: std::net::SocketAddr,
    path: PathBuf,
    told: TokenDescriptor,
    /// Another listener, whose loop does not run.
    acceptor: Option<Acceptor<UnixSocket>>,
}

impl Server {
    fn new(shutdown: &Shutdown) -> Result<Self, Anything> {
        let path = |name| std::env::temp_dir().join(format!("winddown-forked-{name}-{}", process::id()));
        let tcp = Acceptor::new(Counted(TcpListener::bind("127.0.0.1:0")?), shutdown)?;
        let address = tcp.local_addr()?;
        let unix = Acceptor::new(UnixSocket::bind(path("served"))?, shutdown)?;
        thread::spawn(move || serve_all(tcp));
        thread::spawn(move || serve_all(unix));
        let acceptor = Some(Acceptor::new(UnixSocket::bind(path("held"))?, shutdown)?);
        Ok(Self { address, path: path("served"), told: shutdown.token().descriptor()?, acceptor })
    }

    fn answers_at_its_file(&self) -> io::Result<()> {
        let stream = UnixStream::connect(&self.path)?;
        (&stream).write_all(b"?\n")?;
        assert_eq!(lines::read_line(&stream)?, "ok ?\n");
        Ok(())
    }
}

/// A connection of the parent's first thread, and its client.
struct Line {
    ours: Connection<UnixStream>,
    client: UnixStream,
}

impl Line {
    fn new(shutdown: &Shutdown) -> io::Result<Self> {
        let (ours, client) = UnixStream::pair()?;
        client.set_nonblocking(true)?;
        Ok(Self { ours: Connection::new(ours, shutdown), client })
    }

    /// Asserts that nothing was said on it, that it is open both ways, and that it blocks.
    fn is_as_it_was(&self) -> io::Result<()> {
        let nothing = (&self.client).read(&mut [0]).expect_err("neither a byte nor the end");
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        (&self.client).write_all(b"?")?;
        assert_eq!(self.ours.stream().read(&mut [0])?, 1);
        self.ours.stream().write_all(b"!")?;
        assert_eq!((&self.client).read(&mut [0])?, 1);
        Ok(())
    }
}

/// Waits until this process has accepted so many clients.
fn wait_for_clients(count: usize) {
    while looks().1 < count {
        thread::yield_now();
    }
}

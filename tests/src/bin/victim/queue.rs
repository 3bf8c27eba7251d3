//! Servers whose clients wait in the accept queue when the signal comes: `queue BINDING SOCKET LOOP`. Not here: those on smol
//! (`queue_on_smol`).

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{ExitCode, Termination};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use winddown::{Acceptor, Budget, Builder, Connection, Escalation, Exit, FromEnv, Listener, Milestone, Shutdown};
use winddown_tests::lines::serve_with;
use winddown_tests::sys;

use crate::Anything;

/// How long each request takes.
pub(crate) const WORK: Duration = Duration::from_millis(15);

/// The request that takes until standard input says `release`.
pub(crate) const LONG: &str = "long\n";

/// How many threads or tasks share a loop.
pub(crate) const SHARERS: usize = 4;

/// How many connections there are descriptors for.
const DESCRIPTORS: usize = 4;

/// Set when standard input says `release`.
pub(crate) static RELEASED: OnceLock<()> = OnceLock::new();

/// How the server accepts.
#[derive(Clone, Copy)]
pub(crate) enum Loop {
    /// Each connection is served on a thread, or as a task.
    Quick,
    /// One connection is served after the other.
    Serial,
    /// Several threads or tasks take connections from one loop, and each serves one after the other.
    Shared,
    /// As `Quick`, with descriptors for a few connections at a time.
    Starving,
}

impl Loop {
    fn named(name: &str) -> Result<Self, Anything> {
        Ok(match name {
            "quick" => Self::Quick,
            "serial" => Self::Serial,
            "shared" => Self::Shared,
            "starving" => Self::Starving,
            other => return Err(format!("no loop {other:?}").into()),
        })
    }
}

/// Runs the server that the options name.
pub(crate) fn queue(options: &[String]) -> Result<ExitCode, Anything> {
    let [binding, socket, server] = options else { return Err("it takes BINDING SOCKET LOOP".into()) };
    let server = Loop::named(server)?;
    let tcp = |address: &str| -> io::Result<_> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    match socket.as_str() {
        "tcp4" => tcp("127.0.0.1:0").map(|(listener, address)| run(binding, listener, &address, server))?,
        "tcp6" => tcp("[::1]:0").map(|(listener, address)| run(binding, listener, &address, server))?,
        "unix" => {
            let path = std::env::temp_dir().join(format!("winddown-{}-queue", std::process::id()));
            let _ = fs::remove_file(&path);
            let code = run(binding, UnixListener::bind(&path)?, &path.display(), server);
            fs::remove_file(path)?;
            code
        }
        other => Err(format!("no socket {other:?}").into()),
    }
}

fn run<L: Listener>(binding: &str, listener: L, address: &impl Display, server: Loop) -> Result<ExitCode, Anything>
where
    for<'a> &'a L::Stream: Read + Write,
{
    let exit = match binding {
        "threads" => on_threads(listener, address, server)?,
        #[cfg(feature = "smol")]
        "smol" => crate::queue_on_smol::serve(listener, address, server)?,
        other => return Err(format!("no binding {other:?}").into()),
    };
    println!("{}", exit.report);
    println!("{:?}", exit.report.unserved);
    Ok(Termination::report(exit))
}

/// Hears signals, and forces at the second interrupt however soon it comes.
pub(crate) fn builder<S: From<Shutdown>>(builder: Builder<S>) -> Result<Builder<S>, Anything> {
    // The second one forces.
    let escalation = Escalation { spacing: Duration::ZERO, drain_at: None, force_at: Some(2), exit_at: Some(3) };
    Ok(builder.budget(Budget::from_env()?).escalation(escalation).signals())
}

/// Says `ready`, and then what happens. To be called when the server has all that it needs.
pub(crate) fn begin(shutdown: &Shutdown, address: &impl Display, server: Loop) -> Result<(), Anything> {
    let refusing = shutdown.token_at(Milestone::Refusing);
    let (idle, peer) = UnixStream::pair()?;
    let idle = Connection::new(idle, shutdown);
    thread::spawn(move || {
        refusing.wait();
        println!("refusing");
        // An idle connection is ended when the linger is over.
        let _ = idle.stream().read(&mut [0]);
        println!("the linger is over");
        drop((idle, peer));
    });
    thread::spawn(|| {
        for line in io::stdin().lines() {
            if line.is_ok_and(|line| line == "release") {
                let _ = RELEASED.set(());
            }
        }
    });
    if let Loop::Starving = server {
        let spare = (0..DESCRIPTORS).map(|_| File::open("/dev/null")).collect::<io::Result<Vec<_>>>()?;
        let last = spare.iter().map(AsRawFd::as_raw_fd).max().expect("there are some");
        sys::limit_descriptors(u64::try_from(last)? + 1)?;
    }
    println!("ready {address}");
    Ok(())
}

fn on_threads<L: Listener>(listener: L, address: &impl Display, server: Loop) -> Result<Exit, Anything>
where
    for<'a> &'a L::Stream: Read + Write,
{
    let shutdown: Shutdown = builder(Shutdown::builder())?.build()?;
    let mut incoming = Acceptor::new(listener, &shutdown)?.incoming();
    begin(&shutdown, address, server)?;
    match server {
        Loop::Quick | Loop::Starving => drop(thread::spawn(move || {
            for connection in incoming {
                let connection = connection.expect("the listener works");
                thread::spawn(move || serve_with(&connection, work));
            }
        })),
        Loop::Serial => drop(thread::spawn(move || {
            for connection in incoming {
                serve_with(&connection.expect("the listener works"), work);
            }
        })),
        Loop::Shared => {
            let next = Arc::new(Mutex::new(move || incoming.next()));
            for _ in 0..SHARERS {
                let next = next.clone();
                let next = move || (*next.lock().expect("no thread panics"))();
                thread::spawn(move || {
                    while let Some(connection) = next() {
                        serve_with(&connection.expect("the listener works"), work);
                    }
                });
            }
        }
    }
    Ok(shutdown.run())
}

fn work(line: &str) {
    if line == LONG {
        println!("at work on the long request");
        RELEASED.wait();
    } else {
        thread::sleep(WORK);
    }
}

//! The program that serves: what is set up, and the stages that take it down again.

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use socket2::{Domain, Socket, Type};
use winddown::{Acceptor, Exit, Member, Shutdown, Stage, WaitGroup};

use crate::args::{Args, Part};
use crate::log::Log;
use crate::routes::App;
use crate::session;
use crate::store::Store;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;
/// A connection's thread needs little.
const STACK: usize = 256 * 1024;

pub(crate) fn run(args: &Args) -> Result<Exit, Box<dyn Error>> {
    let log = Arc::new(Log::open(&args.log)?);
    let store = Arc::new(Store::open(&args.database)?);
    let sessions = WaitGroup::new();
    let member = sessions.join()?;

    // Last in, first out: http, workers, database, logs.
    let (logs, database, workers) = (log.clone(), store.clone(), store.clone());
    let shutdown = Shutdown::builder()
        .budget(args.budget()?)
        .signals()
        .observer(winddown::lines_to(io::stdout()))
        .stage(Stage::new("logs").hook(move || logs.close()))
        .stage(Stage::new("database").hook(move || database.close()))
        .stage(Stage::new("workers").hook(move || workers.stop_writing()))
        .stage(Stage::new("http").hook(move || sessions.wait()))
        .build()?;

    // After the signals' handlers, so that a SIGTERM is heard as soon as a client can connect.
    let listener = listen(&args.listen)?;
    let address = listener.local_addr()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    let acceptor = if args.without == Some(Part::SynFilter) { acceptor.shared() } else { acceptor };
    let (lingers, passes) = (args.without != Some(Part::LingeringClose), args.without != Some(Part::Passes));
    let app = Arc::new(App { store, log, shutdown: shutdown.clone(), lingers, passes });
    thread::Builder::new().name("accept".into()).spawn(move || accept(acceptor, &app, &member))?;
    let _ = writeln!(io::stdout(), "listening on {address}, as process {}", std::process::id());

    let exit = shutdown.run();
    let _ = writeln!(io::stdout(), "\n{}", exit.report);
    Ok(exit)
}

/// A thread for each connection; each is a member of the group that the stage `http` waits for.
fn accept(acceptor: Acceptor<TcpListener>, app: &Arc<App>, member: &Member) {
    for connection in acceptor.incoming() {
        let started = connection.and_then(|connection| {
            let member = member.split().map_err(io::Error::other)?;
            let app = app.clone();
            let session = move || {
                session::serve(&connection, &app);
                // In this order: who waits for the members finds no connection open.
                drop(connection);
                drop(member);
            };
            thread::Builder::new().name("session".into()).stack_size(STACK).spawn(session)
        });
        if let Err(error) = started {
            let _ = writeln!(io::stderr(), "accept: {error}");
        }
    }
}

/// As `TcpListener::bind`, with a longer queue.
fn listen(address: &str) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no such address");
    for address in address.to_socket_addrs()? {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

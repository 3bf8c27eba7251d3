//! The program that serves: what is set up, and the stages that take it down again.

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::stream::StreamExt;
use smol::{Async, Executor};
use socket2::{Domain, Socket, Type};
use winddown_smol::{Exit, Incoming, Shutdown, Stage, http};

use crate::args::{Args, Part};
use crate::log::Log;
use crate::routes::{self, App};
use crate::store::Store;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;

pub(crate) fn run(args: &Args) -> Result<Exit, Box<dyn Error>> {
    // Without the SYN filter nothing would be lost: this accept loop empties its queue at once, and closes microseconds later.
    if let Some(Part::LingeringClose | Part::Passes | Part::SynFilter) = args.without {
        return Err("here only the linger can be taken out".into());
    }
    let log = Arc::new(Log::open(&args.log)?);
    let store = Arc::new(Store::open(&args.database)?);

    // Last in, first out: workers, database, logs. What blocks does so on threads for that.
    let (logs, database, workers) = (log.clone(), store.clone(), store.clone());
    let shutdown = Shutdown::builder()
        .budget(args.budget()?)
        .signals()
        // Ends the process even if a hook, which the main thread polls, is stuck.
        .watchdog(Duration::from_millis(500))
        .observer(winddown_smol::lines_to(io::stdout()))
        .stage(Stage::new("logs").blocking(move || logs.close()))
        .stage(Stage::new("database").blocking(move || database.close()))
        .stage(Stage::new("workers").blocking(move || workers.stop_writing()))
        .build()?;

    // After the signals' handlers, so that a SIGTERM is heard as soon as a client can connect.
    let listener = listen(args.listen.parse()?)?;
    let address = listener.get_ref().local_addr()?;
    let executor = Arc::new(Executor::new());
    for _ in 0..thread::available_parallelism().map_or(2, NonZero::get) {
        let executor = executor.clone();
        thread::spawn(move || smol::block_on(executor.run(smol::future::pending::<()>())));
    }
    let spawning = executor.clone();
    let tasks = shutdown.tasks(move |task| spawning.spawn(task).detach());

    let incoming = Incoming::new(listener, &shutdown)?;
    // Without it an answer may wait for an acknowledgement.
    let incoming = incoming.inspect(|connection| drop(connection.as_ref().map(|own| own.stream().set_nodelay(true))));
    let app = Arc::new(App { store, log, shutdown: shutdown.clone() });
    let service = service_fn(move |request| routes::answer(app.clone(), request));
    executor.spawn(http::serve(incoming, http1::Builder::new(), service, tasks)).detach();
    let _ = writeln!(io::stdout(), "listening on {address}, as process {}", std::process::id());

    let exit = smol::block_on(shutdown.run());
    let _ = writeln!(io::stdout(), "\n{}", exit.report);
    Ok(exit)
}

/// As `bind`, with a longer queue.
fn listen(address: SocketAddr) -> Result<Async<TcpListener>, Box<dyn Error>> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Async::new(socket.into())?)
}

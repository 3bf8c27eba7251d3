//! An HTTP answerer on threads that loses nobody: `cargo run --release --example hello`, then Ctrl-C or SIGTERM.

use std::error::Error;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use winddown::{
    Budget, Exit, FromEnv, Labelled, Milestone, OwnedPass, Refused, Shutdown, Stage, WaitGroup, lingering_close,
};

/// How long a client may take to send or to receive a piece.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest head of a request, in bytes.
const MAX_HEAD: u64 = 8 * 1024;

fn main() -> Result<Exit, Box<dyn Error>> {
    let sessions = WaitGroup::new();
    let member = sessions.join()?;

    // Before the listener, so that a SIGTERM is heard as soon as a client can connect. Last in, first out: the stage "http" runs
    // before "log", whose failure is ignored.
    let shutdown = Shutdown::builder()
        .budget(Budget::new(Duration::from_secs(10)).overridden_by_env()?)
        .signals()
        .observer(winddown::lines_to(io::stdout()))
        .stage(Stage::new("log").hook(|| drop(io::stdout().flush())))
        .stage(Stage::new("http").hook(move || sessions.wait()))
        .build()?;

    let listener = TcpListener::bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    // `accept` is blocked until a client connects: so connect.
    shutdown.kicker_at_refusal(move || drop(TcpStream::connect(address))).keep();
    let (handle, refusing) = (shutdown.clone(), shutdown.token_at(Milestone::Refusing));
    thread::spawn(move || {
        loop {
            if refusing.should_stop() {
                // A close would reset the clients in the accept queue (A1): they are answered, until it is dry.
                let _ = listener.set_nonblocking(true);
            }
            match listener.accept() {
                Ok((stream, peer)) => {
                    let pass = handle.work().label(peer.to_string()).enter_owned();
                    let Ok(member) = member.split() else { continue };
                    let session = move || drop((answer(&stream, &pass), member));
                    drop(thread::Builder::new().spawn(session));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => thread::sleep(Duration::from_millis(100)), // Out of descriptors (A8): others will be free.
            }
        }
        drop((listener, member));
    });
    let id = std::process::id();
    let _ = writeln!(
        io::stdout(),
        "http://{address}/ is up, as process {id}: try `curl http://{address}/1500`, then Ctrl-C"
    );

    let exit = shutdown.run();
    let _ = writeln!(io::stdout(), "\n{}", exit.report);
    Ok(exit)
}

/// Answers one request after the milliseconds that its path asks for; with a 503 if it was refused. The wind-down waits for its
/// pass, and the stage "http" for all.
fn answer(mut stream: &TcpStream, pass: &Result<Labelled<OwnedPass>, Refused>) -> io::Result<()> {
    stream.set_nonblocking(false)?; // On some systems it begins in the listener's mode.
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = BufReader::new(stream.take(MAX_HEAD)).lines();
    let Some(request) = head.next().transpose()? else { return Ok(()) };
    while !head.next().unwrap_or(Err(ErrorKind::UnexpectedEof.into()))?.is_empty() {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match pass {
        Ok(_) => {
            let millis = path.trim_start_matches('/').parse().unwrap_or(0);
            thread::sleep(Duration::from_millis(millis));
            ("200 OK", format!("hello, after {millis} ms\n"))
        }
        Err(refused) => ("503 Service Unavailable", format!("{refused}\n")),
    };
    let length = body.len();
    stream.write_all(
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").as_bytes(),
    )?;
    lingering_close(stream, Duration::from_secs(1))
}

//! An HTTP/1.1 answerer on threads that loses nobody: `cargo run --release --example hello`, then Ctrl-C or SIGTERM.

use std::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use winddown::{Budget, Exit, FromEnv, Labelled, Milestone, Notice, OwnedPass, Shutdown, Stage, WaitGroup};

fn main() -> Result<Exit, Box<dyn Error>> {
    let listener = TcpListener::bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let acceptor = WaitGroup::new();
    let accepting = acceptor.join()?;

    // Last in, first out: the stage "http" runs before "log".
    let shutdown = Shutdown::builder()
        .budget(Budget::new(Duration::from_secs(10)).overridden_by_env()?)
        .signals()
        .observer(|notice: &Notice| println!("{notice}"))
        .stage(Stage::new("log").hook(|| std::io::stdout().flush()))
        .stage(Stage::new("http").hook(move || acceptor.wait()))
        .build()?;

    // `accept` is blocked until somebody connects: so connect.
    shutdown.kicker_at_refusal(move || drop(TcpStream::connect(address))).keep();
    let (handle, refusing) = (shutdown.clone(), shutdown.token_at(Milestone::Refusing));
    thread::spawn(move || {
        loop {
            match listener.accept() {
                // The kick, or somebody in the accept queue, whom a close would reset (A1): answered until it is dry.
                Ok((stream, _)) if refusing.should_stop() => {
                    drop((listener.set_nonblocking(true), respond(stream, "503 Service Unavailable", "winding down")));
                }
                Ok((stream, peer)) => match handle.work().label(peer.to_string()).enter_owned() {
                    Ok(pass) => drop(thread::spawn(move || answer(stream, pass))),
                    Err(refused) => drop(respond(stream, "503 Service Unavailable", &refused.to_string())),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => thread::sleep(Duration::from_millis(100)), // out of descriptors (A8): others will be free
            }
        }
        drop((listener, accepting));
    });
    println!(
        "http://{address}/ is up, as process {}: try `curl http://{address}/1500`, then Ctrl-C",
        std::process::id()
    );

    let exit = shutdown.run();
    println!("\n{}", exit.report);
    Ok(exit)
}

/// Answers one request after the milliseconds that its path asks for. The pass keeps the wind-down waiting till then.
fn answer(stream: TcpStream, _pass: Labelled<OwnedPass>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut head = BufReader::new(&stream).lines();
    let request = head.next().transpose()?.unwrap_or_default();
    while head.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let millis = path.trim_start_matches('/').parse().unwrap_or(0);
    thread::sleep(Duration::from_millis(millis));
    respond(stream, "200 OK", &format!("hello, after {millis} ms"))
}

fn respond(mut stream: TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let length = body.len() + 1;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}\n")
}

//! A keep-alive HTTP/1.1 server on threads that loses nobody, and nothing more: `cargo run --release --example minimal`.
//! GET /N is answered after N milliseconds. Needs Unix.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use winddown::{Acceptor, Budget, Connection, Exit, FromEnv, Shutdown, lingering_close};

/// How long a connection may be idle, or a client take to send or to receive a piece.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest head of a request, in bytes.
const MAX_HEAD: u64 = 8 * 1024;

fn main() -> Result<Exit, Box<dyn Error>> {
    let listener = TcpListener::bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    // The environment may say otherwise: `WINDDOWN_LINGER_SECONDS=0` ends idle connections at once, as most servers do.
    let shutdown = Shutdown::builder().budget(Budget::default().overridden_by_env()?).signals().build()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    thread::spawn(move || {
        for connection in acceptor.incoming() {
            let started = connection.and_then(|connection| thread::Builder::new().spawn(move || serve(&connection)));
            if let Err(error) = started {
                eprintln!("accept: {error}");
            }
        }
    });
    println!("http://{address}/ is up: try `curl http://{address}/1500`, then Ctrl-C");
    let exit = shutdown.run();
    println!("\n{}", exit.report);
    Ok(exit)
}

/// Until the client closes, misbehaves or is too slow, or the program stops.
fn serve(connection: &Connection<TcpStream>) -> io::Result<()> {
    let mut stream = connection.stream();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut begun = None;
    while !reader.fill_buf()?.is_empty() {
        // From its first byte on the wind-down waits for a request: for its head at most the head time ...
        let Some(receiving) = begun.take().or_else(|| connection.receiving().ok()) else { break };
        let mut whole = false;
        let lines = reader.by_ref().take(MAX_HEAD).lines();
        let head = lines.take_while(|line| {
            whole = matches!(line, Ok(line) if line.is_empty());
            !whole
        });
        let head = head.collect::<io::Result<Vec<_>>>()?;
        if !whole {
            break; // The client has closed, the head time is over, or the head is too long.
        }
        // ... and for its answer as long as there is time.
        let Ok(_busy) = receiving.busy() else { break };
        let millis = head.first().and_then(|line| line.strip_prefix("GET /")?.split(' ').next()?.parse().ok());
        let (status, body) = match millis {
            Some(millis) => {
                thread::sleep(Duration::from_millis(millis));
                ("200 OK", format!("hello, after {millis} ms\n"))
            }
            None => ("400 Bad Request", "GET /N, with a number of milliseconds\n".to_owned()),
        };
        let asked = head.iter().any(|line| line.eq_ignore_ascii_case("connection: close"));
        let last = millis.is_none() || asked || connection.is_closing();
        let note = if last { "Connection: close\r\n" } else { "" };
        let length = body.len();
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{note}\r\n{body}").as_bytes())?;
        if last {
            // Still busy, until the client has the answer and closes, too.
            return lingering_close(stream, Duration::from_secs(1));
        }
        // A pipelined request, before the guard of this one is dropped: only the program knows what its buffer holds.
        begun = if reader.buffer().is_empty() { None } else { connection.receiving().ok() };
    }
    Ok(())
}

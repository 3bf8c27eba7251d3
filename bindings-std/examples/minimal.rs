//! A keep-alive HTTP server on threads that loses nobody, and nothing more: `cargo run --release --example minimal`.
//! GET /N is answered after N milliseconds. Needs Unix.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use winddown::{Acceptor, Budget, Connection, Exit, FromEnv, Shutdown};

/// How long a connection may be idle, or a client take to send or to receive a piece.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest head of a request, in bytes.
const MAX_HEAD: u64 = 8 * 1024;

fn main() -> Result<Exit, Box<dyn Error>> {
    // Before the listener, so that a SIGTERM is heard as soon as a client can connect. The environment may change the budget:
    // `WINDDOWN_LINGER_SECONDS=0` ends idle connections at once, as most servers do.
    let shutdown = Shutdown::builder().budget(Budget::default().overridden_by_env()?).signals().build()?;
    let listener = TcpListener::bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    thread::spawn(move || {
        for connection in acceptor.incoming() {
            let started = connection.and_then(|connection| thread::Builder::new().spawn(move || serve(&connection)));
            if let Err(error) = started {
                let _ = writeln!(io::stderr(), "accept: {error}");
            }
        }
    });
    let _ = writeln!(io::stdout(), "http://{address}/ is up: try `curl http://{address}/1500`, then Ctrl-C");
    let exit = shutdown.run();
    let _ = writeln!(io::stdout(), "\n{}", exit.report);
    Ok(exit)
}

/// Serves until the client closes, misbehaves or is too slow, or the program stops.
fn serve(connection: &Connection<TcpStream>) -> io::Result<()> {
    let mut stream = connection.stream();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut begun = None;
    while has_begun(&mut reader)? {
        // From its first byte on the wind-down waits for a request: for its head at most the head time ...
        let Some(receiving) = begun.take().or_else(|| connection.receiving().ok()) else { break };
        let mut head = String::new();
        let mut lines = reader.by_ref().take(MAX_HEAD);
        while head.lines().next_back() != Some("") {
            if lines.read_line(&mut head)? == 0 {
                return Ok(()); // The client has closed, the head time is over, or the head is too long.
            }
        }
        // ... and for its answer as long as there is time.
        let Ok(busy) = receiving.busy() else { break };
        let request = head.lines().next().unwrap_or_default();
        let millis = request.strip_prefix("GET /").and_then(|line| line.split(' ').next()?.parse().ok());
        let (status, body) = match millis {
            Some(millis) => {
                thread::sleep(Duration::from_millis(millis));
                ("200 OK", format!("hello, after {millis} ms\n"))
            }
            None => ("400 Bad Request", "GET /N, with a number of milliseconds\n".to_owned()),
        };
        // HTTP/1.0 keeps a connection only if the client asks for it, and the answer has to say so.
        let stays = !says(&head, "close") && (request.ends_with("HTTP/1.1") || says(&head, "keep-alive"));
        let last = millis.is_none() || !stays || connection.is_closing();
        let (length, then) = (body.len(), if last { "close" } else { "keep-alive" });
        stream.write_all(
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: {then}\r\n\r\n{body}").as_bytes(),
        )?;
        if last {
            // The client has the answer before this closes, and one that keeps its end open is not late.
            return busy.lingering_close(Duration::from_secs(1));
        }
        // A pipelined request, before the guard of this one is dropped: only the program knows what its buffer holds.
        begun = if reader.buffer().is_empty() { None } else { connection.receiving().ok() };
    }
    Ok(())
}

/// Waits for the first byte of a request. A SIGSTOP with a SIGCONT interrupts a read that has a timeout, which is no end.
fn has_begun(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map(|bytes| !bytes.is_empty()),
        }
    }
}

/// Returns whether the header `Connection` has this word.
fn says(head: &str, word: &str) -> bool {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let values = fields.filter(|(name, _)| name.eq_ignore_ascii_case("connection")).map(|(_, value)| value);
    values.flat_map(|value| value.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
}

//! An HTTP server with a fixed number of threads that loses no client: `cargo run --release --example workers`.
//! GET /N is answered after N milliseconds, one request for each connection. Needs Unix.
//!
//! One thread accepts, and hands each connection to a worker through a channel that holds none (`sync_channel(0)`). So a client
//! for which no worker is free waits in the kernel's accept queue. A wind-down shuts the door to newcomers and lets the
//! program accept the queue dry until the drain's deadline; it counts the clients that are left in it.
//!
//! A channel with room takes clients out of that queue, and no thread reads from them there. To the wind-down such a connection
//! is idle: it is ended with the linger, or with the head time if its request has arrived. Even here the thread that accepts
//! holds one: the connection that it is sending. So it makes each connection busy (`busy_owned`) until a worker has it. That
//! is also what to do if the channel must have room. Keep it short nevertheless: the wind-down waits until the drain's deadline
//! for everything in it, even for clients that have sent nothing.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use winddown::{Acceptor, Budget, Connection, Exit, FromEnv, OwnedBusy, Shutdown};

const WORKERS: usize = 8;
/// How long a client may take to send or to receive a piece: meanwhile it has a worker.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest head of a request, in bytes.
const MAX_HEAD: u64 = 8 * 1024;

/// A connection, busy until a worker takes it.
type Accepted = (OwnedBusy<TcpStream>, Connection<TcpStream>);

fn main() -> Result<Exit, Box<dyn Error>> {
    // Before the listener, so that a SIGTERM is heard as soon as a client can connect.
    let shutdown = Shutdown::builder().budget(Budget::default().overridden_by_env()?).signals().build()?;
    let listener = TcpListener::bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    let (sender, receiver) = mpsc::sync_channel::<Accepted>(0);
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..WORKERS {
        let receiver = receiver.clone();
        thread::spawn(move || work(&receiver));
    }
    thread::spawn(move || {
        for connection in acceptor.incoming() {
            let Ok(connection) = connection else { break }; // The listener is dead; the library knows, and winds down.
            let Ok(waiting) = connection.busy_owned() else { break };
            if sender.send((waiting, connection)).is_err() {
                break; // Every worker has panicked.
            }
        }
    });
    let _ = writeln!(io::stdout(), "http://{address}/ is up: try `curl http://{address}/1500`, then Ctrl-C");
    let exit = shutdown.run();
    let _ = writeln!(io::stdout(), "\n{}", exit.report);
    Ok(exit)
}

fn work(receiver: &Mutex<Receiver<Accepted>>) {
    loop {
        // In a statement of its own, so that the lock is free while this worker serves.
        let next = receiver.lock().expect("no worker panics with the lock").recv();
        let Ok((waiting, connection)) = next else { return };
        drop(waiting); // It is idle until its request begins to arrive.
        let _ = serve(&connection);
    }
}

/// Answers one request.
fn serve(connection: &Connection<TcpStream>) -> io::Result<()> {
    let mut stream = connection.stream();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    if !has_begun(&mut reader)? {
        return Ok(());
    }
    let Ok(receiving) = connection.receiving() else { return Ok(()) };
    let mut head = reader.take(MAX_HEAD).lines();
    let request = head.next().transpose()?.unwrap_or_default();
    while !head.next().unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()))?.is_empty() {}
    let Ok(busy) = receiving.busy() else { return Ok(()) };
    let millis = request.strip_prefix("GET /").and_then(|line| line.split(' ').next()?.parse().ok());
    let (status, body) = match millis {
        Some(millis) => {
            thread::sleep(Duration::from_millis(millis));
            ("200 OK", format!("hello, after {millis} ms\n"))
        }
        None => ("400 Bad Request", "GET /N, with a number of milliseconds\n".to_owned()),
    };
    let length = body.len();
    stream.write_all(
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").as_bytes(),
    )?;
    busy.lingering_close(Duration::from_secs(1))
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

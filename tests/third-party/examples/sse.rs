//! Server-sent events on threads, each client with a last event: a channel of events beside a channel that the token disconnects.
//! `cargo run --example sse`, `curl -N` its address, then Ctrl-C.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select, unbounded};
use winddown::{Acceptor, Budget, Connection, Exit, Milestone, Shutdown, Token, lingering_close};

/// Where the events go: a sender for each client.
type Clients = Arc<Mutex<Vec<Sender<u64>>>>;

fn main() -> Result<Exit, Box<dyn Error>> {
    let shutdown = Shutdown::builder().budget(Budget::new(Duration::from_secs(20))).signals().build()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    let (refusing, clients) = (shutdown.token_at(Milestone::Refusing), Clients::default());
    let (done, everyone) = (shutdown.token_at(Milestone::Done), clients.clone());
    thread::spawn(move || {
        for number in 0.. {
            everyone.lock().unwrap().retain(|client| client.send(number).is_ok());
            if done.wait_timeout(Duration::from_millis(100)) {
                return;
            }
        }
    });
    thread::spawn(move || {
        for connection in acceptor.incoming().flatten() {
            let (refusing, (sender, events)) = (refusing.clone(), unbounded());
            clients.lock().unwrap().push(sender);
            thread::spawn(move || drop(serve(&connection, &events, &refusing)));
        }
    });
    println!("http://{address}/ is up");
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(exit)
}

fn serve(connection: &Connection<TcpStream>, events: &Receiver<u64>, refusing: &Token) -> io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    while !lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))?.is_empty() {}
    // Upgraded: an answer without an end. The wind-down waits for it.
    let _upgraded = connection.busy().map_err(io::Error::other)?.upgraded();
    let (mut writer, told) = (connection, refusing.receiver());
    writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")?;
    loop {
        select! {
            recv(events) -> number => match number {
                Ok(number) => writer.write_all(format!("data: {number}\n\n").as_bytes())?,
                Err(_) => break,
            },
            recv(told) -> _ => break, // disconnected: the token tells
        }
    }
    writer.write_all(b"event: bye\ndata: the server stops\n\n")?;
    lingering_close(connection.stream(), Duration::from_secs(1))
}

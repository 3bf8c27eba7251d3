//! touche, which takes connections and writes an answer after the handler has returned it: its service, which it drops with the
//! connection, keeps that registered, and the body keeps it busy. `cargo run --example touche`, then Ctrl-C.

use std::error::Error;
use std::io::{Read, repeat};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use touche::{Body, Request, Response, Server};
use winddown::{Acceptor, Budget, Connection, Exit, Shutdown};

const SIZE: usize = 20_000_000;

fn main() -> Result<Exit, Box<dyn Error>> {
    let shutdown = Shutdown::builder().budget(Budget::new(Duration::from_secs(40))).signals().build()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    let handle = shutdown.clone();
    thread::spawn(move || {
        // touche wants the socket itself. The service registers a duplicate of it.
        let streams = acceptor.incoming().flatten().filter_map(|connection| connection.into_stream().ok());
        Server::builder().from_connections(streams).make_service(move |connection: &touche::Connection| {
            let stream = connection.clone().downcast::<TcpStream>().map_err(|_| "not TCP")?;
            Ok::<_, &str>(service(Connection::new(stream, &handle)))
        })
    });
    println!("http://{address}/ is up");
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(exit)
}

type Answer = Result<Response<Body>, Box<dyn Error + Send + Sync>>;

/// Serves one connection.
fn service(connection: Connection<TcpStream>) -> impl FnMut(Request<Body>) -> Answer + Send {
    let mut kept = Vec::new();
    move |_| {
        let body = repeat(b'x').take(SIZE as u64);
        let busy = connection.busy_owned()?;
        if connection.is_closing() {
            // The last answer. Busy until touche has written it, and drops this service with the connection.
            kept.push(busy);
            return Ok(Response::builder().header("connection", "close").body(Body::from_reader(body, SIZE))?);
        }
        // Busy until touche drops the body. Then idle, and idle connections are lingered for.
        Ok(Response::builder().body(Body::from_reader(busy.held_by(body), SIZE))?)
    }
}

//! Server-sent events with hyper on smol, each client with a last event: `Until` ends the stream of events, and the last one is
//! chained to it. `cargo run --example sse_smol`, `curl -N` its address, then Ctrl-C.

use std::convert::Infallible;
use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::{self, Bytes, Frame};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use winddown_smol::{Budget, Exit, Incoming, Shutdown, Token, Until, http};

fn main() -> Result<Exit, Box<dyn Error>> {
    smol::block_on(async {
        let shutdown = Shutdown::builder()
            .budget(Budget::new(Duration::from_secs(20)))
            .signals()
            .watchdog(Duration::from_millis(500)) // ends the process even if a task is stuck
            .build()?;
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let incoming = Incoming::new(listener, &shutdown)?;
        let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
        let events = service_fn(|request: Request<body::Incoming>| async move {
            // It tells when the program refuses. `http::serve` gives one to each request.
            let refusing = request.extensions().get::<Token>().expect("each has one").clone();
            let numbers = Timer::interval(Duration::from_millis(100)).enumerate();
            let events = numbers.map(|(number, _)| format!("data: {number}\n\n"));
            let last = stream::once("event: bye\ndata: the server stops\n\n".to_owned());
            let parts = Until::new(&refusing, events).chain(last);
            let body = StreamBody::new(parts.map(|event| Ok::<_, Infallible>(Frame::data(Bytes::from(event)))));
            Response::builder().header("Content-Type", "text/event-stream").body(body)
        });
        smol::spawn(http::serve(incoming, http1::Builder::new(), events, tasks)).detach();
        println!("http://{address}/ is up");
        let exit = shutdown.run().await;
        println!("{}", exit.report);
        Ok(exit)
    })
}

//! HTTP servers with hyper 1 that lose nobody.
//!
//! [`serve`] takes an [`Incoming`](crate::Incoming), hyper's own [builder](Protocol) of connections, configured as you like, and a service.
//! What it adds is the end:
//!
//! - **HTTP/1.1** From the refusal on, every answer says that it is the last (`Connection: close`), and the connection is
//!   closed behind it. An idle one may bring one more request during the [linger](winddown::Budget::linger), which is answered
//!   (A3); then it is closed, if nothing has come.
//!   A head that has begun to arrive by then is waited for, at most for the [head time](winddown::Budget::head).
//! - **HTTP/2** At the refusal a GOAWAY with no limit, and after a round trip one with the last stream that came, as RFC 9113 (6.8)
//!   has it; what is under way is finished.
//! - **Upgrades** An upgraded connection is admitted work until its I/O is dropped. The request has a [`Token`](crate::Token) among its
//!   extensions that tells when the program refuses, so that the code that speaks something else from then on can say goodbye (A4). For a
//!   WebSocket, drop the wait for a message (`token.run_until(socket.next())`) and then close it. An [`Until`](crate::Until) around
//!   its I/O would make the Close frame impossible.
//! - **Answers without an end** (server-sent events) End the stream with that token and an [`Until`](crate::Until), and chain a last
//!   event to it.
//! - A request is admitted work from its head to its answer's last byte, written to the kernel. Behind the last answer what
//!   the client still sends is read, lest the answer be destroyed on its way (A6).
//! - At the drain's deadline what is left is cut, dropped, and named in the report. A service that panics is named, too; its
//!   connection is closed, or on HTTP/2 its stream.
//!
//! # Limits
//!
//! - HTTP/1.1: a request that was sent behind another one, and whose head is not whole when that one is answered, may be cut by
//!   the end of the linger.
//! - HTTP/2: a connection that has once had a tunnel (CONNECT) is waited for until it ends.
//! - A service's future that does not return from its `poll` holds up its executor's thread, and is named.
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::net::TcpListener;
//!
//! use async_io::Async;
//! use hyper::service::service_fn;
//! use hyper::{Response, server::conn::http1};
//! use winddown_smol::{Exit, Incoming, Shutdown, http};
//!
//! fn main() -> Result<Exit, Box<dyn std::error::Error>> {
//!     smol::block_on(async {
//!         let shutdown = Shutdown::builder().signals().build()?;
//!         let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 8080))?;
//!         let incoming = Incoming::new(listener, &shutdown)?;
//!         let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
//!         let hello = service_fn(|_| async { Ok::<_, Infallible>(Response::new("hello\n".to_owned())) });
//!         smol::spawn(http::serve(incoming, http1::Builder::new(), hello, tasks)).detach();
//!         Ok(shutdown.run().await)
//!     })
//! }
//! ```

mod flight;
mod protocol;
mod service;

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::{FutureExt, StreamExt};
use hyper::Request;
use hyper::body::{self, Body};
use hyper::service::Service;
use winddown::{Cancelled, Milestone, Stream};

use self::flight::Flight;
pub use self::protocol::Protocol;
use self::service::Admitted;
pub use self::service::{Answer, BoxError, Part};
use crate::{Connection, Shutdown, Tasks};

/// How long to read on behind a last answer.
const LINGERING: Duration = Duration::from_secs(2);

/// Accepts connections and serves each in a task of its own, spawned by `tasks`; ends when the listener does.
///
/// The connections are an [`Incoming`](crate::Incoming), or one with something done to each of them (`set_nodelay`, say). They are
/// waited for by the wind-down, not by this. One that is an error is passed over.
///
/// `S` is cloned for each connection. `service_fn` makes one of a closure.
pub async fn serve<T, P, S, B>(
    mut connections: impl futures_lite::Stream<Item = io::Result<Connection<T>>> + Unpin,
    protocol: P,
    service: S,
    tasks: Tasks,
) where
    T: Stream,
    P: Protocol,
    S: Service<Request<body::Incoming>, Response = hyper::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    while let Some(connection) = connections.next().await {
        let Ok(connection) = connection else { continue };
        let shutdown = tasks.shutdown().clone();
        let refusing = shutdown.token_at(Milestone::Refusing);
        let flight = Flight::new(connection, P::MANY);
        let admitted = Admitted::new(service.clone(), flight.clone(), refusing.clone());
        let served = serve_one(flight, protocol.clone(), admitted, refusing.cancelled(), shutdown.clone());
        tasks.spawn_untracked(caught(shutdown, "http connection", served));
    }
}

async fn serve_one<T, P, S, B>(
    flight: Arc<Flight<T>>,
    protocol: P,
    admitted: Admitted<S, T>,
    refusing: Cancelled,
    shutdown: Shutdown,
) where
    T: Stream,
    P: Protocol,
    S: Service<Request<body::Incoming>, Response = hyper::Response<B>> + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let served = protocol.serve(flight.io(), admitted, refusing);
    // One that is cut has heard it from its socket. This is for who does not listen to that.
    let ended = shutdown.token_at(Milestone::LastCall).run_until(served).await;
    if let Some(result) = ended.filter(|_| flight.wants_lingering()) {
        // An error means that a request was not whole, or was none: that the connection is idle is then the truth.
        let busy = result.ok().and_then(|()| flight.answered());
        // What is wrong here is of no interest any more.
        let _ = flight.connection().lingering_close(LINGERING).await;
        drop(flight);
        drop(busy);
    }
}

/// Has the report name what panics in here, be it that it is polled or dropped.
async fn caught(shutdown: Shutdown, what: &'static str, future: impl Future<Output = ()> + Send) {
    let mut future = Box::pin(AssertUnwindSafe(future).catch_unwind());
    let polled = future.as_mut().await;
    let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(future)));
    for panic in [polled, dropped].into_iter().filter_map(Result::err) {
        shutdown.note_panic(what, panic);
    }
}

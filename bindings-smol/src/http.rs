//! HTTP servers with hyper 1 that lose nobody.
//!
//! [`serve`] takes an [`Incoming`](crate::Incoming), hyper's own [builder](Protocol) of connections, configured as you like, and a service.
//! What it adds is the end:
//!
//! - **HTTP/1.1** From the refusal on, every answer says that it is the last (`Connection: close`), and the connection is
//!   closed behind it. An idle one may bring one more request during the [linger](winddown::Budget::linger), which is answered
//!   (A3); then it is closed, if nothing has come.
//! - **HTTP/2** At the refusal a GOAWAY with no limit, and after a round trip one with the last stream that came, as RFC 9113 (6.8)
//!   has it; what is under way is finished.
//! - **Upgrades** An upgraded connection is admitted work until its I/O is dropped. The request has a [`Token`] among its
//!   extensions that tells when the program refuses: for who speaks something else from then on, and should say
//!   goodbye (A4).
//! - A request is admitted work from its head to its answer's last byte, written to the kernel. Behind the last answer what
//!   the client still sends is read, lest the answer be destroyed on its way (A6).
//! - At the drain's deadline what is left is cut, dropped, and named in the report. A service that panics is named, too; its
//!   connection is closed.
//!
//! # Limits
//!
//! - HTTP/2: data that hyper has taken but cannot send, because the client's window is full, is waited for from the refusal on,
//!   if its stream was open then.
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
use winddown::{Milestone, Stream, Token};

use self::flight::Flight;
pub use self::protocol::Protocol;
use self::service::Admitted;
pub use self::service::{Answer, BoxError};
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
        let (protocol, service) = (protocol.clone(), service.clone());
        tasks.spawn_untracked(async move {
            let served = AssertUnwindSafe(serve_one(connection, protocol, service, &shutdown)).catch_unwind();
            if let Err(panic) = served.await {
                shutdown.note_panic("http connection", panic);
            }
        });
    }
}

async fn serve_one<T, P, S, B>(connection: Connection<T>, protocol: P, service: S, shutdown: &Shutdown)
where
    T: Stream,
    P: Protocol,
    S: Service<Request<body::Incoming>, Response = hyper::Response<B>> + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let refusing: Token = shutdown.token_at(Milestone::Refusing);
    let flight = Arc::new(Flight::new(connection));
    let admitted = Admitted::new(service, flight.clone(), refusing.clone());
    let served = protocol.serve(flight.io(), admitted, refusing.cancelled());
    // One that is cut has heard it from its socket. This is for who does not listen to that.
    let ended = shutdown.token_at(Milestone::LastCall).run_until(served).await;
    if ended.is_some() && flight.wants_lingering() {
        // What is wrong here is of no interest any more.
        let _ = flight.connection().lingering_close(LINGERING).await;
    }
}

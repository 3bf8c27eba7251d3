//! HTTP servers with hyper 1 that lose no request.
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
//! - **HTTP/1.0** An answer has at most one `Connection` header: from the refusal on it is `close`, whatever the client has asked for.
//! - **TLS** [`serve_over`] serves over an I/O object that the program makes of each connection.
//! - A request is admitted work from its head to its answer's last byte, written to the kernel. After the last answer the server reads
//!   on for at most 2 s, so that the answer is not destroyed on its way (A6). The connection is not at work meanwhile: a client that keeps
//!   its end open is not late. The drain waits for it until its own deadline.
//! - At the drain's deadline what is left is cut, dropped, and named in the report. A service that panics is named, too; its
//!   connection is closed, or on HTTP/2 its stream.
//!
//! # Clients that close their side early
//!
//! A client may shut its sending side down after its request, and still read the answer: `printf ... | nc -N` and `socat` do. To hyper
//! this is a client that has gone, as it is for most servers: it drops the service's future and closes the connection without an answer.
//! With [`half_close(true)`](hyper::server::conn::http1::Builder::half_close) on the builder such a client is answered. The price: a
//! client that has really gone is noticed only when its answer is written, so until then its request is worked on, and the drain waits
//! for it.
//!
//! # Limits
//!
//! - TLS: if the first bytes of a request come in one piece with the end of the handshake, and the rest does not, the connection is
//!   taken for an idle one until more of the request comes.
//! - HTTP/1.1: a request that was sent behind another one, and whose head is not whole when that one is answered, may be cut by
//!   the end of the linger.
//! - HTTP/2: a connection that has once had a tunnel (CONNECT) is waited for until it ends.
//! - A service's future that does not return from its `poll` holds up its executor's thread, and is named.
//! - What a service's future has started elsewhere (a child process, a closure in `unblock`) runs on when the future is dropped. The
//!   report says that the request was [dropped](winddown::AtEnd::Dropped). [`winddown::Tracked`] says how to have such work waited for.
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::net::TcpListener;
//! use std::time::Duration;
//!
//! use async_io::Async;
//! use hyper::service::service_fn;
//! use hyper::{Response, server::conn::http1};
//! use winddown_smol::{Exit, Incoming, Shutdown, http};
//!
//! fn main() -> Result<Exit, Box<dyn std::error::Error>> {
//!     smol::block_on(async {
//!         let shutdown = Shutdown::builder().signals().watchdog(Duration::from_millis(500)).build()?;
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
mod wire;

use std::future::{poll_fn, ready};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite, StreamExt};
use hyper::Request;
use hyper::body::{self, Body};
use hyper::service::Service;
use winddown::{Milestone, Stream};

use self::flight::Flight;
pub use self::protocol::Protocol;
use self::service::Admitted;
pub use self::service::{Answer, BoxError, Part};
use self::wire::Through;
pub use self::wire::Wire;
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
    connections: impl futures_lite::Stream<Item = io::Result<Connection<T>>> + Unpin,
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
    serve_each(connections, |wire| ready(Ok(wire)), protocol, service, tasks, false).await;
}

/// As [`serve`], over what `wrap` makes of each connection: TLS, say.
///
/// `wrap` is called, and its future awaited, in the connection's own task. So a client that is slow to shake hands delays no other.
/// hyper reads, writes, flushes and closes the object that `wrap` returns instead of the connection, and nothing goes around it.
///
/// - **During the handshake**, from the client's first byte on, the connection is *receiving*: the wind-down waits for it, at most for
///   the [head time](winddown::Budget::head) after the linger. A client that is in the middle of it when the program begins to refuse
///   is served, and told that the answer is the last. A handshake that is not over in time is dropped with its connection, and counted
///   as [incomplete](winddown::Unserved::incomplete). Before the wind-down it has as long as it likes: give it a limit in `wrap`.
/// - **After the handshake** a connection with no request is idle, and is closed with the linger, by `poll_close`: a TLS stream says
///   `close_notify` then. The client's answer to that is read through the object, too, and so is a request that has crossed it: its
///   client is counted as [lost](winddown::Unserved::lost).
/// - **A handshake that fails** costs its own connection and nothing else. The error is dropped, so `wrap` is the place to log it.
///
/// ```no_run
/// # use futures_lite::{AsyncRead, AsyncWrite};
/// # use hyper::{Response, server::conn::http1, service::service_fn};
/// # use std::{convert::Infallible, io, net::TcpListener};
/// # use winddown_smol::{Incoming, Tasks, http};
/// # #[derive(Clone)]
/// # struct TlsAcceptor;
/// # impl TlsAcceptor {
/// #     async fn accept<I: AsyncRead + AsyncWrite + Unpin>(self, io: I) -> io::Result<I> { Ok(io) }
/// # }
/// # async fn example(incoming: Incoming<TcpListener>, acceptor: TlsAcceptor, tasks: Tasks) {
/// let wrap = move |wire| {
///     let handshake = acceptor.clone().accept(wire); // futures-rustls'
///     async { handshake.await.inspect_err(|error| eprintln!("TLS handshake: {error}")) }
/// };
/// let hello = service_fn(|_| async { Ok::<_, Infallible>(Response::new("hello\n".to_owned())) });
/// http::serve_over(incoming, wrap, http1::Builder::new(), hello, tasks).await;
/// # }
/// ```
pub async fn serve_over<T, W, F, I, P, S, B>(
    connections: impl futures_lite::Stream<Item = io::Result<Connection<T>>> + Unpin,
    wrap: W,
    protocol: P,
    service: S,
    tasks: Tasks,
) where
    T: Stream,
    W: Fn(Wire<T>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<I>> + Send + 'static,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    P: Protocol,
    S: Service<Request<body::Incoming>, Response = hyper::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    serve_each(connections, wrap, protocol, service, tasks, true).await;
}

/// `wrapped`: what `wrap` makes tells the client's goodbye from a request.
async fn serve_each<T, W, F, I, P, S, B>(
    mut connections: impl futures_lite::Stream<Item = io::Result<Connection<T>>> + Unpin,
    wrap: W,
    protocol: P,
    service: S,
    tasks: Tasks,
    wrapped: bool,
) where
    T: Stream,
    W: Fn(Wire<T>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<I>> + Send + 'static,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    P: Protocol,
    S: Service<Request<body::Incoming>, Response = hyper::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let wrap = Arc::new(wrap);
    while let Some(connection) = connections.next().await {
        let Ok(connection) = connection else { continue };
        let shutdown = tasks.shutdown().clone();
        let refusing = shutdown.token_at(Milestone::Refusing);
        let flight = Flight::new(connection, P::MANY);
        let admitted = Admitted::new(service.clone(), flight.clone(), refusing.clone());
        let (wrap, protocol, own) = (wrap.clone(), protocol.clone(), flight.clone());
        let served = async move {
            let io = shake_hands(&own, async { wrap(Wire::new(&own)).await }).await?;
            Some(protocol.serve(Through::hyper(io, &own, wrapped), admitted, refusing.cancelled()).await)
        };
        tasks.spawn_untracked(caught(shutdown.clone(), "http connection", serve_one(flight, served, shutdown)));
    }
}

/// Has the connection wrapped. `None`: there is nothing to serve, because that failed, or has taken too long.
async fn shake_hands<T: Stream, I>(flight: &Flight<T>, wrapped: impl Future<Output = io::Result<I>>) -> Option<I> {
    let mut wrapped = pin!(wrapped);
    let io = poll_fn(|context| match wrapped.as_mut().poll(context) {
        Poll::Pending if flight.is_over(context) => Poll::Ready(None),
        polled => polled.map(Some),
    });
    let io = io.await?;
    if io.is_ok() {
        flight.shake_hands();
    } else {
        // The client's bytes are no request.
        flight.answered();
    }
    io.ok()
}

async fn serve_one<T: Stream>(
    flight: Arc<Flight<T>>,
    served: impl Future<Output = Option<hyper::Result<()>>>,
    shutdown: Shutdown,
) {
    // One that is cut has heard it from its socket. This is for who does not listen to that.
    let ended = shutdown.token_at(Milestone::LastCall).run_until(served).await;
    if let Some(result) = ended.filter(|_| flight.wants_lingering()) {
        // After an error there is no answer to come, either. That its connection is idle is then the truth.
        match result {
            Some(Ok(())) => flight.answered(),
            _ => flight.failed(),
        }
        // What is wrong here is of no interest any more.
        let _ = flight.connection().lingering_close(LINGERING).await;
    }
}

/// Has the report name what panics in here, be it that it is polled or dropped.
async fn caught(shutdown: Shutdown, what: &'static str, future: impl Future<Output = ()> + Send) {
    let mut future = Box::pin(future);
    poll_fn(|context| shutdown.catch(what, || future.as_mut().poll(context)).unwrap_or(Poll::Ready(()))).await;
    shutdown.catch(what, || drop(future));
}

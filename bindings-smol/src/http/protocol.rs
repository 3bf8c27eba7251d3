//! What serves one connection: hyper's builders.

use std::pin::{Pin, pin};

use hyper::Request;
use hyper::body::{self, Body};
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use winddown::Cancelled;

use super::caught;
use super::service::{Answer, BoxError};
use crate::Tasks;

/// Makes hyper serve connections: its builder for HTTP/1 ([`http1::Builder`], upgrades included), or for HTTP/2
/// ([`http2::Builder`] with [`Tasks`] as its executor).
pub trait Protocol: private::Sealed + Clone + Send + Sync + 'static {
    /// Whether a connection has several requests at a time.
    #[doc(hidden)]
    const MANY: bool;

    #[doc(hidden)]
    fn serve<I, S, B>(&self, io: I, service: S, refusing: Cancelled) -> impl Future<Output = hyper::Result<()>> + Send
    where
        I: Read + Write + Unpin + Send + 'static,
        S: Service<Request<body::Incoming>, Response = hyper::Response<Answer<B>>> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static;
}

mod private {
    pub trait Sealed {}
    impl Sealed for hyper::server::conn::http1::Builder {}
    impl Sealed for hyper::server::conn::http2::Builder<crate::Tasks> {}
}

/// Nothing is to be done at the refusal: the answers say that they are the last.
impl Protocol for http1::Builder {
    const MANY: bool = false;

    async fn serve<I, S, B>(&self, io: I, service: S, _: Cancelled) -> hyper::Result<()>
    where
        I: Read + Write + Unpin + Send + 'static,
        S: Service<Request<body::Incoming>, Response = hyper::Response<Answer<B>>> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.serve_connection(io, service).with_upgrades().await
    }
}

impl Protocol for http2::Builder<Tasks> {
    const MANY: bool = true;

    async fn serve<I, S, B>(&self, io: I, service: S, mut refusing: Cancelled) -> hyper::Result<()>
    where
        I: Read + Write + Unpin + Send + 'static,
        S: Service<Request<body::Incoming>, Response = hyper::Response<Answer<B>>> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let mut connection = pin!(self.serve_connection(io, service));
        let mut told = false;
        std::future::poll_fn(move |context| {
            if !told && Pin::new(&mut refusing).poll(context).is_ready() {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(context)
        })
        .await
    }
}

/// hyper's own tasks, one for each stream of HTTP/2.
impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.spawn_untracked(caught(self.shutdown().clone(), "http request", future));
    }
}

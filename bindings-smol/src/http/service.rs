//! Around a service: each request is admitted, and its answer counted to its end. Not here: what that does to the connection
//! (`flight`).

use std::error::Error;
use std::fmt;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{self, Body, Buf, Frame, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode, Version};
use pin_project_lite::pin_project;
use winddown::{Stream, Token};

use super::flight::{Begun, Flight};

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A service whose requests are admitted work.
pub(super) struct Admitted<S, T: Stream> {
    service: S,
    flight: Arc<Flight<T>>,
    refusing: Token,
}

impl<S, T: Stream> Admitted<S, T> {
    pub(super) fn new(service: S, flight: Arc<Flight<T>>, refusing: Token) -> Self {
        Self { service, flight, refusing }
    }
}

impl<S, T, B> Service<Request<body::Incoming>> for Admitted<S, T>
where
    S: Service<Request<body::Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    T: Stream,
    B: Body,
{
    type Response = Response<Answer<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn call(&self, mut request: Request<body::Incoming>) -> Self::Future {
        let version = request.version();
        let many = version >= Version::HTTP_2;
        let connects = request.method() == Method::CONNECT;
        let flight = self.flight.clone();
        let Ok(begun) = flight.begin() else {
            return Box::pin(async move { Ok(too_late(version)) });
        };
        request.extensions_mut().insert(self.refusing.clone());
        let answer = self.service.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            let upgrades =
                answer.status() == StatusCode::SWITCHING_PROTOCOLS || connects && answer.status().is_success();
            if upgrades {
                flight.upgrade();
            } else if !many && flight.connection().is_closing() {
                flight.set_last();
                say_last(&mut answer, version);
            }
            Ok(answer.map(|body| Answer { body: Some(body), begun: Some(begun) }))
        })
    }
}

/// The drain is over: no answer could be finished.
fn too_late<B>(asked: Version) -> Response<Answer<B>> {
    let mut answer = Response::new(Answer { body: None, begun: None });
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    if asked < Version::HTTP_2 {
        say_last(&mut answer, asked);
    }
    answer
}

/// Has the answer to an HTTP/1 request say that it is the last, and hyper close the connection after it.
fn say_last<B>(answer: &mut Response<B>, asked: Version) {
    if asked == Version::HTTP_10 {
        // hyper adds `keep-alive` to an answer of version 1.1 where the client has asked for that, whatever the header says.
        *answer.version_mut() = Version::HTTP_10;
    }
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

pin_project! {
    /// The body of an answer, which is under way until it is dropped.
    pub struct Answer<B> {
        // `None`: nothing.
        #[pin]
        body: Option<B>,
        begun: Option<Arc<Begun>>,
    }
}

/// A piece of an answer. HTTP/2 has taken the whole answer long before it is written: as long as pieces of it are kept there,
/// it is under way.
pub struct Part<D> {
    data: D,
    _begun: Option<Arc<Begun>>,
}

impl<D: Buf> Buf for Part<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, parts: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(parts)
    }

    fn advance(&mut self, by: usize) {
        self.data.advance(by);
    }
}

impl<D> fmt::Debug for Part<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").finish_non_exhaustive()
    }
}

impl<B: Body> Body for Answer<B> {
    type Data = Part<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        body.poll_frame(context).map_ok(|frame| frame.map_data(|data| Part { data, _begun: this.begun.clone() }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> fmt::Debug for Answer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("under_way", &self.begun.is_some()).finish_non_exhaustive()
    }
}

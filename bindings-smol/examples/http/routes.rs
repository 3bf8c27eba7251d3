//! What there is to ask for.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, HeaderValue};
use hyper::{Request, Response, StatusCode};
use smol::Timer;
use winddown_smol::Shutdown;

use crate::log::Log;
use crate::store::{Failed, Order, Store};

/// The longest body.
const MAX_BODY: usize = 64 * 1024;
/// The longest `GET /slow`.
const MAX_SLOW: u64 = 60_000;
/// The largest `GET /large`, in KiB.
const MAX_LARGE: usize = 4096;
const MAX_ID: usize = 64;

/// What a request needs.
pub(crate) struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) log: Arc<Log>,
    pub(crate) shutdown: Shutdown,
}

type Answer = Response<Full<Bytes>>;

pub(crate) async fn answer(app: Arc<App>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let id = request.headers().get("x-id").cloned();
    let name =
        id.as_ref().and_then(|id| id.to_str().ok()).filter(|id| id.len() <= MAX_ID).unwrap_or_default().to_owned();
    app.log.read(&name, &format!("{} {}", request.method(), request.uri().path()));
    let mut answer = route(&app, &name, request).await;
    if let Some(id) = id {
        answer.headers_mut().insert("x-id", id);
    }
    app.log.answered(&name, answer.status().as_u16());
    Ok(answer)
}

async fn route(app: &App, id: &str, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let path: Vec<_> = path.split('/').skip(1).collect();
    let allow = match path[..] {
        ["orders"] => "POST",
        ["orders", _] | ["slow" | "large" | "healthz" | "readyz"] => "GET, HEAD",
        _ => return text(404, "there is no such thing\n"),
    };
    if !allow.split(", ").any(|method| method == request.method().as_str()) {
        let mut answer = text(405, "not with that method\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        return answer;
    }
    match path[..] {
        ["orders"] => order(app, id, request).await,
        ["orders", number] => show(app, number).await,
        ["slow"] => slow(&request).await,
        ["large"] => match parameter::<usize>(&request, "kb").filter(|&kb| kb <= MAX_LARGE) {
            Some(kb) => new(200, vec![b'.'; kb * 1024]),
            None => text(400, "how many kb, up to 4096?\n"),
        },
        // Liveness stays 200 while draining: a 500 would get the pod killed in the middle of it (K4).
        ["healthz"] => text(200, "alive\n"),
        // Not ready from the trigger on, while everything that comes is still served (K3).
        _ if app.shutdown.is_shutting_down() => text(503, "winding down\n"),
        _ => text(200, "ready\n"),
    }
}

async fn order(app: &App, id: &str, request: Request<Incoming>) -> Answer {
    if request.body().size_hint().lower() > MAX_BODY as u64 {
        return too_long();
    }
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else { return too_long() };
    let Ok(body) = String::from_utf8(body.to_bytes().into()) else { return text(400, "an order is UTF-8\n") };
    let (store, order) = (app.store.clone(), Order { id: id.to_owned(), body });
    match smol::unblock(move || store.add(order)).await {
        Ok(number) => new(201, format!("{number}\n").into_bytes()),
        Err(error) => failed(&error),
    }
}

/// It is not read to its end, so nothing can come after it.
fn too_long() -> Answer {
    let mut answer = text(413, "the body is too long\n");
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

async fn show(app: &App, number: &str) -> Answer {
    let Ok(number) = number.parse() else { return text(404, "orders have numbers\n") };
    let store = app.store.clone();
    match smol::unblock(move || store.get(number)).await {
        Ok(Some(order)) => new(200, order.body.into_bytes()),
        Ok(None) => text(404, "there is no such order\n"),
        Err(error) => failed(&error),
    }
}

async fn slow(request: &Request<Incoming>) -> Answer {
    let Some(millis) = parameter::<u64>(request, "ms").filter(|&millis| millis <= MAX_SLOW) else {
        return text(400, "how many ms, up to 60000?\n");
    };
    Timer::after(Duration::from_millis(millis)).await;
    text(200, "at last\n")
}

fn failed(error: &Failed) -> Answer {
    let _ = writeln!(io::stderr(), "store: {error}");
    text(500, "the database failed\n")
}

fn text(status: u16, text: &'static str) -> Answer {
    new(status, text)
}

fn new(status: u16, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).expect("these are all valid");
    answer
}

fn parameter<T: std::str::FromStr>(request: &Request<Incoming>, name: &str) -> Option<T> {
    let pairs = request.uri().query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name)?.1.parse().ok()
}

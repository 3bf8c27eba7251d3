//! What there is to ask for.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use winddown::Shutdown;

use crate::answer::Answer;
use crate::http::Request;
use crate::log::Log;
use crate::store::{Order, Store};

/// The longest `GET /slow`.
const MAX_SLOW: u64 = 60_000;
/// The largest `GET /large`, in KiB.
const MAX_LARGE: usize = 4096;

/// What a session needs.
pub(crate) struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) log: Arc<Log>,
    pub(crate) shutdown: Shutdown,
    /// Whether a connection is closed the gentle way.
    pub(crate) lingers: bool,
    /// Whether a request has a pass.
    pub(crate) passes: bool,
}

pub(crate) fn answer(app: &App, request: &Request) -> Answer {
    let path: Vec<_> = request.path.split('/').skip(1).collect();
    let (allow, answer): (_, fn(&App, &Request, &str) -> Answer) = match path[..] {
        ["orders"] => ("POST", order),
        ["orders", _] => ("GET, HEAD", show),
        ["slow"] => ("GET, HEAD", slow),
        ["large"] => ("GET, HEAD", large),
        // Liveness stays 200 while draining: a 500 would get the pod killed in the middle of it (K4).
        ["healthz"] => ("GET, HEAD", |_, _, _| Answer::text(200, "alive\n")),
        ["readyz"] => ("GET, HEAD", ready),
        _ => return Answer::text(404, "there is no such thing\n"),
    };
    if !allow.split(", ").any(|method| method == request.method) {
        return Answer::not_allowed(allow);
    }
    answer(app, request, path.last().copied().unwrap_or_default()).head_only(request.method == "HEAD")
}

fn order(app: &App, request: &Request, _: &str) -> Answer {
    let Ok(body) = std::str::from_utf8(&request.body) else {
        return Answer::text(400, "an order is UTF-8\n");
    };
    let order = Order { id: request.id.clone(), body: body.to_owned() };
    match app.store.add(order) {
        Ok(number) => Answer::new(201, format!("{number}\n").into_bytes()),
        Err(error) => failed(&error),
    }
}

fn show(app: &App, _: &Request, number: &str) -> Answer {
    let Ok(number) = number.parse() else {
        return Answer::text(404, "orders have numbers\n");
    };
    match app.store.get(number) {
        Ok(Some(order)) => Answer::new(200, order.body.into_bytes()),
        Ok(None) => Answer::text(404, "there is no such order\n"),
        Err(error) => failed(&error),
    }
}

fn slow(_: &App, request: &Request, _: &str) -> Answer {
    let Some(millis) = parameter::<u64>(request, "ms").filter(|&millis| millis <= MAX_SLOW) else {
        return Answer::text(400, "how many ms, up to 60000?\n");
    };
    thread::sleep(Duration::from_millis(millis));
    Answer::text(200, "at last\n")
}

fn large(_: &App, request: &Request, _: &str) -> Answer {
    match parameter::<usize>(request, "kb").filter(|&kb| kb <= MAX_LARGE) {
        Some(kb) => Answer::new(200, vec![b'.'; kb * 1024]),
        None => Answer::text(400, "how many kb, up to 4096?\n"),
    }
}

/// Not ready from the trigger on, while everything that comes is still served (K3).
fn ready(app: &App, _: &Request, _: &str) -> Answer {
    if app.shutdown.is_shutting_down() { Answer::text(503, "winding down\n") } else { Answer::text(200, "ready\n") }
}

fn failed(error: &crate::store::Failed) -> Answer {
    let _ = writeln!(io::stderr(), "store: {error}");
    Answer::text(500, "the database failed\n")
}

fn parameter<T: std::str::FromStr>(request: &Request, name: &str) -> Option<T> {
    let pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name)?.1.parse().ok()
}

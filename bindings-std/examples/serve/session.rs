//! One connection from its first request to its close.

use std::net::TcpStream;
use std::time::Duration;

use winddown::{Busy, Connection, Receiving, lingering_close};

use crate::answer::Answer;
use crate::http::{Bad, Fault, Reader};
use crate::routes::{self, App};

/// How long a connection may be idle between two requests.
const IDLE: Duration = Duration::from_secs(60);
/// How long one write may take: a client that never reads is not waited for longer.
const WRITE: Duration = Duration::from_secs(10);
/// How long to wait for the client to close, once it has its last answer.
const LINGERING: Duration = Duration::from_secs(2);

/// Until the client closes, misbehaves or is too slow, or the program stops.
pub(crate) fn serve(connection: &Connection<TcpStream>, app: &App) {
    let stream = connection.stream();
    // Without them it is slower, or waits longer.
    let _ = stream.set_nodelay(true);
    let _ = stream.set_write_timeout(Some(WRITE));
    let mut reader = Reader::new(stream);
    let mut scratch = Vec::new();
    let begin = || app.passes.then(|| connection.receiving().ok()).flatten();
    let mut next = None;
    while reader.wait_for_a_byte(IDLE) {
        // From its first byte on the wind-down waits for a request: for its head at most the head time.
        let mut receiving = next.take().or_else(begin);
        let head = reader.receive_head();
        let busy = match &head {
            Err(Fault::Gone) => break,
            // Answered, but the wind-down waits no longer for a client that does not send its head.
            Err(Fault::Bad(Bad { status: 408, .. })) => Ok(None),
            // From here on the wind-down waits until the answer is written, and the client has closed if it is the last.
            _ => receiving.take().map(Receiving::busy).transpose(),
        };
        let Ok(busy) = busy else {
            let _ = Answer::text(503, "winding down\n").write(stream, &mut scratch, true);
            close(stream, app, None);
            break;
        };
        let request = head.and_then(|head| {
            app.log.read(&head.request.id, &format!("{} {}", head.request.method, head.request.path));
            reader.receive_body(head)
        });
        let (answer, id, wants_close) = match request {
            Ok(request) => (routes::answer(app, &request), request.id, request.close),
            Err(Fault::Bad(bad)) => (Answer::text(bad.status, bad.why), bad.id, true),
            Err(Fault::Gone) => break,
        };
        let last = wants_close || app.passes && connection.is_closing();
        let (status, answer) = (answer.status, answer.id(&id));
        if answer.write(stream, &mut scratch, last).is_err() {
            app.log.failed(&id, status);
            break;
        }
        app.log.answered(&id, status);
        if last {
            close(stream, app, busy);
            break;
        }
        // A pipelined request, before the guard of this one is dropped: only the program knows what its buffer holds.
        next = if reader.has_begun() { begin() } else { None };
    }
}

/// The client may still be sending, and a close with bytes unread would destroy the answer on its way (A6).
fn close(stream: &TcpStream, app: &App, busy: Option<Busy<'_, TcpStream>>) {
    let _ = match busy {
        _ if !app.lingers => Ok(()),
        // The drain waits for it, and a client that keeps its end open is not late.
        Some(busy) => busy.lingering_close(LINGERING),
        None => lingering_close(stream, LINGERING),
    };
}

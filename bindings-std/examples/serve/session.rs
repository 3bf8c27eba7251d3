//! One connection from its first request to its close.

use std::net::TcpStream;
use std::time::Duration;

use winddown::{Connection, lingering_close};

use crate::answer::Answer;
use crate::http::{Reader, Received};
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
    while reader.wait_for_a_byte(IDLE) {
        // From its first byte on, a request is waited for.
        let busy = app.passes.then(|| connection.busy()).transpose();
        if busy.is_err() {
            let _ = Answer::text(503, "winding down\n").write(stream, &mut scratch, true);
            close(stream, app);
            break;
        }
        let (answer, id, wants_close) = match reader.receive(|id, line| app.log.read(id, line)) {
            Received::Request(request) => (routes::answer(app, &request), request.id, request.close),
            Received::Bad(bad) => (Answer::text(bad.status, bad.why), bad.id, true),
            Received::Nothing => break,
        };
        let last = wants_close || app.passes && connection.is_closing();
        let (status, answer) = (answer.status, answer.id(&id));
        if answer.write(stream, &mut scratch, last).is_err() {
            app.log.failed(&id, status);
            break;
        }
        app.log.answered(&id, status);
        if last {
            // Still busy: an idle connection is shut down for reading when the linger is over, and hears nothing more.
            close(stream, app);
            break;
        }
    }
}

/// The client may still be sending, and a close with bytes unread would destroy the answer on its way (A6).
fn close(stream: &TcpStream, app: &App) {
    if app.lingers {
        let _ = lingering_close(stream, LINGERING);
    }
}

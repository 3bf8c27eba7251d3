//! A server that knows nothing of winddown, the crate `tiny_http`, wound down by it, as far as that crate lets it:
//! `cargo run --example tiny_http`.
//!
//! `tiny_http` 0.12 cannot stop accepting, and does not say which requests it is still reading. So this program takes requests
//! for another half second after the refusal, and ends. That answers every client of an accept queue of 60. Of 40 clients that
//! send without a pause, 6 to 16 lost a request (six runs), and the exit code is 0: the library knows nothing of these connections.
//! The crate also has no limit for the time of a client, nor for the requests that it pipelines. Where that matters, use an
//! `Acceptor`, as the example `minimal` does.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Method, Request, Response, Server};
use winddown::{Budget, Exit, FromEnv, Milestone, Reason, Shutdown, Token};

/// How long to take requests after the refusal.
const LINGER: Duration = Duration::from_millis(500);

fn main() -> Result<Exit, Box<dyn Error + Send + Sync>> {
    // Before the listener, so that a SIGTERM is heard as soon as a client can connect.
    let shutdown = Shutdown::builder().budget(Budget::default().overridden_by_env()?).signals().build()?;
    // A pass for the loop, and a part of it for each request: a client in the server's queue was admitted with the loop.
    let Ok(pass) = shutdown.enter_owned() else { return Ok(shutdown.run()) }; // It has been told to stop already.
    let server = Arc::new(Server::http(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?);
    let address = server.server_addr();
    let kick = server.clone();
    shutdown.kicker_at_refusal(move || kick.unblock()).keep();
    let (handle, refusing) = (shutdown.clone(), shutdown.token_at(Milestone::Refusing));
    thread::spawn(move || {
        let serve = |request: Request| {
            let _ = writeln!(io::stdout(), "{} {}", request.method(), request.url());
            let (part, refusing) = (pass.split(), refusing.clone());
            let session = move || {
                answer(request, &refusing);
                drop(part);
            };
            drop(thread::Builder::new().spawn(session)); // Without a thread for it, the crate answers 500.
        };
        while let Ok(request) = server.recv() {
            serve(request);
        }
        if !refusing.should_stop() {
            handle.trigger(Reason::Failure); // Not unblocked: the server has failed to accept, and does not try again.
        }
        // Those that the server is reading, and then those in its queue.
        let until = Instant::now() + LINGER;
        while let Ok(Some(request)) = server.recv_timeout(until.saturating_duration_since(Instant::now())) {
            serve(request);
        }
    });
    let _ = writeln!(io::stdout(), "http://{address}/ is up");
    let exit = shutdown.run();
    let _ = writeln!(io::stdout(), "\n{}", exit.report);
    Ok(exit)
}

/// Answers one request after the milliseconds that its path asks for. A client that has gone is no error.
fn answer(request: Request, refusing: &Token) {
    if *request.method() != Method::Get {
        return drop(request.respond(Response::empty(405)));
    }
    let millis = request.url().trim_start_matches('/').parse().unwrap_or(0);
    thread::sleep(Duration::from_millis(millis));
    // `respond` never says what becomes of the connection. An HTTP/1.0 client that asked to keep it (`ab -k`) then waits for its
    // end, and a client that is not told that this answer is the last sends another request.
    let asked = request.headers().iter().find(|header| header.field.equiv("Connection"));
    let asked = asked.map(|header| header.value.as_str().to_ascii_lowercase()).unwrap_or_default();
    let is_new = *request.http_version() > HTTPVersion(1, 0);
    let stays = !refusing.should_stop() && !asked.contains("close") && (is_new || asked.contains("keep-alive"));
    let (body, then) = (format!("hello, after {millis} ms\n"), if stays { "keep-alive" } else { "close" });
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: {then}\r\n\r\n", body.len());
    let mut writer = request.into_writer();
    let _ = writer.write_all((head + &body).as_bytes()).and_then(|()| writer.flush());
}

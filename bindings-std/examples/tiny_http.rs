//! A server that knows nothing of winddown, the crate `tiny_http`, wound down by it: `cargo run --example tiny_http`.

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tiny_http::{Request, Response, Server};
use winddown::{Exit, Shutdown};

fn main() -> Result<Exit, Box<dyn Error + Send + Sync>> {
    let server = Arc::new(Server::http("127.0.0.1:0")?);
    let address = server.server_addr();

    // From here on: the twenty lines that it takes.
    let shutdown = Shutdown::builder().signals().build()?;
    let kick = server.clone();
    shutdown.kicker_at_refusal(move || kick.unblock()).keep();
    // A pass for the loop, and a part of it for each request: whoever is in the server's queue was admitted with the loop.
    let pass = shutdown.enter_owned()?;
    thread::spawn(move || {
        let serve = |request: Request| {
            println!("{} {}", request.method(), request.url());
            let part = pass.split();
            thread::spawn(move || {
                answer(request);
                drop(part);
            });
        };
        while let Ok(request) = server.recv() {
            serve(request);
        }
        // Unblocked: nobody new is waited for, and nobody in the queue is left.
        while let Ok(Some(request)) = server.try_recv() {
            serve(request);
        }
    });
    println!("http://{address}/ is up");
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(exit)
}

/// One request after the milliseconds that its path asks for. A client that has gone is no concern of ours.
fn answer(request: Request) {
    let millis = request.url().trim_start_matches('/').parse().unwrap_or(0);
    thread::sleep(Duration::from_millis(millis));
    let _ = request.respond(Response::from_string(format!("hello, after {millis} ms\n")));
}

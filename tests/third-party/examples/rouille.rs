//! rouille, which writes an answer after the handler has returned it: the body holds the pass, and the wind-down waits for the
//! server. `cargo run --example rouille`, then Ctrl-C.

use std::error::Error;
use std::io::{Read, repeat};
use std::thread;
use std::time::Duration;

use rouille::{Response, ResponseBody, Server};
use winddown::{Budget, Exit, Milestone, Shutdown};

const SIZE: usize = 20_000_000;

fn main() -> Result<Exit, Box<dyn Error + Send + Sync>> {
    let shutdown = Shutdown::builder().budget(Budget::new(Duration::from_secs(40))).signals().build()?;
    let handle = shutdown.clone();
    let server = Server::new("127.0.0.1:0", move |_| {
        let Ok(pass) = handle.enter_owned() else {
            return Response::text("winding down\n").with_status_code(503);
        };
        // Given back when rouille drops the body.
        let body = pass.held_by(repeat(b'x').take(SIZE as u64));
        Response { data: ResponseBody::from_reader_and_size(body, SIZE), ..Response::text("") }
    })?;
    let address = server.server_addr();
    let refusing = shutdown.token_at(Milestone::Refusing);
    let pass = shutdown.enter_owned()?;
    thread::spawn(move || {
        loop {
            server.poll();
            if refusing.wait_timeout(Duration::from_millis(5)) {
                break;
            }
        }
        server.poll();
        // Until the last byte of each answer has left rouille's own buffer.
        server.join();
        drop(pass);
    });
    println!("http://{address}/ is up");
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(exit)
}

//! Whole servers, measured: how long after its last answer a process is gone, on winddown and on others, and what winddown
//! costs each request. `tests/servers/run` builds all of them and starts this.

mod client;
mod last_answer;
mod server;
mod throughput;

use std::env;
use std::io;
use std::path::PathBuf;

use self::server::Servers;

const USAGE: &str =
    "usage: servers GO AXUM [--quick] [last-answer | throughput]; tests/servers/run knows the first two";

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(go), Some(axum)) = (arguments.next(), arguments.next()) else { return Err(io::Error::other(USAGE)) };
    let mut arguments = arguments.peekable();
    let quick = arguments.next_if(|argument| argument == "--quick").is_some();
    let part = arguments.next();
    let servers = Servers::new(PathBuf::from(go), PathBuf::from(axum))?;
    match part.as_deref() {
        None => {
            last_answer::measure(&servers, quick)?;
            throughput::measure(&servers, quick)
        }
        Some("last-answer") => last_answer::measure(&servers, quick),
        Some("throughput") => throughput::measure(&servers, quick),
        Some(_) => Err(io::Error::other(USAGE)),
    }
}

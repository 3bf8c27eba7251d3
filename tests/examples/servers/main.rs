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

fn main() -> io::Result<()> {
    let mut arguments = env::args_os().skip(1).peekable();
    let quick = arguments.next_if(|argument| argument == "--quick").is_some();
    let (Some(go), Some(axum), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err(io::Error::other("usage: servers [--quick] GO AXUM; tests/servers/run knows what those are"));
    };
    let servers = Servers::new(PathBuf::from(go), PathBuf::from(axum))?;
    last_answer::measure(&servers, quick)?;
    throughput::measure(&servers, quick)
}

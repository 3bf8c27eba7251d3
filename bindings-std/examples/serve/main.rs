//! An HTTP/1.1 server with a database that loses nobody when it is told to stop: `cargo run --release --example serve`.
//!
//! With `-- --demo` it puts itself to the test: a child of the same program under 1,000 connections, a real SIGTERM,
//! and then an account of every request.
//!
//! Here: the parts put together, and the order in which they close. What each does is in its own file.

#[cfg(unix)]
mod answer;
#[cfg(unix)]
mod args;
#[cfg(unix)]
mod chunked;
#[cfg(unix)]
mod demo;
#[cfg(unix)]
mod http;
#[cfg(unix)]
mod log;
#[cfg(unix)]
mod routes;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod session;
#[cfg(unix)]
mod store;

#[cfg(unix)]
fn main() -> Result<std::process::ExitCode, Box<dyn std::error::Error>> {
    use std::process::Termination;

    let args = <args::Args as clap::Parser>::parse();
    if args.demo { demo::run(&args) } else { Ok(server::run(&args)?.report()) }
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs Unix");
}

//! The example `serve` of winddown, with hyper on smol: `cargo run --release -p winddown-smol --example http`.
//!
//! With `-- --demo` it puts itself to the same test: a child of the same program under 1,000 connections, a real SIGTERM,
//! and then an account of every request. Arguments, database, log and the test are that example's.

#[cfg(unix)]
#[path = "../../../bindings-std/examples/serve/args.rs"]
mod args;
#[cfg(unix)]
#[path = "../../../bindings-std/examples/serve/demo/mod.rs"]
mod demo;
#[cfg(unix)]
#[expect(dead_code, reason = "hyper does not say that an answer could not be written")]
#[path = "../../../bindings-std/examples/serve/log.rs"]
mod log;
#[cfg(unix)]
mod routes;
#[cfg(unix)]
mod server;
#[cfg(unix)]
#[path = "../../../bindings-std/examples/serve/store.rs"]
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

//! Servers that are short of something.

use std::net::TcpListener;
use std::process::{ExitCode, Termination};
use std::thread;

use winddown::{Acceptor, Shutdown};
use winddown_tests::lines::{serve, serve_all};
use winddown_tests::sys;

use crate::Anything;

/// A server with descriptors for some ten connections.
pub(crate) fn starving() -> Result<ExitCode, Anything> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("ready {}", listener.local_addr()?);
    let shutdown = Shutdown::builder().signals().build()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    sys::limit_descriptors(16)?;
    thread::spawn(move || serve_all(acceptor));
    let exit = shutdown.run();
    println!("processor time: {}", sys::processor_time().as_secs_f64());
    Ok(Termination::report(exit))
}

/// A server with 10,000 connections, and a small thread for each.
pub(crate) fn crowd() -> Result<ExitCode, Anything> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("ready {}", listener.local_addr()?);
    let shutdown = Shutdown::builder().signals().build()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    thread::spawn(move || {
        for (number, connection) in acceptor.incoming().enumerate() {
            let connection = connection.expect("the listener works");
            let small = thread::Builder::new().stack_size(64 << 10);
            small.spawn(move || serve(&connection)).expect("a thread");
            if (number + 1) % 100 == 0 {
                println!("{} hundred here", (number + 1) / 100);
            }
        }
    });
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(Termination::report(exit))
}

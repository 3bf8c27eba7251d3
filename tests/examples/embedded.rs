//! A library in a program that is not Rust's, with a wind-down of the program's signals in it. For `tests/go`.
#![expect(unsafe_code, reason = "a name that a linker finds")]

use std::process;
use std::thread;
use std::time::Duration;

use winddown::{Budget, Shutdown};

/// Listens to SIGTERM and SIGINT, and to SIGUSR1. A thread of its own ends the process with the code of the wind-down. Returns whether that
/// could be set up.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
pub extern "C" fn wind_down_at_a_signal() -> bool {
    let budget = Budget::new(Duration::from_secs(5));
    let Ok(shutdown) = Shutdown::builder().budget(budget).signals().signal(libc::SIGUSR1).build() else { return false };
    thread::spawn(move || {
        let exit = shutdown.run();
        println!("wind-down by {}, code {}", exit.report.reason, exit.code());
        process::exit(exit.code().into());
    });
    true
}

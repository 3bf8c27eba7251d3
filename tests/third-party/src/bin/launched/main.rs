//! The program of `tests/signals`: `victim launched` and `victim inheriting` of the main workspace, in a program that also has tokio, and
//! `ctrlc` with its feature `termination`.

#[path = "../../../../src/bin/victim/inheriting.rs"]
mod inheriting;
#[path = "../../../../src/bin/victim/launched.rs"]
mod launched;
mod newcomer;

use std::env;
use std::process::ExitCode;

/// Whatever goes wrong in a scenario.
type Anything = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Anything> {
    let mut arguments = env::args().skip(1);
    let scenario = arguments.next().unwrap_or_default();
    let options: Vec<String> = arguments.collect();
    match scenario.as_str() {
        "inheriting" => inheriting::inheriting(&options),
        "launched" => launched::launched(&options),
        other => Err(format!("no scenario {other:?}").into()),
    }
}

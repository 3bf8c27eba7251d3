//! Whether the machine had anything else to do meanwhile.

use std::fs;
use std::time::Instant;

use winddown_tests::sys::processor_time;

/// What the cores had done when the bench began.
pub(crate) struct Began {
    at: Instant,
    idle: f64,
}

pub(crate) fn began() -> Began {
    Began { at: Instant::now(), idle: idle() }
}

impl Began {
    /// How much of the cores' time since then others had, a hypervisor among them, in percent.
    pub(crate) fn others(&self) -> f64 {
        let time = self.at.elapsed().as_secs_f64() * every_core();
        let others = time - processor_time().as_secs_f64() - (idle() - self.idle);
        (100.0 * others / time).max(0.0)
    }
}

/// How long the machine's cores have had nothing to do, in seconds, all together.
fn idle() -> f64 {
    let times = fs::read_to_string("/proc/uptime").unwrap_or_default();
    times.split_whitespace().nth(1).and_then(|idle| idle.parse().ok()).unwrap_or_default()
}

/// Also those that this process may not use.
fn every_core() -> f64 {
    let lines = fs::read_to_string("/proc/stat").unwrap_or_default();
    let cores = lines.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    cores.count().max(1) as f64
}

//! What is the thread binding's own, in one process, mostly with a clock that is made up. What every program has to do is
//! in `scenarios`.

mod admission;
mod chosen_code;
mod cuts;
mod deep_children;
mod descriptors;
mod ended_early;
mod fallible;
mod futures;
mod holding;
mod hooks;
mod interruptible;
mod kickers;
mod lines;
mod manual_clock;
mod names;
#[cfg(unix)]
mod panics;
mod report;
mod strangers;
mod streams;
mod told;
mod tracked;
mod waiting;

use std::thread;

use winddown::testing::ManualClock;
use winddown::{Budget, Builder, Shutdown};
use winddown_tests::steps::secs;

/// 10 s in all, as in `sequence.rs` but without a lame duck and stages: drains until 9, ends at 9.5, flushes until 10.
fn timed() -> (ManualClock, Builder) {
    let clock = ManualClock::new();
    let builder = Shutdown::builder().budget(Budget::new(secs(11))).manual_clock(&clock);
    (clock, builder)
}

fn hang() {
    loop {
        thread::park();
    }
}

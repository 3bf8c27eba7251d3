//! A library that a program loads while it runs, and that has a winddown of its own in it.
#![expect(unsafe_code, reason = "a name that is found by dlsym")]

use std::thread;

use winddown::{Counting, Reason, Shutdown};

/// So many threads take so many passes each, and all is wound down. The exit code, or a negative number.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
pub extern "C" fn wind_down(threads: u32, passes: u32) -> i32 {
    let Ok(shutdown) = Shutdown::builder().build() else { return -1 };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..passes).for_each(|_| drop(shutdown.enter())));
        }
    });
    shutdown.trigger(Reason::Requested);
    let exit = shutdown.run();
    let report = &exit.report;
    if report.counting != Counting::Striped || report.admitted != u64::from(threads) * u64::from(passes) {
        return -2;
    }
    exit.code().into()
}

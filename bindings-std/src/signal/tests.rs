//! A signal that comes between two steps of a drop has its default action. Each in a process of its own, which it ends.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Between;
use crate::Shutdown;

/// The place at which this process sends itself a signal, and 1.
static PLACE: AtomicU32 = AtomicU32::new(0);

const PLACES: [Between; 3] = [Between::ArmedAndUnregistered, Between::UnregisteredAndClaim, Between::OrphanedAndLetGo];

/// Sends a signal to this process, if this is the place that it was started for.
pub(super) fn reach(between: Between) {
    if PLACE.load(Ordering::Relaxed) == between as u32 + 1 {
        if between == Between::OrphanedAndLetGo {
            wait_for_the_driver_to_end();
        }
        // Printed only if the signal does not end the process.
        super::raise(15);
        println!("swallowed");
        process::exit(0);
    }
}

/// It sees that there is no handle, and ends. (In the right order a signal cannot be heard any more.)
fn wait_for_the_driver_to_end() {
    let begun = Instant::now();
    let names = || {
        let tasks = fs::read_dir("/proc/self/task").expect("on Linux").flatten();
        tasks.flat_map(|task| fs::read_to_string(task.path().join("comm"))).collect::<String>()
    };
    while names().contains("wd:driver") && begun.elapsed() < Duration::from_secs(20) {
        thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn p8_a_signal_between_two_steps_of_a_drop_has_its_default_action() {
    for (number, place) in PLACES.into_iter().enumerate() {
        let mut command = Command::new(env::current_exe().expect("a file"));
        command.args(["--exact", "signal::tests::a_process_that_drops_its_last_handle", "--ignored", "--nocapture"]);
        let ended = command.env("PLACE_OF_A_SIGNAL", number.to_string()).output().expect("it is executable");
        let output = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.signal(), Some(libc::SIGTERM), "at {place:?}: {}\n{output}", ended.status);
    }
}

#[test]
#[ignore = "the process of the test above"]
fn a_process_that_drops_its_last_handle() {
    let place: u32 = env::var("PLACE_OF_A_SIGNAL").expect("set by the test").parse().expect("a number");
    PLACE.store(place + 1, Ordering::Relaxed);
    drop(Shutdown::builder().signals().build().expect("nothing else listens"));
    unreachable!("the place is passed");
}

//! Where threads run, and whether they sleep.

use std::fs;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};

/// The cores that this process may use. To be asked for by the first thread, before any keeps to one of them.
fn allowed() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let set = sched_getaffinity(None).expect("a thread may ask for its own cores");
        (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
    })
}

pub(crate) fn cores() -> usize {
    allowed().len()
}

/// Keeps the calling thread, and those that it starts from here on, to one core. They are counted round.
pub(crate) fn keep_to_core(index: usize) {
    let mut one = CpuSet::new();
    one.set(allowed()[index % cores()]);
    sched_setaffinity(None, &one).expect("the core is this process's");
}

/// Runs `body` on a thread that keeps to a core, and so do the threads that it starts.
pub(crate) fn on_core<T: Send>(index: usize, body: impl FnOnce() -> T + Send) -> T {
    let pinned = || {
        keep_to_core(index);
        body()
    };
    thread::scope(|scope| scope.spawn(pinned).join()).expect("the body panics as the bench does")
}

/// Returns when every thread of the process but the calling one sleeps, and did so a moment before. (A thread that is about
/// to sleep says so first, and may then be a few instructions away from it.)
pub(crate) fn wait_until_others_sleep() {
    let mut looks = 0;
    while looks < 2 {
        looks = if others_sleep() { looks + 1 } else { 0 };
        thread::sleep(Duration::from_micros(50));
    }
}

fn others_sleep() -> bool {
    let me = gettid().as_raw_nonzero().to_string();
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has it");
    tasks.flatten().filter(|task| task.file_name() != *me).all(|task| {
        // One that has ended meanwhile does not run either.
        fs::read_to_string(task.path().join("stat")).map_or(true, |line| state(&line) == Some('S'))
    })
}

/// The third field; the second is a name in brackets, which may have anything in it.
fn state(line: &str) -> Option<char> {
    line.rsplit_once(") ")?.1.chars().next()
}

//! How long it takes from the drop of the last pass until who waited for it runs, on another core.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use winddown::{OwnedPass, Reason};

use crate::blocked::{trigger_futex, wait_futex};
use crate::doors::{Door, Locked, running};
use crate::rounds::{Contender, Effort, Figure, Table};
use crate::threads;

pub(crate) const TITLE: &str = "From the drop of the last pass until who waits for it runs, µs";
pub(crate) const DRIVER: &str = "winddown: the driver's thread runs";
pub(crate) const RUN: &str = "winddown: `Shutdown::run` has returned, which the driver wakes";
pub(crate) const FLOOR: &str = "*floor: one futex*";
pub(crate) const FLOOR_OF_TWO: &str = "*floor: two futexes, one after the other*";

pub(crate) fn measure(effort: Effort) -> Table {
    let mut contenders = vec![
        row(effort, DRIVER, || wind_down().0),
        row(effort, RUN, || wind_down().1),
        row(effort, "std `Mutex<(n, closed)>` and `Condvar`", locked),
    ];
    #[cfg(feature = "peers")]
    contenders.extend(crate::peers::last_pass::contenders(effort));
    contenders.push(row(effort, FLOOR, one_futex));
    contenders.push(row(effort, FLOOR_OF_TWO, two_futexes));
    Table::measure(TITLE, ["on another core"], contenders, effort.rounds)
        .with_note("Who waits sleeps before, and keeps to another core than who has the pass; the second of two, to the first core again.")
}

/// The median of several, each in microseconds and on a core of its own.
pub(crate) fn row(effort: Effort, name: &'static str, once: impl Fn() -> f64 + Sync + 'static) -> Contender {
    // Each is hardly longer than what is done around it.
    let repeats = 2 * effort.repeats;
    let once = move |_| threads::on_core(0, &once);
    Contender::new(name, move || vec![Figure::of((0..repeats).map(&once).collect()).median])
}

/// Drops `pass`, for which a thread on the other core sleeps in `wait`. How long it takes until that one runs.
pub(crate) fn handed_over<P>(pass: P, wait: impl FnOnce() + Send) -> f64 {
    handed_over_to(1, pass, wait)
}

fn handed_over_to<P>(core: usize, pass: P, wait: impl FnOnce() + Send) -> f64 {
    let is_here = &AtomicBool::new(false);
    thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            threads::keep_to_core(core);
            is_here.store(true, Ordering::Relaxed);
            wait();
            Instant::now()
        });
        let since = drop_when_all_sleep(pass, || is_here.load(Ordering::Relaxed));
        micros(waiter.join().expect("it only waits") - since)
    })
}

fn drop_when_all_sleep<P>(pass: P, is_ready: impl Fn() -> bool) -> Instant {
    while !is_ready() {
        thread::yield_now();
    }
    threads::wait_until_others_sleep();
    let since = Instant::now();
    drop(pass);
    since
}

/// Until the driver runs, by its own clock, and until `run` has returned.
fn wind_down() -> (f64, f64) {
    let shutdown = threads::on_core(1, running);
    let pass: OwnedPass = shutdown.enter_owned().expect("it runs");
    let (since, (driver_ran, run_returned)) = thread::scope(|scope| {
        let there = &shutdown;
        let waiter = scope.spawn(move || {
            let exit = there.run();
            (exit.report.lame_duck + exit.report.draining, Instant::now())
        });
        threads::wait_until_others_sleep();
        // The driver counts from a look at the clock within the call.
        let triggered = Instant::now();
        shutdown.trigger(Reason::Requested);
        let since = drop_when_all_sleep(pass, || shutdown.enter().is_err());
        let (drained, returned) = waiter.join().expect("it only waits");
        (since, (triggered + drained, returned))
    });
    (micros(driver_ran - since), micros(run_returned - since))
}

fn locked() -> f64 {
    let door = &Locked::open();
    handed_over(door.enter(), || door.close_and_wait())
}

/// What is dropped with the last pass that there can be.
struct Wake<'a>(&'a AtomicU32);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        trigger_futex(self.0);
    }
}

fn one_futex() -> f64 {
    let word = &AtomicU32::new(0);
    handed_over(Wake(word), || wait_futex(word))
}

fn two_futexes() -> f64 {
    let (first, second) = (&AtomicU32::new(0), &AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            threads::keep_to_core(1);
            wait_futex(first);
            trigger_futex(second);
        });
        handed_over_to(0, Wake(first), || wait_futex(second))
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

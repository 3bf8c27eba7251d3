//! How long it takes from the trigger until the last of the blocked threads runs.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::thread::futex::{self, Flags};
use winddown::{Reason, Shutdown};

use crate::doors::running;
use crate::rounds::{Contender, Effort, Figure, Table};
use crate::threads;

pub(crate) const TITLE: &str = "From the trigger until every blocked thread runs, µs";
pub(crate) const OURS: &str = "winddown `Token::wait`";
pub(crate) const FLOOR: &str = "*floor: one futex*";

/// How many threads there are in each column.
const BLOCKED: [usize; 4] = [1, 4, 16, 64];
pub(crate) const SIXTY_FOUR: usize = 3;

pub(crate) fn measure(effort: Effort) -> Table {
    let mut contenders = vec![
        row(effort, OURS, running, |shutdown| shutdown.token().wait(), trigger),
        row(effort, "std `Condvar`", Default::default, wait_std, trigger_std),
        row(effort, "parking_lot `Condvar`", Default::default, wait_parking_lot, trigger_parking_lot),
    ];
    #[cfg(feature = "peers")]
    contenders.extend(crate::peers::blocked::contenders(effort));
    contenders.push(row(effort, FLOOR, AtomicU32::default, wait_futex, trigger_futex));
    let columns = BLOCKED.map(|threads| if threads == 1 { "1 thread".into() } else { format!("{threads} threads") });
    Table::measure(TITLE, columns, contenders, effort.rounds).with_note(
        "All of them sleep before. Each reads the clock when it runs again; the last of these times counts, from before the \
         call that triggers.",
    )
}

/// `make` what threads `wait` for until somebody `trigger`s it.
pub(crate) fn row<E: Sync + 'static>(
    effort: Effort,
    name: &'static str,
    make: impl Fn() -> E + 'static,
    wait: impl Fn(&E) + Sync + 'static,
    trigger: impl Fn(&E) + 'static,
) -> Contender {
    let sample = move |threads| {
        let once = |_| sample(threads, &make(), &wait, &trigger);
        Figure::of((0..effort.repeats).map(once).collect()).median
    };
    Contender::new(name, move || BLOCKED.map(&sample).to_vec())
}

fn sample<E: Sync>(threads: usize, event: &E, wait: &(impl Fn(&E) + Sync), trigger: &impl Fn(&E)) -> f64 {
    let here = &AtomicUsize::new(0);
    thread::scope(|scope| {
        let blocked = || {
            here.fetch_add(1, Ordering::Relaxed);
            wait(event);
            Instant::now()
        };
        let blocked: Vec<_> = (0..threads).map(|_| scope.spawn(blocked)).collect();
        while here.load(Ordering::Relaxed) < threads {
            thread::yield_now();
        }
        threads::wait_until_others_sleep();
        let since = Instant::now();
        trigger(event);
        let ran = blocked.into_iter().map(|thread| thread.join().expect("it only waits"));
        let last = ran.max().expect("there is one");
        last.duration_since(since).as_secs_f64() * 1e6
    })
}

fn trigger(shutdown: &Shutdown) {
    shutdown.trigger(Reason::Requested);
}

fn wait_std((has_happened, condition): &(Mutex<bool>, Condvar)) {
    let guard = has_happened.lock().unwrap_or_else(PoisonError::into_inner);
    let guard = condition.wait_while(guard, |has_happened| !*has_happened);
    drop(guard.unwrap_or_else(PoisonError::into_inner));
}

fn trigger_std((has_happened, condition): &(Mutex<bool>, Condvar)) {
    *has_happened.lock().unwrap_or_else(PoisonError::into_inner) = true;
    condition.notify_all();
}

fn wait_parking_lot((has_happened, condition): &(parking_lot::Mutex<bool>, parking_lot::Condvar)) {
    condition.wait_while(&mut has_happened.lock(), |has_happened| !*has_happened);
}

fn trigger_parking_lot((has_happened, condition): &(parking_lot::Mutex<bool>, parking_lot::Condvar)) {
    *has_happened.lock() = true;
    condition.notify_all();
}

pub(crate) fn wait_futex(word: &AtomicU32) {
    while word.load(Ordering::Acquire) == 0 {
        // Whatever it returns with, the word decides.
        let _ = futex::wait(word, Flags::PRIVATE, 0, None);
    }
}

pub(crate) fn trigger_futex(word: &AtomicU32) {
    word.store(1, Ordering::Release);
    futex::wake(word, Flags::PRIVATE, i32::MAX.unsigned_abs()).expect("the word is there");
}

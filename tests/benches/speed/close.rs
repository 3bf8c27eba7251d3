//! What it costs to close, with so many threads alive that have been inside.

use std::hint;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use winddown::{Milestone, Reason, Shutdown};
use winddown_core::Gate;

use crate::doors::{Door, running};
use crate::rounds::{Contender, Effort, Figure, Table};
use crate::striped::Striped;
use crate::threads;

pub(crate) const TITLE: &str = "Close, with so many threads that have been inside, ns";

/// How many threads are alive in each column.
const ALIVE: [usize; 4] = [1, 10, 100, 1_000];

/// How many gates are closed in a row: one takes less than reading the clock.
const IN_A_ROW: usize = 64;

pub(crate) fn measure(effort: Effort) -> Table {
    let contenders = vec![
        Contender::new("winddown-core `Gate::close`", || ALIVE.map(each_in_a_row::<Gate>).to_vec()),
        Contender::new("winddown-core `StripedGate::close`", || ALIVE.map(each_in_a_row::<Striped<true>>).to_vec()),
        Contender::new("winddown: from `trigger` to the refusal", move || {
            ALIVE.map(|alive| from_the_trigger(alive, effort.repeats)).to_vec()
        }),
    ];
    let columns = ALIVE.map(|alive| if alive == 1 { "1 thread".into() } else { format!("{alive} threads") });
    Table::measure(TITLE, columns, contenders, effort.rounds.div_ceil(3)).with_note(
        "The threads are alive and sleep. The last row is two threads: one triggers and looks until it is refused, the \
         driver on another core wakes up and closes the gates.",
    )
}

/// A door that can be closed by itself.
trait Close: Door {
    fn close(&self);
}

impl Close for Gate {
    fn close(&self) {
        self.close();
    }
}

impl Close for Striped<true> {
    fn close(&self) {
        self.close();
    }
}

fn each_in_a_row<D: Close>(alive: usize) -> f64 {
    let doors: Vec<D> = (0..IN_A_ROW).map(|_| D::open()).collect();
    let took = after_visits(alive, &doors, || {
        let since = Instant::now();
        doors.iter().for_each(D::close);
        since.elapsed()
    });
    nanos(took) / IN_A_ROW as f64
}

fn from_the_trigger(alive: usize, repeats: usize) -> f64 {
    let shutdowns: Vec<_> = (0..repeats).map(|_| threads::on_core(1, running)).collect();
    let once = |shutdown: &Shutdown| {
        let refusing = shutdown.token_at(Milestone::Refusing);
        let since = Instant::now();
        shutdown.trigger(Reason::Requested);
        while !refusing.should_stop() {
            hint::spin_loop();
        }
        nanos(since.elapsed())
    };
    after_visits(alive, &shutdowns, || Figure::of(shutdowns.iter().map(once).collect())).median
}

/// Calls `then` on a core of its own while threads sleep that have been inside of every door.
fn after_visits<D: Door, T: Send>(threads: usize, doors: &[D], then: impl FnOnce() -> T + Send) -> T {
    let end = &Barrier::new(threads + 1);
    let visited = &Barrier::new(threads + 1);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for door in doors {
                    drop(door.enter());
                }
                visited.wait();
                end.wait();
            });
        }
        visited.wait();
        threads::wait_until_others_sleep();
        let value = threads::on_core(0, then);
        end.wait();
        value
    })
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

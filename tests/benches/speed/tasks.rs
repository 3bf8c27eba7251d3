//! How long it takes from the trigger until the last task has run, on an executor.

use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use smol::{Executor, channel, future};

use crate::rounds::{Contender, Effort, Figure, Table};
use crate::threads;
use crate::waits::{self, Event, Visitor};

pub(crate) const TITLE: &str = "From the trigger until every waiting task has run on async-executor, µs";

/// How many tasks there are in each column.
const TASKS: [usize; 2] = [100, 10_000];
pub(crate) const TEN_THOUSAND: usize = 1;

pub(crate) fn measure(effort: Effort) -> Table {
    let mut all = Contenders { repeats: effort.repeats, of: Vec::new() };
    waits::each(&mut all);
    Table::measure(TITLE, ["100 tasks", "10,000 tasks"], all.of, effort.rounds).with_note(
        "Triggered by a thread that has a core to itself; the executor has one thread, on another core. What the floor takes is \
         the executor's own time.",
    )
}

struct Contenders {
    repeats: usize,
    of: Vec<Contender>,
}

impl Visitor for Contenders {
    fn visit<E: Event>(&mut self) {
        let repeats = self.repeats;
        let sample = move |tasks| Figure::of((0..repeats).map(|_| sample::<E>(tasks)).collect()).median;
        self.of.push(Contender::new(E::NAME, move || TASKS.map(sample).to_vec()));
    }
}

/// Who triggers keeps to one core, and the executor's thread to another, with what the event has for threads.
fn sample<E: Event>(tasks: usize) -> f64 {
    let event = threads::on_core(1, E::new);
    let ran = AtomicUsize::new(0);
    let (end, ended) = channel::bounded::<()>(1);
    let executor = Executor::new();
    for _ in 0..tasks {
        let (event, ran) = (&event, &ran);
        let task = async move {
            let _ = event.wait().await;
            // Release pairs with the acquire of who waits for the last.
            ran.fetch_add(1, Ordering::Release);
        };
        executor.spawn(task).detach();
    }
    thread::scope(|scope| {
        let (executor, ended) = (&executor, &ended);
        scope.spawn(move || {
            threads::keep_to_core(1);
            future::block_on(executor.run(ended.recv()))
        });
        let took = scope.spawn(|| {
            threads::keep_to_core(0);
            // Every task has been polled, and waits.
            threads::wait_until_others_sleep();
            let since = Instant::now();
            event.trigger();
            while ran.load(Ordering::Acquire) < tasks {
                hint::spin_loop();
            }
            since.elapsed().as_secs_f64() * 1e6
        });
        let took = took.join().expect("it measures");
        drop(end);
        took
    })
}

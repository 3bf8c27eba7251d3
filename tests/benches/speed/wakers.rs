//! How long it takes from the trigger until the last task was woken.

use std::hint;
use std::time::Instant;

use crate::rounds::{Contender, Effort, Figure, Table};
use crate::threads;
use crate::waiters::Waiters;
use crate::waits::{self, Event, Visitor};
use crate::waker;

pub(crate) const TITLE: &str = "From the trigger until every waiting task was woken, µs";

/// How many tasks there are in each column.
const TASKS: [usize; 3] = [1, 100, 10_000];
pub(crate) const TEN_THOUSAND: usize = 2;

pub(crate) fn measure(effort: Effort) -> Table {
    let mut all = Contenders { repeats: effort.repeats, of: Vec::new() };
    waits::each(&mut all);
    let columns = ["1 task", "100 tasks", "10,000 tasks"];
    Table::measure(TITLE, columns, all.of, effort.rounds).with_note(
        "Triggered by a thread that has a core to itself, until the last of the wakers was called, which only count. \
         winddown has woken its driver before. async-shutdown calls them with its lock held.",
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

/// Who triggers keeps to one core, and what the event has for threads to another.
fn sample<E: Event>(tasks: usize) -> f64 {
    threads::on_core(0, || {
        let event = threads::on_core(1, E::new);
        let mut waiters = Waiters::<E>::places(tasks);
        waiters.register(&event);
        waker::none_called();
        threads::wait_until_others_sleep();
        let since = Instant::now();
        event.trigger();
        while waker::called() < tasks {
            hint::spin_loop();
        }
        since.elapsed().as_secs_f64() * 1e6
    })
}

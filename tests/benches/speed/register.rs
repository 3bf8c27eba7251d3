//! What it costs a task to wait.

use std::time::Instant;

use crate::rounds::{Contender, Effort, Table};
use crate::threads;
use crate::waiters::Waiters;
use crate::waits::{self, Event, Visitor};

pub(crate) const TITLE: &str = "A task waits for the trigger, ns for each";

/// How many there are at a time.
const MANY: usize = 1_000;
pub(crate) const AGAIN: usize = 1;

pub(crate) fn measure(effort: Effort) -> Table {
    let mut all = Contenders(Vec::new());
    waits::each(&mut all);
    let columns = ["make it, and the first poll", "another poll", "drop it"];
    Table::measure(TITLE, columns, all.0, effort.rounds * effort.repeats).with_note(
        "1,000 at a time on one thread, in places that were there before; each waker is another one, and a waiter's stays the \
         same. Nobody leaves the floor.",
    )
}

struct Contenders(Vec<Contender>);

impl Visitor for Contenders {
    fn visit<E: Event>(&mut self) {
        self.0.push(Contender::new(E::NAME, sample::<E>));
    }
}

fn sample<E: Event>() -> Vec<f64> {
    let event = E::new();
    let mut waiters = Waiters::<E>::places(MANY);
    // Memory that stays the event's is there from the second time on.
    waiters.register(&event);
    waiters.leave();
    // What the event has for threads has begun, and is not in the way.
    threads::wait_until_others_sleep();
    let each = |since: Instant| since.elapsed().as_secs_f64() * 1e9 / MANY as f64;
    let since = Instant::now();
    waiters.register(&event);
    let registered = each(since);
    let since = Instant::now();
    waiters.poll_again();
    let polled = each(since);
    let since = Instant::now();
    waiters.leave();
    vec![registered, polled, each(since)]
}

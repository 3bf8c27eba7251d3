//! What it costs to be let in and to leave.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::crowd::{Crowd, Padded};
use crate::doors::{self, Door, Visitor};
use crate::rounds::{Contender, Effort, Table};
use crate::threads;

pub(crate) const TITLE: &str = "Enter and leave, ns for each pass";
pub(crate) const MANY: &str = "Enter and leave with 1,000 threads alive, ns for each pass";
pub(crate) const FLOOR: &str = "*floor: load, add and store on a line of one's own, twice*";

/// The columns of the first table.
pub(crate) const ALONE: usize = 0;
pub(crate) const TWO: usize = 1;

pub(crate) fn measure(effort: Effort) -> Table {
    let window = Duration::from_millis(effort.window);
    let many = 8 * threads::cores();
    let crowds =
        [(1, 1), (2, 2), (many, 6)].map(|(threads, windows)| Crowd { threads, window: window * windows, turn: None });
    let columns = ["1 thread".into(), "2 threads, each".into(), format!("{many} threads, of a core's time")];
    Table::measure(TITLE, columns, contenders(&crowds), effort.rounds).with_note(
        "A pass is given an address and dropped. The time of the cores that the threads have, divided by the passes: for one \
         thread and for two, each on a core of its own, that is what each waits. Of these only winddown, the `Mutex` and \
         async-shutdown can refuse.",
    )
}

pub(crate) fn measure_many(effort: Effort) -> Table {
    let window = Duration::from_millis(effort.window) * 15;
    let crowd = Crowd { threads: 1_000, window, turn: Some(2_000) };
    Table::measure(MANY, ["of a core's time"], contenders(&[crowd]), effort.rounds.div_ceil(3)).with_note(
        "Every thread has entered before. They take turns of 2,000 passes and a `sched_yield`, which is in the figures; all \
         passes together.",
    )
}

fn contenders(crowds: &[Crowd]) -> Vec<Contender> {
    let mut all = Contenders { crowds: crowds.to_vec(), of: Vec::new() };
    doors::each(&mut all);
    all.of.push(floor(crowds.to_vec()));
    all.of
}

struct Contenders {
    crowds: Vec<Crowd>,
    of: Vec<Contender>,
}

impl Visitor for Contenders {
    fn visit<D: Door>(&mut self) {
        let crowds = self.crowds.clone();
        let sample = move || {
            let cost = |crowd: &Crowd| crowd.cost(&D::open(), |door, _| pass(door));
            crowds.iter().map(cost).collect()
        };
        self.of.push(Contender::new(D::NAME, sample));
    }
}

/// One pass, of which the compiler cannot know what is done with it.
#[inline]
pub(crate) fn pass<D: Door>(door: &D) {
    let pass = door.enter();
    black_box(&pass);
    drop(pass);
}

fn floor(crowds: Vec<Crowd>) -> Contender {
    let sample = move || {
        let cost = |crowd: &Crowd| {
            let lines: Vec<Padded<AtomicU64>> = (0..crowd.threads).map(|_| Padded::default()).collect();
            crowd.cost(&lines, |lines, thread| {
                let line = &lines[thread].0;
                line.store(line.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                black_box(&line);
                line.store(line.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
            })
        };
        crowds.iter().map(cost).collect()
    };
    Contender::new(FLOOR, sample)
}

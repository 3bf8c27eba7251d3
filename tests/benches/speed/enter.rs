//! What it costs to be let in and to leave.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::crowd::{Crowd, Padded};
use crate::doors::{self, Door, Visitor};
use crate::rounds::{Contender, Effort, Table};
use crate::{relay, threads};

pub(crate) const TITLE: &str = "Enter and leave, ns for each pass";
pub(crate) const MANY: &str = "Enter and leave with 1,000 threads alive, ns for each pass";
pub(crate) const FLOOR: &str = "*floor: load, add and store on a line of one's own, twice*";

/// How many are alive in the second table.
const THREADS: usize = 1_000;

/// The columns of the first table.
pub(crate) const ALONE: usize = 0;
pub(crate) const TWO: usize = 1;

pub(crate) fn measure(effort: Effort) -> Table {
    let window = Duration::from_millis(effort.window);
    let many = 8 * threads::cores();
    let crowds = [(1, 1), (2, 2), (many, 6)].map(|(threads, windows)| Crowd { threads, window: window * windows });
    let columns = ["1 thread".into(), "2 threads, each".into(), format!("{many} threads, of a core's time")];
    Table::measure(TITLE, columns, contenders(&crowds, false), effort.rounds).with_note(
        "A pass is given an address and dropped. The time of the cores that the threads have, divided by the passes: for one \
         thread and for two, each on a core of its own, that is what each waits. Of these only winddown, the `Mutex` and \
         async-shutdown can refuse.",
    )
}

pub(crate) fn measure_many(effort: Effort) -> Table {
    Table::measure(MANY, ["of a core's time"], contenders(&[], true), effort.rounds.div_ceil(3)).with_note(
        "Every thread has entered before, and each has a turn of 300 µs, as many at a time as there are cores; all passes \
         together.",
    )
}

fn contenders(crowds: &[Crowd], relay: bool) -> Vec<Contender> {
    let mut all = Contenders { crowds: crowds.to_vec(), relay, of: Vec::new() };
    doors::each(&mut all);
    all.of.push(floor(crowds.to_vec(), relay));
    all.of
}

struct Contenders {
    crowds: Vec<Crowd>,
    /// Instead of crowds, so many threads by turns.
    relay: bool,
    of: Vec<Contender>,
}

impl Visitor for Contenders {
    fn visit<D: Door>(&mut self) {
        let (crowds, relay) = (self.crowds.clone(), self.relay);
        let sample = move || {
            if relay {
                return vec![relay::cost(THREADS, &D::open(), |door, _| pass(door))];
            }
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

fn floor(crowds: Vec<Crowd>, relay: bool) -> Contender {
    let twice = |lines: &Vec<Padded<AtomicU64>>, thread: usize| {
        let line = &lines[thread].0;
        line.store(line.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        black_box(&line);
        line.store(line.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    };
    let lines = |threads| -> Vec<_> { (0..threads).map(|_| Padded::default()).collect() };
    let sample = move || {
        if relay {
            return vec![relay::cost(THREADS, &lines(THREADS), twice)];
        }
        crowds.iter().map(|crowd| crowd.cost(&lines(crowd.threads), twice)).collect()
    };
    Contender::new(FLOOR, sample)
}

//! What a pass and a waiting task take of the memory.

use crate::doors::{self, Door};
use crate::heap::{Asked, asked_in};
use crate::rounds::number;
use crate::waiters::Waiters;
use crate::waits::{self, Event};

/// How many there are at a time.
const MANY: usize = 10_000;

/// What one kind of thing takes.
pub(crate) struct Memory {
    pub(crate) name: &'static str,
    size: usize,
    pub(crate) calls: f64,
    held: f64,
}

pub(crate) struct Tables {
    pub(crate) passes: Vec<Memory>,
    pub(crate) waiters: Vec<Memory>,
}

impl Memory {
    fn new(name: &'static str, size: usize, asked: Asked) -> Self {
        let each = |all: f64| all / MANY as f64;
        Self { name, size, calls: each(asked.calls.into()), held: each(asked.held as f64) }
    }
}

/// These are no times: once is enough.
pub(crate) fn measure() -> Tables {
    let mut tables = Tables { passes: Vec::new(), waiters: Vec::new() };
    doors::each(&mut tables);
    waits::each(&mut tables);
    tables
}

impl doors::Visitor for Tables {
    fn visit<D: Door>(&mut self) {
        let door = D::open();
        let mut passes = Vec::with_capacity(MANY);
        let ((), asked) = asked_in(|| passes.extend((0..MANY).map(|_| door.enter())));
        self.passes.push(Memory::new(D::NAME, size_of::<D::Pass<'_>>(), asked));
    }
}

impl waits::Visitor for Tables {
    fn visit<E: Event>(&mut self) {
        let event = E::new();
        let mut waiters = Waiters::<E>::places(MANY);
        let ((), asked) = asked_in(|| waiters.register(&event));
        self.waiters.push(Memory::new(E::NAME, size_of::<E::Wait<'_>>(), asked));
    }
}

impl Tables {
    pub(crate) fn print(&self) {
        println!("### Memory, for each of 10,000\n\n| | its own bytes | allocations | bytes on the heap |");
        println!("|---|--:|--:|--:|");
        for (kind, rows) in [("a pass", &self.passes), ("a waiting task", &self.waiters)] {
            for Memory { name, size, calls, held } in rows {
                println!("| {kind}: {name} | {size} | {} | {} |", number(*calls), number(*held));
            }
        }
        println!("\nHeld at the same time, and nobody was there before.\n");
    }
}

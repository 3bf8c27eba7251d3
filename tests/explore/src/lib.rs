//! Races: programs for several threads, made from bytes, and what must hold whatever order their steps take.
//!
//! They run on real threads, as a storm; and built with `--cfg winddown_shuttle` they run under a scheduler that takes
//! each of its choices from the same bytes, so that whoever makes the bytes (a fuzzer, a file that is kept) makes the
//! interleavings, and the same bytes are the same runs.

mod connections;
mod core_alone;
mod door;
mod program;
mod random;
#[cfg(winddown_shuttle)]
mod schedule;
mod stripes;
mod whole;

use arbitrary::{Arbitrary, Result, Unstructured};

pub use door::{Door, STRIPES, Striped};
pub use random::pseudo_random;
pub use stripes::{At, Threads};

/// Threads and locks as the library has them in this build.
#[cfg(not(winddown_shuttle))]
use std::{sync, thread};

#[cfg(winddown_shuttle)]
use shuttle::{sync, thread};

/// A program for one of the worlds.
#[derive(Arbitrary, Debug)]
enum Race {
    /// Core alone: the lifecycle and the gate.
    Core(core_alone::Program),
    /// The thread binding, with its driver.
    Whole(whole::Program),
    /// The thread binding with connections.
    Connections(connections::Program),
}

impl Race {
    fn run(&self) {
        match self {
            Self::Core(program) => core_alone::run(program),
            Self::Whole(program) => whole::run(program),
            Self::Connections(program) => connections::run(program),
        }
    }
}

/// Runs the race that these bytes mean: a program first, and in what is left the schedules. How often it was run.
///
/// # Errors
///
/// Bytes that are too few mean nothing.
///
/// # Panics
///
/// When a promise is broken. Under a scheduler also when nobody can go on, after printing the schedule.
pub fn run(bytes: &[u8]) -> Result<usize> {
    let mut bytes = Unstructured::new(bytes);
    let race = Race::arbitrary(&mut bytes)?;
    #[cfg(winddown_shuttle)]
    return Ok(schedule::run(race, bytes.take_rest()));
    #[cfg(not(winddown_shuttle))]
    {
        race.run();
        Ok(1)
    }
}

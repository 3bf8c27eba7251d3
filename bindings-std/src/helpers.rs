//! Helpers: threads that do what the driver does not: calls of user code, and work for each of many. Not here: their jobs (`attendant`,
//! `kicker`, `hook`, `wait/wake`).

#[cfg_attr(winddown_loom, path = "helpers/loom.rs")]
mod kept;
pub(crate) use kept::Helpers;

/// A piece of work.
type Job = Box<dyn FnOnce() + Send>;

/// How many threads there may be for a kind of job.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// At most so many jobs run that are not taken to block.
    #[cfg_attr(winddown_loom, expect(dead_code, reason = "time is not explored"))]
    quick: usize,
    /// At most so many threads.
    threads: usize,
}

impl Limits {
    /// One job after the other, for jobs without user code.
    pub(crate) const ONE: Self = Self { quick: 1, threads: 1 };
    /// A few at a time, and those that block besides.
    pub(crate) const FEW: Self = Self { quick: 16, threads: 512 };
    /// All at a time.
    pub(crate) const ALL: Self = Self { quick: usize::MAX, threads: usize::MAX };
}

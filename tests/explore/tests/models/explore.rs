//! Running a model to its end, and saying how much that was.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use loom::model::Builder;
use winddown::testing::grant_the_barrier;

/// Explores `model` in every interleaving with at most `preemptions` switches away from a thread that could go on
/// (`None`: in every one there is). The variable `WINDDOWN_PREEMPTIONS` allows as many more.
///
/// Returns only when there is nothing left to explore: loom's own limits, which end an exploration early and call that a
/// success, are switched off. An exploration of one execution explores nothing, and is a failure.
///
/// loom begins with the execution in which each thread runs as long as it can, the one that was begun first before the
/// others, and it never moves a plain load behind a write that came later in that one. So in a model those who write are
/// begun before those who only look.
pub(crate) fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let more: usize = match env::var("WINDDOWN_PREEMPTIONS") {
        Ok(more) => more.parse().expect("WINDDOWN_PREEMPTIONS is a number"),
        Err(_) => 0,
    };
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = executions.clone();
    let mut builder = Builder::new();
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.checkpoint_file = None;
    // A longer execution is not cut short but fails.
    builder.max_branches = 100_000;
    builder.preemption_bound = preemptions.map(|preemptions| preemptions + more);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        grant_the_barrier(false);
        model();
    });
    let executions = executions.load(Ordering::Relaxed);
    let bound = builder.preemption_bound.map_or("any".to_owned(), |bound| format!("at most {bound}"));
    let name = thread::current().name().unwrap_or_default().to_owned();
    println!("explored {name}: all of {executions} executions, {bound} preemptions");
    assert!(executions > 1, "{name} explored nothing");
}

/// Plain data, to loom: what was noted is seen by whoever is ordered after, and may be missed by anyone else.
pub(crate) struct Witness(loom::sync::atomic::AtomicUsize);

impl Witness {
    pub(crate) fn new() -> Self {
        Self(loom::sync::atomic::AtomicUsize::new(0))
    }

    pub(crate) fn note(&self, value: usize) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// What was noted last, by whomever: a look that loom moves to where nothing was noted yet.
    pub(crate) fn now(&self) -> usize {
        self.0.fetch_add(0, Ordering::Relaxed)
    }
}

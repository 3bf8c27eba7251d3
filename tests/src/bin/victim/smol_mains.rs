//! The usual `main`s of smol, each with a task stuck on every thread of the executor. Not here: the crates that have them; these do what
//! those do.

use std::process::{ExitCode, Termination};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use smol::{Executor, block_on, channel};
use winddown::testing::ManualClock;
use winddown_smol::{Budget, Exit, Reason, Shutdown};

use crate::Anything;

/// The threads of the executor.
const THREADS: usize = 2;

/// `smol_macros::main!`: the main thread is one of the executor's, and joins the others.
pub(crate) fn macros() -> Result<ExitCode, Anything> {
    on_threads(THREADS - 1, |executor| block_on(executor.run(wind_down(executor))))
}

/// `easy_parallel::Parallel`: the main thread runs no task, and joins those that do.
pub(crate) fn parallel() -> Result<ExitCode, Anything> {
    on_threads(THREADS, |executor| block_on(wind_down(executor)))
}

/// A test that awaits the end on a clock that no thread advances.
pub(crate) fn standing_clock() -> Result<ExitCode, Anything> {
    let clock = ManualClock::new().patience(Duration::from_millis(20));
    let shutdown = Shutdown::builder().manual_clock(&clock).build()?;
    let _pass = shutdown.enter()?;
    shutdown.trigger(Reason::Requested);
    Ok(block_on(shutdown.run()).code().into())
}

/// Runs an executor on as many threads, beside `main`, and joins them.
fn on_threads(
    threads: usize,
    main: impl FnOnce(&Arc<Executor<'static>>) -> Result<Exit, Anything>,
) -> Result<ExitCode, Anything> {
    let executor = Arc::new(Executor::new());
    let (open, closed) = channel::bounded::<()>(1);
    let exit = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| block_on(executor.run(closed.recv())));
        }
        let exit = main(&executor);
        open.close();
        exit
    });
    Ok(Termination::report(exit?))
}

async fn wind_down(executor: &Arc<Executor<'static>>) -> Result<Exit, Anything> {
    let shutdown = Shutdown::builder()
        .budget(Budget::new(Duration::from_millis(1_300)).drain(Duration::from_millis(20)).force_close(Duration::ZERO))
        .signals()
        .on_notice(|notice| println!("{notice}"))
        .watchdog(Duration::from_millis(500))
        .build()?;
    let spawner = executor.clone();
    let tasks = shutdown.tasks(move |task| spawner.spawn(task).detach());
    for _ in 0..THREADS {
        drop(tasks.label("stuck").spawn(async {
            println!("a task is stuck");
            loop {
                thread::park();
            }
        })?);
    }
    Ok(shutdown.run().await)
}

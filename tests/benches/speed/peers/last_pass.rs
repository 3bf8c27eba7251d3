//! Other crates' waits for the last one to leave. Futures are blocked on with pollster.

use async_shutdown::ShutdownManager;
use crossbeam_utils::sync::WaitGroup;
use hyper_util::server::graceful::GracefulShutdown;
use pollster::block_on;
use swansong::Swansong;
use tokio_util::task::TaskTracker;

use crate::last_pass::{handed_over, row};
use crate::rounds::{Contender, Effort};

pub(crate) fn contenders(effort: Effort) -> Vec<Contender> {
    let row = |name, once: fn() -> f64| row(effort, name, once);
    vec![
        row("swansong `ShutdownCompletion::block`", || {
            let swansong = Swansong::new();
            handed_over(swansong.guard(), move || swansong.shut_down().block())
        }),
        row("crossbeam-utils `WaitGroup::wait`", || {
            let group = WaitGroup::new();
            handed_over(group.clone(), move || group.wait())
        }),
        row("tokio-util `TaskTracker::wait`", || {
            let tracker = TaskTracker::new();
            tracker.close();
            handed_over(tracker.token(), move || block_on(tracker.wait()))
        }),
        row("tokio-graceful `Shutdown::shutdown`", || {
            let shutdown = tokio_graceful::Shutdown::no_signal();
            handed_over(shutdown.guard(), move || {
                block_on(shutdown.shutdown());
            })
        }),
        row("async-shutdown `wait_shutdown_complete`", || {
            let manager = ShutdownManager::new();
            let pass = manager.delay_shutdown_token().expect("it runs");
            manager.trigger_shutdown(()).expect("it is the first time");
            handed_over(pass, move || block_on(manager.wait_shutdown_complete()))
        }),
        row("drain `Signal::drain`", || {
            let (signal, watch) = drain::channel();
            handed_over(watch, move || block_on(signal.drain()))
        }),
        row("hyper-util `GracefulShutdown::shutdown`", || {
            let shutdown = GracefulShutdown::new();
            handed_over(shutdown.watcher(), move || block_on(shutdown.shutdown()))
        }),
    ]
}

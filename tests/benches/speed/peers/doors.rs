//! Other crates' ways to be counted in and out. Each is used as its documentation has it.

use async_shutdown::{DelayShutdownToken, ShutdownManager};
use crossbeam_utils::sync::WaitGroup;
use drain::{Signal, Watch};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use swansong::{Guard, Swansong};
use tokio_graceful::ShutdownGuard;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::doors::{Door, Visitor};

pub(crate) fn each(visitor: &mut impl Visitor) {
    visitor.visit::<Swansong>();
    visitor.visit::<WaitGroup>();
    visitor.visit::<TaskTracker>();
    visitor.visit::<tokio_graceful::Shutdown>();
    visitor.visit::<ShutdownManager<()>>();
    visitor.visit::<(Signal, Watch)>();
    visitor.visit::<GracefulShutdown>();
}

impl Door for Swansong {
    const NAME: &'static str = "swansong `Swansong::guard`";
    type Pass<'a> = Guard;

    fn open() -> Self {
        Self::new()
    }

    #[inline]
    fn enter(&self) -> Guard {
        self.guard()
    }
}

impl Door for WaitGroup {
    const NAME: &'static str = "crossbeam-utils `WaitGroup::clone`";
    type Pass<'a> = Self;

    fn open() -> Self {
        Self::new()
    }

    #[inline]
    fn enter(&self) -> Self {
        self.clone()
    }
}

impl Door for TaskTracker {
    const NAME: &'static str = "tokio-util `TaskTracker::token`";
    type Pass<'a> = TaskTrackerToken;

    fn open() -> Self {
        Self::new()
    }

    #[inline]
    fn enter(&self) -> TaskTrackerToken {
        self.token()
    }
}

impl Door for tokio_graceful::Shutdown {
    const NAME: &'static str = "tokio-graceful `Shutdown::guard`";
    type Pass<'a> = ShutdownGuard;

    fn open() -> Self {
        Self::no_signal()
    }

    #[inline]
    fn enter(&self) -> ShutdownGuard {
        self.guard()
    }
}

impl Door for ShutdownManager<()> {
    const NAME: &'static str = "async-shutdown `delay_shutdown_token`";
    type Pass<'a> = DelayShutdownToken<()>;

    fn open() -> Self {
        Self::new()
    }

    #[inline]
    fn enter(&self) -> DelayShutdownToken<()> {
        self.delay_shutdown_token().expect("it runs")
    }
}

impl Door for (Signal, Watch) {
    const NAME: &'static str = "drain `Watch::clone`";
    type Pass<'a> = Watch;

    fn open() -> Self {
        drain::channel()
    }

    #[inline]
    fn enter(&self) -> Watch {
        self.1.clone()
    }
}

impl Door for GracefulShutdown {
    const NAME: &'static str = "hyper-util `GracefulShutdown::watcher`";
    type Pass<'a> = Watcher;

    fn open() -> Self {
        Self::new()
    }

    #[inline]
    fn enter(&self) -> Watcher {
        self.watcher()
    }
}

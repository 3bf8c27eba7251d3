//! Other crates' events that tasks wait for.

use std::sync::atomic::{AtomicBool, Ordering};

use async_shutdown::{ShutdownManager, ShutdownSignal};
use event_listener::EventListener;
use swansong::{ShuttingDown, Swansong};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use triggered::{Listener, Trigger};

use crate::waits::{Event, Visitor};

pub(crate) fn each(visitor: &mut impl Visitor) {
    visitor.visit::<Swansong>();
    visitor.visit::<CancellationToken>();
    visitor.visit::<ShutdownManager<()>>();
    visitor.visit::<(Trigger, Listener)>();
    visitor.visit::<Flagged>();
}

impl Event for Swansong {
    const NAME: &'static str = "swansong `Swansong::shutting_down`";
    type Wait<'a> = ShuttingDown;

    fn new() -> Self {
        Self::new()
    }

    fn wait(&self) -> ShuttingDown {
        self.shutting_down()
    }

    fn trigger(&self) {
        self.shut_down();
    }
}

impl Event for CancellationToken {
    const NAME: &'static str = "tokio-util `CancellationToken::cancelled`";
    type Wait<'a> = WaitForCancellationFuture<'a>;

    fn new() -> Self {
        Self::new()
    }

    fn wait(&self) -> WaitForCancellationFuture<'_> {
        self.cancelled()
    }

    fn trigger(&self) {
        self.cancel();
    }
}

impl Event for ShutdownManager<()> {
    const NAME: &'static str = "async-shutdown `wait_shutdown_triggered`";
    type Wait<'a> = ShutdownSignal<()>;

    fn new() -> Self {
        Self::new()
    }

    fn wait(&self) -> ShutdownSignal<()> {
        self.wait_shutdown_triggered()
    }

    fn trigger(&self) {
        self.trigger_shutdown(()).expect("it is the first time");
    }
}

impl Event for (Trigger, Listener) {
    const NAME: &'static str = "triggered `Listener::clone`";
    type Wait<'a> = Listener;

    fn new() -> Self {
        triggered::trigger()
    }

    fn wait(&self) -> Listener {
        self.1.clone()
    }

    fn trigger(&self) {
        self.0.trigger();
    }
}

/// An event of that crate remembers nothing: what has happened is said by a flag beside it.
#[derive(Default)]
pub(crate) struct Flagged {
    pub(crate) has_happened: AtomicBool,
    pub(crate) event: event_listener::Event,
}

impl Event for Flagged {
    const NAME: &'static str = "event-listener `Event::listen`";
    type Wait<'a> = EventListener;

    fn new() -> Self {
        Self::default()
    }

    fn wait(&self) -> EventListener {
        self.event.listen()
    }

    fn trigger(&self) {
        self.has_happened.store(true, Ordering::Release);
        self.event.notify(usize::MAX);
    }
}

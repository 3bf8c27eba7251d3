//! The smol binding, in one process, mostly with a clock that is made up; where a test has to be alone, in one of its own.

mod alone;
mod children;
mod connections;
mod failing;
mod gone;
mod holding;
mod hooks;
mod late_hooks;
mod leaving;
mod sockets;
mod stuck;
mod tasks;
mod tokens;
mod until;

use std::future::pending;
use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};

use smol::{Executor, LocalExecutor, block_on, channel};
use winddown::testing::ManualClock;
use winddown_smol::{Budget, Builder, Ended, Shutdown, Tasks};
use winddown_tests::child::own_process;
use winddown_tests::steps::secs;
use winddown_tests::sys::Counting;
use winddown_tests::waker::poll;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// 10 s in all, without a lame duck and stages: drains until 9, ends at 9.5, flushes until 10. A stage ends at 9.5, too.
fn timed() -> (ManualClock, Builder) {
    let clock = ManualClock::new();
    let builder = Shutdown::builder().budget(Budget::new(secs(11))).manual_clock(&clock);
    (clock, builder)
}

/// A `run()` that has been polled once: hooks that begin from here on are its, whoever is to poll it.
fn running(shutdown: &Shutdown) -> Ended {
    let mut run = shutdown.run();
    assert!(matches!(poll(&mut run, Waker::noop()), Poll::Pending));
    run
}

/// A future on a thread of its own, with nothing else there.
fn apart<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    thread::spawn(|| block_on(future))
}

/// Where futures may run.
#[derive(Clone, Copy, Debug)]
enum Place {
    BlockOn,
    Several,
    Local,
}

impl Place {
    const ALL: [Self; 3] = [Self::BlockOn, Self::Several, Self::Local];

    /// Runs a future to its end, on a thread named "place" or several of this name.
    fn start<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let run = move || match self {
            Self::BlockOn => block_on(future),
            Self::Several => block_on(Several::new().executor().spawn(future)),
            Self::Local => {
                let local = LocalExecutor::new();
                block_on(local.run(local.spawn(future)))
            }
        };
        thread::Builder::new().name("place".to_owned()).spawn(run).unwrap()
    }
}

/// An executor that two threads run. Dropped, it goes with all its tasks.
struct Several {
    /// The only share that stays.
    executor: Option<Arc<Executor<'static>>>,
    open: channel::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Several {
    fn new() -> Self {
        let executor = Arc::new(Executor::new());
        let (open, closed) = channel::bounded::<()>(1);
        let run = |_| {
            let (executor, closed) = (executor.clone(), closed.clone());
            let run = move || assert!(block_on(executor.run(closed.recv())).is_err());
            thread::Builder::new().name("place".to_owned()).spawn(run).unwrap()
        };
        let threads = [0, 1].map(run).into();
        Self { executor: Some(executor), open, threads }
    }

    fn executor(&self) -> &Arc<Executor<'static>> {
        self.executor.as_ref().expect("not dropped")
    }

    /// Tasks on it, that do not keep it.
    fn tasks(&self, shutdown: &Shutdown) -> Tasks {
        let executor: Weak<_> = Arc::downgrade(self.executor());
        shutdown.tasks(move |task| {
            if let Some(executor) = executor.upgrade() {
                executor.spawn(task).detach();
            }
        })
    }
}

impl Drop for Several {
    fn drop(&mut self) {
        self.open.close();
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        drop(self.executor.take());
    }
}

/// Says so when it is dropped.
struct Dropped(mpsc::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A future that is never ready, and two ends to hear from: it was polled, and it is gone.
fn endless() -> (impl Future<Output = ()> + Send + 'static, mpsc::Receiver<()>, mpsc::Receiver<()>) {
    let (polled, is_polled) = mpsc::channel();
    let (dropped, is_gone) = mpsc::channel();
    let dropped = Dropped(dropped);
    let future = async move {
        let _dropped = dropped;
        polled.send(()).unwrap();
        pending::<()>().await;
    };
    (future, is_polled, is_gone)
}

/// The name of the calling thread.
fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

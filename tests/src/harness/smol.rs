//! A program on smol: `winddown-smol`, on an executor with two threads.

use std::fmt;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use smol::channel::{self, Receiver, Sender};
use smol::future::{FutureExt, yield_now};
use smol::lock::Barrier;
use smol::{Executor, Task, block_on};
use winddown_smol::testing::ManualClock;
use winddown_smol::{Exit, Milestone, Phase, Priority, Reason, Refused, Shutdown};

use super::binding::{Held, calls, meet, outline, summary};
use crate::scenarios::{Does, Harness, Setup, Stage, Summary, Worker};

/// Workers and hooks are tasks; hooks are polled by the task that awaits `run`.
pub struct Smol {
    shutdown: Shutdown,
    clock: ManualClock,
    executor: Arc<Executor<'static>>,
    run: Option<Task<Exit>>,
    latches: Vec<(&'static str, Latch)>,
    workers: Vec<Option<Task<()>>>,
    at_work: Arc<AtomicUsize>,
    /// When it goes, the executor's threads end.
    _threads: Sender<()>,
}

/// Open when it is closed, and for ever.
type Latch = Sender<()>;

impl Harness for Smol {
    const NAME: &'static str = "smol";

    calls!();

    fn set_up(setup: Setup) -> Result<Self, String> {
        let clock = ManualClock::new();
        let mut builder = Shutdown::builder().budget(setup.budget).escalation(setup.escalation).manual_clock(&clock);
        let (meeting, mut latches) = (Arc::new(Barrier::new(meet(&setup.stages))), Vec::new());
        for stage in setup.stages {
            let (latch, opened) = channel::bounded(1);
            latches.push((stage.name, latch));
            builder = builder.stage(described(stage, &opened, &meeting));
        }
        let shutdown = builder.build().map_err(|error| error.to_string())?;
        let executor = Arc::new(Executor::new());
        let (threads, ended) = channel::bounded::<()>(1);
        for _ in 0..2 {
            let (executor, ended) = (executor.clone(), ended.clone());
            thread::spawn(move || block_on(executor.run(ended.recv())));
        }
        let run = Some(executor.spawn(shutdown.run()));
        let (workers, at_work) = (Vec::new(), Arc::default());
        Ok(Self { shutdown, clock, executor, run, latches, workers, at_work, _threads: threads })
    }

    fn reach(&mut self, milestone: Milestone) {
        block_on(self.shutdown.token_at(milestone).cancelled());
    }

    fn worker(&mut self, pass: Option<Held>, until: Milestone) -> Worker {
        let (token, at_work) = (self.shutdown.token_at(until), self.at_work.clone());
        let counts = pass.as_ref().map_or(0, |pass| pass.counts().into());
        at_work.fetch_add(counts, Ordering::Relaxed);
        self.spawn(async move {
            token.cancelled().await;
            let part = pass.as_ref().map(|pass| pass.split().expect("next to its pass"));
            drop(pass);
            yield_now().await;
            at_work.fetch_sub(counts, Ordering::Relaxed);
            drop(part);
        })
    }

    fn panic(&mut self, pass: Held) {
        let panics = async move {
            yield_now().await;
            let _pass = pass;
            panic!("with a pass");
        };
        block_on(self.executor.spawn(AssertUnwindSafe(panics).catch_unwind())).unwrap_err();
    }

    fn join(&mut self, worker: Worker) {
        let task = self.workers[worker.0].take();
        block_on(task.expect("joined once"));
    }

    fn storm(&mut self, class: Priority) {
        let (shutdown, at_work) = (self.shutdown.clone(), self.at_work.clone());
        let (entered, has_entered) = channel::unbounded();
        self.spawn(async move {
            while let Ok(pass) = Held::enter(&shutdown, class, None) {
                let _ = entered.try_send(());
                let counts = pass.counts().into();
                at_work.fetch_add(counts, Ordering::Relaxed);
                yield_now().await;
                at_work.fetch_sub(counts, Ordering::Relaxed);
                drop(pass);
            }
        });
        block_on(has_entered.recv()).expect("the program runs");
    }

    fn release(&mut self, stage: &'static str) {
        let (_, latch) = self.latches.iter().find(|(name, _)| *name == stage).expect("a stage of the setup");
        latch.close();
    }

    fn hook(&mut self, stage: &'static str, fails: &'static str) -> Result<(), String> {
        self.shutdown.hook(stage, async move { Err(fails) }).map_err(|error| error.to_string())
    }

    fn finish(&mut self) -> Summary {
        let report = match self.run.take() {
            Some(run) => block_on(run).report,
            None => block_on(self.shutdown.run()).report,
        };
        let at_work = self.at_work.load(Ordering::Relaxed);
        for task in self.workers.iter_mut().filter_map(Option::take) {
            block_on(task);
        }
        summary(&report, at_work)
    }
}

impl Smol {
    fn spawn(&mut self, body: impl Future<Output = ()> + Send + 'static) -> Worker {
        self.workers.push(Some(self.executor.spawn(body)));
        Worker(self.workers.len() - 1)
    }
}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smol").field("shutdown", &self.shutdown).finish_non_exhaustive()
    }
}

fn described(stage: Stage, opened: &Receiver<()>, meeting: &Arc<Barrier>) -> winddown::Stage {
    let mut described = outline(&stage);
    for does in stage.hooks {
        described = described.async_hook(do_it(does, opened.clone(), meeting.clone()));
    }
    described
}

async fn do_it(does: Does, opened: Receiver<()>, meeting: Arc<Barrier>) -> Result<(), &'static str> {
    match does {
        Does::Returns => {}
        Does::Fails(message) => return Err(message),
        Does::Panics(message) => panic!("{message}"),
        Does::Hangs => pending().await,
        Does::Waits => drop(opened.recv().await),
        Does::Meets => {
            meeting.wait().await;
        }
    }
    Ok(())
}

//! A program on threads: `winddown` as it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use winddown::testing::ManualClock;
use winddown::{Milestone, Phase, Priority, Reason, Refused, Shutdown};

use super::binding::{Held, summary};
use crate::scenarios::{Does, Harness, Setup, Stage, Summary, Worker};

/// Workers and hooks are threads.
#[derive(Debug)]
pub struct Threads {
    shutdown: Shutdown,
    clock: ManualClock,
    latches: Vec<(&'static str, Arc<Latch>)>,
    workers: Vec<Option<JoinHandle<()>>>,
    at_work: Arc<AtomicUsize>,
}

/// Opened once, and open for ever.
#[derive(Debug, Default)]
struct Latch {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Latch {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }
}

impl Harness for Threads {
    const NAME: &'static str = "threads";

    type Pass = Held;

    fn set_up(setup: Setup) -> Result<Self, String> {
        let clock = ManualClock::new();
        let mut builder = Shutdown::builder().budget(setup.budget).escalation(setup.escalation).manual_clock(&clock);
        let meet = setup.stages.iter().flat_map(|stage| &stage.hooks).filter(|does| **does == Does::Meets).count();
        let (meeting, mut latches) = (Arc::new(Barrier::new(meet)), Vec::new());
        for stage in setup.stages {
            let latch = Arc::new(Latch::default());
            latches.push((stage.name, latch.clone()));
            builder = builder.stage(described(stage, &latch, &meeting));
        }
        let shutdown = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { shutdown, clock, latches, workers: Vec::new(), at_work: Arc::default() })
    }

    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    fn sleeps_until(&mut self, at: Duration) {
        self.clock.wait_for_sleeper(at);
    }

    fn phase(&self) -> Phase {
        self.shutdown.phase()
    }

    fn has_reached(&self, milestone: Milestone) -> bool {
        self.shutdown.token_at(milestone).should_stop()
    }

    fn reach(&mut self, milestone: Milestone) {
        self.shutdown.token_at(milestone).wait();
    }

    fn trigger(&mut self, reason: Reason) -> bool {
        self.shutdown.trigger(reason)
    }

    fn trigger_with(&mut self, reason: Reason, message: &'static str) -> bool {
        self.shutdown.trigger_with(reason, message)
    }

    fn force(&mut self) -> bool {
        self.shutdown.force()
    }

    fn enter(&mut self, class: Priority, label: Option<&'static str>) -> Result<Held, Refused> {
        Held::enter(&self.shutdown, class, label)
    }

    fn split(pass: &Held) -> Result<Held, Refused> {
        pass.split()
    }

    fn worker(&mut self, pass: Option<Held>, until: Milestone) -> Worker {
        let (token, at_work) = (self.shutdown.token_at(until), self.at_work.clone());
        let counts = pass.as_ref().map_or(0, |pass| pass.counts().into());
        at_work.fetch_add(counts, Ordering::Relaxed);
        self.spawn(move || {
            token.wait();
            let part = pass.as_ref().map(|pass| pass.split().expect("next to its pass"));
            drop(pass);
            at_work.fetch_sub(counts, Ordering::Relaxed);
            drop(part);
        })
    }

    fn join(&mut self, worker: Worker) {
        let thread = self.workers[worker.0].take();
        thread.expect("joined once").join().expect("the worker panicked");
    }

    fn storm(&mut self, class: Priority) {
        let (shutdown, at_work) = (self.shutdown.clone(), self.at_work.clone());
        let (entered, has_entered) = mpsc::channel();
        self.spawn(move || {
            while let Ok(pass) = Held::enter(&shutdown, class, None) {
                let _ = entered.send(());
                let counts = pass.counts().into();
                at_work.fetch_add(counts, Ordering::Relaxed);
                thread::yield_now();
                at_work.fetch_sub(counts, Ordering::Relaxed);
                drop(pass);
            }
        });
        has_entered.recv().expect("the program runs");
    }

    fn go_on(&mut self, turns: u32) {
        (0..turns).for_each(|_| std::hint::spin_loop());
    }

    fn release(&mut self, stage: &'static str) {
        let (_, latch) = self.latches.iter().find(|(name, _)| *name == stage).expect("a stage of the setup");
        latch.open();
    }

    fn hook(&mut self, stage: &'static str, fails: &'static str) -> Result<(), String> {
        self.shutdown.hook(stage, move || Err(fails)).map_err(|error| error.to_string())
    }

    fn finish(&mut self) -> Summary {
        let report = self.shutdown.run().report;
        let at_work = self.at_work.load(Ordering::Relaxed);
        for thread in self.workers.iter_mut().filter_map(Option::take) {
            thread.join().expect("a worker panicked");
        }
        summary(&report, at_work)
    }
}

impl Threads {
    fn spawn(&mut self, body: impl FnOnce() + Send + 'static) -> Worker {
        self.workers.push(Some(thread::spawn(body)));
        Worker(self.workers.len() - 1)
    }
}

fn described(stage: Stage, latch: &Arc<Latch>, meeting: &Arc<Barrier>) -> winddown::Stage {
    let mut described = winddown::Stage::new(stage.name);
    for after in stage.after {
        described = described.after(after);
    }
    if let Some(time) = stage.reserve {
        described = described.reserve(time);
    }
    if let Some(time) = stage.limit {
        described = described.limit(time);
    }
    for does in stage.hooks {
        let (latch, meeting) = (latch.clone(), meeting.clone());
        described = described.hook(move || does_it(does, &latch, &meeting));
    }
    described
}

fn does_it(does: Does, latch: &Latch, meeting: &Barrier) -> Result<(), &'static str> {
    match does {
        Does::Returns => {}
        Does::Fails(message) => return Err(message),
        Does::Panics(message) => panic!("{message}"),
        Does::Hangs => loop {
            thread::park();
        },
        Does::Waits => latch.pass(),
        Does::Meets => drop(meeting.wait()),
    }
    Ok(())
}

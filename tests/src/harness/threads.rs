//! A program on threads: `winddown` as it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use winddown::testing::ManualClock;
use winddown::{Milestone, Phase, Priority, Reason, Refused, Shutdown};

use super::binding::{Held, calls, meet, outline, summary};
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

    calls!();

    fn set_up(setup: Setup) -> Result<Self, String> {
        let clock = ManualClock::new();
        let mut builder = Shutdown::builder().budget(setup.budget).escalation(setup.escalation).manual_clock(&clock);
        let (meeting, mut latches) = (Arc::new(Barrier::new(meet(&setup.stages))), Vec::new());
        for stage in setup.stages {
            let latch = Arc::new(Latch::default());
            latches.push((stage.name, latch.clone()));
            builder = builder.stage(described(stage, &latch, &meeting));
        }
        let shutdown = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { shutdown, clock, latches, workers: Vec::new(), at_work: Arc::default() })
    }

    fn reach(&mut self, milestone: Milestone) {
        self.shutdown.token_at(milestone).wait();
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

    fn panic(&mut self, pass: Held) {
        let panics = thread::spawn(move || {
            let _pass = pass;
            panic!("with a pass");
        });
        assert!(panics.join().is_err());
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
    let mut described = outline(&stage);
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

//! A program with nothing but `winddown-core`: an executor of its own on one thread, a gate for each class, and a driver
//! that does what the sequence says. No thread, no lock, no operating system; what a binding adds, it has not.

mod drive;
mod executor;
mod hook;
mod world;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use winddown_core::{Forced, Milestone, Phase, Plan, Priority, Reason, Refused, Times};

use self::drive::Driver;
use self::executor::{Executor, Latch, Spawner, yield_now};
use self::hook::Meeting;
use self::world::{Pass, World};
use crate::scenarios::{Does, Harness, Setup, Stage, Summary, Worker};

/// Workers, hooks and the driver are tasks, which are polled while the scenario waits.
pub struct Bare {
    world: Rc<World>,
    plan: Plan,
    executor: Executor,
    released: Rc<[Latch]>,
    stages: Rc<[Stage]>,
    /// Opened by each worker at its end.
    workers: Vec<Latch>,
    summary: Rc<RefCell<Option<Summary>>>,
}

impl Harness for Bare {
    const NAME: &'static str = "bare";

    const CANNOT: &'static [(&'static str, &'static str)] = &[
        ("p1_the_first_message_is_kept", "core keeps a reason, and no words; those are a binding's"),
        ("hooks_can_be_given_later_until_their_stage_begins", "core knows stages by number; hooks are a binding's"),
        (
            "p7_work_that_panics_with_a_labelled_pass_is_named_and_fails_the_wind_down",
            "core knows neither threads nor panics; those are a binding's",
        ),
    ];

    type Pass = Pass;

    fn set_up(setup: Setup) -> Result<Self, String> {
        let plan = Plan::new(setup.budget, &numbered(&setup.stages)).map_err(|error| error.to_string())?;
        let spawner = Spawner::default();
        let world = Rc::new(World::new(setup.escalation, spawner.clone()));
        let (stages, summary): (Rc<[_]>, Rc<RefCell<_>>) = (setup.stages.into(), Rc::default());
        let released = stages.iter().map(|_| Latch::default()).collect();
        let names = stages.iter().map(|stage| stage.name).collect();
        let driver = Driver { world: world.clone(), plan, names, start: starter(&world, &stages, &released) };
        let theirs = summary.clone();
        spawner.spawn(async move {
            let summary = driver.run().await;
            theirs.replace(Some(summary));
        });
        Ok(Self { world, plan, executor: Executor::new(spawner), released, stages, workers: Vec::new(), summary })
    }

    fn now(&self) -> Duration {
        self.world.clock.now()
    }

    fn advance(&mut self, by: Duration) {
        self.world.clock.advance(by);
    }

    fn sleeps_until(&mut self, at: Duration) {
        self.executor.run();
        assert_eq!(self.world.clock.sleeps_until(), Some(at), "the driver's sleep");
    }

    fn phase(&self) -> Phase {
        self.world.life.load().phase()
    }

    fn has_reached(&self, milestone: Milestone) -> bool {
        self.world.milestone(milestone).is_open()
    }

    fn reach(&mut self, milestone: Milestone) {
        self.executor.run();
        assert!(self.has_reached(milestone), "{milestone} is not reached: the driver sleeps");
    }

    fn has_left(&self, expected: Option<[Duration; 2]>) -> bool {
        let left = |times: Times| [times.last_call, times.end].map(|at| at.saturating_sub(self.now()));
        self.world.times(&self.plan).map(left) == expected
    }

    fn trigger(&mut self, reason: Reason) -> bool {
        self.world.trigger(reason)
    }

    fn trigger_with(&mut self, _: Reason, _: &'static str) -> bool {
        unreachable!("as `CANNOT` says")
    }

    fn force(&mut self) -> bool {
        self.world.force(Forced::Call)
    }

    fn enter(&mut self, class: Priority, label: Option<&'static str>) -> Result<Pass, Refused> {
        Pass::enter(&self.world, class, label)
    }

    fn split(pass: &Pass) -> Result<Pass, Refused> {
        pass.split()
    }

    fn worker(&mut self, pass: Option<Pass>, until: Milestone) -> Worker {
        let world = self.world.clone();
        let counts = pass.as_ref().map_or(0, |pass| pass.counts().into());
        world.at_work.set(world.at_work.get() + counts);
        self.spawn(async move {
            world.milestone(until).pass().await;
            let part = pass.as_ref().map(|pass| pass.split().expect("next to its pass"));
            drop(pass);
            yield_now().await;
            world.at_work.set(world.at_work.get() - counts);
            drop(part);
        })
    }

    fn panic(&mut self, _: Pass) {
        unreachable!("as `CANNOT` says")
    }

    fn join(&mut self, worker: Worker) {
        self.executor.run();
        assert!(self.workers[worker.0].is_open(), "worker {} waits, and nobody wakes it", worker.0);
    }

    fn storm(&mut self, class: Priority) {
        let world = self.world.clone();
        self.spawn(async move {
            while let Ok(pass) = Pass::enter(&world, class, None) {
                let counts: usize = pass.counts().into();
                world.at_work.set(world.at_work.get() + counts);
                yield_now().await;
                world.at_work.set(world.at_work.get() - counts);
                drop(pass);
                yield_now().await;
            }
        });
        self.executor.turn();
    }

    fn go_on(&mut self, turns: u32) {
        for _ in 0..turns {
            self.executor.turn();
        }
    }

    fn release(&mut self, stage: &'static str) {
        let index = index(&self.stages, stage).expect("a stage of the setup");
        self.released[index].open();
    }

    fn hook(&mut self, _: &'static str, _: &'static str) -> Result<(), String> {
        unreachable!("as `CANNOT` says")
    }

    fn finish(&mut self) -> Summary {
        self.executor.run();
        let asleep = || panic!("not over, and nobody is awake; the driver until {:?}", self.world.clock.sleeps_until());
        let summary = self.summary.borrow().clone().unwrap_or_else(asleep);
        for worker in 0..self.workers.len() {
            self.join(Worker(worker));
        }
        summary
    }
}

impl Bare {
    fn spawn(&mut self, body: impl Future<Output = ()> + 'static) -> Worker {
        let ended = Latch::default();
        self.workers.push(ended.clone());
        self.world.spawner.spawn(async move {
            body.await;
            ended.open();
        });
        Worker(self.workers.len() - 1)
    }
}

/// Begins the hooks of a stage, each as a task. How many there are.
fn starter(world: &Rc<World>, stages: &Rc<[Stage]>, released: &Rc<[Latch]>) -> Box<dyn Fn(usize) -> usize> {
    let meet = stages.iter().flat_map(|stage| &stage.hooks).filter(|does| **does == Does::Meets).count();
    let meeting = Rc::new(Meeting { missing: Cell::new(meet), latch: Latch::default() });
    let (world, stages, released) = (world.clone(), stages.clone(), released.clone());
    Box::new(move |stage| {
        for &does in &stages[stage].hooks {
            let (released, meeting, theirs) = (released[stage].clone(), meeting.clone(), world.clone());
            world.spawner.spawn(async move { hook::run(&theirs, stage, does, released, &meeting).await });
        }
        stages[stage].hooks.len()
    })
}

fn index(stages: &[Stage], name: &str) -> Option<usize> {
    stages.iter().position(|stage| stage.name == name)
}

/// The stages, to core.
fn numbered(stages: &[Stage]) -> Vec<winddown_core::Stage> {
    let number = |stage: &Stage| {
        let mut plan = winddown_core::Stage { limit: stage.limit, ..winddown_core::Stage::new() };
        plan.reserve = stage.reserve.unwrap_or(plan.reserve);
        for after in &stage.after {
            *plan.after.get_or_insert(0) |= 1 << index(stages, after).expect("a stage of the setup");
        }
        plan
    };
    stages.iter().map(number).collect()
}

impl fmt::Debug for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bare").field("phase", &self.phase()).field("now", &self.now()).finish_non_exhaustive()
    }
}

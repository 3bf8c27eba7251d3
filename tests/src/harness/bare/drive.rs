//! The bare program's driver: a task that does what the sequence says, and writes down how it went.

use std::rc::Rc;
use std::time::Duration;

use winddown_core::{Fate, InFlight, Milestone, Observed, Outcome, Plan, Priority, Sequence, State, Step};

use super::world::{Trouble, World};
use crate::scenarios::{Row, Straggler, Summary};

/// What a driver is given.
pub(super) struct Driver {
    pub(super) world: Rc<World>,
    pub(super) plan: Plan,
    pub(super) names: Vec<&'static str>,
    /// Begins the hooks of a stage. How many there are.
    pub(super) start: Box<dyn Fn(usize) -> usize>,
}

impl Driver {
    /// Waits to be asked, then drives to the end.
    pub(super) async fn run(self) -> Summary {
        let Self { world, plan, names, start } = self;
        let reason = loop {
            if let Some(reason) = world.life.load().reason() {
                break reason;
            }
            world.clock.sleep(None).await;
        };
        let mut sequence = Sequence::new(plan);
        let mut book = Book::new(world.clone(), &names);
        sequence.begin(book.began, reason);
        let outcome = loop {
            // Clock and what was ended first, and then what happened.
            let (now, state) = (world.clock.now(), world.life.load());
            book.now = now;
            for (stage, result) in world.ended.take() {
                if let Some(fate) = book.hook_ended(stage, result) {
                    assert!(sequence.ended(stage, fate), "an abandoned stage does not get here");
                }
            }
            match sequence.poll(now, observed(&world, state)) {
                Step::Wait(until) => world.clock.sleep(until).await,
                Step::Reach(milestone) => {
                    reached(&world, milestone);
                    book.reached(milestone);
                    world.reach(plan.released_by(milestone));
                }
                Step::Start { stage, .. } => {
                    let hooks = start(stage);
                    book.started(stage, hooks);
                    if hooks == 0 {
                        assert!(sequence.ended(stage, Fate::Completed), "just started");
                    }
                }
                Step::Abandon { stage, started } => book.abandoned(stage, started),
                Step::CloseLate => {} // there is no late gate
                Step::EndIdle | Step::EndIncomplete => unreachable!("there are no connections"),
                Step::Finish(outcome) => break outcome,
            }
        };
        book.closed(outcome)
    }
}

fn observed(world: &World, state: State) -> Observed {
    let in_flight = world.each(|gate| if gate.is_drained() { 0 } else { gate.in_flight().max(1) });
    Observed { in_flight, drain_ended: state.is_drain_ended(), forced: state.forced(), ..Observed::default() }
}

/// What has to be so before anybody is told of a milestone.
fn reached(world: &World, milestone: Milestone) {
    let news = match milestone {
        Milestone::Refusing => Priority::ALL.iter().all(|&class| world.gate(class).close()),
        Milestone::Closing => world.life.begin_closing(),
        Milestone::Done => world.life.finish(),
        Milestone::Triggered | Milestone::HighLate | Milestone::HandBack | Milestone::LastCall => true,
    };
    assert!(news, "each milestone is reached once, in its order: {milestone}");
}

/// The summary in the making.
struct Book {
    world: Rc<World>,
    began: Duration,
    now: Duration,
    refused_at: Duration,
    closed_at: Duration,
    in_flight: InFlight,
    high_late: bool,
    stages: Vec<(Row, usize)>,
    turns: usize,
    /// And by which number, to see whether they let go.
    stragglers: Vec<(u64, Straggler)>,
    unlabelled: InFlight,
}

impl Book {
    fn new(world: Rc<World>, names: &[&str]) -> Self {
        let began = world.life.asked_at().expect("asked");
        let row = |name: &&str| Row {
            name: (*name).to_owned(),
            fate: Fate::Completed,
            began: None,
            turn: 0,
            took: Duration::ZERO,
            problems: Vec::new(),
        };
        Self {
            world,
            began,
            now: began,
            refused_at: began,
            closed_at: began,
            in_flight: InFlight::NONE,
            high_late: false,
            stages: names.iter().map(|name| (row(name), 0)).collect(),
            turns: 0,
            stragglers: Vec::new(),
            unlabelled: InFlight::NONE,
        }
    }

    fn reached(&mut self, milestone: Milestone) {
        match milestone {
            Milestone::Triggered | Milestone::HandBack => {}
            Milestone::Refusing => {
                self.refused_at = self.now;
                self.in_flight = self.world.each(winddown_core::Gate::in_flight);
            }
            Milestone::HighLate => {
                self.high_late = true;
                self.late(Priority::High);
            }
            Milestone::LastCall => {
                self.late(Priority::Critical);
                if !self.high_late {
                    self.late(Priority::High);
                }
            }
            Milestone::Closing => self.closed_at = self.now,
            Milestone::Done => self.late(Priority::Low),
        }
    }

    /// Names those of a class whose time is over.
    fn late(&mut self, class: Priority) {
        let holders = self.world.holders(class);
        *self.unlabelled.of_mut(class) = self.world.gate(class).in_flight() - holders.len();
        for (id, holder) in holders {
            let age = self.now.saturating_sub(holder.since);
            self.stragglers.push((id, Straggler { label: holder.label.to_owned(), class, age, let_go: false }));
        }
    }

    fn started(&mut self, stage: usize, hooks: usize) {
        let (row, pending) = &mut self.stages[stage];
        row.began = Some(self.now.saturating_sub(self.began));
        row.turn = self.turns;
        *pending = hooks;
        self.turns += 1;
    }

    /// The stage's fate, if with this hook all have ended, in time.
    fn hook_ended(&mut self, stage: usize, result: Result<(), Trouble>) -> Option<Fate> {
        let (row, pending) = &mut self.stages[stage];
        if row.fate == Fate::Abandoned {
            return None;
        }
        let (fate, problem) = match result {
            Ok(()) => (Fate::Completed, None),
            Err(Trouble::Failed(message)) => (Fate::Failed, Some(message)),
            Err(Trouble::Panicked(message)) => (Fate::Panicked, Some(message)),
        };
        row.fate = row.fate.max(fate);
        row.problems.extend(problem);
        row.took = self.now.saturating_sub(self.began + row.began.expect("its hooks run"));
        *pending -= 1;
        (*pending == 0).then_some(row.fate)
    }

    fn abandoned(&mut self, stage: usize, started: bool) {
        let (row, pending) = &mut self.stages[stage];
        row.fate = if started { Fate::Abandoned } else { Fate::NotStarted };
        row.took = row.began.map_or(Duration::ZERO, |began| self.now.saturating_sub(self.began + began));
        row.problems.extend((0..*pending).map(|_| "a hook did not end".to_owned()));
        if !started {
            row.problems.push("did not begin".to_owned());
        }
    }

    fn closed(self, outcome: Outcome) -> Summary {
        let state = self.world.life.load();
        let reason = state.reason().expect("it was asked for");
        let let_go = |(id, late): (u64, Straggler)| Straggler { let_go: !self.world.is_alive(id), ..late };
        Summary {
            reason,
            message: None,
            outcome,
            exit_code: outcome.exit_code(reason),
            repeats: state.repeats(),
            took: self.now.saturating_sub(self.began),
            lame_duck: self.refused_at.saturating_sub(self.began),
            draining: self.closed_at.saturating_sub(self.refused_at),
            closing: self.now.saturating_sub(self.closed_at),
            in_flight: self.in_flight,
            refused: self.world.refused.get(),
            stages: self.stages.into_iter().map(|(row, _)| row).collect(),
            stragglers: self.stragglers.into_iter().map(let_go).collect(),
            unlabelled: self.unlabelled,
            failures: Vec::new(),
            at_work: self.world.at_work.get(),
        }
    }
}

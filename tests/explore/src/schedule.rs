//! The scheduler that does what bytes say.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, MaxSteps, Runner};
use winddown::testing::grant_the_barrier;

use super::Race;
use super::core_alone::locked;

/// How many schedules are made of the same bytes. (A new stack for each thread costs as much as a race; shuttle keeps them
/// from one execution of a `Runner` to the next.)
const SCHEDULES: usize = 8;

/// Runs it under each of the schedules. Fails, with program and schedule printed, also when nobody can go on and when there
/// is no end. How many schedules there were.
pub(super) fn run(race: Race, choices: &[u8]) -> usize {
    let race = Arc::new(race);
    print_on_panic(&race);
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.silence_warnings = true;
    let scheduler = Bytes { choices: choices.to_vec(), next: 0, left: 0, executions: 0 };
    let executions = AtomicUsize::new(0);
    Runner::new(scheduler, config).run(move || {
        // Every second time threads have stripes of their own.
        grant_the_barrier(executions.fetch_add(1, Ordering::Relaxed) % 2 == 0);
        race.run();
    })
}

/// Each choice among several takes a byte. Seven of eight, and all when every byte was taken once, let go on who runs, if
/// that is possible: an order that needs somebody to stand still for long would else hardly be found.
///
/// The schedules differ in where among the bytes they begin.
struct Bytes {
    choices: Vec<u8>,
    next: usize,
    left: usize,
    executions: usize,
}

impl Bytes {
    fn choice(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let choice = self.choices[self.next % self.choices.len()];
        self.next += 1;
        Some(choice.into())
    }
}

impl Scheduler for Bytes {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.left = self.choices.len();
        self.next = self.left * self.executions / SCHEDULES;
        self.executions += 1;
        (self.executions <= SCHEDULES).then(|| Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, _: bool) -> Option<TaskId> {
        if let [only] = runnable {
            return Some(only.id());
        }
        let running = runnable.iter().position(|task| Some(task.id()) == current);
        let chosen = match (self.choice(), running) {
            (None, running) => running.unwrap_or(0),
            (Some(choice), Some(running)) if choice % 8 != 0 => running,
            (Some(choice), _) => choice / 8 % runnable.len(),
        };
        Some(runnable[chosen].id())
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}

/// shuttle prints the schedule of an execution that fails; this prints its program.
fn print_on_panic(race: &Arc<Race>) {
    static CURRENT: Mutex<Option<Arc<Race>>> = Mutex::new(None);
    static HOOK: Once = Once::new();
    *locked(&CURRENT) = Some(race.clone());
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Once: what fails after it is a consequence.
            if let Some(race) = locked(&CURRENT).take() {
                eprintln!("failing program:\n{race:#?}");
            }
            next(info);
        }));
    });
}

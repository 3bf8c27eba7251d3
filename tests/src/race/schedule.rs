//! The scheduler that does what bytes say.

use std::panic;
use std::sync::{Arc, Mutex, Once};

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, MaxSteps, Runner};

use super::Race;

/// Runs it once. Fails, with the schedule printed, when nobody can go on or it has no end.
pub(super) fn run(race: Arc<Race>, choices: &[u8]) {
    print_on_panic(&race);
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.silence_warnings = true;
    let scheduler = Bytes { choices: choices.to_vec(), next: 0, begun: false };
    Runner::new(scheduler, config).run(move || race.clone().run());
}

/// Each choice among several takes a byte; with none left, whoever runs goes on while that is possible.
struct Bytes {
    choices: Vec<u8>,
    next: usize,
    begun: bool,
}

impl Scheduler for Bytes {
    fn new_execution(&mut self) -> Option<Schedule> {
        let first = !self.begun;
        self.begun = true;
        first.then(|| Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, _: bool) -> Option<TaskId> {
        if let [only] = runnable {
            return Some(only.id());
        }
        let choice = self.choices.get(self.next).copied();
        self.next += 1;
        Some(match choice {
            Some(choice) => runnable[usize::from(choice) % runnable.len()].id(),
            None => current.filter(|current| runnable.iter().any(|task| task.id() == *current)).unwrap_or(runnable[0].id()),
        })
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}

/// shuttle prints the schedule of a run that fails; this prints the program.
fn print_on_panic(race: &Arc<Race>) {
    static CURRENT: Mutex<Option<Arc<Race>>> = Mutex::new(None);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Ok(mut current) = CURRENT.lock() {
                // Once: others that fail after it are consequences.
                if let Some(race) = current.take() {
                    eprintln!("failing program:\n{race:#?}");
                }
            }
            next(info);
        }));
    });
    if let Ok(mut current) = CURRENT.lock() {
        *current = Some(race.clone());
    }
}

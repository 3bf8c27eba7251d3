//! The scheduler that does what bytes say.

use std::panic;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Once};
use std::thread;

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, MaxSteps, Runner};

use super::Race;
use super::core_alone::locked;

/// Runs it once. Fails, with program and schedule printed, also when nobody can go on and when there is no end.
pub(super) fn run(race: Race, choices: &[u8]) {
    static EXPLORER: Mutex<Option<Explorer>> = Mutex::new(None);
    print_programs();
    // One at a time; and what failed is not used again.
    let mut explorer = locked(&EXPLORER);
    let ready = explorer.take().unwrap_or_else(Explorer::new);
    ready.jobs.send(Job { race: Arc::new(race), choices: choices.to_vec() }).expect("it has just asked for one");
    assert!(ready.asks.recv().is_ok(), "the race has failed: see above");
    *explorer = Some(ready);
}

struct Job {
    race: Arc<Race>,
    choices: Vec<u8>,
}

/// A thread that runs one job after the other. shuttle keeps the stacks of one `Runner::run` for its next execution, so
/// all jobs are executions of one.
struct Explorer {
    jobs: Sender<Job>,
    asks: Receiver<()>,
}

impl Explorer {
    fn new() -> Self {
        let (jobs, theirs) = channel();
        let (ask, asks) = channel();
        thread::spawn(move || {
            let mut config = Config::new();
            config.max_steps = MaxSteps::FailAfter(100_000);
            config.silence_warnings = true;
            let scheduler = Bytes { jobs: theirs, ask, choices: Vec::new().into_iter() };
            Runner::new(scheduler, config).run(|| {
                let race = locked(&CURRENT).clone();
                race.expect("there is a job").run();
            });
        });
        asks.recv().expect("it begins by asking");
        Self { jobs, asks }
    }
}

/// What is being run.
static CURRENT: Mutex<Option<Arc<Race>>> = Mutex::new(None);

/// Each choice among several takes a byte. Seven of eight, and all where none is left, let go on who runs, if that is
/// possible: an order that needs somebody to stand still for long would else hardly be found.
struct Bytes {
    jobs: Receiver<Job>,
    ask: Sender<()>,
    choices: std::vec::IntoIter<u8>,
}

impl Scheduler for Bytes {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.ask.send(()).ok()?;
        let Job { race, choices } = self.jobs.recv().ok()?;
        *locked(&CURRENT) = Some(race);
        self.choices = choices.into_iter();
        Some(Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, _: bool) -> Option<TaskId> {
        if let [only] = runnable {
            return Some(only.id());
        }
        let running = runnable.iter().position(|task| Some(task.id()) == current);
        let choice = self.choices.next().map(usize::from);
        let chosen = match (choice, running) {
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
fn print_programs() {
    static HOOK: Once = Once::new();
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

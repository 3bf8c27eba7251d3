//! A whole wind-down with nothing but `winddown-core`: no operating system asked for, no thread, no allocator.
//!
//! Here is what the two programs share, an executor for one thread and the little world that it winds down. What a
//! program adds is a [`Machine`], and the handler that triggers.

#![no_std]
#![forbid(unsafe_code)]

mod line;
mod site;

use core::ffi::CStr;
use core::time::Duration;

use winddown_core::{Gate, Lifecycle, Milestone, Observed, Sequence, Step};

use crate::line::Line;
use crate::line::What::{self, Number, Word};
use crate::site::Site;

/// What the executor runs on.
pub trait Machine {
    /// The time since a moment of the machine's choice.
    fn now(&self) -> Duration;

    /// Holds interrupts back, asks whether to be `awake`, and if not sleeps: until that time at the latest, or until an
    /// interrupt comes. One that came while they were held back ends the sleep, too; between the question and the sleep
    /// nothing is lost.
    ///
    /// It may return early. It must not return again and again for nothing.
    fn nap(&self, until: Option<Duration>, awake: impl Fn() -> bool);

    /// Puts out a line, its end included.
    fn say(&self, line: &CStr);

    /// How this run is to end. Asked once it was triggered.
    fn ending(&self) -> Ending;
}

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    Clean,
    /// A job that never finishes.
    Late,
    /// A stage that never ends.
    Hung,
}

impl Ending {
    /// The one with this initial.
    #[must_use]
    pub const fn of(initial: u8) -> Option<Self> {
        match initial {
            b'c' => Some(Self::Clean),
            b'l' => Some(Self::Late),
            b'h' => Some(Self::Hung),
            _ => None,
        }
    }
}

/// Runs until `life` is triggered, winds down, and says how it went. Returns the exit code.
///
/// One turn of the loop is one poll of the [`Sequence`]; a nap is one time that the machine had to be put to sleep.
///
/// # Panics
///
/// When the site's plan does not fit its budget.
pub fn run(machine: &impl Machine, life: &Lifecycle) -> u8 {
    let Ok(plan) = site::plan() else { panic!("the stages do not fit the budget") };
    let mut sequence = Sequence::new(plan);
    let gate = Gate::new();
    let mut site = Site::new(&gate);
    say(machine, "ready, ", Number(gate.in_flight()), " in flight");

    let (mut turns, mut naps) = (0_usize, 0_usize);
    let outcome = loop {
        turns += 1;
        // The clock and the word before all else, as the sequence wants it.
        let now = machine.now();
        let state = life.load();
        if let (Some(reason), None) = (state.reason(), sequence.end()) {
            // No stamp by the handler: all time passes in naps, and the trigger has ended this one.
            sequence.begin(now, reason);
            site.begin(now, machine.ending());
            say(machine, "triggered by ", Word(&reason), "");
        }
        site.go_on(now, machine, &mut sequence);
        let observed = Observed { in_flight: site.in_flight(), forced: state.forced(), ..Observed::default() };
        match sequence.poll(now, observed) {
            Step::Wait(until) => {
                let until = [until, site.next()].into_iter().flatten().min();
                let awake = || life.load() != state || until.is_some_and(|until| machine.now() >= until);
                while !awake() {
                    naps += 1;
                    machine.nap(until, awake);
                }
            }
            Step::Reach(milestone) => {
                match milestone {
                    Milestone::Refusing => site.refuse(now),
                    Milestone::Closing => assert!(life.begin_closing(), "it was draining"),
                    Milestone::Done => assert!(life.finish(), "it was closing"),
                    _ => {}
                }
                say(machine, "", Word(&milestone), "");
            }
            Step::Start { stage, .. } => {
                site.start(stage, now);
                say(machine, "stage ", Number(stage), " begins");
            }
            Step::Abandon { stage, started } => {
                site.abandon(stage);
                say(machine, "stage ", Number(stage), if started { " abandoned" } else { " not started" });
            }
            Step::CloseLate | Step::EndIdle | Step::EndIncomplete => {} // there is no late gate, and no connection
            Step::Finish(outcome) => break outcome,
        }
    };
    let code = life.load().reason().map_or(0, |reason| outcome.exit_code(reason));
    say(machine, "", Word(&outcome), "");
    say(machine, "exit code ", Number(code.into()), "");
    say(machine, "turns ", Number(turns), "");
    say(machine, "naps ", Number(naps), "");
    code
}

fn say(machine: &impl Machine, before: &str, what: What<'_>, after: &str) {
    machine.say(Line::new(before, what, after).text());
}

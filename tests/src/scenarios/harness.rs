//! What a scenario may do with a program. Not here: what the program has (`setup`), how it went (`summary`), and programs
//! (`crate::harness`).

use std::time::Duration;

use winddown_core::{Milestone, Phase, Priority, Reason, Refused};

use super::{Setup, Summary};

/// A program that can wind down, on something that runs it: threads, an executor.
///
/// Its clock stands still but for [`advance`](Self::advance). Who sets it up and calls the rest is the *scenario*; it waits
/// for events only, and never for time. On a harness with threads of its own, what follows from a call happens at any time
/// after it; on one without, when the scenario next waits for something. So a scenario looks at what it has waited for.
pub trait Harness: Sized + 'static {
    /// What the table calls it.
    const NAME: &'static str;

    /// The scenarios that cannot be had here, by name, each with the reason.
    const CANNOT: &'static [(&'static str, &'static str)] = &[];

    /// One admitted piece of work, until it is dropped.
    type Pass: 'static;

    /// Sets a program up; it runs until it is asked to stop.
    ///
    /// # Errors
    ///
    /// What is wrong with the setup, in words.
    fn set_up(setup: Setup) -> Result<Self, String>;

    /// The time.
    fn now(&self) -> Duration;

    /// Lets time pass. The scenario has waited for who [sleeps](Self::sleeps_until) before.
    fn advance(&mut self, by: Duration);

    /// Waits until the wind-down has nothing to do before `at`, on the clock, unless something happens.
    fn sleeps_until(&mut self, at: Duration);

    /// Where the program is in its life.
    fn phase(&self) -> Phase;

    /// Whether this milestone or a later one is reached.
    fn has_reached(&self, milestone: Milestone) -> bool;

    /// Waits until it is.
    fn reach(&mut self, milestone: Milestone);

    /// Returns whether any part of the program, at any time, learns that it is so long to the drain's deadline and to the end of
    /// everything. `None`: it learns of none, as while the program runs.
    fn has_left(&self, expected: Option<[Duration; 2]>) -> bool;

    /// Asks the program to stop. Whether this was the first to.
    fn trigger(&mut self, reason: Reason) -> bool;

    /// As `trigger`, with words to it.
    fn trigger_with(&mut self, reason: Reason, message: &'static str) -> bool;

    /// Ends all waiting. Whether this call did.
    fn force(&mut self) -> bool;

    /// Asks to be let in, as work of a class, with a label or without.
    ///
    /// # Errors
    ///
    /// The program refuses.
    fn enter(&mut self, class: Priority, label: Option<&'static str>) -> Result<Self::Pass, Refused>;

    /// Another pass for a part of the same work.
    ///
    /// # Errors
    ///
    /// None that a scenario can bring about.
    fn split(pass: &Self::Pass) -> Result<Self::Pass, Refused>;

    /// Begins a worker that waits to be told of `until`. One with a pass then goes on with a part of its work, lets go of
    /// the pass, and of the part at last.
    fn worker(&mut self, pass: Option<Self::Pass>, until: Milestone) -> Worker;

    /// Begins a worker that panics with this pass in its hands, and waits until it has.
    fn panic(&mut self, pass: Self::Pass);

    /// Waits until this worker has ended, before [`finish`](Self::finish) waits for all.
    fn join(&mut self, worker: Worker);

    /// Begins a worker that enters and leaves, without a pause, until it is refused. It has entered once when this
    /// returns.
    fn storm(&mut self, class: Priority);

    /// Lets the workers go on for a little while: the longer, the greater the number.
    fn go_on(&mut self, turns: u32);

    /// Lets the hooks of this stage return that [wait](super::Does::Waits).
    fn release(&mut self, stage: &'static str);

    /// Gives a stage one more hook, which fails with these words.
    ///
    /// # Errors
    ///
    /// There is no such stage, or it is too late: in words.
    fn hook(&mut self, stage: &'static str, fails: &'static str) -> Result<(), String>;

    /// Waits until the wind-down is over, and then until every worker has ended.
    fn finish(&mut self) -> Summary;

    /// Waits until the wind-down sleeps until `at`, and lets time pass up to there.
    fn run_until(&mut self, at: Duration) {
        self.sleeps_until(at);
        let by = at.saturating_sub(self.now());
        self.advance(by);
    }

    /// Whether work of this class is told to stop.
    fn told(&self, class: Priority) -> bool {
        self.has_reached(class.told_at())
    }
}

/// A worker of the program, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker(pub usize);

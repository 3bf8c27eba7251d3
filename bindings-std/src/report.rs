//! What there is to say afterwards, with names. Not here: how it looks (`render`).

use std::panic::Location;
use std::time::Duration;

use winddown_core::{Budget, Fate, Forced, InFlight, Outcome, Priority, Reason, Repeats, Unserved};

use crate::sync::{Arc, thread};

/// How a wind-down went. Prints as a timeline.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Why it began.
    pub reason: Reason,
    /// What the first trigger said to it.
    pub message: Option<String>,
    /// How it went as a whole: the worst thing that happened.
    pub outcome: Outcome,
    /// The exit code that the program chose for a clean wind-down: [`Shutdown::set_exit_code`](crate::Shutdown::set_exit_code).
    pub chosen_code: Option<u8>,
    /// How often it was asked for.
    pub repeats: Repeats,
    /// The time it had.
    pub budget: Budget,
    /// The time from the trigger to the end of the last stage.
    pub took: Duration,
    /// Of that, still admitting.
    pub lame_duck: Duration,
    /// Of that, refusing and waiting for what was in flight.
    pub draining: Duration,
    /// Of `draining`, waiting for [kickers](crate::Kicker) alone: no work was in flight, and no connection was open.
    pub kicking: Duration,
    /// Of `took`, running the stages.
    pub closing: Duration,
    /// How long the process did not run during the wind-down, at least: it was stopped (SIGSTOP), suspended or frozen, or had no
    /// processor. The library looks at the clock every 250 ms, so a stop that is not longer than 350 ms may not be seen, and of a longer
    /// one up to 250 ms may not be counted.
    pub stopped: Duration,
    /// What was in flight when the program began to refuse.
    pub in_flight: InFlight,
    /// How many passes there were, parts that were split off included.
    pub admitted: u64,
    /// How often entry was refused.
    pub refused: u64,
    /// How they were counted.
    pub counting: Counting,
    /// Every stage, in the order in which they were given.
    pub stages: Vec<StageReport>,
    /// The connections at work and the labelled passes that were still there when their time was over. Shared, because there may be
    /// many.
    pub stragglers: Arc<[Straggler]>,
    /// How many passes without a label were alive when their time was over.
    pub unlabelled: InFlight,
    /// The clients that got no answer: lost, or with a request that did not arrive whole, or silent in an accept queue.
    pub unserved: Unserved,
    /// The waits that were ended before their time, in that order: by interrupts ([`Escalation`](winddown_core::Escalation)), or by
    /// [`force`](crate::Shutdown::force).
    pub cuts: Vec<Cut>,
    /// The other failures: of kickers, observers, wakers, tasks, listeners and the driver, and panics in admitted work.
    pub failures: Vec<Failure>,
    /// What could not be done as the documentation promises, and what was done instead: a line for each kind. (How passes were
    /// counted is in [`counting`](Self::counting).) A note alone does not change the outcome.
    pub notes: Vec<String>,
}

impl Report {
    /// Returns the process exit code that tells the truth: [`Outcome::exit_code`], or the one that the program
    /// [chose](crate::Shutdown::set_exit_code) for a clean wind-down.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.outcome.exit_code_or(self.reason, self.chosen_code)
    }

    /// The stage of this name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageReport> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

/// One end of waiting before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// The cause, and with it how much was ended: the drain ([`Forced::Drain`]), or everything.
    pub by: Forced,
    /// When, after the trigger.
    pub at: Duration,
    /// The passes that were alive then, if the program was still draining.
    pub in_flight: InFlight,
    /// The [kickers](crate::Kicker) that ran then, if the program was still draining: the drain waits for them, too.
    pub kickers: usize,
    /// The names of the stages that were abandoned, or did not begin, because everything was ended.
    pub stages: Vec<String>,
}

/// How passes were counted, and with that what [`enter`](crate::Shutdown::enter) cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counting {
    /// Each thread on a line of its own, as many at a time in the process as a word has bits, and others on shared lines. It
    /// takes Linux's `membarrier(2)`, which a sandbox should allow, or refuse with an error (and not with death).
    Striped,
    /// All threads on shared lines: there is no `membarrier(2)` here, or a filter refuses it. Two or three times as dear.
    Shared,
    /// As `Striped`, but the kernel refused `membarrier(2)` when the program refused work, most likely by a filter that was
    /// installed after the shutdown was built. The driver waited in its stead: 10 ms for each class of work, and for the accept
    /// queue.
    Waited,
}

/// What became of a stage.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StageReport {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub fate: Fate,
    /// When it began, after the trigger; `None` if it did not.
    pub began: Option<Duration>,
    /// Its place in the order in which the stages began, from 0 on; 0 also if it did not begin.
    pub turn: usize,
    /// How long it ran, or was waited for.
    pub took: Duration,
    /// What went wrong, a line for each hook that failed, panicked or was abandoned.
    pub problems: Vec<String>,
}

/// A connection at work, or the holder of a labelled pass, that was still there when its time was over: for class High at
/// its cap, for class Critical at the drain's deadline, for class Low at the end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Straggler {
    pub(crate) holder: Holder,
    /// Its label.
    pub label: String,
    /// Its class.
    pub class: Priority,
    /// Where it was admitted.
    pub location: &'static Location<'static>,
    /// How long it had been alive.
    pub age: Duration,
    /// The name of the thread that it was admitted on, or its id.
    pub thread: String,
    /// The name of the thread that had it last, or its id, if the library has seen any have it since: the thread that polls its
    /// future or did so last, that made the connection busy, that called `held_by`, or that gave its pass back late. The library does
    /// not see that a pass is moved to another thread.
    pub last_thread: Option<String>,
    /// Its state at the end, as far as the library knows it.
    pub at_end: AtEnd,
}

/// The state of a [`Straggler`] at the end, as far as the library knows it.
///
/// The library sees passes and futures. It does not see the work that they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtEnd {
    /// It still held its pass, so its work runs on. A future that had not returned from its `poll` is one of these.
    StillHeld,
    /// It had given its pass back itself, late. That is all of its work, if the pass was held until the end of the work.
    LetGo,
    /// Its future was dropped before it was ready: at its deadline by the library, or by its executor. What the future had started
    /// elsewhere may run on: a child process, a closure on another thread, a spawned task. A pass that such work holds itself is
    /// reported by itself ([`Tracked`](crate::Tracked) has an example).
    Dropped,
}

/// The identity of a straggler, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Holder {
    kind: Kind,
    id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    High,
    Critical,
    Connection,
    Low,
}

impl Holder {
    /// A labelled pass.
    pub(crate) fn label(class: Priority, id: u64) -> Self {
        let kind = match class {
            Priority::High => Kind::High,
            Priority::Critical => Kind::Critical,
            Priority::Low => Kind::Low,
        };
        Self { kind, id }
    }

    pub(crate) fn connection(id: u64) -> Self {
        Self { kind: Kind::Connection, id }
    }
}

/// A thread's name, or its id.
pub(crate) fn thread_of(thread: &thread::Thread) -> String {
    thread.name().map_or_else(|| format!("{:?}", thread.id()), str::to_owned)
}

/// Something that went wrong outside the stages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// In what.
    pub part: Part,
    /// What, and where.
    pub what: String,
}

/// What a [`Failure`] was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// A [`Kicker`](crate::Kicker)'s closure.
    Kicker,
    /// An [`Observer`](crate::Observer).
    Observer,
    /// A [`Waker`](std::task::Waker) of a [`Cancelled`](crate::Cancelled).
    Waker,
    /// A [tracked](crate::LabelledWork::track) task.
    Task,
    /// Work on a thread that panicked while it held a [labelled pass](crate::Labelled) or a connection.
    Work,
    /// A listener, or its accept loop, before the program refused.
    Listener,
    /// A signal that the program may not have heard, because another part of it had installed a handler.
    Signal,
    /// The driver, which is the library's own thread: a fault of the library's.
    Driver,
}

//! The state that handles, driver, passes and tokens share, and how long each part of it stays in place. Not here: what a
//! user calls (`shutdown`).

use std::borrow::Cow;
use std::io;
use std::panic::Location;

use winddown_core::{
    Escalate, Forced, InFlight, Milestone, Milestones, Outcome, Phase, Plan, Priority, Reason, Unserved,
};

use crate::Report;
use crate::connections::Connections;
#[cfg(unix)]
use crate::doors::Doors;
use crate::event_count::{Bell, EventCount};
use crate::exit_code::ChosenCode;
use crate::faults::Faults;
use crate::fork::Process;
use crate::hand_over::{HandOver, Task};
use crate::helpers::{Helpers, Limits};
use crate::hook::{HookEnd, Hooks, Trouble, caught};
use crate::kicker::{Entries, Kickers};
use crate::label::Labels;
use crate::observe::Observers;
use crate::panics::Panics;
use crate::report::Counting;
use crate::signal::{Between, Signals};
use crate::stripe::{Gate, ThreadStripes};
#[cfg(test)]
use crate::sync::AtomicU32;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, OnceLock, Ordering};
use crate::timetable::Reserved;
use crate::trigger::Trigger;
use crate::wait::{Due, Slab, Stops, Waiters};
use crate::watchdog::{Watchdog, exit_now};

/// What all parts share. The driver, passes and tokens keep it alive.
pub(crate) struct Inner {
    pub(crate) trigger: Trigger,
    /// One for each class, and the late one.
    gates: [Gate; 4],
    refused: AtomicU64,
    pub(crate) waiters: Waiters,
    /// Of children of tokens.
    pub(crate) stops: Stops,
    pub(crate) kickers: Kickers,
    pub(crate) connections: Connections,
    #[cfg(unix)]
    pub(crate) doors: Doors,
    /// For what has to be done to many listeners, connections or holders.
    pub(crate) attendant: Helpers,
    /// For kickers, wakers and destructors.
    pub(crate) calls: Helpers,
    /// For hooks.
    pub(crate) hook_helpers: Helpers,
    unserved: Mutex<Unserved>,
    pub(crate) faults: Faults,
    pub(crate) labels: Arc<Labels>,
    pub(crate) hooks: Hooks,
    pub(crate) hand_over: HandOver,
    /// Of tracked tasks.
    pub(crate) panics: Mutex<Panics>,
    watchdog: OnceLock<Watchdog>,
    /// What goes with the reason.
    pub(crate) message: Mutex<Option<Cow<'static, str>>>,
    pub(crate) chosen_code: ChosenCode,
    /// Boxed, because it is larger than all the rest, and an `Inner` is made on a stack.
    pub(crate) plan: Box<Plan>,
    /// For each stage.
    pub(crate) reserved: Vec<Reserved>,
    /// Taken by whoever drives, when there is something to drive.
    pub(crate) observers: Mutex<Option<Observers>>,
    pub(crate) report: OnceLock<Arc<Report>>,
    /// Told when there is a report, and only then: who waits for the end is not to be woken on the way there.
    pub(crate) ended: Arc<EventCount>,
    keep: Mutex<Keep>,
    /// There is no handle: no thread can trigger any more. Written with `keep` locked.
    orphaned: AtomicBool,
    /// The signals that the driver's thread takes, whatever its mask was.
    #[cfg(unix)]
    pub(crate) signal_numbers: OnceLock<Vec<i32>>,
    /// A test's: counts down, and at 0 the driver panics.
    #[cfg(test)]
    pub(crate) tripwire: AtomicU32,
    /// The process that the driver's thread is in.
    process: Process,
}

/// What stays in place while there is a handle, or a wind-down under way.
#[derive(Default)]
struct Keep {
    /// Uninstalls when dropped.
    signals: Signals,
    /// The report is made.
    over: bool,
}

/// What lives as long as there is a handle.
pub(crate) struct Owner {
    inner: Arc<Inner>,
}

impl Owner {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let inner = &self.inner;
        if inner.trigger.lifecycle.load().phase() == Phase::Running {
            // First: a signal that was heard till here is driven to its end, and one that comes later has its default
            // action. There is none in between that is neither.
            inner.give_signals_back();
        }
        let keep = inner.keep.lock();
        // Release pairs with the acquire in `is_orphaned`: a trigger before this is seen.
        inner.orphaned.store(true, Ordering::Release);
        let over = keep.over || inner.trigger.lifecycle.load().phase() == Phase::Running;
        drop(keep);
        inner.trigger.driver.notify();
        Between::OrphanedAndLetGo.reach();
        if over {
            inner.let_go();
        }
    }
}

/// Drops something of the user's. If that panics, the next one is dropped all the same.
fn drop_alone<T>(value: T) {
    let _ = caught(|| drop(value));
}

impl Inner {
    pub(crate) fn new(trigger: Trigger, plan: Box<Plan>, reserved: Vec<Reserved>, hooks: Hooks) -> Self {
        let gate = || Gate::with_notify(ThreadStripes::new(), Bell(trigger.driver.clone()));
        Self {
            #[expect(clippy::large_stack_arrays, reason = "once, on its way to the heap")]
            gates: [gate(), gate(), gate(), gate()],
            refused: AtomicU64::new(0),
            waiters: Waiters::default(),
            stops: Stops::default(),
            kickers: Kickers::default(),
            connections: Connections::default(),
            #[cfg(unix)]
            doors: Doors::default(),
            attendant: Helpers::new("attendant", Limits::ONE, None, Some(trigger.driver.clone())),
            calls: Helpers::new("calls", Limits::FEW, None, None),
            hook_helpers: Helpers::new("hooks", Limits::ALL, hooks.largest_stack(), None),
            unserved: Mutex::default(),
            faults: Faults::default(),
            labels: Arc::default(),
            hooks,
            hand_over: HandOver::default(),
            panics: Mutex::default(),
            watchdog: OnceLock::new(),
            message: Mutex::new(None),
            chosen_code: ChosenCode::default(),
            plan,
            reserved,
            observers: Mutex::new(None),
            report: OnceLock::new(),
            ended: Arc::default(),
            keep: Mutex::default(),
            orphaned: AtomicBool::new(false),
            #[cfg(unix)]
            signal_numbers: OnceLock::new(),
            #[cfg(test)]
            tripwire: AtomicU32::new(0),
            process: Process::current(),
            trigger,
        }
    }

    /// The gate that stays open, when the others refuse, for what was admitted before and has not come yet: those in an
    /// accept queue, and requests on their way to idle connections.
    pub(crate) const LATE: usize = 3;

    #[inline]
    pub(crate) fn gate(&self, class: Priority) -> &Gate {
        self.gate_at(class as usize)
    }

    #[inline]
    pub(crate) fn gate_at(&self, index: usize) -> &Gate {
        &self.gates[index]
    }

    #[cold]
    pub(crate) fn count_refused(&self) {
        // Relaxed: a figure for people.
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn admitted(&self) -> u64 {
        self.gates.iter().map(|gate| gate.admitted() as u64).sum()
    }

    /// Counts clients that go without an answer.
    pub(crate) fn count_unserved(&self, clients: Unserved) {
        self.unserved.lock().add(clients);
    }

    pub(crate) fn unserved(&self) -> Unserved {
        *self.unserved.lock()
    }

    /// How passes were counted.
    pub(crate) fn counting(&self) -> Counting {
        if !ThreadStripes::are_owned() {
            Counting::Shared
        } else if self.gates.iter().any(|gate| gate.stripes().has_waited()) {
            Counting::Waited
        } else {
            Counting::Striped
        }
    }

    pub(crate) fn in_flight(&self) -> InFlight {
        let [critical, high, low] = Priority::ALL.map(|class| self.gate(class).in_flight());
        InFlight { critical, high, low }
    }

    /// Has the driver hear how a hook ended.
    pub(crate) fn hook_ended(&self, stage: usize, location: &'static Location<'static>, result: Result<(), Trouble>) {
        let at = self.trigger.clock.now();
        self.hooks.end(HookEnd { stage, location, at, result });
        self.trigger.driver.notify();
    }

    /// Starts the threads that are kept for what the driver does not do itself.
    pub(crate) fn keep_helpers(&self) -> io::Result<()> {
        let hooks = if self.hooks.may_be_any() { self.hook_helpers.keep() } else { Ok(()) };
        // Each of them, even if one has failed.
        [self.attendant.keep(), self.calls.keep(), hooks].into_iter().collect()
    }

    /// Has a helper run a job that calls user code.
    pub(crate) fn call(&self, job: impl FnOnce() + Send + 'static) {
        self.note_no_helper(self.calls.hand(job));
    }

    /// There is always a helper, but in a forked child.
    pub(crate) fn note_no_helper(&self, handed: io::Result<()>) {
        if let Err(error) = handed {
            self.faults.note("helpers", || format!("could not start a thread ({error}): the driver did its work"));
        }
    }

    /// Nothing is left to do for anybody: has the hooks and kickers dropped that will never run, and ends the helpers.
    ///
    /// Hooks and kickers may own a token, which keeps all this alive, and their destructors are user code (P6).
    pub(crate) fn dismiss(&self, tasks: Vec<Task>) {
        self.kickers.close();
        if self.trigger.lifecycle.load().phase() == Phase::Running {
            let wakers = self.waiters.desert();
            if !wakers.is_empty() {
                self.call(move || wakers.into_iter().flat_map(Slab::into_wakers).for_each(drop_alone));
            }
        }
        let (hooks, kickers) = (self.hooks.take_left(), self.kickers.take_left());
        if !hooks.is_empty() || !kickers.is_empty() || !tasks.is_empty() {
            self.call(move || {
                hooks.into_iter().for_each(drop_alone);
                kickers.into_iter().flat_map(Entries::into_values).for_each(drop_alone);
                tasks.into_iter().for_each(drop_alone);
            });
        }
        for helpers in [&self.attendant, &self.calls, &self.hook_helpers] {
            helpers.dismiss();
        }
    }

    pub(crate) fn set_watchdog(&self, watchdog: Watchdog) {
        // A second one would be dropped here, and with that dismissed. There is none.
        let _ = self.watchdog.set(watchdog);
    }

    pub(crate) fn watchdog(&self) -> Option<&Watchdog> {
        self.watchdog.get()
    }

    pub(crate) fn is_orphaned(&self) -> bool {
        // Pairs with the release in `Owner::drop`. Without the lock, which a forked child might find held for ever.
        self.orphaned.load(Ordering::Acquire)
    }

    /// Whether this is a child that was forked off: the driver's thread stayed with the parent.
    pub(crate) fn is_forked(&self) -> bool {
        !self.process.is_current()
    }

    pub(crate) fn keep_signals(&self, signals: Signals) {
        self.keep.lock().signals = signals;
    }

    /// Calls this with the signals that the shutdown hears, and with a lock held. `None`: it is held, in a forked child, which might
    /// find it held for ever.
    #[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
    pub(crate) fn with_signals<T>(&self, then: impl FnOnce(&mut Signals) -> T) -> Option<T> {
        let keep = if self.is_forked() { self.keep.try_lock() } else { Some(self.keep.lock()) };
        keep.map(|mut keep| then(&mut keep.signals))
    }

    /// Signals do again what they did before.
    pub(crate) fn give_signals_back(&self) {
        let signals = std::mem::take(&mut self.keep.lock().signals);
        // After the lock: it waits for handlers that are running.
        drop(signals);
    }

    /// Nothing is left to hear signals or to be watched for.
    fn let_go(&self) {
        self.give_signals_back();
        if let Some(watchdog) = self.watchdog() {
            watchdog.dismiss();
        }
    }

    /// A place where a test may plant a panic of the driver's.
    pub(crate) fn tripwire(&self) {
        #[cfg(test)]
        {
            // Relaxed, both: the driver counts down alone.
            let left = self.tripwire.load(Ordering::Relaxed);
            self.tripwire.store(left.saturating_sub(1), Ordering::Relaxed);
            assert!(left != 1, "planted");
        }
        #[cfg(not(test))]
        let _ = self;
    }

    /// Publishes the report: the wind-down is over.
    pub(crate) fn publish(&self, report: Report) {
        let mut keep = self.keep.lock();
        // First: whoever has the report and drops the last handle lets go on the spot.
        keep.over = true;
        // Relaxed: the lock orders it.
        let orphaned = self.orphaned.load(Ordering::Relaxed);
        drop(keep);
        self.tripwire();
        // A second one is a forked child's, who had it from before the fork.
        let _ = self.report.set(Arc::new(report));
        self.ended.notify();
        self.tripwire();
        if orphaned {
            self.let_go();
        }
    }

    /// From ordinary code, never from a handler: what `Trigger::fire` does, and the first of the wakes right here.
    pub(crate) fn trigger(&self, reason: Reason, message: Option<Cow<'static, str>>) -> bool {
        // With the lock held, a report that is made meanwhile waits for the message.
        let mut kept = self.message.lock();
        let (first, escalate) = self.trigger.ask(reason);
        if first {
            *kept = message;
        }
        drop(kept);
        // Both before the driver is told: it would take a core from the threads that wait, and have the wakers woken on a
        // thread more.
        let due = if first { self.waiters.announce(Milestones::only(Milestone::Triggered)) } else { Due::default() };
        self.trigger.driver.notify();
        if escalate == Escalate::Exit {
            exit_now(Outcome::Forced(Forced::Interrupt).exit_code(reason).into());
        }
        // Last: a waker may not return.
        self.wake(due);
        first
    }
}

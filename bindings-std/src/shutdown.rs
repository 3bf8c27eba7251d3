//! The handle that people clone, and the state that it shares with driver, passes and tokens.

use std::borrow::Cow;
use std::fmt;
use std::process;

use winddown_core::{Escalate, Forced, Gate, InFlight, Milestone, Outcome, Phase, Plan, Priority, Reason, Refused};

use crate::connection::Connections;
use crate::drive;
use crate::event_count::Bell;
use crate::hook::Hooks;
use crate::kicker::{Kicker, Kickers};
use crate::label::Labels;
use crate::observe::Observers;
use crate::pass::Work;
use crate::signal::Signals;
use crate::sync::{Arc, AtomicU64, Mutex, OnceLock, Ordering, Padded};
use crate::token::Waiters;
use crate::trigger::Trigger;
use crate::watchdog::{Watchdog, exit_now};
use crate::{Builder, Exit, HookError, HookResult, OwnedPass, Pass, Report, Token};

/// A program's shutdown: cheap to clone, the same for every clone.
///
/// Made by [`Shutdown::builder`]. Work asks [`enter`](Self::enter) to be let in, long-running threads watch a
/// [`token`](Self::token), `main` calls [`run`](Self::run).
///
/// When the last clone is dropped while the program runs, the driver's thread ends and the signals asked for do again
/// what they did before. A wind-down that has begun goes on to its end, with or without a handle, and hears signals till
/// then. (A hook or a kicker that owns a clone counts: until it has run or is taken back, there is a handle.)
///
/// # Fork
///
/// A child made by `fork` has only the thread that forked: not the driver's. So daemonise first and build after. Where
/// that cannot be, [`run`](Self::run) notices and drives on the calling thread; observers and a watchdog, whose threads
/// stayed with the parent, are then silent. A child that calls neither `run` nor `exec` hears its signals to no effect.
///
/// # Scoped threads
///
/// [`std::thread::scope`] joins its threads, stragglers too, for ever. Call [`run`](Self::run) inside the scope and end
/// the process there, if anything was abandoned:
///
/// ```no_run
/// # use winddown::Shutdown;
/// # let shutdown = Shutdown::builder().signals().build()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| { /* a worker that might never let go */ });
///     let exit = shutdown.run();
///     if !exit.report.stragglers.is_empty() {
///         std::process::exit(exit.code().into());
///     }
/// });
/// # Ok::<(), winddown::BuildError>(())
/// ```
///
/// or set a [watchdog](Builder::watchdog).
#[derive(Clone)]
pub struct Shutdown {
    inner: Arc<Inner>,
    owner: Arc<Owner>,
}

/// What all parts share. The driver, passes and tokens keep it alive.
pub(crate) struct Inner {
    pub(crate) trigger: Trigger,
    /// One for each class, and the late one.
    gates: [Padded<Gate<Bell>>; 4],
    refused: AtomicU64,
    pub(crate) waiters: Waiters,
    pub(crate) kickers: Kickers,
    pub(crate) connections: Connections,
    pub(crate) labels: Arc<Labels>,
    pub(crate) hooks: Hooks,
    watchdog: OnceLock<Watchdog>,
    /// What goes with the reason.
    pub(crate) message: Mutex<Option<Cow<'static, str>>>,
    pub(crate) plan: Plan,
    /// Taken by whoever drives, when there is something to drive.
    pub(crate) observers: Mutex<Option<Observers>>,
    pub(crate) report: OnceLock<Arc<Report>>,
    keep: Mutex<Keep>,
    /// The process that the driver's thread is in.
    process: u32,
}

/// What stays in place while there is a handle, or a wind-down under way.
#[derive(Default)]
struct Keep {
    /// Uninstalls when dropped.
    signals: Signals,
    /// There is no handle: nobody can trigger any more.
    orphaned: bool,
    /// The report is made.
    over: bool,
}

/// What lives as long as there is a handle.
pub(crate) struct Owner {
    inner: Arc<Inner>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let inner = &self.inner;
        if inner.trigger.lifecycle.load().phase() == Phase::Running {
            // First: a signal that was heard till here is driven to its end, and one that comes later has its default
            // action. There is none in between that is neither.
            inner.give_signals_back();
        }
        let mut keep = inner.keep.lock();
        keep.orphaned = true;
        let over = keep.over || inner.trigger.lifecycle.load().phase() == Phase::Running;
        drop(keep);
        if over {
            inner.let_go();
        }
        inner.trigger.driver.notify();
    }
}

impl Inner {
    pub(crate) fn new(trigger: Trigger, plan: &Plan, hooks: Hooks) -> Self {
        let bell = || Padded(Gate::with_notify(Bell(trigger.driver.clone())));
        Self {
            gates: [bell(), bell(), bell(), bell()],
            refused: AtomicU64::new(0),
            waiters: Waiters::default(),
            kickers: Kickers::default(),
            connections: Connections::default(),
            labels: Arc::default(),
            hooks,
            watchdog: OnceLock::new(),
            message: Mutex::new(None),
            plan: *plan,
            observers: Mutex::new(None),
            report: OnceLock::new(),
            keep: Mutex::default(),
            process: process::id(),
            trigger,
        }
    }

    /// The gate that stays open, when the others refuse, for what was admitted before and has not come yet: those in an
    /// accept queue, and requests on their way to idle connections.
    pub(crate) const LATE: usize = 3;

    #[inline]
    pub(crate) fn gate(&self, class: Priority) -> &Gate<Bell> {
        self.gate_at(class as usize)
    }

    #[inline]
    pub(crate) fn gate_at(&self, index: usize) -> &Gate<Bell> {
        &self.gates[index].0
    }

    #[cold]
    pub(crate) fn count_refused(&self) {
        // Relaxed: a figure for people.
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight(&self) -> InFlight {
        let [critical, high, low] = Priority::ALL.map(|class| self.gate(class).in_flight());
        InFlight { critical, high, low }
    }

    pub(crate) fn set_watchdog(&self, watchdog: Watchdog) {
        // A second one would be dropped here, and with that dismissed. There is none.
        let _ = self.watchdog.set(watchdog);
    }

    pub(crate) fn watchdog(&self) -> Option<&Watchdog> {
        self.watchdog.get()
    }

    pub(crate) fn is_orphaned(&self) -> bool {
        self.keep.lock().orphaned
    }

    /// Whether this is a child that was forked off: the driver's thread stayed with the parent.
    pub(crate) fn is_forked(&self) -> bool {
        process::id() != self.process
    }

    pub(crate) fn keep_signals(&self, signals: Signals) {
        self.keep.lock().signals = signals;
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

    /// Publishes the report: the wind-down is over.
    pub(crate) fn publish(&self, report: Report) {
        let mut keep = self.keep.lock();
        // First: whoever has the report and drops the last handle lets go on the spot.
        keep.over = true;
        let orphaned = keep.orphaned;
        drop(keep);
        // A second one is a forked child's, who had it from before the fork.
        let _ = self.report.set(Arc::new(report));
        self.waiters.notify();
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
        self.trigger.driver.notify();
        if first {
            self.waiters.notify();
        }
        if escalate == Escalate::Exit {
            exit_now(Outcome::Forced(Forced::Interrupt).exit_code(reason).into());
        }
        first
    }
}

impl Shutdown {
    /// Begins to set one up.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        let owner = Arc::new(Owner { inner: inner.clone() });
        Self { inner, owner }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Asks to be let in: a pass that the wind-down waits for, as work of class Critical.
    ///
    /// One load and one read-modify-write when admitted; no lock, no allocation.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] once the program refuses work, for ever after. During the lame duck it still admits.
    /// [`Refused::Full`] where as many passes are alive as can be counted.
    ///
    /// ```
    /// use winddown::{Reason, Shutdown};
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// match shutdown.enter() {
    ///     Ok(pass) => { /* serve */ drop(pass) }
    ///     Err(refused) => eprintln!("503: {refused}"),
    /// }
    /// shutdown.trigger(Reason::Requested);
    /// let exit = shutdown.run();
    /// assert!(shutdown.enter().is_err());
    /// # Ok::<(), winddown::BuildError>(())
    /// ```
    #[inline]
    pub fn enter(&self) -> Result<Pass<'_>, Refused> {
        self.inner.enter(Priority::Critical)
    }

    /// As [`enter`](Self::enter), for work that leaves the scope (another thread, a queue).
    ///
    /// # Errors
    ///
    /// As for [`enter`](Self::enter).
    #[inline]
    pub fn enter_owned(&self) -> Result<OwnedPass, Refused> {
        self.inner.enter_owned(Priority::Critical)
    }

    /// Work with a class or a label.
    pub fn work(&self) -> Work<'_> {
        Work::new(self)
    }

    /// Whether the program was asked to stop. One load.
    #[inline]
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.inner.trigger.lifecycle.is_shutting_down()
    }

    /// Where the program is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.inner.trigger.lifecycle.load().phase()
    }

    /// Why it was asked to stop; `None` while running.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.inner.trigger.lifecycle.load().reason()
    }

    /// How many passes are alive at the moment.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.inner.in_flight()
    }

    /// Something to wait with for the program to be asked to stop.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token_at(Milestone::Triggered)
    }

    /// As [`token`](Self::token), for another point of the wind-down: [`Milestone::Refusing`], say, to go on accepting
    /// through the lame duck.
    #[must_use]
    pub fn token_at(&self, milestone: Milestone) -> Token {
        Token::new(self.inner.clone(), milestone)
    }

    /// As [`token`](Self::token), for the point at which work of this class is told to stop.
    #[must_use]
    pub fn token_for(&self, class: Priority) -> Token {
        self.token_at(class.told_at())
    }

    /// Asks the program to stop. Says whether this call was the first to; later ones join.
    ///
    /// From any thread, at any time: before [`run`](Self::run), without it, from a hook. Not from a signal handler: let
    /// [`Builder::signals`] do that.
    ///
    /// A [`Reason::Interrupt`] escalates when repeated, as one from a terminal does: by default the second ends all
    /// waiting, and the third ends the process from within this call.
    #[expect(clippy::must_use_candidate, reason = "who was first is of interest to few")]
    pub fn trigger(&self, reason: Reason) -> bool {
        self.inner.trigger(reason, None)
    }

    /// As [`trigger`](Self::trigger), with a message for the report. The first trigger's is kept.
    pub fn trigger_with(&self, reason: Reason, message: impl Into<Cow<'static, str>>) -> bool {
        self.inner.trigger(reason, Some(message.into()))
    }

    /// Ends all waiting: stages that run are abandoned, those that have not begun never will, and the outcome is
    /// [`Forced`](winddown_core::Outcome::Forced). Says whether this call did it; not while running, nor when done.
    #[expect(clippy::must_use_candidate, reason = "who was first is of interest to few")]
    pub fn force(&self) -> bool {
        let forced = self.inner.trigger.lifecycle.force(Forced::Call);
        self.inner.trigger.driver.notify();
        forced
    }

    /// Gives a stage one more hook, for what was set up after [`build`](Builder::build). Hooks of one stage run side by
    /// side, each on a thread of its own.
    ///
    /// # Errors
    ///
    /// There is no such stage, or it has begun or been given up. The hook then never runs: what it was to do is still the
    /// caller's to do.
    #[track_caller]
    pub fn hook<R: HookResult>(&self, stage: &str, hook: impl FnOnce() -> R + Send + 'static) -> Result<(), HookError> {
        self.inner.hooks.add(stage, hook)
    }

    /// Has `kick` run once when the program is asked to stop: for a thread that is blocked in something a token cannot
    /// interrupt. See [`Kicker`] for what to do in it.
    ///
    /// If that has happened already, it runs right here, before this returns.
    #[track_caller]
    pub fn kicker(&self, kick: impl FnOnce() + Send + 'static) -> Kicker {
        Kicker::new(&self.inner, Milestone::Triggered, kick)
    }

    /// As [`kicker`](Self::kicker), when the lame duck is over: for what should go on accepting till then.
    #[track_caller]
    pub fn kicker_at_refusal(&self, kick: impl FnOnce() + Send + 'static) -> Kicker {
        Kicker::new(&self.inner, Milestone::Refusing, kick)
    }

    /// As [`kicker`](Self::kicker), at the drain's deadline: to cut what would never end. It does not run if the drain
    /// ended in time.
    #[track_caller]
    pub fn kicker_at_last_call(&self, kick: impl FnOnce() + Send + 'static) -> Kicker {
        Kicker::new(&self.inner, Milestone::LastCall, kick)
    }

    /// Waits until the program was asked to stop and has wound down. Returns by the budget's deadline, whatever hooks,
    /// passes and observers do (P6).
    ///
    /// Return it from `main`: [`Exit`] is the process's exit code. What happens after, such as the destructors of
    /// `main`'s locals, is the program's own affair.
    #[must_use = "the exit code is in it"]
    pub fn run(&self) -> Exit {
        let inner = &self.inner;
        if inner.is_forked() {
            drive::stand_by(inner);
        }
        let report = loop {
            let key = inner.waiters.key();
            if let Some(report) = inner.report.get() {
                break report.clone();
            }
            inner.waiters.sleep(&inner.trigger.clock, key, None);
        };
        Exit::new(report, self.owner.clone())
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("phase", &self.phase())
            .field("reason", &self.reason())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

//! Setting a shutdown up. Everything that can be wrong is found here, before the program runs.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use winddown_core::{Budget, Escalation, Reason};

use crate::clock::Clock;
use crate::drive;
use crate::finish::LEAST;
use crate::hook::{Hooks, thread_name};
use crate::inner::Inner;
use crate::observe::Observers;
use crate::signal::{Signals, Wanted};
use crate::sync::{Arc, thread};
use crate::testing::ManualClock;
use crate::trigger::Trigger;
use crate::watchdog::Watchdog;
use crate::{BuildError, Notice, Observer, Shutdown, Stage, Timetable, stage};

/// Sets up a [`Shutdown`]. From [`Shutdown::builder`].
///
/// `S` is what it builds: this or what a crate on top of this one makes of it.
#[must_use = "nothing is set up before `build`"]
pub struct Builder<S = Shutdown> {
    budget: Budget,
    escalation: Escalation,
    wanted: Wanted,
    stages: Vec<Stage>,
    observers: Vec<Box<dyn Observer>>,
    watchdog: Option<Duration>,
    clock: Option<ManualClock>,
    builds: PhantomData<fn() -> S>,
}

impl<S> Default for Builder<S> {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            escalation: Escalation::default(),
            wanted: Wanted::default(),
            stages: Vec::new(),
            observers: Vec::new(),
            watchdog: None,
            clock: None,
            builds: PhantomData,
        }
    }
}

impl<S: From<Shutdown>> Builder<S> {
    /// How long everything may take. 30 s of grace unless set.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Listens to SIGTERM and SIGINT; on Windows to Ctrl-C.
    ///
    /// The handler reads the clock, does atomic operations and makes one system call, which wakes the driver. (On Unixes other than Linux
    /// it writes to a pipe, and a thread wakes the driver.) A repeated SIGTERM joins; a repeated SIGINT [escalates](Self::escalation). When
    /// the last [`Shutdown`] is dropped, the signals do again what they did before. A second shutdown that listens to the same signal is an
    /// error.
    ///
    /// # The signals that a process is started with
    ///
    /// A program inherits from its launcher which signals are ignored, which are blocked, and which are pending.
    ///
    /// | state at the start | what happens |
    /// |---|---|
    /// | SIGHUP, SIGINT or SIGQUIT is ignored (`nohup`; a shell's `prog &` in a script) | it stays ignored, unless [`hear_ignored`](Self::hear_ignored) says otherwise |
    /// | SIGTERM, or another signal, is ignored | it is heard: a service that ignores SIGTERM could not be stopped |
    /// | a signal is blocked, on every thread | it is heard until the wind-down is over: the driver's thread unblocks it for itself, and changes no other thread's mask |
    /// | a signal is pending, for the process or for the thread that calls [`build`](Self::build) | it is heard at once, by `build` |
    ///
    /// # Handlers of other parts of the program
    ///
    /// - **Installed before `build`**: it is called as well, before the wind-down begins. If it ends the process, there is no wind-down. Go's
    ///   own handler does so, unless the program in Go is told of the signal (`signal.Notify`).
    /// - **Installed after `build` through signal-hook or tokio**: both hear, because the handlers of signal-hook share the signal.
    /// - **Installed after `build` by `signal(2)`, `sigaction(2)` or the crate `ctrlc`**: it takes the signal away, unless it calls the
    ///   handler before it. The library looks for that when it is built, in [`run`](Shutdown::run) and at each milestone. It tells the
    ///   observers ([`Event::SignalTaken`](winddown_core::Event::SignalTaken)), and if the signal was not heard all the same, the report
    ///   has a failure, and the exit code is 10. A handler that comes after [`run`](Shutdown::run) has begun is found at the next milestone:
    ///   if nothing else stops the program, not at all. [`take_signals_back`](Self::take_signals_back) has both hear.
    ///
    /// After the drop the handler of a shutdown stays in place, and has the signal do what it did before. So a library that is loaded with
    /// `dlopen` and that listens to signals must not be unloaded with `dlclose`, even after the drop: the handler is in it.
    ///
    /// Handlers have `SA_ONSTACK`, as a program in Go requires of every handler. So a handler that is called by this library's, because it
    /// was installed before `build` or was taken back from, runs on the thread's alternate stack if it has one. That is 8 KiB on a thread of
    /// Rust's, of which the kernel takes up to half. No other signal is delivered to the thread meanwhile.
    ///
    /// # What a signal does to the program
    ///
    /// - It interrupts some calls of the thread that it is delivered to, even with `SA_RESTART`: `poll`, `select`, `epoll_wait`,
    ///   `nanosleep`, `sem_timedwait`, and reads and writes on a socket that has a time-out (`SO_RCVTIMEO`). They fail with `EINTR`
    ///   ([`Interrupted`](std::io::ErrorKind::Interrupted)): call them again. The functions of the standard library that sleep or wait for a
    ///   lock do so themselves.
    /// - Ctrl-C sends SIGINT to every process of the terminal's foreground group, so to child processes as well. A helper process that
    ///   the drain still needs has to be started in a group of its own
    ///   ([`process_group(0)`](std::os::unix::process::CommandExt::process_group)).
    /// - SIGPIPE is not touched. With every supported compiler (1.85 and later) a program in Rust ignores it from its start, and a write to a
    ///   closed connection is an error. In a library that a program in C loads, SIGPIPE ends the process unless that program ignores it.
    pub fn signals(self) -> Self {
        #[cfg(unix)]
        return self.signal(libc::SIGTERM).signal(libc::SIGINT);
        #[cfg(windows)]
        return self.ctrl_c();
        #[cfg(not(any(unix, windows)))]
        return self;
    }

    /// Listens even to SIGHUP, SIGINT and SIGQUIT that were ignored when this was built. Without it they stay ignored: see
    /// [`signals`](Self::signals).
    #[cfg(unix)]
    pub fn hear_ignored(mut self) -> Self {
        self.wanted.ignored = true;
        self
    }

    /// Takes a signal back if another part of the program installs a handler for it after [`build`](Self::build).
    ///
    /// The library looks at the handlers when it is built, in [`run`](Shutdown::run) and at each milestone. Where it finds another
    /// handler, it installs its own again, which hears the signal first, and then calls the other one. One delivery counts once, even
    /// if the other handler calls the one before it. The report has a [note](crate::Report::notes). A signal that is ignored or has its
    /// default action is left alone, because `system(3)` sets SIGINT and SIGQUIT to that for a moment.
    #[cfg(unix)]
    pub fn take_signals_back(mut self) -> Self {
        self.wanted.take_back = true;
        self
    }

    /// Listens to one more signal, by its number: SIGHUP, say.
    #[cfg(unix)]
    pub fn signal(mut self, signal: i32) -> Self {
        if !self.wanted.signals.contains(&signal) {
            self.wanted.signals.push(signal);
        }
        self
    }

    /// Listens to Ctrl-C through the crate `ctrlc`, as a [`Reason::Interrupt`](winddown_core::Reason::Interrupt).
    /// (After [`take_signals_back`](Self::take_signals_back) has taken it back, the reason is `Signal(2)`.)
    ///
    /// On Windows [`signals`](Self::signals) does this. On Unix there is seldom a reason to prefer it: it hears SIGINT
    /// only, on one more thread, and its handler can never be removed. After the drop its default action is imitated from
    /// that thread. It does not go together with [`signals`](Self::signals), nor with another use of `ctrlc` in the
    /// program. A forked child hears no interrupt, because that thread stayed with the parent.
    ///
    /// It hears only SIGINT even if some crate of the program switches on the feature `termination` of `ctrlc`: SIGTERM and SIGHUP keep the
    /// actions that they have, so `.ctrl_c().signal(SIGTERM)` hears both. An interrupt that is ignored when this is built
    /// stays ignored, as with [`signals`](Self::signals).
    #[cfg(any(windows, feature = "ctrlc"))]
    pub fn ctrl_c(mut self) -> Self {
        self.wanted.ctrl_c = true;
        self
    }

    /// Sets what repeated interrupts do. By default the second ends the drain, and the stages run; the third ends all waiting; the
    /// fourth ends the process. A level with nothing left to end is skipped ([`Escalation`]).
    ///
    /// ```
    /// use winddown::{Escalation, Shutdown};
    ///
    /// // The second interrupt ends all waiting, the third the process.
    /// let impatient = Escalation { drain_at: None, force_at: Some(2), exit_at: Some(3), ..Escalation::default() };
    /// let shutdown = Shutdown::builder().escalation(impatient).build()?;
    /// # Ok::<(), winddown::BuildError>(())
    /// ```
    pub fn escalation(mut self, escalation: Escalation) -> Self {
        self.escalation = escalation;
        self
    }

    /// One more stage. [`Stage`] says in which order they run.
    pub fn stage(mut self, stage: impl Into<Stage>) -> Self {
        self.stages.push(stage.into());
        self
    }

    /// Has a closure told what happens, on a thread of its own. It is an [`Observer`] that hears the notices only.
    ///
    /// ```
    /// let shutdown = winddown::Shutdown::builder().on_notice(|notice| println!("{notice}")).build()?;
    /// # Ok::<(), winddown::BuildError>(())
    /// ```
    pub fn on_notice(self, told: impl FnMut(&Notice) + Send + 'static) -> Self {
        self.observer(told)
    }

    /// Has an [`Observer`] told what happens, on a thread of its own. For a closure use [`on_notice`](Self::on_notice): here the compiler
    /// does not find the type of its argument.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Ends the process, without running any more of it, when it is still there this long after the budget's end: for
    /// what comes after [`run`](Shutdown::run) and may hang, such as destructors, or [`std::thread::scope`] that joins a
    /// straggler, or an executor's `main` that joins the thread of a stuck task (`smol_macros::main!`, `easy_parallel`).
    ///
    /// The exit code is the outcome's, or 14 where that would be 0. The watchdog is dismissed when the last handle and
    /// [`Exit`](crate::Exit) are dropped otherwise than by returning from `main`.
    pub fn watchdog(mut self, slack: Duration) -> Self {
        self.watchdog = Some(slack);
        self
    }

    /// Lets a test tell the time. See [`testing`](crate::testing).
    pub fn manual_clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Returns what is due when, as far as it is known by now: with the budget and the stages given so far. Print it to see what
    /// the stages' reserves leave the drain.
    ///
    /// The times are those after a SIGTERM or a request. An interrupt gets no lame duck.
    ///
    /// # Errors
    ///
    /// As for [`build`](Self::build), if stages cannot be or do not fit the budget.
    pub fn timetable(&self) -> Result<Timetable, BuildError> {
        let plan = stage::plan(self.budget_with_flush(), &self.stages)?;
        let reserved: Vec<_> = self.stages.iter().map(Stage::reserved).collect();
        Ok(Timetable::new(&plan, &reserved, Reason::Requested))
    }

    /// Sets everything up: checks the plan, listens to the signals, and starts the library's threads, all of which sleep until the
    /// program is asked to stop: the driver's; one for work on connections and listeners; one for kickers and wakers; one for hooks, if
    /// there are stages; one for each observer. So a wind-down needs no thread that could not be started any more.
    ///
    /// Build it before announcing that the program is ready (G4), and after daemonising.
    ///
    /// **A small budget may leave the drain no time at all.** The other parts and the reserves of the stages are taken off first (a stage
    /// without a limit reserves 1 s), and that the drain then has 0 s is no error. [`timetable`](Self::timetable) shows it:
    ///
    /// ```
    /// # use std::time::Duration;
    /// use winddown::{Budget, Shutdown, Stage};
    ///
    /// let builder = Shutdown::builder().budget(Budget::new(Duration::from_secs(2))).stage(Stage::new("database"));
    /// assert_eq!(builder.timetable()?.times.last_call, Duration::ZERO);
    /// # Ok::<(), winddown::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Stages that cannot be (a name twice, an `after` that does not exist, a ring, more than 64) or that do not fit the budget.
    /// - A time to [hand back](Budget::hand_back) that is longer than the drain can be.
    /// - A signal that cannot be listened to.
    /// - A thread that cannot be started.
    ///
    /// A signal that came meanwhile is not lost: it comes again, with the action it had before.
    pub fn build(self) -> Result<S, BuildError> {
        let plan = stage::plan(self.budget_with_flush(), &self.stages)?;
        let clock = self.clock.map_or_else(Clock::system, Clock::Manual);
        let reserved = self.stages.iter().map(Stage::reserved).collect();
        let hooks = Hooks::new(self.stages);
        let inner = Arc::new(Inner::new(Trigger::new(clock, self.escalation), plan, reserved, hooks));
        match start(&inner, &self.wanted, self.watchdog, self.observers) {
            Ok(()) => {
                inner.check_signals();
                Ok(Shutdown::new(inner).into())
            }
            Err(error) => {
                inner.give_signals_back();
                #[cfg(unix)]
                match inner.trigger.lifecycle.load().reason() {
                    Some(Reason::Signal(number)) => crate::signal::raise(number),
                    Some(Reason::Interrupt) => crate::signal::raise(2),
                    _ => {}
                }
                Err(error)
            }
        }
    }
}

impl<S> Builder<S> {
    /// The budget, in which observers have the least time to tell the end.
    fn budget_with_flush(&self) -> Budget {
        let least = if self.observers.is_empty() { Duration::ZERO } else { LEAST.min(self.budget.total() / 8) };
        self.budget.flush(self.budget.flush.max(least))
    }
}

/// Everything that can fail for want of something.
fn start(
    inner: &Arc<Inner>,
    wanted: &Wanted,
    watchdog: Option<Duration>,
    observers: Vec<Box<dyn Observer>>,
) -> Result<(), BuildError> {
    // Early: from here on a signal is heard. One that comes before has its default action.
    Signals::install(wanted, inner).map_err(BuildError::Signal)?;
    if let Some(slack) = watchdog {
        let watchdog = Watchdog::spawn(inner.trigger.clock.clone(), slack).map_err(BuildError::Thread)?;
        inner.set_watchdog(watchdog);
    }
    let observers = Observers::spawn(observers, &inner.trigger.driver).map_err(BuildError::Thread)?;
    *inner.observers.lock() = Some(observers);
    inner.keep_helpers().map_err(BuildError::Thread)?;
    let driver = inner.clone();
    let driver = thread::Builder::new().name(thread_name("driver")).spawn(move || drive::stand_by(&driver));
    driver.map(drop).map_err(BuildError::Thread)
}

impl<S> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("budget", &self.budget)
            .field("escalation", &self.escalation)
            .field("signals", &self.wanted)
            .field("stages", &self.stages)
            .field("observers", &self.observers.len())
            .field("watchdog", &self.watchdog)
            .finish_non_exhaustive()
    }
}

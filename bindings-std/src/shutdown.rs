//! The handle that people clone. Not here: what is behind it (`inner`).

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use winddown_core::{Forced, InFlight, Milestone, Phase, Priority, Reason, Refused};

use crate::drive;
use crate::hand_over::Runner;
use crate::hook::{Hook, Panicked, caught};
use crate::inner::{Inner, Owner};
use crate::kicker::Kicker;
use crate::pass::Work;
use crate::sync::{Arc, CountedArc};
use crate::{Builder, Ended, Exit, HookError, HookResult, OwnedPass, Pass, Timetable, Token};

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
/// stayed with the parent, are then silent. A child that calls neither `run` nor `exec` hears its signals to no effect. On
/// Unixes other than Linux, where a thread hears the signals, and with `Builder::ctrl_c` it hears none.
///
/// The kernel's objects are shared by parent and child. So the child's wind-down acts on none that its parent made:
///
/// | the parent's | in the child |
/// |---|---|
/// | wake pipe (of an accept loop, a `TokenDescriptor`) | is not told. An accept loop that the child runs has a pipe of its own, and so has a descriptor that the child asks for |
/// | listener | its door is not shut, and its queue is not counted. An accept loop that the child runs on it ends at an empty queue, at the latest with the linger |
/// | connection | is not ended, cut, or counted as lost. A goodbye (`upgrade`) and `Busy::lingering_close` have no effect |
/// | `UnixSocket` | its file stays |
/// | socket in the reactor of winddown-smol | stays registered |
///
/// Connections and listeners that the child makes itself, even on its parent's `Shutdown`, are wound down as usual. The rest is a copy, as
/// it was at the fork:
///
/// - Hooks and kickers that were registered before the fork run in the child as well. What they do to a file or a socket of the
///   parent's, they do.
/// - A pass that another thread of the parent held is never given back in the child. The drain waits for it until its deadline.
/// - **A lock that another thread of the parent held stays locked, and `run` may then never return.** (P6 does not hold there.) Of
///   2,000 children of a server whose clients connected without a pause, 12 hung; of the children of a parent in which two threads
///   did nothing but take labelled passes, more than half. The standard library has such locks, too: so end the child with `_exit`.
///   Fork while other threads are quiet, or `exec` at once.
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
    owner: CountedArc<Owner>,
}

impl Shutdown {
    /// Begins to set one up.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        let owner = CountedArc::new(Owner::new(inner.clone()));
        Self { inner, owner }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Asks to be let in: a pass that the wind-down waits for, as work of class Critical.
    ///
    /// No lock, no allocation (but for what the system wants at a thread's first pass, to have it give its line back), and no
    /// line of memory that another core writes: each thread counts on one of its own, for 64 threads of the process at a
    /// time; others share them. [`Report::counting`](crate::Report::counting) says where that could not be had.
    ///
    /// Not to be called in a signal handler, nor its pass dropped there: use a [`Gate`](winddown_core::Gate) for that.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] once the program refuses work, for ever after. During the lame duck it still admits.
    ///
    /// ```
    /// use winddown::{Reason, Shutdown};
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// match shutdown.enter() {
    ///     Ok(pass) => { /* serve */ drop(pass) }
    ///     Err(refused) => { /* 503 */ }
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
    /// It clones the handle's `Arc`, which costs many times what the pass does, and threads that share it meet there. A handle
    /// that lives as long as the program (`Box::leak`, a `OnceLock`) makes `enter` give a `Pass<'static>` instead, which
    /// goes anywhere for nothing.
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

    /// Returns when everything is over at the latest: the end of the budget, which [`run`](Self::run) keeps to. `None` while running,
    /// and if the budget is so long that no `Instant` can tell its end.
    ///
    /// The trigger fixes it (P5), and from then on every thread can ask for it: there is no lock, and no wait for the driver. (Where
    /// several threads trigger at the same moment, the earliest of their times counts, and may be known a moment later.) With a
    /// [manual clock](crate::testing::ManualClock) it is as far from [`Instant::now`] as by that clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    /// Returns the drain's deadline: work that is alive then is cut, at [`Milestone::LastCall`]. Otherwise as
    /// [`deadline`](Self::deadline).
    ///
    /// A worker that finishes what fits, and hands back the rest in order, from [`Milestone::HandBack`] on:
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use winddown::testing::{ManualClock, assert_clean};
    /// use winddown::{Budget, Milestone, Reason, Shutdown};
    ///
    /// let clock = ManualClock::new();
    /// let budget = Budget::new(Duration::from_secs(30)).hand_back(Duration::from_secs(5));
    /// let shutdown = Shutdown::builder().budget(budget).manual_clock(&clock).build()?;
    ///
    /// let (hand_back, pass) = (shutdown.token_at(Milestone::HandBack), shutdown.enter_owned().expect("running"));
    /// let worker = std::thread::spawn(move || {
    ///     // Jobs, by the time that each takes.
    ///     let mut queue = vec![Duration::from_secs(60), Duration::from_secs(2)];
    ///     hand_back.wait(); // a real worker works meanwhile
    ///     while let Some(job) = queue.pop() {
    ///         let deadline = hand_back.drain_deadline().expect("it is shutting down");
    ///         if Instant::now() + job > deadline {
    ///             queue.push(job);
    ///             break;
    ///         }
    ///         // do it
    ///     }
    ///     drop(pass); // before the drain's deadline: nothing was late
    ///     queue // the rest, for another process
    /// });
    ///
    /// shutdown.trigger(Reason::Signal(15));
    /// clock.wait_for_sleeper(Duration::from_secs(23)); // 29 s, less 0.5 s of flush, 0.5 s of forced close and 5 s
    /// clock.advance(Duration::from_secs(23));
    /// assert_eq!(worker.join().unwrap(), [Duration::from_secs(60)]);
    /// assert_clean(&shutdown.run().report);
    /// # Ok::<(), winddown::BuildError>(())
    /// ```
    #[must_use]
    pub fn drain_deadline(&self) -> Option<Instant> {
        self.inner.drain_deadline()
    }

    /// Returns what is due when, counted from the trigger: after an interrupt without the lame duck, otherwise, and while running,
    /// with it.
    #[must_use]
    pub fn timetable(&self) -> Timetable {
        self.inner.timetable()
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
    /// A [`Reason::Interrupt`] escalates when repeated, as one from a terminal does ([`Escalation`](crate::Escalation)): by
    /// default the second ends the drain, the third all waiting, and the fourth the process, from within this call.
    ///
    /// The first to ask also wakes the tasks that wait for it ([`Token::cancelled`]), on the calling thread.
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

    /// Chooses the exit code of a wind-down that is otherwise clean, before it or during it. The last choice counts. Returns `false`, and
    /// has no effect, when the report has been made: after the last stage, before observers hear that it is over.
    ///
    /// The report, observers, [`Exit::code`] and the watchdog then say this code. It takes the place of 0, and of the 1 of a
    /// [`Reason::Failure`], unless it is 0 itself. The code of an outcome that is not clean
    /// ([`Outcome::exit_code`](winddown_core::Outcome::exit_code)) outranks it.
    ///
    /// # Example
    ///
    /// A batch program that SIGINT stops in the middle of its list keeps its place and ends with 130, as a shell says "ended by SIGINT". When
    /// SIGINT comes after the last item, everything is done, and the code is 0.
    ///
    /// ```
    /// use winddown::{Reason, Shutdown};
    ///
    /// # fn save_place(next: usize) -> std::io::Result<()> { Ok(()) }
    /// fn work_through(list: &[&str], shutdown: &Shutdown) -> std::io::Result<()> {
    ///     for (number, item) in list.iter().enumerate() {
    ///         if shutdown.is_shutting_down() {
    ///             save_place(number)?;
    ///             shutdown.set_exit_code(130);
    ///             break;
    ///         }
    ///         // work on the item
    /// #       if *item == "two" { shutdown.trigger(Reason::Signal(2)); }
    ///     }
    ///     shutdown.trigger(Reason::Requested); // joins, if SIGINT came before
    ///     Ok(())
    /// }
    ///
    /// # let code_of = |list: &[&str]| -> Result<u8, Box<dyn std::error::Error>> {
    /// let shutdown = Shutdown::builder().build()?; // with `.signals()`
    /// let pass = shutdown.enter();
    /// work_through(list, &shutdown)?;
    /// drop(pass);
    /// let exit = shutdown.run();
    /// # Ok(exit.code())
    /// # };
    /// # assert_eq!(code_of(&["one", "two", "three"])?, 130);
    /// # assert_eq!(code_of(&["one", "two"])?, 0, "SIGINT came with the last item");
    /// # assert_eq!(code_of(&["one"])?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::must_use_candidate, reason = "a choice before the end is in time")]
    pub fn set_exit_code(&self, code: u8) -> bool {
        self.inner.chosen_code.set(code)
    }

    /// Calls a closure and catches its panic, which the report then names with the task, as those of
    /// [tracked](crate::LabelledWork::track) ones. `None`: it panicked.
    pub fn catch<T>(&self, task: &str, run: impl FnOnce() -> T) -> Option<T> {
        let named = |Panicked(message)| self.inner.panics.lock().extend([format!("{task:?}: {message}")]);
        caught(run).map_err(named).ok()
    }

    /// Adds a line to the [report's notes](crate::Report::notes): something could not be done as promised, and what was done
    /// instead. Only the first text of a kind is kept; later ones are counted.
    pub fn note(&self, kind: &'static str, text: impl FnOnce() -> String) {
        self.inner.faults.note(kind, text);
    }

    /// Gives a stage one more hook, for what was set up after [`build`](Builder::build). Hooks of one stage run side by
    /// side, each on a thread of its own.
    ///
    /// # Errors
    ///
    /// There is no such stage, or it has begun or been given up. The hook then never runs: what it was to do is still the
    /// caller's to do.
    #[track_caller]
    pub fn hook<R: HookResult<K>, K>(
        &self,
        stage: &str,
        hook: impl FnOnce() -> R + Send + 'static,
    ) -> Result<(), HookError> {
        self.inner.hooks.add(stage, Hook::new(hook))
    }

    /// As [`hook`](Self::hook), with a future: see [`Stage::async_hook`](crate::Stage::async_hook).
    ///
    /// # Errors
    ///
    /// As for [`hook`](Self::hook).
    #[track_caller]
    pub fn async_hook<R: HookResult<K>, K>(
        &self,
        stage: &str,
        hook: impl Future<Output = R> + Send + 'static,
    ) -> Result<(), HookError> {
        self.inner.hooks.add(stage, Hook::future(hook))
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

    /// As [`kicker`](Self::kicker), at the drain's deadline, or when an interrupt ends the drain before it: to cut what would
    /// never end. It does not run if the drain ended in time.
    #[track_caller]
    pub fn kicker_at_last_call(&self, kick: impl FnOnce() + Send + 'static) -> Kicker {
        Kicker::new(&self.inner, Milestone::LastCall, kick)
    }

    /// Waits until the program was asked to stop and has wound down. Returns by the budget's deadline, whatever hooks,
    /// passes and observers do (P6).
    ///
    /// Return it from `main`: [`Exit`] is the process's exit code. What happens after, such as the destructors of
    /// `main`'s locals, is the program's own affair.
    ///
    /// # Panics
    ///
    /// In a test with a [`ManualClock`](crate::testing::ManualClock) that no thread advances, after a minute.
    #[must_use = "the exit code is in it"]
    #[track_caller]
    pub fn run(&self) -> Exit {
        let (inner, began) = (&self.inner, Instant::now());
        inner.check_signals();
        if inner.is_forked() {
            // The helpers' threads stayed with the parent. If there are none to be started, this one does their work.
            inner.note_no_helper(inner.keep_helpers());
            inner.kickers.forget_inherited();
            drive::stand_by(inner);
        }
        let report = loop {
            let key = inner.ended.key();
            if let Some(report) = inner.report.get() {
                break report.clone();
            }
            inner.trigger.clock.wait_for_end(&inner.ended, key, &inner.trigger.driver, began);
        };
        Exit::new(report, self.owner.clone())
    }

    /// As [`run`](Self::run), for tasks, of whatever executor. Hooks that are futures are polled by the task that awaits
    /// this.
    pub fn ended(&self) -> Ended {
        self.inner.check_signals();
        Ended::new(self.owner.clone(), Runner::new(self.inner.clone()))
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

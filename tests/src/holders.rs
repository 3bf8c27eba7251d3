//! Many holders of one kind that are still there at the drain's deadline, and when the driver acted on it. Not here: what has to hold
//! (`tests/holders.rs`), and the table (the bench `speed`).

use std::fmt;
use std::future::pending;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use winddown::{Budget, Connection, Event, Fate, Milestone, Notice, Outcome, Reason, Shutdown, Stage};

use crate::sys;

/// What there are many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Connections at work, which do not let go.
    Busy,
    /// Connections that wait for a request.
    Idle,
    /// Connections that speak something without an end.
    Upgraded,
    /// Such connections, each with a goodbye that returns at once.
    Goodbyes,
    /// Labelled passes.
    Labelled,
    /// Tracked tasks, of which each waits for the last call.
    Tasks,
    /// Kickers that return at once.
    Kickers,
    /// The same, at the last call.
    LastCallKickers,
    /// Child tokens, with a waker each.
    Children,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Busy,
        Self::Idle,
        Self::Upgraded,
        Self::Goodbyes,
        Self::Labelled,
        Self::Tasks,
        Self::Kickers,
        Self::LastCallKickers,
        Self::Children,
    ];

    fn is_connected(self) -> bool {
        matches!(self, Self::Busy | Self::Idle | Self::Upgraded | Self::Goodbyes)
    }

    /// Returns whether the report names each holder.
    #[must_use]
    pub fn is_named(self) -> bool {
        matches!(self, Self::Busy | Self::Upgraded | Self::Goodbyes | Self::Labelled | Self::Tasks)
    }

    /// Returns whether each holder has a closure that runs when it is told.
    #[must_use]
    pub fn is_closure(self) -> bool {
        matches!(self, Self::Goodbyes | Self::Kickers | Self::LastCallKickers)
    }

    /// Returns whether each holder has a closure, or a waker, that runs when it is told.
    #[must_use]
    pub fn is_told(self) -> bool {
        self.is_closure() || matches!(self, Self::Tasks | Self::Children)
    }
}

/// The table's name for it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Busy => "busy connections",
            Self::Idle => "idle connections",
            Self::Upgraded => "upgraded connections",
            Self::Goodbyes => "upgraded connections, with goodbyes",
            Self::Labelled => "labelled passes",
            Self::Tasks => "tracked tasks",
            Self::Kickers => "kickers",
            Self::LastCallKickers => "kickers at the last call",
            Self::Children => "child tokens' wakers",
        })
    }
}

/// What became of one wind-down.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measured {
    /// How long after the drain's deadline the driver called it, by its own clock.
    pub last_call_late: Duration,
    /// How long after the forced close the first hook began; `None` if it never did.
    pub hook_late: Option<Duration>,
    /// When `run()` returned, after the trigger.
    pub returned: Duration,
    /// How it went.
    pub outcome: Outcome,
    /// How many holders the report names, the one of [`measure`]'s own not counted.
    pub named: usize,
    /// How many holders were told, by the time at which `run()` returned.
    pub told: usize,
    /// The stages.
    pub stages: Vec<Fate>,
    /// The first failure, if there is one.
    pub failure: Option<String>,
}

impl Measured {
    /// Returns whether every stage ran, and to its end.
    #[must_use]
    pub fn is_every_stage_completed(&self) -> bool {
        self.stages.iter().all(|&fate| fate == Fate::Completed)
    }
}

/// Counts when it is woken.
struct Count(AtomicUsize);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.add();
    }
}

/// Anything that is kept, and dropped in the end.
trait Kept {}
impl<T> Kept for T {}

/// Winds down a program with so many holders of a kind, and a labelled pass that is never given back: so the drain goes on until
/// its deadline with every kind.
///
/// # Panics
///
/// If the program cannot be set up, or the budget has no [`drain`](Budget::drain).
#[must_use]
pub fn measure(kind: Kind, number: usize, budget: Budget) -> Measured {
    let drain = budget.drain.expect("the drain's time is set");
    let hooks = Arc::new(Mutex::new(Vec::new()));
    let hook = || {
        let hooks = hooks.clone();
        move || hooks.lock().expect("no panic").push(Instant::now())
    };
    let last_call = Arc::new(Mutex::new(Duration::MAX));
    let theirs = last_call.clone();
    let shutdown = Shutdown::builder()
        .budget(budget)
        .observer(move |notice: &Notice| {
            if matches!(notice.event, Event::Reached { milestone: Milestone::LastCall, .. }) {
                *theirs.lock().expect("no panic") = notice.at;
            }
        })
        .stage(Stage::new("database").reserve(Duration::from_millis(100)).hook(hook()))
        .stage(Stage::new("workers").reserve(Duration::from_millis(100)).hook(hook()))
        .build()
        .expect("a shutdown");
    let told = Arc::new(Count(AtomicUsize::new(0)));
    let _keeper = shutdown.work().label("keeper").enter_owned();
    let connections = connections(if kind.is_connected() { number } else { 0 }, &shutdown);
    let kept = hold(kind, number, connections, &shutdown, &told);
    let began = Instant::now();
    shutdown.trigger(Reason::Requested);
    let report = shutdown.run().report;
    let returned = began.elapsed();
    let told = told.0.load(Ordering::Relaxed);
    drop(kept);
    let hook = hooks.lock().expect("no panic").first().copied();
    let last_call_late = last_call.lock().expect("no panic").saturating_sub(drain);
    Measured {
        last_call_late,
        hook_late: hook.map(|hook| hook.saturating_duration_since(began + drain + budget.force_close)),
        returned,
        outcome: report.outcome,
        named: report.stragglers.iter().filter(|straggler| straggler.label != "keeper").count(),
        told,
        stages: report.stages.iter().map(|stage| stage.fate).collect(),
        failure: report.failures.first().map(|failure| failure.what.clone()),
    }
}

/// All of one descriptor: a process may not have 200,000 everywhere. They are there until the process ends.
fn connections(number: usize, shutdown: &Shutdown) -> &'static [Connection<OwnedFd>] {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    // The peer is there as long as this socket.
    std::mem::forget(theirs);
    let ours = OwnedFd::from(ours);
    // SAFETY: neither the connections nor the first owner are ever dropped.
    #[expect(unsafe_code, reason = "as above")]
    let connections: Vec<_> =
        (0..number).map(|_| Connection::new(unsafe { sys::owned_again(&ours) }, shutdown)).collect();
    std::mem::forget(ours);
    connections.leak()
}

fn hold(
    kind: Kind,
    number: usize,
    connections: &'static [Connection<OwnedFd>],
    shutdown: &Shutdown,
    told: &Arc<Count>,
) -> Vec<Box<dyn Kept>> {
    let waker = Waker::from(told.clone());
    let mut context = Context::from_waker(&waker);
    let kick = || {
        let told = told.clone();
        move || told.add()
    };
    let mut one = |index: usize| -> Box<dyn Kept> {
        let busy = || connections[index].busy_owned().expect("running");
        match kind {
            Kind::Idle => Box::new(()),
            Kind::Busy => Box::new(busy()),
            Kind::Upgraded => Box::new(busy().upgraded()),
            Kind::Goodbyes => {
                let kick = kick();
                Box::new(connections[index].upgrade(move |_| kick()).expect("running"))
            }
            Kind::Labelled => Box::new(shutdown.work().label("job").enter_owned().expect("running")),
            Kind::Tasks => {
                let mut task = shutdown.work().label("task").track(pending::<()>()).expect("running");
                assert!(Pin::new(&mut task).poll(&mut context).is_pending());
                Box::new(task)
            }
            Kind::Kickers => Box::new(shutdown.kicker(kick())),
            Kind::LastCallKickers => Box::new(shutdown.kicker_at_last_call(kick())),
            Kind::Children => {
                let child = shutdown.token().child();
                let mut cancelled = child.cancelled();
                assert!(Pin::new(&mut cancelled).poll(&mut context).is_pending());
                Box::new((child, cancelled))
            }
        }
    };
    (0..number).map(&mut one).collect()
}

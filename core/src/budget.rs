//! How long everything may take. Not here: reading the environment, which takes an operating system.

use core::fmt;
use core::time::Duration;

/// The time a wind-down has, and how it is divided.
///
/// ```text
///           |<------------------------------ grace ------------------------------>|
///   pod     |<- pre-stop ->|<----------------- total ------------------>|<-margin->|
/// deleted   |   SIGTERM -> | lame duck | drain .... | force | stages .. | flush |   SIGKILL
/// ```
///
/// [`total`](Self::total) is what the process may use. The drain's deadline is its end less the flush, the longest chain
/// of stages and the forced close; so a drain never eats the stages' time, and what it leaves over is theirs (P5).
/// [`Plan::times`](crate::Plan::times) has all of these times.
///
/// ```
/// use core::time::Duration;
/// use winddown_core::Budget;
///
/// let budget = Budget::kubernetes(Duration::from_secs(30), Duration::ZERO);
/// assert_eq!(budget.total(), Duration::from_secs(29));
/// assert_eq!(budget.lame_duck, Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// From the moment the program's end was decided to the moment it is killed: `terminationGracePeriodSeconds`,
    /// `TimeoutStopSec`. 30 s by default.
    pub grace: Duration,
    /// The part of the grace that is gone before the signal comes (a Kubernetes preStop hook). 0 by default.
    pub pre_stop: Duration,
    /// The part that stays unused, for the process to end in. 1 s by default, and at most a quarter of the grace.
    pub margin: Duration,
    /// How long to go on admitting after the trigger, because the world has not heard yet. 0 by default.
    pub lame_duck: Duration,
    /// The most the drain may take, from the refusal on. `None`, the default: whatever the rest leaves it.
    pub drain: Option<Duration>,
    /// How long before the drain's deadline admitted work is told to finish what fits and to hand back the rest
    /// ([`Milestone::HandBack`](crate::Milestone::HandBack)): to a queue, a lease, a file. `None`, the default: no such point. It
    /// cuts nothing, and work that has handed back by the deadline ends clean.
    pub hand_back: Option<Duration>,
    /// The most that work of class High may take, from the refusal on. 5 s by default.
    pub high: Duration,
    /// How long after the refusal an idle connection may still bring a request that was on its way (A3). 500 ms by
    /// default.
    pub linger: Duration,
    /// How long a request that has begun to arrive when the linger is over may take to arrive whole; cut to the drain. 5 s
    /// by default.
    pub head: Duration,
    /// Kept for work that is cut at the drain's deadline, to notice and unwind. 500 ms by default, and at most an eighth of the
    /// grace.
    pub force_close: Duration,
    /// Kept for observers to tell the end. 500 ms by default, and at most an eighth of the grace. The bindings keep at least 100 ms (an
    /// eighth of a budget below 800 ms) if there is an observer.
    pub flush: Duration,
    /// The least time from the trigger to the kill, even if the pre-stop has taken more than the grace. 0 by default;
    /// [`FLOOR`](Self::FLOOR) under Kubernetes (K1).
    pub floor: Duration,
}

/// A value of a variable that is no number of seconds. Its `Debug` is its `Display`, for programs that return it from
/// `main`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BadVariable<V> {
    /// The variable's name.
    pub variable: &'static str,
    /// What it was set to.
    pub value: V,
}

impl<V: fmt::Debug> fmt::Display for BadVariable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} is not a number of seconds, such as 30 or 2.5", self.variable, self.value)
    }
}

impl<V: fmt::Debug> fmt::Debug for BadVariable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<V: fmt::Debug> core::error::Error for BadVariable<V> {}

impl Budget {
    /// Under Kubernetes a process has at least this long from the trigger on, even when its preStop hook overran (K1).
    pub const FLOOR: Duration = Duration::from_secs(2);

    /// A grace period, and the usual rest: [`margin`](Self::margin), [`force_close`](Self::force_close) and
    /// [`flush`](Self::flush) are smaller where the grace is shorter than 4 s.
    #[must_use]
    pub const fn new(grace: Duration) -> Self {
        /// The usual time, and at most this part of the grace.
        const fn usual(millis: u64, grace: Duration, parts: u32) -> Duration {
            let (usual, most) = (Duration::from_millis(millis), grace.checked_div(parts).expect("not 0 parts"));
            if most.as_nanos() < usual.as_nanos() { most } else { usual }
        }
        Self {
            grace,
            pre_stop: Duration::ZERO,
            margin: usual(1_000, grace, 4),
            lame_duck: Duration::ZERO,
            drain: None,
            hand_back: None,
            high: Duration::from_secs(5),
            linger: Duration::from_millis(500),
            head: Duration::from_secs(5),
            force_close: usual(500, grace, 8),
            flush: usual(500, grace, 8),
            floor: Duration::ZERO,
        }
    }

    /// Under Kubernetes, with `terminationGracePeriodSeconds` and what the preStop hook takes of it. A pod cannot read
    /// the two from inside, so they are never assumed.
    ///
    /// The lame duck is 5 s less what the hook has already slept (K2), and the [`floor`](Self::floor) is 2 s (K1).
    #[must_use]
    pub const fn kubernetes(grace: Duration, pre_stop: Duration) -> Self {
        let mut budget = Self::new(grace);
        budget.pre_stop = pre_stop;
        budget.lame_duck = Duration::from_secs(5).saturating_sub(pre_stop);
        budget.floor = Self::FLOOR;
        budget
    }

    /// Under systemd, with its default `TimeoutStopSec` of 90 s (S1).
    #[must_use]
    pub const fn systemd() -> Self {
        Self::new(Duration::from_secs(90))
    }

    /// Sets [`pre_stop`](Self::pre_stop).
    #[must_use]
    pub const fn pre_stop(mut self, time: Duration) -> Self {
        self.pre_stop = time;
        self
    }

    /// Sets [`margin`](Self::margin).
    #[must_use]
    pub const fn margin(mut self, time: Duration) -> Self {
        self.margin = time;
        self
    }

    /// Sets [`lame_duck`](Self::lame_duck).
    #[must_use]
    pub const fn lame_duck(mut self, time: Duration) -> Self {
        self.lame_duck = time;
        self
    }

    /// Sets [`drain`](Self::drain).
    #[must_use]
    pub const fn drain(mut self, at_most: Duration) -> Self {
        self.drain = Some(at_most);
        self
    }

    /// Sets [`hand_back`](Self::hand_back).
    #[must_use]
    pub const fn hand_back(mut self, time: Duration) -> Self {
        self.hand_back = Some(time);
        self
    }

    /// Sets [`high`](Self::high).
    #[must_use]
    pub const fn high(mut self, at_most: Duration) -> Self {
        self.high = at_most;
        self
    }

    /// Sets [`linger`](Self::linger).
    #[must_use]
    pub const fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// Sets [`head`](Self::head).
    #[must_use]
    pub const fn head(mut self, at_most: Duration) -> Self {
        self.head = at_most;
        self
    }

    /// Sets [`force_close`](Self::force_close).
    #[must_use]
    pub const fn force_close(mut self, time: Duration) -> Self {
        self.force_close = time;
        self
    }

    /// Sets [`flush`](Self::flush).
    #[must_use]
    pub const fn flush(mut self, time: Duration) -> Self {
        self.flush = time;
        self
    }

    /// Sets [`floor`](Self::floor).
    #[must_use]
    pub const fn floor(mut self, at_least: Duration) -> Self {
        self.floor = at_least;
        self
    }

    /// Returns how long the process may take from the trigger on: max(grace - pre-stop, floor) - margin (K1).
    #[must_use]
    pub fn total(&self) -> Duration {
        self.grace.saturating_sub(self.pre_stop).max(self.floor).saturating_sub(self.margin)
    }

    /// The variables that [`overridden_by`](Self::overridden_by) looks up, each a number of seconds, fractions allowed.
    pub const VARIABLES: [&'static str; 11] = [
        "WINDDOWN_GRACE_SECONDS",
        "WINDDOWN_PRE_STOP_SECONDS",
        "WINDDOWN_MARGIN_SECONDS",
        "WINDDOWN_LAME_DUCK_SECONDS",
        "WINDDOWN_DRAIN_SECONDS",
        "WINDDOWN_HIGH_SECONDS",
        "WINDDOWN_FORCE_CLOSE_SECONDS",
        "WINDDOWN_FLUSH_SECONDS",
        "WINDDOWN_LINGER_SECONDS",
        "WINDDOWN_HEAD_SECONDS",
        "WINDDOWN_HAND_BACK_SECONDS",
    ];

    /// This budget, changed by those of [`VARIABLES`](Self::VARIABLES) that `lookup` has a value for. A part that still has the
    /// default of its grace gets that of the new grace.
    ///
    /// # Errors
    ///
    /// The first variable whose value is not a number of seconds: negative, infinite, empty, or no number.
    pub fn overridden_by<V: AsRef<str>>(
        mut self,
        mut lookup: impl FnMut(&'static str) -> Option<V>,
    ) -> Result<Self, BadVariable<V>> {
        for (index, variable) in Self::VARIABLES.into_iter().enumerate() {
            let Some(value) = lookup(variable) else { continue };
            match seconds(value.as_ref()) {
                Some(time) => self.set(index, time),
                None => return Err(BadVariable { variable, value }),
            }
        }
        Ok(self)
    }

    /// Sets the field that belongs to the variable of this index.
    fn set(&mut self, variable: usize, time: Duration) {
        let field = match variable {
            0 => return self.regrace(time),
            1 => &mut self.pre_stop,
            2 => &mut self.margin,
            3 => &mut self.lame_duck,
            4 => return self.drain = Some(time),
            5 => &mut self.high,
            6 => &mut self.force_close,
            7 => &mut self.flush,
            8 => &mut self.linger,
            9 => &mut self.head,
            _ => return self.hand_back = Some(time),
        };
        *field = time;
    }

    /// Sets the grace, and the parts that follow from it unless they were set.
    fn regrace(&mut self, grace: Duration) {
        let (old, new) = (Self::new(self.grace), Self::new(grace));
        self.grace = grace;
        let parts = [
            (&mut self.margin, old.margin, new.margin),
            (&mut self.force_close, old.force_close, new.force_close),
            (&mut self.flush, old.flush, new.flush),
        ];
        for (part, old, new) in parts {
            if *part == old {
                *part = new;
            }
        }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// 30 s of grace, as Kubernetes has it by default.
impl Default for Budget {
    fn default() -> Self {
        Self::new(Duration::from_secs(30))
    }
}

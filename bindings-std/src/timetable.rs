//! What is due when, as a program may ask for it: before a wind-down as a table, in one as deadlines. Not here: the arithmetic
//! (`winddown_core::Plan::times`).

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use winddown_core::{Budget, Plan, Reason, Times};

use crate::inner::Inner;

/// What is due when in a wind-down, at the latest. From [`Shutdown::timetable`](crate::Shutdown::timetable) and
/// [`Builder::timetable`](crate::Builder::timetable); its `Display` is a table, a line for each time.
///
/// ```
/// use std::time::Duration;
/// use winddown::{Budget, Shutdown, Stage};
///
/// let budget = Budget::new(Duration::from_secs(8)).hand_back(Duration::from_secs(2));
/// let stages = ["database", "http"].into_iter().map(Stage::new);
/// let timetable = stages.fold(Shutdown::builder().budget(budget), |builder, stage| builder.stage(stage)).timetable()?;
/// assert_eq!(
///     timetable.to_string(),
///     "   0.000 s  triggered
///    0.000 s  refusing
///    1.000 s  idle connections are not waited for any more
///    2.000 s  hand back what does not fit into 2s
///    4.000 s  last call: work is cut
///    4.500 s  stage \"http\" (default reserve 1s)
///    5.500 s  stage \"database\" (default reserve 1s)
///    6.500 s  flush: observers tell the end
///    7.000 s  end: 1s of the grace is left
/// "
/// );
/// # Ok::<(), winddown::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timetable {
    /// The times, counted from the trigger.
    pub times: Times,
    /// The stages, in the order in which they were given.
    pub stages: Vec<StageTime>,
    /// What the times follow from.
    pub budget: Budget,
}

/// When a stage begins at the latest with all that is kept for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StageTime {
    /// The time, counted from the trigger.
    pub begins_by: Duration,
    /// The stage, and what is kept for it.
    pub reserved: Reserved,
}

/// What the budget keeps for a stage. Its `Display` is `"http" (default reserve 1s)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reserved {
    /// The stage's name.
    pub stage: Cow<'static, str>,
    /// How long: the stage's reserve, and no more than its limit.
    pub time: Duration,
    /// Whether the program set neither reserve nor a shorter limit.
    pub is_default: bool,
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = if self.is_default { "default " } else { "" };
        write!(f, "{:?} ({default}reserve {:?})", self.stage, self.time)
    }
}

impl Timetable {
    pub(crate) fn new(plan: &Plan, reserved: &[Reserved], reason: Reason) -> Self {
        let times = plan.times(Duration::ZERO, reason);
        let stage = |(index, reserved): (usize, &Reserved)| StageTime {
            begins_by: plan.begins_by(index, &times),
            reserved: reserved.clone(),
        };
        Self { times, stages: reserved.iter().enumerate().map(stage).collect(), budget: *plan.budget() }
    }
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { times, stages, budget } = self;
        let mut lines = vec![(Duration::ZERO, "triggered".to_owned()), (times.refusing, "refusing".to_owned())];
        let mut in_drain =
            |time: Duration, what: String| lines.extend((time < times.last_call).then_some((time, what)));
        in_drain(times.linger.saturating_add(budget.linger), "idle connections are not waited for any more".to_owned());
        in_drain(times.high_late, "work of class High is late".to_owned());
        if let (Some(at), Some(time)) = (times.hand_back, budget.hand_back) {
            in_drain(at, format!("hand back what does not fit into {time:?}"));
        }
        lines.push((times.last_call, "last call: work is cut".to_owned()));
        lines.extend(stages.iter().map(|stage| (stage.begins_by, format!("stage {}", stage.reserved))));
        lines.push((times.flush, "flush: observers tell the end".to_owned()));
        lines.push((times.end, format!("end: {:?} of the grace is left", budget.margin)));
        lines.sort_by_key(|&(time, _)| time);
        lines.iter().try_for_each(|(time, what)| writeln!(f, "{:>8.3} s  {what}", time.as_secs_f64()))
    }
}

impl Inner {
    /// Returns the times of the wind-down that was triggered. `None`: none was.
    fn times(&self) -> Option<Times> {
        let reason = self.trigger.lifecycle.load().reason()?;
        Some(self.plan.times(self.trigger.asked_at(), reason))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.trigger.clock.instant(self.times()?.end)
    }

    pub(crate) fn drain_deadline(&self) -> Option<Instant> {
        self.trigger.clock.instant(self.times()?.last_call)
    }

    pub(crate) fn timetable(&self) -> Timetable {
        let reason = self.trigger.lifecycle.load().reason();
        Timetable::new(&self.plan, &self.reserved, reason.unwrap_or(Reason::Requested))
    }
}

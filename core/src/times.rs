//! What is due when: every time that the trigger fixes. Not here: the steps that keep to them (`sequence`).

use core::time::Duration;

use crate::{Milestone, Milestones, Plan, Reason};

/// When each part of a wind-down is due at the latest (P5). From [`Plan::times`], on the clock of the trigger's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// The lame duck is over, and admission ends: [`Milestone::Refusing`]. With a [force](crate::Lifecycle::force), earlier.
    pub refusing: Duration,
    /// The linger is over: idle connections are ended. They have as long again to go.
    pub linger: Duration,
    /// Work of class High is late: [`Milestone::HighLate`]. Not before `last_call`: never.
    pub high_late: Duration,
    /// Work is told to finish what fits and to hand back the rest: [`Milestone::HandBack`]. `None`: the budget has no such time.
    pub hand_back: Option<Duration>,
    /// The drain's deadline: [`Milestone::LastCall`].
    pub last_call: Duration,
    /// The stages begin: [`Milestone::Closing`].
    pub closing: Duration,
    /// The last stage is abandoned, and the observers tell the end: [`Milestone::Done`].
    pub flush: Duration,
    /// Everything is over. After it comes only the budget's margin.
    pub end: Duration,
}

impl Plan {
    /// Returns what is due when, in a wind-down that was triggered at this time and for this reason.
    ///
    /// A pure function: a thread that knows the two need not ask the driver how much time is left. An interrupt gets no lame duck:
    /// a person waits.
    ///
    /// ```
    /// use core::time::Duration;
    /// use winddown_core::{Budget, Plan, Reason, Stage};
    ///
    /// let plan = Plan::new(Budget::new(Duration::from_secs(30)), &[Stage::new()])?;
    /// let times = plan.times(Duration::ZERO, Reason::Requested);
    /// assert_eq!(times.last_call, Duration::from_secs(27)); // 29 s, less 0.5 s, 1 s and 0.5 s
    /// assert_eq!(times.end, Duration::from_secs(29));
    /// # Ok::<(), winddown_core::PlanError>(())
    /// ```
    #[must_use]
    pub fn times(&self, triggered_at: Duration, reason: Reason) -> Times {
        let budget = self.budget();
        let lame_duck = if reason.is_interrupt() { Duration::ZERO } else { budget.lame_duck };
        let end = triggered_at.saturating_add(budget.total());
        let flush = end.saturating_sub(budget.flush);
        // A budget's lame duck is within its total; the end of time may come before.
        let refusing = triggered_at.saturating_add(lame_duck).min(flush);
        let closing = flush.saturating_sub(self.chain());
        let capped = refusing.saturating_add(budget.drain.unwrap_or(Duration::MAX));
        let last_call = closing.saturating_sub(budget.force_close).min(capped);
        let high_late = refusing.saturating_add(budget.high);
        let hand_back = budget.hand_back.map(|time| last_call.saturating_sub(time).max(refusing));
        // Without its lame duck a drain is longer, and the two times may have changed places. The plan's order stays.
        let (high_late, hand_back) = match hand_back {
            Some(time) if self.hands_back_first() => (high_late.max(time), hand_back),
            _ => (high_late, hand_back.map(|time| time.max(high_late))),
        };
        let linger = refusing.saturating_add(budget.linger);
        Times { refusing, linger, high_late, hand_back, last_call, closing, flush, end }
    }

    /// Returns the latest time at which a stage, by its index, can begin and still have all that is [kept](Self::kept) for it.
    ///
    /// # Panics
    ///
    /// When the index is not below [`MAX_STAGES`](crate::MAX_STAGES).
    #[must_use]
    pub const fn begins_by(&self, stage: usize, times: &Times) -> Duration {
        times.flush.saturating_sub(self.behind(stage)).saturating_sub(self.kept(stage))
    }

    /// Returns the milestones whose waiters a milestone releases: its own, and those of the milestones before it.
    #[must_use]
    pub const fn released_by(&self, milestone: Milestone) -> Milestones {
        let released = Milestones::up_to(milestone);
        match milestone {
            Milestone::HandBack if self.hands_back_first() => released.without(Milestones::only(Milestone::HighLate)),
            Milestone::HighLate if self.hands_back_first() => released.with(Milestones::only(Milestone::HandBack)),
            _ => released,
        }
    }
}

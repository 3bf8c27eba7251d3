//! What can be known before a wind-down begins: the stages' order, and that everything fits. Not here: time passing.

use core::time::Duration;

use crate::{Budget, PlanError, Reason};

/// The most stages a plan holds: one bit each in a `u64`.
pub const MAX_STAGES: usize = 64;

/// One step of closing, to the plan: how long it may take, and what comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Kept for this stage whatever drain and other stages do. 1 s by default.
    pub reserve: Duration,
    /// The most it may take, however much time is left. `None`, the default: whatever the stages after it leave.
    pub limit: Option<Duration>,
    /// Begins when these have ended (one bit each, by index). `None`: it said nothing about its place.
    pub after: Option<u64>,
}

impl Stage {
    /// A stage with the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self { reserve: Duration::from_secs(1), limit: None, after: None }
    }

    /// Returns how long the plan keeps for it: its reserve, and no more than its limit.
    #[must_use]
    pub fn kept(&self) -> Duration {
        self.limit.map_or(self.reserve, |limit| limit.min(self.reserve))
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// A budget and stages that fit together.
///
/// With no [`after`](Stage::after) anywhere, stages run one at a time in the reverse of the order given, as destructors
/// do: what was set up last is taken down first. With any `after`, the graph is exactly as written, and stages whose
/// needs have ended (in any way) run side by side.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    budget: Budget,
    count: usize,
    needs: [u64; MAX_STAGES],
    limit: [Option<Duration>; MAX_STAGES],
    kept: [Duration; MAX_STAGES],
    /// What is kept for the longest chain of stages behind this one.
    behind: [Duration; MAX_STAGES],
    /// What is kept for the longest chain of all.
    chain: Duration,
    /// The time to hand back begins before work of class High is late.
    hands_back_first: bool,
}

impl Plan {
    /// Checks that it can be done.
    ///
    /// # Errors
    ///
    /// Too many stages, an `after` that does not exist, a limit of nothing, a ring of stages, or a budget with too little
    /// time for lame duck, forced close, the longest chain of stages and the flush, or a time to hand back that is longer than the
    /// drain can be. Each names its culprit.
    pub fn new(budget: Budget, stages: &[Stage]) -> Result<Self, PlanError> {
        let count = stages.len();
        if count > MAX_STAGES {
            return Err(PlanError::TooManyStages { given: count });
        }
        let mut plan = Self {
            budget,
            count,
            needs: [0; MAX_STAGES],
            limit: [None; MAX_STAGES],
            kept: [Duration::ZERO; MAX_STAGES],
            behind: [Duration::ZERO; MAX_STAGES],
            chain: Duration::ZERO,
            hands_back_first: false,
        };
        let in_reverse = stages.iter().all(|stage| stage.after.is_none());
        for (index, stage) in stages.iter().enumerate() {
            plan.limit[index] = stage.limit;
            plan.kept[index] = stage.kept();
            plan.needs[index] = match stage.after {
                Some(after) => after,
                None if in_reverse && index + 1 < count => 1 << (index + 1),
                None => 0,
            };
            if stage.limit == Some(Duration::ZERO) {
                return Err(PlanError::ZeroLimit { stage: index });
            }
            let unknown = plan.needs[index] & !plan.all();
            if unknown != 0 {
                return Err(PlanError::UnknownStage { stage: index, after: unknown.trailing_zeros() as usize });
            }
        }
        let chain = plan.measure()?;
        plan.fits(chain)?;
        plan.rank()?;
        Ok(plan)
    }

    /// Goes through the stages from the last to the first, summing up what is kept behind each. The stages of the longest
    /// chain.
    fn measure(&mut self) -> Result<u64, PlanError> {
        let (mut left, mut longest) = (self.all(), 0);
        // The stages of the longest chain behind each.
        let mut chains = [0_u64; MAX_STAGES];
        while left != 0 {
            // One that none of those left waits for: everything behind it is measured.
            let last = bits(left).find(|&stage| bits(left).all(|other| self.needs[other] & 1 << stage == 0));
            let Some(last) = last else { return Err(PlanError::Cycle { ring: self.ring(left) }) };
            left &= !(1 << last);
            let chain = self.behind[last].saturating_add(self.kept[last]);
            let own = chains[last] | 1 << last;
            if chain > self.chain {
                (self.chain, longest) = (chain, own);
            }
            for need in bits(self.needs[last]) {
                if chain > self.behind[need] {
                    (self.behind[need], chains[need]) = (chain, own);
                }
            }
        }
        Ok(longest)
    }

    /// The stages of one ring among `left`, each of which is waited for by another of them.
    fn ring(&self, left: u64) -> u64 {
        let waiter = |stage: usize| bits(left).find(|&other| self.needs[other] & 1 << stage != 0).unwrap_or(stage);
        // After as many steps as there are stages one is on a ring, wherever one began.
        let mut stage = left.trailing_zeros() as usize;
        for _ in 0..MAX_STAGES {
            stage = waiter(stage);
        }
        let mut ring = 0;
        while ring & 1 << stage == 0 {
            ring |= 1 << stage;
            stage = waiter(stage);
        }
        ring
    }

    fn fits(&self, chain: u64) -> Result<(), PlanError> {
        let Budget { lame_duck, force_close, flush, .. } = self.budget;
        let (total, stages) = (self.budget.total(), self.chain);
        let needed = lame_duck.checked_add(force_close).and_then(|sum| sum.checked_add(stages)?.checked_add(flush));
        match needed {
            Some(needed) if needed <= total => Ok(()),
            _ => Err(PlanError::DoesNotFit { total, lame_duck, force_close, stages, flush, chain }),
        }
    }

    /// Fixes the order of the two milestones that the budget can have in either.
    fn rank(&mut self) -> Result<(), PlanError> {
        let Some(hand_back) = self.budget.hand_back else { return Ok(()) };
        // With the lame duck: without it, the drain is only longer.
        let times = self.times(Duration::ZERO, Reason::Requested);
        let drain = times.last_call.saturating_sub(times.refusing);
        self.hands_back_first = drain.saturating_sub(hand_back) < self.budget.high;
        if hand_back > drain { Err(PlanError::HandBackTooLong { hand_back, drain }) } else { Ok(()) }
    }

    /// The budget it was made for.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How many stages there are.
    #[must_use]
    pub const fn stages(&self) -> usize {
        self.count
    }

    /// One bit for each stage.
    pub(crate) const fn all(&self) -> u64 {
        if self.count == MAX_STAGES { u64::MAX } else { (1 << self.count) - 1 }
    }

    pub(crate) const fn needs(&self, stage: usize) -> u64 {
        self.needs[stage]
    }

    pub(crate) const fn limit(&self, stage: usize) -> Option<Duration> {
        self.limit[stage]
    }

    /// Returns how long is kept for a stage, by its index: [`Stage::kept`].
    ///
    /// # Panics
    ///
    /// When the index is not below [`MAX_STAGES`].
    #[must_use]
    pub const fn kept(&self, stage: usize) -> Duration {
        self.kept[stage]
    }

    pub(crate) const fn hands_back_first(&self) -> bool {
        self.hands_back_first
    }

    pub(crate) const fn behind(&self, stage: usize) -> Duration {
        self.behind[stage]
    }

    pub(crate) const fn chain(&self) -> Duration {
        self.chain
    }
}

/// The indices of the bits that are set, the lowest first.
pub(crate) fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (lowest < MAX_STAGES).then_some(lowest)
    })
}

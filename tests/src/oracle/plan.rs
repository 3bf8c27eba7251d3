//! Which plans can be, and what is kept for their stages: every question answered by looking at all pairs.

use std::time::Duration;

use winddown_core::{Budget, MAX_STAGES, PlanError, Stage};

/// The stages' order, and the time kept for them. Of a graph without rings.
#[derive(Clone, Debug)]
pub struct Graph {
    /// What has to end before each stage begins, one bit a stage.
    pub needs: [u64; MAX_STAGES],
    /// What is kept for the longest chain behind each stage.
    pub behind: [Duration; MAX_STAGES],
    /// The longest chain of all.
    pub chain: Duration,
    /// What each stage waits for in the end, through others too.
    reach: [u64; MAX_STAGES],
}

/// What is kept for a stage: its reserve, and no more than its limit.
#[must_use]
pub fn kept(stage: &Stage) -> Duration {
    match stage.limit {
        Some(limit) if limit < stage.reserve => limit,
        _ => stage.reserve,
    }
}

/// max(grace - pre-stop, floor) - margin (K1).
#[must_use]
pub fn total(budget: &Budget) -> Duration {
    let left = budget.grace.saturating_sub(budget.pre_stop);
    let floored = if left < budget.floor { budget.floor } else { left };
    floored.saturating_sub(budget.margin)
}

/// The most that the drain can have where the lame duck is not skipped, of a budget that has the time for all parts.
#[must_use]
pub fn drain(budget: &Budget, chain: Duration) -> Duration {
    let parts = [budget.lame_duck, budget.force_close, chain, budget.flush];
    let left = parts.into_iter().fold(total(budget), Duration::saturating_sub);
    budget.drain.map_or(left, |limit| limit.min(left))
}

/// Whether the time to hand back begins before work of class High is late. Decided for all triggers alike.
#[must_use]
pub fn hands_back_first(budget: &Budget, chain: Duration) -> bool {
    budget.hand_back.is_some_and(|time| drain(budget, chain).saturating_sub(time) < budget.high)
}

fn has(mask: u64, stage: usize) -> bool {
    mask >> stage & 1 == 1
}

impl Graph {
    /// Of at most [`MAX_STAGES`] stages, that wait for no stage that does not exist. Where there is a ring, only `needs`
    /// and the reach mean anything.
    #[must_use]
    pub fn of(stages: &[Stage]) -> Self {
        let count = stages.len();
        let mut needs = [0; MAX_STAGES];
        let wishes = stages.iter().any(|stage| stage.after.is_some());
        for (index, stage) in stages.iter().enumerate() {
            needs[index] = match stage.after {
                Some(after) => after,
                // The last one first, one at a time.
                None if !wishes && index + 1 < count => 1 << (index + 1),
                None => 0,
            };
        }
        let mut graph = Self { needs, behind: [Duration::ZERO; MAX_STAGES], chain: Duration::ZERO, reach: needs };
        for middle in 0..count {
            let behind = graph.reach[middle];
            for reach in &mut graph.reach[..count] {
                if has(*reach, middle) {
                    *reach |= behind;
                }
            }
        }
        if !graph.has_ring(count) {
            graph.measure(stages);
        }
        graph
    }

    /// Lengthens what is behind each stage until nothing changes.
    fn measure(&mut self, stages: &[Stage]) {
        let count = stages.len();
        let mut changed = true;
        while changed {
            changed = false;
            for stage in (0..count).chain((0..count).rev()) {
                let length = self.behind[stage].saturating_add(kept(&stages[stage]));
                self.chain = self.chain.max(length);
                for need in members(self.needs[stage]) {
                    if self.behind[need] < length {
                        self.behind[need] = length;
                        changed = true;
                    }
                }
            }
        }
    }

    fn has_ring(&self, count: usize) -> bool {
        (0..count).any(|stage| has(self.reach[stage], stage))
    }

    /// Whether one can go round all of these stages, from each to one that it waits for, and meet each once.
    fn is_ring(&self, ring: u64) -> bool {
        if ring == 0 {
            return false;
        }
        if ring.count_ones() > 6 {
            // All ways round would be too many. Each waits for one of them and is waited for by one of them.
            let waited_for = members(ring).fold(0, |all, stage| all | self.needs[stage]);
            return ring & !waited_for == 0 && members(ring).all(|stage| self.needs[stage] & ring != 0);
        }
        let first = ring.trailing_zeros() as usize;
        self.goes_round(first, first, ring & !(1 << first))
    }

    fn goes_round(&self, at: usize, first: usize, left: u64) -> bool {
        if left == 0 {
            return has(self.needs[at], first);
        }
        members(left & self.needs[at]).any(|next| self.goes_round(next, first, left & !(1 << next)))
    }

    /// Whether each of these stages waits for the one before it.
    fn is_chain(&self, chain: u64) -> bool {
        // In their order: each has one more of them before it.
        let place = |stage: usize| (self.reach[stage] & chain).count_ones();
        let at = |wanted: u32| members(chain).find(|&stage| place(stage) == wanted);
        (1..chain.count_ones()).all(|wanted| match (at(wanted - 1), at(wanted)) {
            (Some(before), Some(after)) => has(self.needs[after], before),
            _ => false,
        })
    }
}

/// The stages of a mask, the lowest first.
fn members(mask: u64) -> impl Iterator<Item = usize> {
    let without_lowest = |left: &u64| Some(left & (left - 1)).filter(|&left| left != 0);
    std::iter::successors(Some(mask).filter(|&mask| mask != 0), without_lowest)
        .map(|left| left.trailing_zeros() as usize)
}

/// As many stages as that.
fn first(count: usize) -> u64 {
    (0..count).fold(0, |mask, stage| mask | 1 << stage)
}

/// Whether stages and budget fit, as far as the graph is sound.
fn fits(budget: &Budget, graph: &Graph) -> bool {
    let nanos = |time: Duration| time.as_nanos();
    let needed = nanos(budget.lame_duck) + nanos(budget.force_close) + nanos(graph.chain) + nanos(budget.flush);
    needed <= nanos(total(budget))
}

/// Holds an answer of `Plan::new` against what is so. The graph, where the plan can be.
///
/// # Panics
///
/// When the plan was refused for something that is not so, or accepted though something is.
pub fn check<T>(budget: &Budget, stages: &[Stage], answer: &Result<T, PlanError>) -> Option<Graph> {
    let count = stages.len();
    if count > MAX_STAGES {
        assert_eq!(answer.as_ref().err(), Some(&PlanError::TooManyStages { given: count }));
        return None;
    }
    let known = first(count);
    let unknown = |stage: &Stage| stage.after.unwrap_or(0) & !known;
    let sound = stages.iter().all(|stage| stage.limit != Some(Duration::ZERO) && unknown(stage) == 0);
    let graph = sound.then(|| Graph::of(stages));
    match *answer {
        Ok(_) => {
            let graph = graph.expect("accepted: no limit of 0, and every stage exists");
            assert!(!graph.has_ring(count), "accepted with a ring");
            assert!(fits(budget, &graph), "accepted, but does not fit");
            let too_long = budget.hand_back.is_some_and(|time| time > drain(budget, graph.chain));
            assert!(!too_long, "accepted, but hands back before the drain begins");
            return Some(graph);
        }
        Err(PlanError::ZeroLimit { stage }) => assert_eq!(stages[stage].limit, Some(Duration::ZERO)),
        Err(PlanError::UnknownStage { stage, after }) => assert!(has(unknown(&stages[stage]), after)),
        Err(PlanError::Cycle { ring }) => {
            let graph = graph.expect("what is wrong with one stage comes first");
            assert!(graph.is_ring(ring), "no ring: {ring:#b} of {:?}", &graph.needs[..count]);
        }
        Err(PlanError::DoesNotFit { total: told, lame_duck, force_close, stages: length, flush, chain }) => {
            let graph = graph.expect("what is wrong with one stage comes first");
            assert!(!graph.has_ring(count) && !fits(budget, &graph), "it fits");
            let parts = (budget.lame_duck, budget.force_close, budget.flush);
            assert_eq!((told, (lame_duck, force_close, flush)), (total(budget), parts));
            assert_eq!(length, graph.chain, "not the longest chain");
            let sum = members(chain).fold(Duration::ZERO, |sum, stage| sum.saturating_add(kept(&stages[stage])));
            assert_eq!(sum, length, "not the chain's length");
            assert!(graph.is_chain(chain), "no chain: {chain:#b} of {:?}", &graph.needs[..count]);
        }
        Err(PlanError::HandBackTooLong { hand_back, drain: most }) => {
            let graph = graph.expect("what is wrong with one stage comes first");
            assert!(!graph.has_ring(count) && fits(budget, &graph), "does not fit at all");
            assert_eq!((Some(hand_back), most), (budget.hand_back, drain(budget, graph.chain)));
            assert!(hand_back > most, "it fits");
        }
        Err(other) => panic!("not so: {other:?}"),
    }
    None
}

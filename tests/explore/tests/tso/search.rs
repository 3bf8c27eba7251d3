//! Every state that a program can get into, the nearest first.

use std::collections::{HashSet, VecDeque};

use crate::code::Program;
use crate::machine::{State, Step, Violation};

/// What was found, and the shortest way there.
pub(crate) struct Found {
    pub(crate) violation: Violation,
    pub(crate) trace: Vec<String>,
    /// How many states had been seen.
    pub(crate) states: usize,
}

/// How many states there are, if nothing is wrong with any.
pub(crate) fn search(program: &Program) -> Result<usize, Found> {
    program.check();
    let mut seen = HashSet::from([State::default()]);
    let mut queue = VecDeque::from([State::default()]);
    // How each state was reached that has been in the queue: the index of the one before, and the step from there.
    let mut ways: Vec<Option<(usize, Step)>> = vec![None];
    let mut left = 0..;
    while let (Some(state), Some(index)) = (queue.pop_front(), left.next()) {
        let mut steps = 0;
        for step in State::steps(program) {
            let Some(after) = state.after(program, step) else { continue };
            steps += 1;
            if let Some(violation) = after.broken {
                let way = way_to(&ways, index).chain([step]);
                return Err(Found { violation, trace: trace(program, way), states: seen.len() });
            }
            if seen.insert(after) {
                queue.push_back(after);
                ways.push(Some((index, step)));
            }
        }
        if let (0, Some(violation)) = (steps, state.at_the_end(program)) {
            let way = way_to(&ways, index);
            return Err(Found { violation, trace: trace(program, way), states: seen.len() });
        }
    }
    Ok(seen.len())
}

fn way_to(ways: &[Option<(usize, Step)>], mut index: usize) -> impl Iterator<Item = Step> {
    let mut steps = Vec::new();
    while let Some((before, step)) = ways[index] {
        steps.push(step);
        index = before;
    }
    steps.into_iter().rev()
}

fn trace(program: &Program, way: impl Iterator<Item = Step>) -> Vec<String> {
    let mut state = State::default();
    way.map(|step| {
        let after = state.after(program, step).expect("it was taken before");
        let line = state.describe(program, step, &after);
        state = after;
        line
    })
    .collect()
}

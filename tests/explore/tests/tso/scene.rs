//! Scenes: operations at a gate, and others that come in between. Not here: the stages that they are played on (`gate`,
//! `model`).

use crate::protocol::At;

/// An operation, and the slot at which its thread counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Enter(At),
    /// Nothing, where there is no pass.
    Split(At),
    /// Nothing, where there is no pass.
    Leave(At),
    Close,
    Look,
}

impl Act {
    pub(crate) fn at(self) -> Option<At> {
        match self {
            Self::Enter(at) | Self::Split(at) | Self::Leave(at) => Some(at),
            Self::Close | Self::Look => None,
        }
    }
}

/// One act after the other. While one of them is under way, others run from beginning to end, each before the interrupted
/// act's step of that number.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) before: Vec<Act>,
    pub(crate) interrupted: Act,
    pub(crate) between: Vec<(usize, Act)>,
    pub(crate) after: Vec<Act>,
}

/// The acts that are still to come in between.
#[derive(Default)]
pub(crate) struct Interrupts {
    left: Vec<(usize, Act)>,
    /// How many steps the interrupted act has made.
    steps: usize,
    under_way: bool,
}

impl Interrupts {
    pub(crate) fn of(scene: &Scene) -> Self {
        Self { left: scene.between.clone(), ..Self::default() }
    }

    /// Returns the next act to come in between, which then lasts until `end`. To be called before each step until there is none.
    pub(crate) fn begin(&mut self) -> Option<Act> {
        if self.under_way {
            return None;
        }
        let Some(due) = self.left.iter().position(|(at, _)| *at == self.steps) else {
            self.steps += 1;
            return None;
        };
        self.under_way = true;
        Some(self.left.remove(due).1)
    }

    pub(crate) fn end(&mut self) {
        self.under_way = false;
    }

    pub(crate) fn are_over(&self) -> bool {
        self.left.is_empty()
    }
}

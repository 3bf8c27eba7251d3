//! Sets of milestones. Not here: the milestones (`phase`), and which of them one releases (`times`).

use crate::Milestone;

/// A set of milestones: those that one of them releases ([`Plan::released_by`](crate::Plan::released_by)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Milestones(u32);

impl Milestones {
    /// No milestone.
    pub const NONE: Self = Self(0);

    /// Returns the set of this milestone alone.
    #[must_use]
    pub const fn only(milestone: Milestone) -> Self {
        Self(1 << milestone as u32)
    }

    /// Returns the set of this milestone and of all whose values are lower.
    pub(crate) const fn up_to(milestone: Milestone) -> Self {
        Self((2 << milestone as u32) - 2)
    }

    /// Returns whether the set has this milestone.
    #[must_use]
    pub const fn contains(self, milestone: Milestone) -> bool {
        self.0 & Self::only(milestone).0 != 0
    }

    /// Returns the set with the milestones of another set added.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the set without the milestones of another set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the set as a word, one bit a milestone.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

//! How long a drain waits for a piece of work, and how much of each kind there is.

use core::fmt;

use crate::Milestone;

/// The class of a piece of work: how long draining waits for it.
///
/// | class | told to stop at | waited for |
/// |---|---|---|
/// | Critical | [`LastCall`](Milestone::LastCall) | as long as the drain has |
/// | High | [`HighLate`](Milestone::HighLate) | its cap (5 s unless the budget says otherwise), then it counts as abandoned |
/// | Low | [`Triggered`](Milestone::Triggered) | never, and it does not change the exit code |
///
/// Work that was given no class is Critical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Must finish.
    #[default]
    Critical,
    /// May finish.
    High,
    /// Stops at once.
    Low,
}

impl Priority {
    /// Every class, the most important first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::High, Self::Low];

    /// When work of this class is told to stop.
    #[must_use]
    pub const fn told_at(self) -> Milestone {
        match self {
            Self::Critical => Milestone::LastCall,
            Self::High => Milestone::HighLate,
            Self::Low => Milestone::Triggered,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Low => "low",
        })
    }
}

/// How many passes of each class are alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InFlight {
    /// Of class Critical, and those without a class.
    pub critical: usize,
    /// Of class High.
    pub high: usize,
    /// Of class Low.
    pub low: usize,
}

impl InFlight {
    /// Nothing at all.
    pub const NONE: Self = Self { critical: 0, high: 0, low: 0 };

    /// All classes together.
    #[must_use]
    pub const fn total(self) -> usize {
        self.critical.saturating_add(self.high).saturating_add(self.low)
    }

    /// The count of one class.
    #[must_use]
    pub const fn of(self, class: Priority) -> usize {
        match class {
            Priority::Critical => self.critical,
            Priority::High => self.high,
            Priority::Low => self.low,
        }
    }

    /// The count of one class, to be changed.
    pub const fn of_mut(&mut self, class: Priority) -> &mut usize {
        match class {
            Priority::Critical => &mut self.critical,
            Priority::High => &mut self.high,
            Priority::Low => &mut self.low,
        }
    }
}

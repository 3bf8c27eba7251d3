//! What follows from the failure of a part of the program. Not here: how it is noticed and told, which is the binding's.

use crate::Reason;

/// The policy for a part of the program that fails while the program runs.
///
/// ```
/// use winddown_core::{OnFailure, Reason};
///
/// assert_eq!(OnFailure::default().reason(), Some(Reason::Failure));
/// assert_eq!(OnFailure::GoOn.reason(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFailure {
    /// The program winds down, with [`Reason::Failure`].
    #[default]
    Trigger,
    /// The program goes on without the part. The failure is told and reported all the same.
    GoOn,
}

impl OnFailure {
    /// Returns the reason to trigger with; `None`: the program goes on.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Trigger => Some(Reason::Failure),
            Self::GoOn => None,
        }
    }
}

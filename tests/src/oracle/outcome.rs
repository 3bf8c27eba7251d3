//! The one table of outcomes and exit codes (K6).

use winddown_core::{Forced, Outcome, Reason};

/// Every outcome, the best first, with its exit code where the reason was no failure.
pub const TABLE: [(Outcome, u8); 7] = [
    (Outcome::Clean, 0),
    (Outcome::Failed, 10),
    (Outcome::DrainTimedOut, 11),
    (Outcome::StageAbandoned, 12),
    (Outcome::Forced(Forced::Call), 13),
    (Outcome::Forced(Forced::Drain), 130),
    (Outcome::Forced(Forced::Interrupt), 130),
];

/// The exit code: the table's, but 1 for what was clean after a failure.
#[must_use]
pub fn exit_code(rank: usize, reason: Reason) -> u8 {
    if (rank, reason) == (0, Reason::Failure) { 1 } else { TABLE[rank].1 }
}

/// Where an outcome stands in the table.
///
/// # Panics
///
/// When it is not there.
#[must_use]
pub fn rank(outcome: Outcome) -> usize {
    TABLE.iter().position(|&(listed, _)| listed == outcome).expect("the table is complete")
}

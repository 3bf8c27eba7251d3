//! What the scenario tests share. `tests/` has the scenarios, `src/bin/victim` the program that they send signals to.

pub mod child;
pub mod lines;
pub mod patience;
pub mod racy;
pub mod steps;
pub mod sys;

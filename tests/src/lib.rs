//! What the scenario tests and the fuzzer share. `tests/` has the scenarios, `src/bin/victim` the program that they send
//! signals to, `fuzz` the bodies of the fuzz targets and `oracle` what those hold the core against.

pub mod child;
pub mod fuzz;
pub mod lines;
pub mod oracle;
pub mod patience;
pub mod racy;
pub mod steps;
pub mod sys;
pub mod waker;

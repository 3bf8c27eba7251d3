//! What the tests and the fuzzer share. `scenarios` is what every program has to do, written once, and `harness` the
//! programs: on threads, and on an executor that has core alone. `tests/` runs them, and has the tests of what is one
//! binding's own; `src/bin/victim` is the program that they send signals to, `fuzz` the bodies of the fuzz targets and
//! `oracle` what those hold the core against.

pub mod child;
pub mod fuzz;
pub mod harness;
pub mod holders;
pub mod lines;
pub mod oracle;
pub mod patience;
pub mod racy;
pub mod scenarios;
pub mod steps;
pub mod sys;
pub mod waker;

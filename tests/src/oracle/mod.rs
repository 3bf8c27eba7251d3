//! What the core does, told a second time: plain data, no atomics, no cleverness, and written from the documentation.
//!
//! A model is as slow as it is obvious. The fuzz targets run it side by side with the real thing and compare everything
//! that can be seen; tests that need the same table take it from here.

pub mod escalation;
pub mod gate;
pub mod lifecycle;
pub mod outcome;
pub mod plan;
pub mod sequence;

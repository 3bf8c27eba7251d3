//! The programs that the scenarios of `crate::scenarios` run on.

mod bare;
mod binding;
mod threads;

pub use bare::Bare;
pub use threads::Threads;

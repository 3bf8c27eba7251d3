//! The programs that the scenarios of `crate::scenarios` run on.

mod bare;
mod binding;
#[cfg(feature = "smol")]
mod smol;
mod threads;

pub use bare::Bare;
#[cfg(feature = "smol")]
pub use smol::Smol;
pub use threads::Threads;

//! The promises under every interleaving that loom knows of. `cargo loom` runs them: see CONTRIBUTING.md.
#![cfg(winddown_loom)]

mod explore;
mod gate;
mod lifecycle;
mod shutdown;
mod trigger;
mod wait_group;
mod waker;

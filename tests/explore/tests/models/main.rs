//! The promises under every interleaving that loom knows of. `cargo loom` runs them: see CONTRIBUTING.md.
#![cfg(winddown_loom)]

mod bell;
mod child;
mod connections;
mod explore;
mod gate;
mod hand_over;
mod lifecycle;
mod linger;
mod shutdown;
mod story;
mod track;
mod trigger;
mod wait_group;
mod waker;

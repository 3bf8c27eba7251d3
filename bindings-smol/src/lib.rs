//! Graceful shutdown for smol: [`winddown`]'s, with futures where that has blocking calls, and the same names.
//!
//! smol ends with the future that `block_on` was given: tasks that are under way then are forgotten, and nobody waits for
//! them. Here they are admitted work: told to stop, waited for, named and dropped when they are late.
//!
//! ```no_run
//! use std::time::Duration;
//! use winddown_smol::{Budget, Exit, Shutdown, Stage};
//!
//! fn main() -> Result<Exit, Box<dyn std::error::Error>> {
//!     smol::block_on(async {
//!         let shutdown = Shutdown::builder()
//!             .budget(Budget::kubernetes(Duration::from_secs(30), Duration::ZERO))
//!             .signals() // SIGTERM and SIGINT
//!             .watchdog(Duration::from_millis(500)) // see "The end of the process"
//!             .stage(Stage::new("database").hook(async { /* close the pool */ }))
//!             .build()?;
//!         let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
//!         // Refused only if the program has been told to stop already.
//!         let _ = tasks.label("ticker").spawn_with(|token| async move {
//!             while token.run_until(smol::Timer::after(Duration::from_secs(60))).await.is_some() {
//!                 // once a minute, and not at all once asked to stop
//!             }
//!         });
//!         Ok(shutdown.run().await) // waits for the signal, winds down, is the exit code
//!     })
//! }
//! ```
//!
//! # Where it runs
//!
//! On whatever polls its futures: `smol::block_on`, an `Executor` with many threads, a `LocalExecutor`. It brings no executor,
//! and no thread but those of `winddown`, which sleep until the program is asked to stop ([`Builder::build`](winddown::Builder::build)
//! names them).
//!
//! A task or a hook that does not return from its `poll` blocks a thread of its executor. The wind-down is over in time all the same:
//! the report names what is late, and the [`Exit`] is there for [`threads().run()`](winddown::Shutdown::run) on any other thread.
//!
//! # The end of the process
//!
//! A process ends when `main` returns, and one stuck task can keep it from returning, for ever:
//!
//! - `main` polls the hooks while it awaits [`Shutdown::run`]. A hook that blocks blocks `main`.
//! - With a `LocalExecutor` or `smol_macros::main!`, `main`'s thread also runs tasks.
//! - `smol_macros::main!` and `easy_parallel::Parallel` join the threads of the executor, and so does `std::thread::scope`.
//!
//! So set a [watchdog](winddown::Builder::watchdog), as the examples do. It ends a process that is still there when the budget and the
//! watchdog's slack are over, with the exit code of the report. There is none unless the program sets one. A slack below the budget's
//! [margin](Budget::margin) (1 s) is over before SIGKILL comes. Return the [`Exit`] from `main`, and do not reduce it to its code before
//! the threads are joined: the watchdog is dismissed with the last handle.
//!
//! # The parts
//!
//! - [`Shutdown`], [`Stage`]: hooks that are futures, and [`Shutdown::run`] to await.
//! - [`Token::cancelled`], [`Token::run_until`], [`Token::child`]: being told.
//! - [`Tasks`]: being waited for.
//! - `Incoming`, `Connection` (on Unix): accepting without resetting anyone; connections that are told, lingered for and cut.
//! - [`Until`]: readers, writers and streams that end.
//! - [`Holding`]: bodies and streams that hold a pass, for servers that write an answer after the handler has returned.
//! - `http`, with the feature of that name: servers with hyper 1, over TLS as well.
//!
//! Everything else is `winddown`'s, and works in tasks as it does on threads.

#[cfg(unix)]
mod connection;
mod holding;
#[cfg(all(unix, feature = "http"))]
pub mod http;
#[cfg(unix)]
mod incoming;
#[cfg(unix)]
mod reactor;
mod shutdown;
mod stage;
mod task;
mod until;

#[cfg(unix)]
pub use connection::Connection;
pub use holding::Holding;
#[cfg(unix)]
pub use incoming::Incoming;
pub use shutdown::Shutdown;
pub use stage::Stage;
pub use task::{Spawned, Task, Tasks};
pub use until::Until;

pub use winddown::{
    Answered, AtEnd, AtRefusal, Budget, BuildError, Busy, Cancelled, Child, Ended, Escalation, Event, Exit, Fate,
    Forced, FromEnv, HookError, HookResult, Kicker, Lost, Milestone, Notice, Observer, OnFailure, Outcome,
    OwnedAnswered, OwnedBusy, OwnedPass, OwnedReceiving, Pass, Phase, Priority, Reason, Receiving, Refused, Report,
    Reserved, StageTime, Stream, Times, Timetable, Token, Tracked, Unserved, lines_to, testing,
};

/// Sets up a [`Shutdown`]: the very builder of [`winddown`].
pub type Builder = winddown::Builder<Shutdown>;

/// The README's programs, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

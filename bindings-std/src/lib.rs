//! Graceful shutdown for programs on threads, and on executors of their own.
//!
//! A program is told to stop: a deploy sends SIGTERM, a person presses Ctrl-C. It stops accepting, finishes what it has
//! accepted, takes its parts down in order, and is over within one budget, with a report of what happened and an exit
//! code that tells the truth.
//!
//! ```no_run
//! use std::time::Duration;
//! use winddown::{Budget, Exit, Shutdown, Stage};
//!
//! fn main() -> Result<Exit, Box<dyn std::error::Error>> {
//!     let shutdown = Shutdown::builder()
//!         .budget(Budget::kubernetes(Duration::from_secs(30), Duration::ZERO))
//!         .signals() // SIGTERM and SIGINT
//!         .stage(Stage::new("database").hook(|| { /* close the pool */ }))
//!         .stage(Stage::new("workers").hook(|| { /* join the workers */ }))
//!         .build()?;
//!
//!     let handle = shutdown.clone();
//!     std::thread::spawn(move || {
//!         while let Ok(pass) = handle.enter() {
//!             // serve one request; the wind-down waits for it
//!             drop(pass);
//!         }
//!     });
//!
//!     Ok(shutdown.run()) // waits for the signal, winds down, is the exit code
//! }
//! ```
//!
//! # A server of another crate
//!
//! Most servers take a handler, and write its answer after the handler has returned. So the pass goes with the answer's body, which
//! the server drops when it has taken the last byte ([`Holding`]):
//!
//! ```
//! use std::io::{Cursor, Read};
//! # struct Response;
//! # impl Response {
//! #     fn reader(_: impl Read + Send + 'static) -> Self { Self }
//! #     fn service_unavailable() -> Self { Self }
//! # }
//! # let shutdown = winddown::Shutdown::builder().build()?;
//!
//! let handle = shutdown.clone();
//! let handler = move || {
//!     let Ok(pass) = handle.enter_owned() else { return Response::service_unavailable() };
//!     let answer = Cursor::new("hello\n"); // any reader or iterator that the server takes as a body
//!     Response::reader(pass.held_by(answer))
//! };
//! # handler();
//! # Ok::<(), winddown::BuildError>(())
//! ```
//!
//! **When a pass may end.** A pass may end when the last byte of the answer has been handed to the kernel, and not before: what is in
//! a buffer of the program's is lost when the process exits. A pass in a variable of the handler ends too early by the whole answer. A
//! pass in the body may still end too early by what is in the server's own buffer, a kilobyte perhaps. If the server can be waited for
//! (`join`), wait for it before the last pass is dropped. If it takes connections, its own value for a connection can hold a guard.
//! [`Holding`] has the details, and names an example of each. The drain waits for passes only until its deadline.
//!
//! A server that wants the sockets themselves can have those of an `Acceptor` (on Unix): `Connection::into_stream`.
//!
//! # The parts
//!
//! - [`Shutdown`]: the handle. [`enter`](Shutdown::enter) admits work, [`token`](Shutdown::token) tells threads and tasks to stop,
//!   [`trigger`](Shutdown::trigger) asks for it, [`run`](Shutdown::run) waits for the end.
//! - [`Stage`] and its hooks: what closes, in which order, by when.
//! - `Acceptor` (on Unix) and [`Connection`]: an accept loop that resets nobody, and connections that are told, lingered
//!   for and cut.
//! - [`Holding`]: a body that holds a pass, for servers that write an answer after the handler has returned.
//! - `Interruptible` and `TokenDescriptor` (on Unix): a read that a token interrupts, and a token for `poll` and event loops.
//! - [`Kicker`]: reaching threads that are blocked in something of their own.
//! - [`Budget`]: how long everything may take, under Kubernetes, under systemd, from the environment ([`FromEnv`]).
//! - [`Token::cancelled`], [`Shutdown::ended`], [`Stage::async_hook`], [`Tracked`]: being told, the end, hooks and admitted work as
//!   futures, on whatever executor. `winddown-smol` has more.
//! - [`Report`] and [`Exit`]: how it went, and the exit code ([`Outcome::exit_code`] has the table).
//! - [`Observer`]: being told while it happens.
//! - [`testing`]: made-up time.
//!
//! # Limits
//!
//! - Blocked threads are not freed by magic: a thread that holds a pass and never lets go is waited for until the drain's
//!   deadline, and then named.
//! - An abandoned hook's thread goes on running. Rust can end a process, but not a thread.
//! - A future that is dropped at its deadline leaves behind what it has started elsewhere. [`Tracked`] says how to have that waited for.
//! - With `panic = "abort"` a panic in a hook ends the process.
//! - The library has three to four threads from the build on, and one for each observer; all of them sleep. A hook gets a thread of its
//!   own; if none can be started, hooks run one after the other. Kickers share a few threads.
//! - 64-bit atomics are needed: every tier-1 and tier-2 target with `std` but a few MIPS and PowerPC ones.
//! - What happens after [`run`](Shutdown::run), such as the destructors of `main`'s locals, is the program's. An opt-in
//!   [watchdog](Builder::watchdog) ends a process that outlives its budget.
//!
//! # Features
//!
//! - `crossbeam-channel` (on by default): `Token::receiver`.
//! - `ctrlc`: `Builder::ctrl_c` on Unix; Windows always has it.

mod attendant;
#[cfg(unix)]
mod backlog;
mod builder;
mod clock;
mod connection;
mod connections;
#[cfg(unix)]
mod doors;
mod drive;
mod ended;
mod env;
mod error;
mod event_count;
mod exit;
mod exit_code;
mod fallible;
mod faults;
mod finish;
mod fork;
mod guards;
mod hand_over;
mod helpers;
mod holding;
mod hook;
mod hook_result;
#[cfg(unix)]
mod incoming;
mod inner;
#[cfg(any(windows, feature = "ctrlc"))]
mod interrupt;
#[cfg(unix)]
mod interruptible;
mod kicker;
mod label;
mod last_thread;
#[cfg(unix)]
mod listener;
#[cfg(unix)]
mod listening;
mod observe;
mod open;
mod panics;
mod pass;
mod render;
mod report;
#[cfg(unix)]
mod reuse_port;
mod shutdown;
mod signal;
#[cfg(unix)]
mod socket;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod sockopt;
mod stage;
mod stage_run;
mod stragglers;
mod stream;
mod stripe;
mod sync;
pub mod testing;
mod text;
mod timetable;
mod token;
mod track;
mod trigger;
#[cfg(unix)]
mod unix_socket;
mod unwinding;
mod wait;
mod wait_group;
mod watchdog;

pub use builder::Builder;
pub use connection::Connection;
pub use ended::Ended;
pub use env::{EnvError, FromEnv};
pub use error::{BuildError, SignalError};
pub use exit::Exit;
#[doc(hidden)]
pub use fork::Process;
pub use guards::{Answered, Busy, OwnedAnswered, OwnedBusy, OwnedReceiving, Receiving, Upgraded};
pub use holding::Holding;
pub use hook::HookError;
pub use hook_result::HookResult;
#[cfg(unix)]
pub use incoming::{Incoming, Next};
#[cfg(unix)]
pub use interruptible::Interruptible;
pub use kicker::Kicker;
#[cfg(unix)]
pub use listener::Acceptor;
pub use observe::{Notice, Observer, lines_to};
pub use pass::{Labelled, LabelledWork, OwnedPass, Pass, Work};
pub use report::{AtEnd, Counting, Cut, Failure, Part, Report, StageReport, Straggler};
pub use shutdown::Shutdown;
#[cfg(unix)]
pub use socket::Listener;
pub use stage::Stage;
pub use stream::{Lingering, Stream, lingering_close};
pub use timetable::{Reserved, StageTime, Timetable};
#[cfg(unix)]
pub use token::TokenDescriptor;
pub use token::{Cancelled, Child, Token};
pub use track::{Lost, Tracked};
#[cfg(unix)]
pub use unix_socket::UnixSocket;
pub use wait_group::{Member, WaitGroup};

pub use winddown_core::{
    AtRefusal, BadVariable, Budget, Escalate, Escalation, Event, Fate, Forced, InFlight, MAX_STAGES, Milestone,
    OnFailure, Outcome, Phase, PlanError, Priority, Reason, Refused, Repeats, Times, Unserved,
};

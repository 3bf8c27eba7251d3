//! The decisions of a graceful shutdown, and nothing else.
//!
//! A program winds down in four phases,
//!
//! ```text
//! Running --trigger--> Draining --refusing, and nothing in flight--> Closing --every stage ended--> Done
//! ```
//!
//! and this crate decides when each begins: who is admitted ([`Gate`], or [`StripedGate`] for many cores), when nothing is in
//! flight any more, what has to happen next and by when ([`Sequence`]), and how it went ([`Outcome`]). It has no clock, no
//! thread, no allocator and no operating system; whoever embeds it tells it the time and does what it says. `winddown` is
//! that embedding for programs on threads.
//!
//! A whole wind-down, embedded by hand:
//!
//! ```
//! use core::time::Duration;
//! use winddown_core::{Budget, Fate, Gate, InFlight, Lifecycle, Observed, Outcome, Phase, Plan, Reason, Sequence, Stage, Step};
//!
//! static LIFE: Lifecycle = Lifecycle::new();
//! static WORK: Gate = Gate::new();
//!
//! let plan = Plan::new(Budget::new(Duration::from_secs(10)), &[Stage::new()])?;
//! let mut sequence = Sequence::new(plan);
//!
//! let request = WORK.enter().expect("running");
//! assert!(LIFE.trigger(Reason::Requested).is_first());
//! sequence.begin(Duration::ZERO, Reason::Requested);
//! drop(request);
//!
//! let mut now = Duration::ZERO;
//! let outcome = loop {
//!     let in_flight = InFlight { critical: if WORK.is_drained() { 0 } else { 1 }, ..InFlight::NONE };
//!     match sequence.poll(now, Observed { in_flight, ..Observed::default() }) {
//!         Step::Reach(milestone) => {
//!             if milestone == winddown_core::Milestone::Refusing {
//!                 WORK.close();
//!             }
//!         }
//!         Step::Start { stage, .. } => assert!(sequence.ended(stage, Fate::Completed)),
//!         Step::CloseLate => {} // there is no late gate
//!         Step::Abandon { .. } | Step::EndIdle | Step::EndIncomplete => {
//!             unreachable!("the stage ends in time, and there are no connections")
//!         }
//!         Step::Wait(until) => now = until.expect("begun"),
//!         Step::Finish(outcome) => break outcome,
//!     }
//! };
//! assert_eq!(outcome, Outcome::Clean);
//! # Ok::<(), winddown_core::PlanError>(())
//! ```
//!
//! # The promises
//!
//! Comments and tests cite them by number.
//!
//! - **P1 One way.** A phase never goes back. The first trigger wins and its reason is kept; later ones join.
//! - **P2 No admission after refusal.** [`Gate::enter`] returns a pass that the drain knows of, or [`Refused`].
//! - **P3 No early end.** Draining never ends "drained" while a pass of class Critical or High is alive.
//! - **P4 No lost wake.** The last pass dropped while refusing wakes the driver, through [`Notify`].
//! - **P5 One budget.** Every wait is bounded by one absolute deadline, fixed at the trigger.
//! - **P6 Always over.** The sequence finishes by the deadline whatever stages and passes do.
//! - **P7 Nothing is skipped silently.** Every stage's [`Fate`] is told exactly once.
//! - **P8 Signal-safe trigger.** [`Lifecycle::trigger`] and [`Gate::close`] are lock-free and allocate nothing.
//! - **P9 Wakes run outside every lock.** There is no lock in this crate.
//! - **P10 Free while running.** To ask whether a shutdown was triggered costs one load.
//!
//! # Features
//!
//! - `portable-atomic`, off by default: for targets without compare-and-swap, such as a Cortex-M0. It takes the atomics from
//!   the crate of that name; how that one makes them there, the final program says by portable-atomic's own feature
//!   `critical-section` or `unsafe-assume-single-core`. Elsewhere it changes nothing.

#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]

mod budget;
mod connection;
mod door;
mod error;
mod escalation;
mod event;
mod gate;
mod lifecycle;
mod milestones;
mod notify;
mod on_failure;
mod outcome;
mod pass;
mod phase;
mod plan;
mod priority;
mod sequence;
#[cfg(target_has_atomic = "64")]
mod stamps;
mod striped;
mod stripes;
mod sync;
mod times;
mod unserved;
mod variable;
mod wait_group;

pub use budget::{BadVariable, Budget};
pub use connection::{Account, Await, ConnectionState, End, Entered, Gone, Hold};
pub use door::{AtRefusal, Door, DoorObserved, DoorStep, Empty, Group};
pub use error::{PlanError, Refused};
pub use escalation::{Escalate, Escalation};
pub use event::Event;
pub use gate::Gate;
pub use lifecycle::{Lifecycle, Repeats, State, Triggered};
pub use milestones::Milestones;
pub use notify::Notify;
pub use on_failure::OnFailure;
pub use outcome::{Fate, Forced, Outcome};
pub use pass::{AnyGate, OwnedPass, Pass};
pub use phase::{Milestone, Phase, Reason};
pub use plan::{MAX_STAGES, Plan, Stage};
pub use priority::{InFlight, Priority};
pub use sequence::{Observed, Sequence, Step};
pub use striped::StripedGate;
pub use stripes::{Stripe, StripeSet, Stripes};
pub use times::Times;
pub use unserved::Unserved;
pub use wait_group::{Member, WaitGroup};

//! Waiting for the end as a future. Not here: the hooks that it polls on its way (`hand_over`).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::Exit;
use crate::hand_over::Runner;
use crate::inner::Owner;
use crate::sync::CountedArc;

/// Ready when the program has wound down, and for ever after. From [`Shutdown::ended`](crate::Shutdown::ended).
///
/// It needs nothing of an executor but the [`Waker`](std::task::Waker). It counts as a handle.
///
/// # Hooks
///
/// Hooks that are [futures](crate::Stage::async_hook) are polled in here, side by side, once this was polled for the first
/// time: by the task that awaits it, without a thread more. One that does not return from its `poll` therefore holds this
/// future up. It does not hold the wind-down up: the driver abandons and names it at its deadline, and [`Shutdown::run`]
/// returns on other threads. Where that may happen, spawn the work on the executor and make the hook the handle that awaits it.
///
/// To drop this is no harm: hooks under way go on in another one, or on a thread each. So do those that begin while
/// nobody awaits the end. But one that is neither dropped nor polled any more has its hooks stand still, till they are
/// abandoned.
///
/// # Concurrency
///
/// No wake is lost: a poll that returns [`Poll::Pending`] has its waker woken when there is a hook to poll or to drop, and
/// when there is the report. The waker is woken with no lock held, and not by the driver before it is done: by the thread of the
/// library's that wakes those of [`Cancelled`](crate::Cancelled) after a signal. For the report they are woken one
/// after the other, so that one which blocks then holds up those behind it.
///
/// In a forked child, where there is no driver, it stays pending; use [`run`](crate::Shutdown::run).
///
/// [`Shutdown::run`]: crate::Shutdown::run
#[must_use = "a future does nothing unless it is polled"]
pub struct Ended {
    owner: CountedArc<Owner>,
    runner: Runner,
}

impl Ended {
    pub(crate) fn new(owner: CountedArc<Owner>, runner: Runner) -> Self {
        Self { owner, runner }
    }
}

impl Future for Ended {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Exit> {
        self.runner.poll(context);
        // After that: the report is there before those who wait for it are woken.
        match self.runner.inner().report.get() {
            Some(report) => Poll::Ready(Exit::new(report.clone(), self.owner.clone())),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended").finish_non_exhaustive()
    }
}

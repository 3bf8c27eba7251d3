//! Tokens: waiting to be told to stop. Not here: the lists of those who wait (`wait`).

mod cancelled;
mod child;
#[cfg(unix)]
mod descriptor;

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use winddown_core::{Milestone, Reason};

pub use self::cancelled::Cancelled;
use self::child::Branch;
pub use self::child::Child;
#[cfg(unix)]
pub use self::descriptor::TokenDescriptor;
use crate::inner::Inner;
use crate::sync::Arc;
use crate::wait::Waiters;

/// Tells a thread or a task when it is time to stop. From [`Shutdown::token`](crate::Shutdown::token); cheap to clone.
///
/// It tells for ever once it does. A token keeps no signal handler installed and no driver alive: if every
/// [`Shutdown`](crate::Shutdown) is dropped while the program runs, nobody will ever ask, and a wait without a limit does
/// not return.
///
/// ```
/// use std::time::Duration;
/// use winddown::{Reason, Shutdown};
///
/// let shutdown = Shutdown::builder().build()?;
/// let token = shutdown.token();
/// let ticker = std::thread::spawn(move || {
///     while !token.wait_timeout(Duration::from_secs(60)) {
///         // once a minute, and not at all once asked to stop
///     }
/// });
/// shutdown.trigger(Reason::Requested);
/// ticker.join().unwrap();
/// # Ok::<(), winddown::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Token {
    inner: Arc<Inner>,
    /// A child has that of the token that its topmost ancestor was made from.
    milestone: Milestone,
    /// What else it hears of, for a [`Child`]'s.
    branch: Option<Arc<Branch>>,
}

impl Token {
    pub(crate) fn new(inner: Arc<Inner>, milestone: Milestone) -> Self {
        Self { inner, milestone, branch: None }
    }

    /// Returns whether it is time to stop. One load; for a [`child`](Self::child)'s at any depth, two.
    #[inline]
    #[must_use]
    pub fn should_stop(&self) -> bool {
        if self.branch.as_ref().is_some_and(|branch| branch.has_stopped()) {
            true
        } else if self.milestone == Milestone::Triggered {
            // Known from the trigger itself, before the driver has run.
            self.inner.trigger.lifecycle.is_shutting_down()
        } else {
            self.inner.waiters.has_reached(self.milestone)
        }
    }

    /// Returns why it is time to stop: what [`Child::stop`] was told, or what the wind-down was triggered with. `None`: it is not
    /// time to stop.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        if !self.should_stop() {
            return None;
        }
        let of_stop = self.branch.as_ref().and_then(|branch| branch.reason());
        of_stop.or_else(|| self.inner.trigger.lifecycle.load().reason())
    }

    /// Returns when the whole program's wind-down is over at the latest: [`Shutdown::deadline`](crate::Shutdown::deadline). A
    /// [child](Self::child) that was stopped alone has no deadline of its own.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    /// Returns the deadline of the whole program's drain: [`Shutdown::drain_deadline`](crate::Shutdown::drain_deadline).
    #[must_use]
    pub fn drain_deadline(&self) -> Option<Instant> {
        self.inner.drain_deadline()
    }

    /// Sleeps until it is time to stop.
    pub fn wait(&self) {
        self.sleep_until(None);
    }

    /// As [`wait`](Self::wait), at most for `timeout`. Whether it is time to stop.
    #[expect(clippy::must_use_candidate, reason = "also a sleep that a shutdown cuts short")]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.sleep_until(self.inner.trigger.clock.now().checked_add(timeout))
    }

    /// As [`wait`](Self::wait), at most until `deadline`. Whether it is time to stop.
    ///
    /// (With a [manual clock](crate::testing::ManualClock): as long, from now on by that clock.)
    #[expect(clippy::must_use_candidate, reason = "also a sleep that a shutdown cuts short")]
    pub fn wait_deadline(&self, deadline: Instant) -> bool {
        self.wait_timeout(deadline.saturating_duration_since(Instant::now()))
    }

    fn sleep_until(&self, deadline: Option<Duration>) -> bool {
        let (waiters, _) = self.list();
        let trigger = &self.inner.trigger;
        loop {
            let key = waiters.key();
            if self.should_stop() {
                return true;
            }
            if deadline.is_some_and(|deadline| trigger.clock.now() >= deadline) {
                return false;
            }
            if self.branch.is_some() {
                waiters.sleep_on_child(&trigger.clock, key, deadline);
            } else {
                waiters.sleep(&trigger.clock, key, deadline);
            }
        }
    }

    /// A future that is ready when it is time to stop: for tasks, of whatever executor.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled::new(self.clone())
    }

    /// Runs a future until it is time to stop, and drops it then: `None`. If it is time to stop already, the future is not polled.
    /// So a loop whose futures are always ready ends, too. At a later poll the future comes first: a result that is ready by then
    /// is not lost.
    ///
    /// ```
    /// # fn main() -> Result<(), winddown::BuildError> {
    /// use winddown::{Reason, Shutdown};
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// let token = shutdown.token();
    /// let worker = async move { token.run_until(std::future::pending::<()>()).await };
    /// shutdown.trigger(Reason::Requested);
    /// # use std::task::{Context, Poll, Waker};
    /// # let poll = std::pin::pin!(worker).poll(&mut Context::from_waker(Waker::noop()));
    /// # assert_eq!(poll, Poll::Ready(None));
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_until<F: Future>(&self, future: F) -> impl Future<Output = Option<F::Output>> + use<F> {
        let mut cancelled = self.cancelled();
        async move {
            if cancelled.token().should_stop() {
                return None;
            }
            let mut future = pin!(future);
            poll_fn(|context| match future.as_mut().poll(context) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending => Pin::new(&mut cancelled).poll(context).map(|()| None),
            })
            .await
        }
    }

    /// A token that tells when this one does, and before that, if it is asked to: for a part of the program that may have to
    /// stop on its own.
    pub fn child(&self) -> Child {
        Child::new(self)
    }

    /// A channel that never carries anything and is disconnected when it is time to stop, for
    /// [`crossbeam_channel::select!`].
    ///
    /// ```
    /// use crossbeam_channel::{select, unbounded};
    /// use winddown::{Reason, Shutdown};
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// let (_sender, jobs) = unbounded::<u32>();
    /// let stop = shutdown.token().receiver();
    /// shutdown.trigger(Reason::Requested);
    /// loop {
    ///     select! {
    ///         recv(jobs) -> job => println!("{job:?}"),
    ///         recv(stop) -> _ => break,
    ///     }
    /// }
    /// # Ok::<(), winddown::BuildError>(())
    /// ```
    #[cfg(feature = "crossbeam-channel")]
    #[must_use]
    pub fn receiver(&self) -> crossbeam_channel::Receiver<std::convert::Infallible> {
        let (waiters, milestone) = self.list();
        waiters.receiver(milestone)
    }

    /// Where its waiters are, and what they wait for there.
    fn list(&self) -> (&Waiters, Milestone) {
        match &self.branch {
            Some(branch) => branch.list(),
            None => (&self.inner.waiters, self.milestone),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("milestone", &self.milestone)
            .field("should_stop", &self.should_stop())
            .finish_non_exhaustive()
    }
}

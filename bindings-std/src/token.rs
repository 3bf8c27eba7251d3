//! Tokens: waiting to be told to stop, and those who wait.

use std::fmt;
#[cfg(unix)]
use std::io::Write;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use winddown_core::Milestone;

use crate::clock::Clock;
use crate::event_count::EventCount;
use crate::inner::Inner;
use crate::sync::{Arc, AtomicU32, Ordering};
#[cfg(unix)]
use crate::sync::{Mutex, Weak};

/// Everybody who waits for a milestone. One broadcast wakes all of them.
#[derive(Default)]
pub(crate) struct Waiters {
    event: Arc<EventCount>,
    /// The last milestone that was reached, as its number; 0 for none.
    reached: AtomicU32,
    #[cfg(feature = "crossbeam-channel")]
    channels: channels::Channels,
    /// Rung at the refusal.
    #[cfg(unix)]
    ropes: Mutex<Vec<Weak<UnixStream>>>,
}

impl Waiters {
    pub(crate) fn key(&self) -> u32 {
        self.event.key()
    }

    pub(crate) fn notify(&self) {
        self.event.notify();
    }

    pub(crate) fn sleep(&self, clock: &Clock, key: u32, deadline: Option<Duration>) {
        clock.wait(&self.event, key, deadline);
    }

    pub(crate) fn has_reached(&self, milestone: Milestone) -> bool {
        // Pairs with the release in `reach`.
        self.reached.load(Ordering::Acquire) >= milestone as u32
    }

    /// Lets go everybody who waits for this milestone or an earlier one. The driver's to call.
    pub(crate) fn reach(&self, milestone: Milestone) {
        // Release pairs with `has_reached`: who is let go sees what the driver did before.
        self.reached.store(milestone as u32, Ordering::Release);
        self.event.notify();
        #[cfg(feature = "crossbeam-channel")]
        self.channels.disconnect(milestone);
        #[cfg(unix)]
        if milestone == Milestone::Refusing {
            let ropes = std::mem::take(&mut *self.ropes.lock());
            ropes.iter().for_each(ring);
        }
    }

    /// Writes a byte into `rope` when the program refuses: for who waits for descriptors. It must not block.
    #[cfg(unix)]
    pub(crate) fn ring_at_refusal(&self, rope: &Arc<UnixStream>) {
        let mut ropes = self.ropes.lock();
        ropes.retain(|rope| rope.strong_count() > 0);
        let rope = Arc::downgrade(rope);
        if self.has_reached(Milestone::Refusing) {
            drop(ropes);
            ring(&rope);
        } else {
            ropes.push(rope);
        }
    }
}

/// A rope that is gone has nobody to ring for.
#[cfg(unix)]
fn ring(rope: &Weak<UnixStream>) {
    let rope = rope.upgrade();
    let _ = rope.map(|rope| (&*rope).write(&[0]));
}

/// Tells a thread when it is time to stop. From [`Shutdown::token`](crate::Shutdown::token); cheap to clone.
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
    milestone: Milestone,
}

impl Token {
    pub(crate) fn new(inner: Arc<Inner>, milestone: Milestone) -> Self {
        Self { inner, milestone }
    }

    /// Whether it is time to stop. One load.
    #[inline]
    #[must_use]
    pub fn should_stop(&self) -> bool {
        if self.milestone == Milestone::Triggered {
            // Known from the trigger itself, before the driver has run.
            self.inner.trigger.lifecycle.is_shutting_down()
        } else {
            self.inner.waiters.has_reached(self.milestone)
        }
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
        let Inner { waiters, trigger, .. } = &*self.inner;
        loop {
            let key = waiters.key();
            if self.should_stop() {
                return true;
            }
            if deadline.is_some_and(|deadline| trigger.clock.now() >= deadline) {
                return false;
            }
            waiters.sleep(&trigger.clock, key, deadline);
        }
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
        self.inner.waiters.channels.receiver(self.milestone)
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

#[cfg(feature = "crossbeam-channel")]
mod channels {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use crossbeam_channel::{Receiver, Sender, bounded};
    use winddown_core::Milestone;

    use crate::sync::Mutex;

    type Channel = (Sender<Infallible>, Receiver<Infallible>);

    /// A channel for each milestone that somebody asked for, and the last milestone that was reached.
    #[derive(Default)]
    pub(super) struct Channels(Mutex<(BTreeMap<Milestone, Channel>, Option<Milestone>)>);

    impl Channels {
        pub(super) fn receiver(&self, milestone: Milestone) -> Receiver<Infallible> {
            let (channels, reached) = &mut *self.0.lock();
            if reached.is_some_and(|reached| reached >= milestone) {
                return bounded(0).1;
            }
            channels.entry(milestone).or_insert_with(|| bounded(0)).1.clone()
        }

        /// Drops the senders of this and earlier milestones: their receivers are disconnected.
        pub(super) fn disconnect(&self, milestone: Milestone) {
            let mut state = self.0.lock();
            let (channels, reached) = &mut *state;
            *reached = Some(milestone);
            let later = channels.split_off(&milestone);
            let mut gone = std::mem::replace(channels, later);
            gone.extend(channels.remove_entry(&milestone));
            drop(state);
            // The wakes, outside the lock (P9).
            drop(gone);
        }
    }
}

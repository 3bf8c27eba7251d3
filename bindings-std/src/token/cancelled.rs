//! Waiting as a future.

use std::fmt;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, Waker};

use super::Token;

/// Ready when it is time to stop, and for ever after. From [`Token::cancelled`].
///
/// It needs nothing of an executor but the [`Waker`], and owns all that it needs: it can be kept in a struct, polled in
/// place, sent to another thread. The waker stays registered over any number of polls; a poll in between is a load and
/// two comparisons. It is replaced when a poll brings one that would [wake](Waker::will_wake) another task, and taken back
/// when this is dropped, so that it can stand in a `select!` of a loop. Neither needs an allocation.
///
/// Where nobody can ask any more (see [`Token`]) it stays pending.
///
/// # Concurrency
///
/// No wake is lost: a poll that returns [`Poll::Pending`] has its waker woken, once, when it is time to stop, whoever asks
/// and however closely. Of several polls that is the last one's waker. Once this is dropped its waker is not woken,
/// unless that was under way.
///
/// Wakers are cloned, woken and dropped with no lock held: they may poll, register, drop and
/// [trigger](crate::Shutdown::trigger) in their turn. They are woken one after the other: by the thread that triggers; after a signal,
/// and for a milestone that comes later than the trigger, by a thread of the library's. One that panics keeps nobody
/// from being woken and is named in the [report](crate::Report::failures). One that blocks holds up those behind it, but
/// not the wind-down, which at its end waits for it no longer than for an observer.
///
/// ```
/// use std::pin::pin;
/// use std::sync::Arc;
/// use std::task::{Context, Wake};
/// use std::thread::{self, Thread};
/// use winddown::{Reason, Shutdown};
///
/// /// The smallest executor: one thread for one future.
/// struct Unpark(Thread);
///
/// impl Wake for Unpark {
///     fn wake(self: Arc<Self>) {
///         self.0.unpark();
///     }
/// }
///
/// fn block_on(future: impl Future<Output = ()>) {
///     let waker = Arc::new(Unpark(thread::current())).into();
///     let mut future = pin!(future);
///     while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
///         thread::park();
///     }
/// }
///
/// let shutdown = Shutdown::builder().build()?;
/// let cancelled = shutdown.token().cancelled();
/// let task = thread::spawn(move || block_on(cancelled));
/// shutdown.trigger(Reason::Requested);
/// task.join().unwrap();
/// # Ok::<(), winddown::BuildError>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct Cancelled {
    token: Token,
    /// Its place among those who wait, and who is to be woken there.
    entered: Option<(usize, Identity)>,
}

impl Cancelled {
    pub(super) fn new(token: Token) -> Self {
        Self { token, entered: None }
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    fn enter(&mut self, waker: &Waker) -> Poll<()> {
        let waker = waker.clone();
        // The clone's: it lives as long as it is entered, and so does what it is known by.
        let identity = Identity::of(&waker);
        let place = self.entered.as_ref().map(|&(place, _)| place);
        let (waiters, milestone) = self.token.list();
        let (place, unneeded) = waiters.enter(milestone, place, waker);
        self.entered = place.map(|place| (place, identity));
        // Last: its destructor is a stranger's code.
        drop(unneeded);
        if place.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Future for Cancelled {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.token.should_stop() {
            return Poll::Ready(());
        }
        match &self.entered {
            Some((_, identity)) if *identity == Identity::of(context.waker()) => Poll::Pending,
            _ => self.enter(context.waker()),
        }
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        let (waiters, milestone) = self.token.list();
        let waker = self.entered.as_ref().and_then(|&(place, _)| waiters.leave(milestone, place));
        // Outside the lock (P9).
        drop(waker);
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled")
            .field("token", &self.token)
            .field("registered", &self.entered.is_some())
            .finish_non_exhaustive()
    }
}

/// What [`Waker::will_wake`] compares, of a waker that is elsewhere: no other is known by it while that one is alive.
#[derive(PartialEq)]
struct Identity {
    data: usize,
    vtable: usize,
}

impl Identity {
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data().addr(), vtable: ptr::from_ref(waker.vtable()).addr() }
    }
}

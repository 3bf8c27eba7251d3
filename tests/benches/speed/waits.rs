//! Things that tasks wait for: ours, and the plainest one there can be.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use winddown::{Cancelled, Reason, Shutdown, Token};

/// Something that happens once, and that any number of tasks wait for.
pub(crate) trait Event: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    type Wait<'a>: Future + Send;

    fn new() -> Self;
    fn wait(&self) -> Self::Wait<'_>;
    /// Has it happen.
    fn trigger(&self);
}

/// Somebody who has something to do with every event.
pub(crate) trait Visitor {
    fn visit<E: Event>(&mut self);
}

pub(crate) fn each(visitor: &mut impl Visitor) {
    visitor.visit::<Ours>();
    #[cfg(feature = "peers")]
    crate::peers::waits::each(visitor);
    visitor.visit::<LockedVec>();
}

/// A shutdown, and what its waiters were given.
pub(crate) struct Ours(Shutdown, Token);

impl Event for Ours {
    const NAME: &'static str = "winddown `Token::cancelled`";
    type Wait<'a> = Cancelled;

    fn new() -> Self {
        let shutdown = crate::doors::running();
        let token = shutdown.token();
        Self(shutdown, token)
    }

    fn wait(&self) -> Cancelled {
        self.1.cancelled()
    }

    fn trigger(&self) {
        self.0.trigger(Reason::Requested);
    }
}

/// One vector of wakers behind a lock, which nobody leaves before it has happened.
pub(crate) struct LockedVec(Wakers);

/// `None`: it has happened.
type Wakers = Mutex<Option<Vec<Waker>>>;

/// A waiter, with its place in the vector once it has one.
pub(crate) struct InVec<'a>(&'a Wakers, Option<usize>);

impl Event for LockedVec {
    const NAME: &'static str = "*floor: one locked `Vec<Waker>`*";
    type Wait<'a> = InVec<'a>;

    fn new() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }

    fn wait(&self) -> InVec<'_> {
        InVec(&self.0, None)
    }

    fn trigger(&self) {
        let wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Future for InVec<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wakers) = &mut *wakers else { return Poll::Ready(()) };
        if let Some(place) = self.1 {
            wakers[place].clone_from(context.waker());
        } else {
            wakers.push(context.waker().clone());
            self.1 = Some(wakers.len() - 1);
        }
        Poll::Pending
    }
}

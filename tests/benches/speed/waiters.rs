//! Many waiters of one event, each in a place of its own that is there before.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use crate::waits::Event;
use crate::waker;

/// Places for waiters. They are no part of what is measured, wherever a future may lie and whether it may be moved.
pub(crate) struct Waiters<'a, E: Event>(Vec<Pin<Box<Option<E::Wait<'a>>>>>);

impl<'a, E: Event> Waiters<'a, E> {
    pub(crate) fn places(many: usize) -> Self {
        Self((0..many).map(|_| Box::pin(None)).collect())
    }

    /// Makes each of them, and polls it for the first time.
    pub(crate) fn register(&mut self, event: &'a E) {
        for (number, place) in self.0.iter_mut().enumerate() {
            place.set(Some(event.wait()));
            poll(place.as_mut(), number);
        }
    }

    /// Polls each of them with the waker that it has.
    pub(crate) fn poll_again(&mut self) {
        for (number, place) in self.0.iter_mut().enumerate() {
            poll(place.as_mut(), number);
        }
    }

    /// Drops each of them.
    pub(crate) fn leave(&mut self) {
        for place in &mut self.0 {
            place.set(None);
        }
    }
}

#[inline]
fn poll<F: Future>(place: Pin<&mut Option<F>>, number: usize) {
    let waker = waker::counting(number);
    let future = place.as_pin_mut().expect("it was made");
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending(), "it has not happened");
}

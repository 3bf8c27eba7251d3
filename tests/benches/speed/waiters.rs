//! Many waiters of one event, each in a place of its own that is there before.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use crate::waits::Event;
use crate::waker;

/// Places for waiters, and their wakers. They are no part of what is measured, wherever a future may lie and whether it may
/// be moved.
pub(crate) struct Waiters<'a, E: Event> {
    places: Vec<Pin<Box<Option<E::Wait<'a>>>>>,
    wakers: Vec<Waker>,
}

impl<'a, E: Event> Waiters<'a, E> {
    pub(crate) fn places(many: usize) -> Self {
        Self { places: (0..many).map(|_| Box::pin(None)).collect(), wakers: (0..many).map(waker::counting).collect() }
    }

    /// Makes each of them, and polls it for the first time.
    pub(crate) fn register(&mut self, event: &'a E) {
        for (place, waker) in self.places.iter_mut().zip(&self.wakers) {
            place.set(Some(event.wait()));
            poll(place.as_mut(), waker);
        }
    }

    /// Polls each of them with the waker that it has.
    pub(crate) fn poll_again(&mut self) {
        for (place, waker) in self.places.iter_mut().zip(&self.wakers) {
            poll(place.as_mut(), waker);
        }
    }

    /// Drops each of them.
    pub(crate) fn leave(&mut self) {
        for place in &mut self.places {
            place.set(None);
        }
    }
}

#[inline]
fn poll<F: Future>(place: Pin<&mut Option<F>>, waker: &Waker) {
    let future = place.as_pin_mut().expect("it was made");
    assert!(future.poll(&mut Context::from_waker(waker)).is_pending(), "it has not happened");
}

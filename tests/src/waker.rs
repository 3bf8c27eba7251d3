//! A waker that counts what is done with it, and a small executor.
#![expect(unsafe_code, reason = "`Wake` does not say when a waker is cloned; see each use")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread::{self, Thread};

/// What was done with a waker and its clones.
#[derive(Debug, Default)]
pub struct Counts {
    clones: AtomicUsize,
    wakes: AtomicUsize,
    alive: AtomicUsize,
}

impl Counts {
    /// How often it was cloned.
    #[must_use]
    pub fn clones(&self) -> usize {
        self.clones.load(SeqCst)
    }

    /// How often it was woken.
    #[must_use]
    pub fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }

    /// How many there are, itself and its clones.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.alive.load(SeqCst)
    }
}

const VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_one);

/// A waker that wakes nobody, and what is done with it from now on.
#[must_use]
pub fn counted() -> (Waker, Arc<Counts>) {
    let counts = Arc::new(Counts { alive: AtomicUsize::new(1), ..Counts::default() });
    // SAFETY: the functions of `VTABLE` may be called on any thread, and treat the pointer as the reference that it was
    // made of here or by `clone`: `wake` and `drop_one` give it up, the other two leave it.
    let waker = unsafe { Waker::new(Arc::into_raw(counts.clone()).cast(), &VTABLE) };
    (waker, counts)
}

fn clone(counts: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned holds a reference; the clone gets one of its own.
    let borrowed = unsafe {
        Arc::increment_strong_count(counts.cast::<Counts>());
        &*counts.cast::<Counts>()
    };
    borrowed.clones.fetch_add(1, SeqCst);
    borrowed.alive.fetch_add(1, SeqCst);
    RawWaker::new(counts, &VTABLE)
}

fn wake(counts: *const ()) {
    wake_by_ref(counts);
    drop_one(counts);
}

fn wake_by_ref(counts: *const ()) {
    // SAFETY: the waker that is woken holds a reference.
    let borrowed = unsafe { &*counts.cast::<Counts>() };
    borrowed.wakes.fetch_add(1, SeqCst);
}

fn drop_one(counts: *const ()) {
    // SAFETY: the waker that goes gives up its reference.
    let counts = unsafe { Arc::from_raw(counts.cast::<Counts>()) };
    counts.alive.fetch_sub(1, SeqCst);
}

/// Polls once.
pub fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(waker))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on the calling thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

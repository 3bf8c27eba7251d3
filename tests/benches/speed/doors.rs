//! Ways to be counted in and out: ours, the standard library's, and what no way can do without.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use winddown::{OwnedPass, Pass, Shutdown};
use winddown_core::Gate;

use crate::striped::Striped;

/// Something that lets work in, and counts it until its pass is dropped.
pub(crate) trait Door: Sync + Sized + 'static {
    const NAME: &'static str;
    type Pass<'a>;

    fn open() -> Self;
    fn enter(&self) -> Self::Pass<'_>;
}

/// Somebody who has something to do with every door.
pub(crate) trait Visitor {
    fn visit<D: Door>(&mut self);
}

pub(crate) fn each(visitor: &mut impl Visitor) {
    visitor.visit::<Shutdown>();
    visitor.visit::<Owned>();
    visitor.visit::<Gate>();
    visitor.visit::<Striped<false>>();
    visitor.visit::<Arc<()>>();
    visitor.visit::<Locked>();
    #[cfg(feature = "peers")]
    crate::peers::doors::each(visitor);
    visitor.visit::<TwoAdditions>();
}

pub(crate) fn running() -> Shutdown {
    Shutdown::builder().build().expect("a thread for the driver")
}

impl Door for Shutdown {
    const NAME: &'static str = "winddown `Shutdown::enter`";
    type Pass<'a> = Pass<'a>;

    fn open() -> Self {
        running()
    }

    #[inline]
    fn enter(&self) -> Pass<'_> {
        self.enter().expect("it runs")
    }
}

pub(crate) struct Owned(Shutdown);

impl Door for Owned {
    const NAME: &'static str = "winddown `Shutdown::enter_owned`";
    type Pass<'a> = OwnedPass;

    fn open() -> Self {
        Self(running())
    }

    #[inline]
    fn enter(&self) -> OwnedPass {
        self.0.enter_owned().expect("it runs")
    }
}

impl Door for Gate {
    const NAME: &'static str = "winddown-core `Gate::enter`";
    type Pass<'a> = winddown_core::Pass<'a>;

    fn open() -> Self {
        Self::new()
    }

    #[inline]
    fn enter(&self) -> winddown_core::Pass<'_> {
        self.enter().expect("it is open")
    }
}

/// What programs do that ask `Arc::strong_count` in the end. It refuses nobody.
impl Door for Arc<()> {
    const NAME: &'static str = "std `Arc::clone`";
    type Pass<'a> = Self;

    fn open() -> Self {
        Self::default()
    }

    #[inline]
    fn enter(&self) -> Self {
        self.clone()
    }
}

/// What programs do with the standard library alone, when they do all of it.
#[derive(Default)]
pub(crate) struct Locked {
    state: Mutex<(usize, bool)>,
    drained: Condvar,
}

pub(crate) struct LockedPass<'a>(&'a Locked);

impl Locked {
    pub(crate) fn close_and_wait(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = true;
        let wait = self.drained.wait_while(state, |(inside, _)| *inside > 0);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Door for Locked {
    const NAME: &'static str = "std `Mutex<(n, closed)>` and `Condvar`";
    type Pass<'a> = LockedPass<'a>;

    fn open() -> Self {
        Self::default()
    }

    #[inline]
    fn enter(&self) -> LockedPass<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!state.1, "it is open");
        state.0 += 1;
        LockedPass(self)
    }
}

impl Drop for LockedPass<'_> {
    #[inline]
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 -= 1;
        if *state == (0, true) {
            drop(state);
            self.0.drained.notify_all();
        }
    }
}

/// The floor of whoever counts in one word that all share.
#[derive(Default)]
pub(crate) struct TwoAdditions(AtomicUsize);

pub(crate) struct Addition<'a>(&'a AtomicUsize);

impl Door for TwoAdditions {
    const NAME: &'static str = "*floor: two atomic additions to a shared word*";
    type Pass<'a> = Addition<'a>;

    fn open() -> Self {
        Self::default()
    }

    #[inline]
    fn enter(&self) -> Addition<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Addition(&self.0)
    }
}

impl Drop for Addition<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

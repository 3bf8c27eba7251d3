//! Being admitted: passes, and the classes and labels they may have.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;

use winddown_core::{Priority, Refused};

use crate::Shutdown;
use crate::inner::Inner;
use crate::label::Registered;
use crate::stripe::Gate;
use crate::sync::Arc;
use crate::track::Tracked;

/// One admitted piece of work, until it is dropped. From [`Shutdown::enter`].
///
/// The wind-down waits for it. One that is lost with [`std::mem::forget`] is a straggler: waited for until the drain's
/// deadline, and counted in the report.
#[must_use = "dropped at once, it admits nothing"]
pub struct Pass<'a>(winddown_core::Pass<'a, Gate>);

impl Pass<'_> {
    /// Another pass for a part of the same work, also while everyone else is refused: the work was admitted.
    ///
    /// # Errors
    ///
    /// None: the type is that of every gate's.
    pub fn split(&self) -> Result<Self, Refused> {
        self.0.split().map(Self)
    }
}

/// A [`Pass`] that leaves the scope. From [`Shutdown::enter_owned`].
///
/// It keeps the shutdown's state alive, for the price of cloning and dropping an `Arc`.
#[must_use = "dropped at once, it admits nothing"]
pub struct OwnedPass(winddown_core::OwnedPass<Holder>);

impl OwnedPass {
    /// As [`Pass::split`].
    ///
    /// # Errors
    ///
    /// As for [`Pass::split`].
    pub fn split(&self) -> Result<Self, Refused> {
        self.0.split().map(Self)
    }
}

impl OwnedPass {
    /// The class of its gate. (The late gate is for work of class Critical.)
    fn class(&self) -> Priority {
        Priority::ALL.into_iter().find(|class| *class as usize == self.0.holder().gate).unwrap_or_default()
    }
}

/// A pass, borrowed or owned, whose holder is named in the report should it be late.
///
/// If its thread panics and so drops it, the work that it stands for is not done. The [report](crate::Report::failures) names it,
/// its place in the source and the thread, even if that was long before the wind-down or the program caught the panic, and the exit
/// code is not 0. However much work panics dropped, it is one failure, with the number and the first of all. A program that expects a
/// panic can catch it while the pass is alive, and is then asked nothing:
///
/// ```
/// use std::panic::catch_unwind;
/// use winddown::Shutdown;
///
/// let shutdown = Shutdown::builder().build()?;
/// let pass = shutdown.work().label("import").enter().expect("running");
/// # let parse = || ();
/// let parsed = catch_unwind(|| parse()); // not around the pass
/// // ... and deals with it
/// # drop((pass, parsed));
/// # Ok::<(), winddown::BuildError>(())
/// ```
#[must_use = "dropped at once, it admits nothing"]
pub struct Labelled<P> {
    // Given back first: when the last pass wakes the driver, nobody is registered any more.
    registered: Registered,
    pass: P,
}

impl<P> Labelled<P> {
    /// The future that holds it is about to be dropped before it is ready.
    pub(crate) fn set_dropped(&mut self) {
        self.registered.set_dropped();
    }

    /// The current thread has it, which the report says should it be late.
    pub(crate) fn set_thread(&self) {
        self.registered.set_thread();
    }
}

/// The pass in it, to [`split`](Pass::split). The parts have no label.
impl<P> Deref for Labelled<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.pass
    }
}

impl fmt::Debug for Pass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPass").finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for Labelled<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labelled").finish_non_exhaustive()
    }
}

/// What an [`OwnedPass`] holds: the way to its gate.
#[derive(Clone)]
struct Holder {
    inner: Arc<Inner>,
    gate: usize,
}

impl Deref for Holder {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        self.inner.gate_at(self.gate)
    }
}

impl Inner {
    #[inline]
    pub(crate) fn enter(&self, class: Priority) -> Result<Pass<'_>, Refused> {
        self.gate(class).enter().map(Pass).inspect_err(|_| self.count_refused())
    }

    #[inline]
    pub(crate) fn enter_owned(self: &Arc<Self>, class: Priority) -> Result<OwnedPass, Refused> {
        self.enter_owned_at(class as usize)
    }

    #[inline]
    pub(crate) fn enter_owned_at(self: &Arc<Self>, gate: usize) -> Result<OwnedPass, Refused> {
        let holder = Holder { inner: self.clone(), gate };
        Gate::enter_owned(holder).map(OwnedPass).inspect_err(|_| self.count_refused())
    }
}

/// Work with a class of its own. From [`Shutdown::work`].
///
/// ```
/// use winddown::{Priority, Shutdown};
///
/// let shutdown = Shutdown::builder().build()?;
/// let prefetch = shutdown.work().priority(Priority::Low).enter();
/// let upload = shutdown.work().priority(Priority::High).label("upload of 17").enter_owned();
/// # drop((prefetch, upload));
/// # Ok::<(), winddown::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is admitted before `enter`"]
pub struct Work<'a> {
    shutdown: &'a Shutdown,
    class: Priority,
}

impl<'a> Work<'a> {
    pub(crate) fn new(shutdown: &'a Shutdown) -> Self {
        Self { shutdown, class: Priority::default() }
    }

    /// How long the drain waits for it; Critical unless set.
    pub fn priority(mut self, class: Priority) -> Self {
        self.class = class;
        self
    }

    /// What the report calls it, should it be late, along with the place in the source and the thread where it was
    /// admitted, and its age. Costs an entry in a register under a lock.
    pub fn label(self, label: impl Into<Cow<'static, str>>) -> LabelledWork<'a> {
        LabelledWork { work: self, label: label.into() }
    }

    /// As [`Shutdown::enter`], with this class.
    ///
    /// # Errors
    ///
    /// As for [`Shutdown::enter`].
    pub fn enter(self) -> Result<Pass<'a>, Refused> {
        self.shutdown.inner().enter(self.class)
    }

    /// As [`Shutdown::enter_owned`], with this class.
    ///
    /// # Errors
    ///
    /// As for [`Shutdown::enter`].
    pub fn enter_owned(self) -> Result<OwnedPass, Refused> {
        self.shutdown.inner().enter_owned(self.class)
    }
}

/// Work with a label. From [`Work::label`].
#[derive(Clone, Debug)]
#[must_use = "nothing is admitted before `enter`"]
pub struct LabelledWork<'a> {
    work: Work<'a>,
    pub(crate) label: Cow<'static, str>,
}

impl<'a> LabelledWork<'a> {
    pub(crate) fn shutdown(&self) -> &'a Shutdown {
        self.work.shutdown
    }

    /// As [`Work::priority`].
    pub fn priority(mut self, class: Priority) -> Self {
        self.work.class = class;
        self
    }

    /// As [`Shutdown::enter`], with this class and label.
    ///
    /// # Errors
    ///
    /// As for [`Shutdown::enter`].
    #[track_caller]
    pub fn enter(self) -> Result<Labelled<Pass<'a>>, Refused> {
        let pass = self.work.enter()?;
        Ok(self.register(pass, Location::caller()))
    }

    /// As [`Shutdown::enter_owned`], with this class and label.
    ///
    /// # Errors
    ///
    /// As for [`Shutdown::enter`].
    #[track_caller]
    pub fn enter_owned(self) -> Result<Labelled<OwnedPass>, Refused> {
        let pass = self.work.enter_owned()?;
        Ok(self.register(pass, Location::caller()))
    }

    /// Makes a future admitted work, to be spawned on whatever executor: see [`Tracked`].
    ///
    /// **An `Err` that the future returns is not kept.** It is an output as any other: if the output is dropped unread, the error is lost,
    /// the report does not name it, and the exit code may be 0. [`try_track`](Self::try_track) keeps it.
    ///
    /// # Errors
    ///
    /// As for [`Shutdown::enter`]; the future is then dropped.
    #[track_caller]
    pub fn track<F: Future>(self, future: F) -> Result<Tracked<F>, Refused> {
        let (shutdown, class, label) = (self.work.shutdown, self.work.class, self.label.clone());
        let pass = self.enter_owned()?;
        Ok(Tracked::new(shutdown, class, label, pass, future))
    }

    /// As [`track`](Self::track), for a part of work that was admitted: never refused while that work holds its pass, even when
    /// all other work is. The part has the class of the whole.
    ///
    /// ```
    /// use winddown::{Reason, Shutdown};
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// let order = shutdown.enter_owned().expect("running");
    /// shutdown.trigger(Reason::Requested);
    /// let stock = shutdown.work().label("stock").track_part(&order, async { 1 });
    /// assert!(stock.is_ok());
    /// # Ok::<(), winddown::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`OwnedPass::split`]; the future is then dropped.
    #[track_caller]
    pub fn track_part<F: Future>(self, whole: &OwnedPass, future: F) -> Result<Tracked<F>, Refused> {
        let class = whole.class();
        let (shutdown, label) = (self.work.shutdown, self.label.clone());
        let pass = self.priority(class).register(whole.split()?, Location::caller());
        Ok(Tracked::new(shutdown, class, label, pass, future))
    }

    fn register<P>(self, pass: P, location: &'static Location<'static>) -> Labelled<P> {
        let inner = self.work.shutdown.inner();
        let since = inner.trigger.clock.now();
        let registered = inner.labels.register(self.label, self.work.class, location, since);
        Labelled { registered: registered.witnessed(), pass }
    }
}

/// A pass of the gate that stays open while something that was admitted before may still arrive. While it is open it does
/// not ring, so this tells the driver when it is given back.
pub(crate) struct LatePass {
    pass: Option<OwnedPass>,
    inner: Arc<Inner>,
}

impl LatePass {
    pub(crate) fn enter(inner: &Arc<Inner>) -> Result<Self, Refused> {
        let pass = inner.enter_owned_at(Inner::LATE)?;
        Ok(Self { pass: Some(pass), inner: inner.clone() })
    }
}

impl Drop for LatePass {
    fn drop(&mut self) {
        self.pass = None;
        self.inner.trigger.driver.notify();
    }
}

/// The pass of a connection at work. Held for what it does when dropped.
pub(crate) enum Admitted<P> {
    Usual(P),
    Late(#[expect(dead_code, reason = "held")] LatePass),
}

impl<P> Admitted<P> {
    /// The usual pass, or after the refusal one of the late gate.
    pub(crate) fn enter(inner: &Arc<Inner>, enter: impl FnOnce() -> Result<P, Refused>) -> Result<Self, Refused> {
        let late = || LatePass::enter(inner).map(Self::Late);
        // Asked first: a late entrant is not refused, and must not be counted as refused.
        if inner.gate(Priority::Critical).is_closed() {
            return late();
        }
        enter().map(Self::Usual).or_else(|_| late())
    }
}

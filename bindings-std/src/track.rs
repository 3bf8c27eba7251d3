//! Futures as admitted work. Not here: where they are spawned, which is an executor's business.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use winddown_core::{Milestone, Priority};

use crate::hook::{self, Panicked};
use crate::inner::Inner;
use crate::last_thread;
use crate::sync::Arc;
use crate::sync::thread::ThreadId;
use crate::text::OneLine;
use crate::{Cancelled, Labelled, OwnedPass, Shutdown};

/// A future that is admitted work, until it is ready or dropped. From [`LabelledWork::track`](crate::LabelledWork::track), to
/// be spawned on any executor.
///
/// It holds a labelled pass: the drain waits for it as its class says, and the report names it, should it be late. When the
/// time of its class is over (for High its cap, for Critical the drain's deadline, for Low the end of the whole) the future in it is
/// dropped, and this is ready with [`Lost::Late`]. A future that does not return from its `poll` cannot be dropped: the report says
/// that it still holds its pass, and the wind-down waits for it no longer.
///
/// A panic is caught, and named in the [report](crate::Report::failures), also one from before the wind-down: the exit code
/// is then not 0. To keep one to itself a task can catch it inside. An error that the future returns is the reader's, unless it was
/// tracked by [`try_track`](crate::LabelledWork::try_track).
///
/// ```
/// # use std::pin::pin;
/// # use std::task::{Context, Poll, Waker};
/// use winddown::{Lost, Reason, Shutdown};
///
/// let shutdown = Shutdown::builder().build()?;
/// let upload = shutdown.work().label("upload of 17").track(async { 17 }).expect("running");
/// // executor.spawn(upload)
/// # assert_eq!(pin!(upload).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(17)));
/// # Ok::<(), winddown::BuildError>(())
/// ```
///
/// # Work that it starts elsewhere
///
/// Dropping a future stops the future, and not what it has started elsewhere: a child process, a closure on another thread, a task
/// that it has spawned. So a straggler that was dropped is reported as [dropped](crate::AtEnd::Dropped), and not as one that has let
/// go. There are two ways to do better:
///
/// - Have the work end when its handle is dropped. async-process kills a child that was spawned with `kill_on_drop(true)`. A task of
///   async-task that is dropped ends at its next `await`.
/// - Have the work hold a pass of its own until it ends. The drain then waits for it, and the report names it.
///
/// ```
/// # use std::thread;
/// use winddown::Shutdown;
///
/// let shutdown = Shutdown::builder().build()?;
/// let pass = shutdown.work().label("archive of 17").enter_owned().expect("running");
/// # let compress = || ();
/// let request = shutdown.work().label("request 17").track(async move {
///     let thread = thread::spawn(move || {
///         compress(); // or waits for a child process
///         drop(pass);
///     });
///     // and awaits the thread's answer
///     # thread.join().expect("no panic");
/// });
/// # use std::{pin::pin, task::{Context, Waker}};
/// # assert!(pin!(request.expect("running")).poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// # Ok::<(), winddown::BuildError>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct Tracked<F> {
    future: Option<Pin<Box<F>>>,
    late: Cancelled,
    label: Cow<'static, str>,
    location: &'static Location<'static>,
    inner: Arc<Inner>,
    pass: Option<Labelled<OwnedPass>>,
    polled_on: Option<ThreadId>,
}

/// Why a task has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// Its time was over, and its future was dropped. What the future had started elsewhere may run on.
    Late,
    /// It panicked, with this message.
    Panicked(String),
    /// Its executor dropped it.
    Dropped,
    /// It was tracked as [fallible](crate::LabelledWork::try_track) and failed, with this error and its causes.
    Failed(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("the task's time was over"),
            Self::Panicked(message) => write!(f, "the task panicked: {}", OneLine(message)),
            Self::Dropped => f.write_str("the task was dropped by its executor"),
            Self::Failed(message) => write!(f, "the task failed: {}", OneLine(message)),
        }
    }
}

impl Error for Lost {}

impl<F> Tracked<F> {
    #[track_caller]
    pub(crate) fn new(
        shutdown: &Shutdown,
        class: Priority,
        label: Cow<'static, str>,
        pass: Labelled<OwnedPass>,
        future: F,
    ) -> Self {
        let late = match class {
            Priority::Low => Milestone::Done,
            other => other.told_at(),
        };
        Self {
            future: Some(Box::pin(future)),
            late: shutdown.token_at(late).cancelled(),
            label,
            location: Location::caller(),
            inner: shutdown.inner().clone(),
            pass: Some(pass),
            polled_on: None,
        }
    }

    /// Drops the future, and then gives the pass back.
    fn end<T>(&mut self, result: Result<T, Lost>) -> Poll<Result<T, Lost>> {
        if let (Err(_), Some(pass)) = (&result, &mut self.pass) {
            pass.set_dropped();
        }
        let future = self.future.take();
        let dropped = hook::caught(|| drop(future)).map_err(|Panicked(message)| Lost::Panicked(message));
        let result = dropped.and(result);
        if let Err(Lost::Panicked(message)) = &result {
            let what = format!("{:?} from {}: {message}", self.label, self.location);
            self.inner.panics.lock().extend([what]);
        }
        self.pass = None;
        Poll::Ready(result)
    }
}

impl<F> Drop for Tracked<F> {
    /// In this order, so that nothing of the work is left when the drain is told:
    ///
    /// 1. The future is dropped.
    /// 2. The pass is given back.
    fn drop(&mut self) {
        if let (Some(_), Some(pass)) = (&self.future, &mut self.pass) {
            pass.set_dropped();
        }
        drop(self.future.take());
        drop(self.pass.take());
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = Result<F::Output, Lost>;

    /// # Panics
    ///
    /// When it was ready already.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let future = this.future.as_mut().expect("polled after it was ready");
        let here = last_thread::current_id();
        if let (true, Some(pass)) = (this.polled_on.replace(here) != Some(here), &this.pass) {
            pass.set_thread();
        }
        match hook::caught(|| future.as_mut().poll(context)) {
            Ok(Poll::Ready(output)) => this.end(Ok(output)),
            Ok(Poll::Pending) if Pin::new(&mut this.late).poll(context).is_ready() => this.end(Err(Lost::Late)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(Panicked(message)) => this.end(Err(Lost::Panicked(message))),
        }
    }
}

impl<F> fmt::Debug for Tracked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").field("label", &self.label).field("from", &self.location).finish_non_exhaustive()
    }
}

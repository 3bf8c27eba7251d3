//! Tasks that the wind-down waits for. Not here: how they end (`winddown::Tracked`), and where they run.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use winddown::{Child, LabelledWork, Lost, OwnedPass, Priority, Reason, Refused, Token};

use crate::Shutdown;

/// What an executor gets to spawn.
pub type Spawned = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Spawns tasks that are admitted work. From [`Shutdown::tasks`].
///
/// Each holds a pass and has a name: the drain waits for it, the report names it should it be late, and at the deadline of its
/// class it is dropped. A panic is caught and reported. [`winddown::Tracked`] has the details; it is also what to spawn
/// on an executor for futures that are not [`Send`].
///
/// A dropped task leaves behind what it had started elsewhere: see [`spawn`](Self::spawn).
///
/// ```
/// use winddown_smol::{Reason, Shutdown};
///
/// smol::block_on(async {
///     let shutdown = Shutdown::builder().build()?;
///     let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
///     let answer = tasks.label("question").spawn(async { 42 }).expect("running");
///     shutdown.trigger(Reason::Requested);
///     assert_eq!(answer.await, Ok(42));
///     let exit = shutdown.run().await;
///     assert_eq!(exit.code(), 0);
///     Ok::<_, winddown_smol::BuildError>(())
/// })?;
/// # Ok::<_, winddown_smol::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Tasks {
    shutdown: Shutdown,
    spawn: Arc<dyn Fn(Spawned) + Send + Sync>,
    label: Cow<'static, str>,
    class: Priority,
    /// The work that they are parts of.
    whole: Option<Arc<OwnedPass>>,
}

impl Tasks {
    pub(crate) fn new(shutdown: Shutdown, spawn: impl Fn(Spawned) + Send + Sync + 'static) -> Self {
        Self { shutdown, spawn: Arc::new(spawn), label: "task".into(), class: Priority::default(), whole: None }
    }

    #[cfg(all(unix, feature = "http"))]
    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Spawns what is no admitted work.
    #[cfg(all(unix, feature = "http"))]
    pub(crate) fn spawn_untracked(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.spawn)(Box::pin(task));
    }

    /// The same for tasks of this name; "task" unless set.
    #[must_use]
    pub fn label(&self, label: impl Into<Cow<'static, str>>) -> Self {
        Self { label: label.into(), ..self.clone() }
    }

    /// The same for tasks of this class: how long the drain waits for them. Critical unless set.
    #[must_use]
    pub fn priority(&self, class: Priority) -> Self {
        Self { class, ..self.clone() }
    }

    /// The same for parts of work that was admitted: they are never refused while what this returns is alive, even when all other
    /// work is. They have the class of the whole. The returned `Tasks` and its clones hold the pass: drop them when no more
    /// parts will come.
    ///
    /// ```
    /// # smol::block_on(async {
    /// use winddown_smol::{Reason, Shutdown};
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
    /// let parts = tasks.within(shutdown.enter_owned().expect("running"));
    /// let order = tasks.label("order").spawn(async move {
    ///     // The wind-down has begun meanwhile, perhaps.
    ///     let stock = parts.label("stock").spawn(async { 1 }).expect("a part of admitted work");
    ///     let bill = parts.label("bill").spawn(async { 2 }).expect("a part of admitted work");
    ///     stock.await.unwrap() + bill.await.unwrap()
    /// }).expect("running");
    /// shutdown.trigger(Reason::Requested);
    /// assert_eq!(order.await, Ok(3));
    /// # Ok::<_, winddown_smol::BuildError>(())
    /// # })?;
    /// # Ok::<_, winddown_smol::BuildError>(())
    /// ```
    #[must_use]
    pub fn within(&self, pass: OwnedPass) -> Self {
        Self { whole: Some(Arc::new(pass)), ..self.clone() }
    }

    /// Spawns a future.
    ///
    /// **An `Err` that the future returns is not kept.** It is an output as any other, for the caller that awaits the [`Task`]: if the task
    /// is dropped, the error is lost, the report does not name it, and the exit code may be 0. [`try_spawn`](Self::try_spawn) keeps it.
    ///
    /// When the task is dropped at its deadline, what it has started elsewhere runs on:
    ///
    /// - **A child process**, unless it was spawned with `kill_on_drop(true)`.
    /// - **A closure in `unblock`** that has begun, because a thread cannot be stopped. It ends with the process at the latest.
    /// - **A task of the executor's own** that was detached. One whose handle the task holds ends at its next `await`.
    ///
    /// The report says of the task that it was [dropped](winddown::AtEnd::Dropped). Work that holds a pass of its own is waited for
    /// until the same deadline, and named by itself:
    ///
    /// ```
    /// # smol::block_on(async {
    /// use smol::process::Command;
    /// use winddown_smol::Shutdown;
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
    /// let pass = shutdown.work().label("compressing").enter_owned().expect("running");
    /// let upload = tasks.label("upload").spawn(async move {
    ///     let unpacked = Command::new("true").kill_on_drop(true).status().await?;
    ///     let compress = move || {
    ///         // ...
    ///         drop(pass);
    ///     };
    ///     smol::unblock(compress).await;
    ///     Ok::<_, std::io::Error>(unpacked.success())
    /// }).expect("running");
    /// # assert!(upload.await.unwrap().unwrap());
    /// # Ok::<_, winddown_smol::BuildError>(())
    /// # })?;
    /// # Ok::<_, winddown_smol::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] when the program refuses work; the future is dropped.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<Task<F::Output>, Refused>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.spawn_with(|_| future)
    }

    /// As [`spawn`](Self::spawn), for one that can be asked to stop: by the program's being asked to, and by
    /// [`Task::stop`].
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_with<F>(&self, task: impl FnOnce(Token) -> F) -> Result<Task<F::Output>, Refused>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let stop = self.shutdown.token().child();
        let future = task(stop.token());
        Ok(match &self.whole {
            Some(whole) => self.begin(stop, self.work().track_part(whole, future)?),
            None => self.begin(stop, self.work().track(future)?),
        })
    }

    /// As [`spawn`](Self::spawn), for a future whose error is a failure of the program's, even if the [`Task`] is dropped: the report
    /// names it, and the exit code is not 0. See [`try_track`](winddown::LabelledWork::try_track). The [`Task`] is then ready with
    /// [`Lost::Failed`].
    ///
    /// ```
    /// # smol::block_on(async {
    /// use winddown_smol::{Reason, Shutdown};
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
    /// let import = async { Err::<(), _>(std::io::Error::other("no such table")) };
    /// drop(tasks.label("import").try_spawn(import).expect("running"));
    /// shutdown.trigger(Reason::Requested);
    /// let exit = shutdown.run().await;
    /// assert_eq!(exit.code(), 10);
    /// assert!(exit.report.failures[0].what.contains("no such table"));
    /// # Ok::<_, winddown_smol::BuildError>(())
    /// # })?;
    /// # Ok::<_, winddown_smol::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn).
    #[track_caller]
    pub fn try_spawn<F, T, E>(&self, future: F) -> Result<Task<T>, Refused>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        self.try_spawn_with(|_| future)
    }

    /// As [`try_spawn`](Self::try_spawn), for one that can be asked to stop: see [`spawn_with`](Self::spawn_with).
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn).
    #[track_caller]
    pub fn try_spawn_with<F, T, E>(&self, task: impl FnOnce(Token) -> F) -> Result<Task<T>, Refused>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let stop = self.shutdown.token().child();
        let future = task(stop.token());
        Ok(match &self.whole {
            Some(whole) => self.begin(stop, self.work().try_track_part(whole, future)?),
            None => self.begin(stop, self.work().try_track(future)?),
        })
    }

    fn work(&self) -> LabelledWork<'_> {
        self.shutdown.work().priority(self.class).label(self.label.clone())
    }

    fn begin<T: Send + 'static>(
        &self,
        stop: Child,
        tracked: impl Future<Output = Result<T, Lost>> + Send + 'static,
    ) -> Task<T> {
        let (sender, result) = oneshot::channel();
        // Nobody may want to know.
        (self.spawn)(Box::pin(async { drop(sender.send(tracked.await)) }));
        Task { result, stop }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("label", &self.label).field("class", &self.class).finish_non_exhaustive()
    }
}

/// A spawned task: a future of its result. Dropped, the task goes on.
#[derive(Debug)]
#[must_use = "await it, or `drop` it to let it go on alone"]
pub struct Task<T> {
    result: oneshot::Receiver<Result<T, Lost>>,
    stop: Child,
}

impl<T> Task<T> {
    /// Asks it to stop: its token tells, with [`Reason::Requested`]. What it does then is its own affair.
    pub fn stop(&self) {
        self.stop.stop(Reason::Requested);
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(context).map(|result| result.unwrap_or(Err(Lost::Dropped)))
    }
}

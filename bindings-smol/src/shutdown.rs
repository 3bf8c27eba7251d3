//! The handle, as tasks use it. Not here: anything that `winddown` decides.

use std::ops::Deref;

use winddown::{Ended, HookError, HookResult};

use crate::{Builder, Tasks};

/// A program's shutdown, for tasks: [`winddown::Shutdown`], with futures where that has blocking calls.
///
/// It is the same shutdown: [`threads`](Self::threads) gives the handle for those parts of the program that are threads,
/// and one comes [`From`] the other. [`enter`](winddown::Shutdown::enter), [`token`](winddown::Shutdown::token),
/// [`trigger`](winddown::Shutdown::trigger) and the like are that one's, and none of them blocks.
///
/// # Fork
///
/// A forked child has the same `epoll` instance as its parent, if the reactor was in use before: events that it polls for are lost
/// to the parent. So it must poll no `Async` and no `Timer`, nor call `smol::block_on`. It winds down with
/// [`threads`](Self::threads)`().run()`: that, and dropping an [`Incoming`](crate::Incoming) or a
/// [`Connection`](crate::Connection), leaves the reactor alone. See [`winddown::Shutdown`] for the rest.
#[derive(Clone, Debug)]
pub struct Shutdown(winddown::Shutdown);

impl Shutdown {
    /// Begins to set one up. [`Builder`](winddown::Builder) is the one for threads, too.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Waits until the program was asked to stop and has wound down, and polls the [hooks](crate::Stage::hook) on its way. Ready by
    /// the budget's deadline, if its task is polled: a hook that does not return from its `poll` holds this up, but not the
    /// wind-down. [`Ended`] says more, and the [crate's page](crate#the-end-of-the-process) how the process ends all the same.
    ///
    /// To drop it is no harm: the wind-down goes on.
    pub fn run(&self) -> Ended {
        self.0.ended()
    }

    /// Gives a stage one more hook, for what was set up after [`build`](winddown::Builder::build).
    ///
    /// # Errors
    ///
    /// There is no such stage, or it has begun or been given up. The hook is dropped, and never polled.
    #[track_caller]
    pub fn hook<R: HookResult<K>, K>(
        &self,
        stage: &str,
        hook: impl Future<Output = R> + Send + 'static,
    ) -> Result<(), HookError> {
        self.0.async_hook(stage, hook)
    }

    /// A way to spawn tasks that the wind-down knows of. The executor's own `spawn` comes along, and has to let the task run
    /// without a handle:
    ///
    /// ```
    /// # let shutdown = winddown_smol::Shutdown::builder().build()?;
    /// let executor = std::sync::Arc::new(smol::Executor::new());
    /// let tasks = shutdown.tasks(move |task| executor.spawn(task).detach());
    /// # Ok::<(), winddown_smol::BuildError>(())
    /// ```
    #[must_use]
    pub fn tasks(&self, spawn: impl Fn(crate::task::Spawned) + Send + Sync + 'static) -> Tasks {
        Tasks::new(self.clone(), spawn)
    }

    /// The same shutdown for threads, with calls that block: not for tasks.
    #[must_use]
    pub fn threads(&self) -> &winddown::Shutdown {
        &self.0
    }
}

impl Deref for Shutdown {
    type Target = winddown::Shutdown;

    fn deref(&self) -> &winddown::Shutdown {
        &self.0
    }
}

impl From<winddown::Shutdown> for Shutdown {
    fn from(shutdown: winddown::Shutdown) -> Self {
        Self(shutdown)
    }
}

impl From<Shutdown> for winddown::Shutdown {
    fn from(shutdown: Shutdown) -> Self {
        shutdown.0
    }
}

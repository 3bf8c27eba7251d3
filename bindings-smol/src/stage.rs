//! A stage whose hooks are futures. Not here: order and deadlines, which are `winddown`'s.

use std::borrow::Cow;
use std::time::Duration;

use winddown::HookResult;

/// One step of closing: [`winddown::Stage`], with hooks that are futures.
///
/// ```
/// use std::time::Duration;
/// use winddown_smol::Stage;
///
/// Stage::new("database")
///     .after("workers")
///     .reserve(Duration::from_secs(3))
///     .hook(async { /* pool.close().await */ })
///     .blocking(|| -> std::io::Result<()> { /* file.sync_all() */ Ok(()) });
/// ```
#[derive(Debug)]
#[must_use = "give it to `Builder::stage`"]
pub struct Stage(winddown::Stage);

impl Stage {
    /// A stage of this name. Without a hook it ends at once.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(winddown::Stage::new(name))
    }

    /// As [`winddown::Stage::after`].
    pub fn after(self, stage: impl Into<Cow<'static, str>>) -> Self {
        Self(self.0.after(stage))
    }

    /// As [`winddown::Stage::reserve`].
    pub fn reserve(self, time: Duration) -> Self {
        Self(self.0.reserve(time))
    }

    /// As [`winddown::Stage::limit`].
    pub fn limit(self, time: Duration) -> Self {
        Self(self.0.limit(time))
    }

    /// What it does: polled from the stage's beginning by the task that awaits [`run`](crate::Shutdown::run), and dropped at
    /// the stage's deadline. Several are polled side by side. While nobody awaits `run`, each has a thread of its own. What a dropped hook
    /// has started elsewhere (a child process, a closure in `unblock`, a spawned task) may run on.
    ///
    /// An error or a panic is reported, and stops nobody else. One that may not return from its `poll` should be a task of its
    /// own on an executor with several threads, `hook(async move { executor.spawn(it).await })`, so that it holds nobody up.
    #[track_caller]
    pub fn hook<R: HookResult<K>, K>(self, hook: impl Future<Output = R> + Send + 'static) -> Self {
        Self(self.0.async_hook(hook))
    }

    /// A hook that blocks: it runs on a thread of the crate [`blocking`], which goes on should it be abandoned.
    #[track_caller]
    pub fn blocking<R: HookResult<K> + Send + 'static, K>(self, hook: impl FnOnce() -> R + Send + 'static) -> Self {
        Self(self.0.async_hook(async { blocking::unblock(hook).await }))
    }
}

impl From<Stage> for winddown::Stage {
    fn from(stage: Stage) -> Self {
        stage.0
    }
}

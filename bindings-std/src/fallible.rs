//! Tracked futures whose error is a failure in the report. Not here: what else becomes of them (`track`).

use std::error::Error;
use std::panic::Location;

use winddown_core::Refused;

use crate::error::chain;
use crate::inner::Inner;
use crate::pass::LabelledWork;
use crate::{Lost, OwnedPass};

type BoxError = Box<dyn Error + Send + Sync>;

impl LabelledWork<'_> {
    /// As [`track`](Self::track), for a future whose error is a failure of the program's, even if its executor drops the result.
    ///
    /// The [report](crate::Report::failures) names the label, the place in the source, the error and its causes, and the exit code is
    /// not 0. This holds for an error from before the wind-down, too. The future that this returns is then ready with
    /// [`Lost::Failed`]. To keep an error to itself a task can deal with it inside, or be tracked with [`track`](Self::track): there
    /// the error is the reader's, and lost if the result is not read.
    ///
    /// ```
    /// # use std::{pin::pin, task::{Context, Poll, Waker}};
    /// use winddown::{Lost, Reason, Shutdown};
    ///
    /// let shutdown = Shutdown::builder().build()?;
    /// let import = shutdown.work().label("import").try_track(async { Err::<(), _>("no such file") }).expect("running");
    /// // executor.spawn(import).detach()
    /// # let failed = Poll::Ready(Err(Lost::Failed("no such file".to_owned())));
    /// # assert_eq!(pin!(import).poll(&mut Context::from_waker(Waker::noop())), failed);
    /// shutdown.trigger(Reason::Requested);
    /// let exit = shutdown.run();
    /// assert_eq!(exit.code(), 10);
    /// assert!(exit.report.failures[0].what.contains("no such file"));
    /// # Ok::<(), winddown::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`track`](Self::track).
    #[track_caller]
    pub fn try_track<F, T, E>(self, future: F) -> Result<impl Future<Output = Result<T, Lost>> + use<F, T, E>, Refused>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
    {
        let future = self.fallible(future, Location::caller());
        self.track(future).map(flat)
    }

    /// As [`try_track`](Self::try_track), for a part of admitted work: see [`track_part`](Self::track_part).
    ///
    /// # Errors
    ///
    /// As for [`track_part`](Self::track_part).
    #[track_caller]
    pub fn try_track_part<F, T, E>(
        self,
        whole: &OwnedPass,
        future: F,
    ) -> Result<impl Future<Output = Result<T, Lost>> + use<F, T, E>, Refused>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
    {
        let future = self.fallible(future, Location::caller());
        self.track_part(whole, future).map(flat)
    }

    fn fallible<F, T, E>(
        &self,
        future: F,
        location: &'static Location<'static>,
    ) -> impl Future<Output = Result<T, Lost>> + use<F, T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
    {
        let (inner, label) = (self.shutdown().inner().clone(), self.label.clone());
        async move { future.await.map_err(|error| fail(&inner, &label, location, &*error.into())) }
    }
}

/// Called while the task still holds its pass: the report is not made before.
fn fail(inner: &Inner, label: &str, location: &'static Location<'static>, error: &(dyn Error + 'static)) -> Lost {
    let message = chain(error);
    inner.faults.task_failed(format!("{label:?} from {location}: {message}"));
    Lost::Failed(message)
}

async fn flat<T>(tracked: impl Future<Output = Result<Result<T, Lost>, Lost>>) -> Result<T, Lost> {
    tracked.await?
}

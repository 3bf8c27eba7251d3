//! What `main` returns. Not here: the table of exit codes (`winddown_core::Outcome`).

use std::fmt;
use std::process::{ExitCode, Termination};

use crate::Report;
use crate::inner::Owner;
use crate::sync::{Arc, CountedArc};

/// The end of a wind-down, with its report. Returned from `main` it is the process's exit code.
///
/// While it lives, signals that come late still join instead of killing; returned from `main`, they do so to the end of
/// the process.
#[must_use = "return it from `main`: it is the exit code"]
#[non_exhaustive]
pub struct Exit {
    /// How it went.
    pub report: Arc<Report>,
    owner: CountedArc<Owner>,
}

impl Exit {
    pub(crate) fn new(report: Arc<Report>, owner: CountedArc<Owner>) -> Self {
        Self { report, owner }
    }

    /// The exit code: [`Report::exit_code`].
    #[must_use]
    pub fn code(&self) -> u8 {
        self.report.exit_code()
    }

    /// Ends the process with the [`code`](Self::code), by [`std::process::exit`]: for a program whose `main` cannot return this.
    ///
    /// The destructors of `main`'s locals, and of any other thread's, do not run. Functions registered with `atexit` do. A signal that comes
    /// meanwhile joins, and does not kill.
    ///
    /// ```no_run
    /// let shutdown = winddown::Shutdown::builder().signals().build().expect("a plan that fits");
    /// shutdown.run().exit()
    /// ```
    pub fn exit(self) -> ! {
        let code = self.code();
        // As in `report`: the handlers stay.
        std::mem::forget(self.owner);
        std::process::exit(code.into())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        let code = self.code();
        // A repeated SIGTERM (K5) must not kill a program that is about to return 0: the handlers stay.
        std::mem::forget(self.owner);
        code.into()
    }
}

impl fmt::Debug for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exit").field("code", &self.code()).field("report", &self.report).finish_non_exhaustive()
    }
}

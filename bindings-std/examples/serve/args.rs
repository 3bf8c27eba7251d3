//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use winddown::{Budget, EnvError, FromEnv};

/// An HTTP/1.1 server with a database, that loses nobody when it is told to stop.
#[derive(Parser)]
pub(crate) struct Args {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,

    /// The database file; made if there is none.
    #[arg(long, default_value = "orders.redb")]
    pub(crate) database: PathBuf,

    /// The access log; appended to.
    #[arg(long, default_value = "access.log")]
    pub(crate) log: PathBuf,

    /// Seconds from SIGTERM to SIGKILL: the pod's `terminationGracePeriodSeconds`.
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub(crate) grace: Duration,

    /// Seconds to go on admitting after SIGTERM, because load balancers have not heard.
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub(crate) lame_duck: Duration,

    /// Runs a server as a child, under load, ends it by a SIGTERM, and accounts for every request.
    #[arg(long)]
    pub(crate) demo: bool,

    /// Takes a part out, so that the demo can be seen to fail.
    #[arg(long, hide = true)]
    pub(crate) without: Option<Part>,
}

/// What `--without` can take out.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The filter that shuts the listener's door before its queue is accepted dry.
    SynFilter,
    /// Reading on after the last answer, until the client has closed.
    LingeringClose,
    /// The time in which an idle connection may still bring a request.
    Linger,
    /// What asks winddown, for each request: whether it may be worked on, and whether its answer is the last. Nobody is
    /// waited for then; it is there to measure what the two cost.
    Passes,
}

impl Args {
    /// The time there is, with what the environment says to it.
    pub(crate) fn budget(&self) -> Result<Budget, EnvError> {
        let budget = Budget::new(self.grace).lame_duck(self.lame_duck).overridden_by_env()?;
        Ok(if self.without == Some(Part::Linger) { budget.linger(Duration::ZERO) } else { budget })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

//! Other code of the program that handles the same signals, `KIND:SIGNAL`: tokio, and the kinds of `victim`.

#[path = "../../../../src/bin/victim/newcomer.rs"]
mod without_tokio;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use winddown_tests::sys::signals;

use crate::Anything;

/// The other code, once it is installed.
pub(crate) enum Newcomer {
    Tokio,
    Other(without_tokio::Newcomer),
}

/// How many signals a task of tokio's has heard.
static HEARD: AtomicUsize = AtomicUsize::new(0);

impl Newcomer {
    pub(crate) fn install(what: &str) -> Result<Self, Anything> {
        let Some(name) = what.strip_prefix("tokio:") else {
            return without_tokio::Newcomer::install(what).map(Self::Other);
        };
        let kind = SignalKind::from_raw(signals::number(name).ok_or("no such signal")?);
        let (sender, installed) = mpsc::channel();
        thread::spawn(move || -> io::Result<()> {
            runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
                let mut signals = signal(kind)?;
                // The receiver waits.
                let _ = sender.send(());
                while signals.recv().await.is_some() {
                    HEARD.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        installed.recv()?;
        Ok(Self::Tokio)
    }

    /// How many signals it has heard, if it hears any.
    pub(crate) fn heard(&self) -> Option<usize> {
        match self {
            Self::Other(other) => other.heard(),
            Self::Tokio => {
                // The task is woken by then, but it has perhaps not run.
                while HEARD.load(Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
                Some(HEARD.load(Ordering::Relaxed))
            }
        }
    }
}

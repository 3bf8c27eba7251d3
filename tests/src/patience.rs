//! Tests wait for events, without a limit of their own; this is the limit, for the day when an event does not come.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Long enough for any machine; no test passes by waiting for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test body that would hang if a wake were lost.
///
/// # Panics
///
/// When the body panics, and when it has not returned after a minute.
pub fn must_end<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let body = thread::spawn(move || sender.send(body()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("hung: a wait did not end within {PATIENCE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match body.join() {
            Ok(_) => unreachable!("the body ends by sending"),
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

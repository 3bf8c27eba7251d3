//! Other code of the program that handles the same signals: `KIND:SIGNAL`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use winddown_tests::sys::signals::{self, Disposition, HANDLED};

use crate::Anything;

/// The other code, once it is installed.
pub(crate) struct Newcomer {
    kind: String,
}

/// Whether an action of signal-hook's has run.
static HOOKED: AtomicUsize = AtomicUsize::new(0);

impl Newcomer {
    pub(crate) fn install(what: &str) -> Result<Self, Anything> {
        let (kind, name) = what.split_once(':').ok_or("no signal")?;
        let signal = signals::number(name).ok_or("no such signal")?;
        match kind {
            "signal" => signals::handle(signal)?,
            "sigaction" => signals::handle_and_chain(signal)?,
            "ctrlc" => ctrlc::set_handler(|| _ = HANDLED.fetch_add(1, Ordering::Relaxed))?,
            "signal-hook" => drop(signal_hook::flag::register_usize(signal, &HOOKED, 1)?),
            "ignore" => signals::set(signal, Disposition::Ignored)?,
            "default" => signals::set(signal, Disposition::Default)?,
            "system" => call_system(signal)?,
            other => return Err(format!("no kind {other:?}").into()),
        }
        Ok(Self { kind: kind.to_owned() })
    }

    /// How many signals it has heard, if it hears any.
    pub(crate) fn heard(&self) -> Option<usize> {
        match self.kind.as_str() {
            "ignore" | "default" | "system" => return None,
            "signal-hook" => return Some(HOOKED.load(Ordering::Relaxed)),
            // A thread of that crate calls the handler.
            "ctrlc" => {
                while HANDLED.load(Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
            }
            _ => {}
        }
        Some(HANDLED.load(Ordering::Relaxed))
    }
}

/// Has another thread call `system(3)`, with a command that ends with this program's input. Returns while it runs.
fn call_system(signal: i32) -> Result<(), Anything> {
    thread::spawn(|| signals::system(c"exec >/dev/null; read line"));
    while !signals::is_ignored(signal)? {
        thread::yield_now();
    }
    Ok(())
}

//! A launcher: `victim inheriting STATE... -- PROGRAM ARGUMENTS...` runs the program with signals in a state.
//!
//! A state is `ignored=`, `blocked=`, `sent=` (to the process) or `raised=` (to its only thread) and names, as in `sent=HUP,TERM`.
//! They are set in the order in which they are given. A blocked signal that is sent is pending when the program begins.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use winddown_tests::sys;
use winddown_tests::sys::signals::{self, Disposition};

use crate::Anything;

pub(crate) fn inheriting(options: &[String]) -> Result<ExitCode, Anything> {
    let end = options.iter().position(|option| option == "--").ok_or("no program")?;
    for state in &options[..end] {
        let (state, names) = state.split_once('=').ok_or("a state has no signals")?;
        for name in names.split(',') {
            let signal = signals::number(name).ok_or("no such signal")?;
            match state {
                "ignored" => signals::set(signal, Disposition::Ignored)?,
                "blocked" => signals::block(signal)?,
                "sent" => signals::send_to_self(signal)?,
                "raised" => sys::raise(signal),
                other => return Err(format!("no state {other:?}").into()),
            }
        }
    }
    sys::alarm(0);
    let [program, arguments @ ..] = &options[end + 1..] else { return Err("no program".into()) };
    Err(Command::new(program).args(arguments).exec().into())
}

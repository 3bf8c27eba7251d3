//! Programs that end with one exit code each, and a batch program that chooses its own. Not here: codes that `plain` has an option for.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{ExitCode, Termination};
use std::thread;
use std::time::Duration;

use winddown::{Acceptor, Budget, Exit, Notice, Observer, Reason, Report, Shutdown, Stage};
use winddown_tests::sys;

use crate::Anything;

/// `coded CASE`.
pub(crate) fn coded(options: &[String]) -> Result<ExitCode, Anything> {
    let shutdown =
        Shutdown::builder().budget(Budget::new(Duration::from_secs(3)).drain(Duration::from_millis(20))).build()?;
    match options.first().map(String::as_str) {
        Some("fails") => {
            shutdown.trigger(Reason::Failure);
        }
        Some("forces") => {
            let _pass = shutdown.enter()?;
            shutdown.trigger(Reason::Requested);
            shutdown.force();
            return Ok(told(shutdown.run()));
        }
        Some("loses-a-client") => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let mut client = TcpStream::connect(listener.local_addr()?)?;
            client.write_all(b"?\n")?;
            let _acceptor = Acceptor::new(listener, &shutdown)?;
            shutdown.trigger(Reason::Requested);
            return Ok(told(shutdown.run()));
        }
        other => return Err(format!("no case {other:?}").into()),
    }
    Ok(told(shutdown.run()))
}

fn told(exit: Exit) -> ExitCode {
    println!("{}", exit.report);
    Termination::report(exit)
}

/// Says which exit code an observer is told.
struct Codes;

impl Observer for Codes {
    fn notice(&mut self, notice: &Notice) {
        println!("{notice}");
    }

    fn finished(&mut self, report: &Report) {
        println!("an observer hears code {}", report.exit_code());
    }
}

/// A batch program of two items, which does one for each line that it reads. If it is told to stop before the last, it keeps its place and
/// chooses 130. Options: `on-smol`; `fails` (a stage does); `hangs` and `exits` (after the report).
pub(crate) fn batch(options: &[String]) -> Result<ExitCode, Anything> {
    let has = |name: &str| options.iter().any(|option| option == name);
    let stage = if has("fails") { Stage::new("last").hook(|| Err("it is broken")) } else { Stage::new("last") };
    let mut builder = Shutdown::builder().signals().observer(Codes).stage(stage);
    if has("hangs") {
        builder = builder.budget(Budget::new(Duration::from_secs(4))).watchdog(Duration::from_millis(10));
    }
    let shutdown = builder.build()?;
    let pass = shutdown.enter()?;
    println!("ready");
    for item in 1..=2 {
        io::stdin().read_line(&mut String::new())?;
        if shutdown.is_shutting_down() {
            println!("keeps its place before item {item}");
            assert!(shutdown.set_exit_code(130), "in time");
            break;
        }
        println!("item {item} is done");
    }
    io::stdin().read_line(&mut String::new())?;
    drop(pass);
    shutdown.trigger(Reason::Requested);
    let exit = ended(&shutdown, has("on-smol"));
    println!("{}", exit.report);
    let _local = Local;
    if has("exits") {
        sys::at_exit(terminated);
        // The last handle, so that it is `exit` that keeps the signals.
        drop(shutdown);
        exit.exit();
    }
    while has("hangs") {
        thread::park();
    }
    Ok(Termination::report(exit))
}

#[cfg(feature = "smol")]
fn ended(shutdown: &Shutdown, on_smol: bool) -> Exit {
    if on_smol { smol::block_on(winddown_smol::Shutdown::from(shutdown.clone()).run()) } else { shutdown.run() }
}

#[cfg(not(feature = "smol"))]
fn ended(shutdown: &Shutdown, _: bool) -> Exit {
    shutdown.run()
}

struct Local;

impl Drop for Local {
    fn drop(&mut self) {
        println!("a local of main is dropped");
    }
}

/// A signal that comes while the process ends.
extern "C" fn terminated() {
    sys::raise(libc::SIGTERM);
    println!("SIGTERM came at the end");
}

//! A program that says how it was ended, in a line: `victim launched OPTIONS...`. `tests/signals` has the table of what it must say.
//!
//! | option | |
//! |---|---|
//! | `ctrl-c` | hears Ctrl-C through the crate `ctrlc`, instead of SIGTERM and SIGINT |
//! | `HUP`, `TERM`, ... | hears this signal, too |
//! | `hear-ignored`, `take-back` | asks the builder for it |
//! | `before=`, `after=`, `running=`, `draining=` | other code handles the signal since before the build, after it, in `run`, or after the trigger: `KIND:SIGNAL` (`newcomer`) |
//! | `again` | the other code of `after=` installs its handler twice more, and each time the library has looked before |
//! | `forked` | a child that is forked off after the build runs the wind-down |
//! | `dropped` | drops the shutdown, and runs another one that hears SIGUSR1 only |
//! | `full-stack` | SIGTERM comes to a thread with a full stack |

use std::fs;
use std::mem;
use std::path::Path;
use std::process::{ExitCode, Termination};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use winddown::{Budget, Builder, Event, Notice, Reason, Shutdown};
use winddown_tests::sys;
use winddown_tests::sys::signals;

use crate::Anything;
use crate::newcomer::Newcomer;

pub(crate) fn launched(options: &[String]) -> Result<ExitCode, Anything> {
    give_up_later();
    let option = |name: &str| is_given(options, name);
    let newcomer = |at: &str| options.iter().find_map(|option| option.strip_prefix(at)?.strip_prefix('='));
    let mut wanted = wanted(options);
    if option("ctrl-c") {
        wanted.push(libc::SIGINT);
    }
    let mut others = Vec::new();
    others.extend(newcomer("before").map(Newcomer::install).transpose()?);
    let blocked = blocked()?;
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut shutdown = builder(options, &taken).build()?;
    let mut faults = off_the_alternate_stack(&wanted)?;
    if self::blocked()? != blocked {
        faults.push("mask changed".to_owned());
    }
    if option("dropped") {
        drop(mem::replace(&mut shutdown, Shutdown::builder().signal(libc::SIGUSR1).build()?));
    }
    if let Some(what) = newcomer("after") {
        others.push(Newcomer::install(what)?);
        for _ in 0..if option("again") { 2 } else { 0 } {
            drop(shutdown.ended());
            Newcomer::install(what)?;
        }
    }
    if option("forked") {
        wait_until_the_others_sleep()?;
        // SAFETY: the other threads sleep, without a lock.
        #[expect(unsafe_code, reason = "a fork is what is tested")]
        let child = unsafe { sys::fork() }?;
        if child != 0 {
            return Ok(u8::try_from(sys::wait_for(child)?)?.into());
        }
        give_up_later();
    }
    let late = newcomer("draining").map(|what| install_while_draining(&shutdown, what));
    let takes_back = if option("take-back") { wanted.clone() } else { Vec::new() };
    let told = tell_that_it_runs(takes_back, newcomer("running").map(str::to_owned))?;
    if option("full-stack") {
        signals::raise_on_a_full_stack(libc::SIGTERM);
    }
    let exit = shutdown.run();
    OVER.store(true, Ordering::Relaxed);
    others.extend(told.join().expect("no panic"));
    if let Some(late) = late {
        others.push(late.join().expect("no panic"));
    }
    if option("take-back") {
        faults.extend(off_the_alternate_stack(&wanted)?);
    }
    let report = &exit.report;
    let by = match report.reason {
        Reason::Signal(number) => signals::name(number.into()),
        reason => reason.to_string(),
    };
    // The first interrupt counts, too.
    let first = u8::from(report.reason.is_interrupt());
    let mut said = vec![format!("by {by}"), format!("code {}", exit.code())];
    if report.repeats.interrupts > first || report.repeats.others > 0 {
        said.push("repeated".to_owned());
    }
    said.extend(taken.lock().expect("no panic").iter().map(|signal| format!("taken: {signal}")));
    said.extend(report.failures.iter().map(|failure| format!("failed: {:?}", failure.part)));
    said.extend(others.iter().filter_map(Newcomer::heard).map(|times| format!("other code heard {times}")));
    said.extend(faults);
    println!("\n{report}\n{:?} {:?}", report.repeats, report.failures);
    println!("ended: {}", said.join(", "));
    Ok(Termination::report(exit))
}

/// The signals that the options name, and those that are heard unless they say otherwise.
fn wanted(options: &[String]) -> Vec<i32> {
    let usual = if is_given(options, "ctrl-c") { &[][..] } else { &[libc::SIGTERM, libc::SIGINT][..] };
    options.iter().filter_map(|option| signals::number(option)).chain(usual.iter().copied()).collect()
}

fn is_given(options: &[String], name: &str) -> bool {
    options.iter().any(|option| option == name)
}

fn builder(options: &[String], taken: &Arc<Mutex<Vec<String>>>) -> Builder {
    let taken = taken.clone();
    let mut builder =
        Shutdown::builder().budget(Budget::new(Duration::from_secs(10))).observer(move |notice: &Notice| {
            if let Event::SignalTaken { signal } = notice.event {
                taken.lock().expect("no panic").push(signals::name(signal.into()));
            }
        });
    if is_given(options, "ctrl-c") {
        builder = builder.ctrl_c();
    }
    if is_given(options, "hear-ignored") {
        builder = builder.hear_ignored();
    }
    if is_given(options, "take-back") {
        builder = builder.take_signals_back();
    }
    wanted(options).into_iter().fold(builder, Builder::signal)
}

/// Other code installs its handler in the drain, which waits for it.
fn install_while_draining(shutdown: &Shutdown, what: &str) -> thread::JoinHandle<Newcomer> {
    let pass = shutdown.enter_owned().expect("nothing has happened");
    let (token, what) = (shutdown.token(), what.to_owned());
    thread::spawn(move || {
        token.wait();
        let newcomer = Newcomer::install(&what).expect("it can be installed");
        drop(pass);
        newcomer
    })
}

/// Whether `run()` has returned.
static OVER: AtomicBool = AtomicBool::new(false);

/// Has a thread say "ready" and the process number, once the calling thread sleeps in `run()` or it is over. That thread waits for the
/// library to take these signals back, too, and then installs a newcomer.
fn tell_that_it_runs(
    takes_back: Vec<i32>,
    newcomer: Option<String>,
) -> Result<thread::JoinHandle<Option<Newcomer>>, Anything> {
    // As the program sees it that reads this, which is perhaps in another namespace.
    let process = fs::read_link("/proc/self")?;
    let thread = Path::new("/proc").join(fs::read_link("/proc/thread-self")?);
    let is_there =
        move || sleeps(&thread) && off_the_alternate_stack(&takes_back).is_ok_and(|signals| signals.is_empty());
    Ok(thread::spawn(move || {
        while !is_there() && !OVER.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        let newcomer = newcomer.map(|what| Newcomer::install(&what).expect("it can be installed"));
        println!("ready {}", process.display());
        newcomer
    }))
}

fn wait_until_the_others_sleep() -> Result<(), Anything> {
    let own = fs::read_link("/proc/thread-self")?;
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        while Some(&*thread.file_name()) != own.file_name() && !sleeps(&thread.path()) {
            thread::yield_now();
        }
    }
    Ok(())
}

/// Whether a thread sleeps, by its folder in `/proc`.
fn sleeps(thread: &Path) -> bool {
    let stat = fs::read_to_string(thread.join("stat")).expect("the thread is there");
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

/// The signals that the calling thread blocks, as the kernel writes them.
fn blocked() -> Result<String, Anything> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    Ok(status.lines().find(|line| line.starts_with("SigBlk")).ok_or("no mask")?.to_owned())
}

/// Which of these signals have a handler that does not run on the alternate stack: another than the library's.
fn off_the_alternate_stack(wanted: &[i32]) -> Result<Vec<String>, Anything> {
    let mut faults = Vec::new();
    for &signal in wanted {
        if signals::is_off_the_alternate_stack(signal)? {
            faults.push(format!("off the alternate stack: {}", signals::name(signal)));
        }
    }
    Ok(faults)
}

/// What keeps a program that no signal ends from hanging its test. (For process 1 there is no SIGALRM.)
fn give_up_later() {
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(20));
        println!("ended: by no signal, in 20 s");
        sys::exit_now(99);
    });
}

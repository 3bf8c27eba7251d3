//! The demo: a child of the same program, 1,000 connections, a real SIGTERM at half time, an account of every request.
//!
//! Here: when what happens. The load is in `load`, `client` and `script`, the child in `child`, the verdicts in
//! `account`.

mod account;
mod child;
mod client;
mod load;
mod script;
mod tried;

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;

use crate::args::Args;
use account::{Account, Rows};
use child::{Child, Gone};
use load::Load;
use script::CROWD;

/// Of the load, before the SIGTERM.
const HALF: Duration = Duration::from_secs(5);
/// A slow machine gets longer, to answer as many as this.
const ENOUGH: usize = 20_000;
const AT_MOST: Duration = Duration::from_secs(7);
/// What the child is started with.
const LAME_DUCK: Duration = Duration::from_secs(2);
/// How long before the signal and the refusal, and after, connections are opened without a pause.
const RUSH: Duration = Duration::from_millis(500);
/// More than what the child's budget leaves it after that.
const END: Duration = Duration::from_secs(10);
/// How long the clients go on trying when nobody is there any more.
const AFTERWARDS: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    child::allow_descriptors(4 * CROWD as u64)?;
    let began = Instant::now();
    let child = Child::start(args.without, LAME_DUCK)?;
    let say = |what: &str| println!("{:>8.3} s  {what}", began.elapsed().as_secs_f64());
    say(&format!("the server is process {}, on {}; {CROWD} clients connect", child.id(), child.address()));

    if let Some(part) = args.without.and_then(|part| part.to_possible_value()) {
        say(&format!("it has to do without: {}", part.get_name()));
    }

    let load = Load::start(child.address())?;
    thread::sleep(HALF.saturating_sub(RUSH));
    while load.answered() < ENOUGH && began.elapsed() < AT_MOST {
        thread::sleep(Duration::from_millis(50));
    }
    load.rush(true);
    thread::sleep(RUSH);
    let answered = load.answered();
    let signalled = Instant::now();
    child.terminate()?;
    say(&format!("SIGTERM, after {answered} answers"));
    thread::sleep(RUSH);
    load.rush(false);
    thread::sleep(LAME_DUCK.saturating_sub(RUSH + signalled.elapsed()));
    load.rush(true);

    let gone = child.wait(END)?;
    say(&format!("the process is gone, exit code {}", gone.code()));
    thread::sleep(AFTERWARDS);
    let tries = load.stop();

    let log = account::read_log(&child.log())?;
    let rows = Rows::read(&child.database())?;
    let account = Account::of(&tries, &log, &rows, signalled);
    println!("\n{account}");
    let agrees = print_report(&gone, account.lost(), args.without.is_none());
    let has_end = print_times(&gone, account.last_answer, log.closed);
    let enough = account.answered() >= ENOUGH;
    if !enough {
        println!("\n  fewer than {ENOUGH} requests were answered");
    }
    let all_well = enough && has_end && agrees && account.is_clean() && gone.code() == "0";
    println!("\n  {}", if all_well { "nothing was lost" } else { "FAILED" });
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the clients that the server's report counts. `false` if a whole server's report counts other losses than the clients do.
///
/// A server with a part taken out closes connections before it could see their requests. Then only the clients know of the loss.
fn print_report(gone: &Gone, lost: usize, whole: bool) -> bool {
    let said = gone.unserved;
    println!("  its report counts {said}");
    let agrees = !whole || said.lost == lost && !said.unknown;
    if !agrees {
        println!("  but the clients have lost {lost} requests");
    }
    println!();
    agrees
}

/// Says how soon the process was gone. `false` where it left no end to count from.
///
/// "Gone" is when `waitpid` has returned here. The last stage closes the log, whose last line says when it was written:
/// shortly before the stage ended, so this is rather too long than too short.
fn print_times(gone: &Gone, last_answer: Option<Instant>, closed: Option<SystemTime>) -> bool {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    if let Some(at) = last_answer {
        println!("  gone {:.1} ms after its last answer had arrived", millis(gone.at.saturating_duration_since(at)));
    }
    let Some(closed) = closed else {
        println!("  its log has no end");
        return false;
    };
    let after = gone.time.duration_since(closed).unwrap_or_default();
    println!("  gone {:.1} ms after its last stage ended, or less", millis(after));
    true
}

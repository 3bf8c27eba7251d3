//! The usual program: workers that hold passes, stages, signals; every part by an option.

use std::io::{self, BufRead};
use std::process::{ExitCode, Termination};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use winddown::{Budget, Builder, Escalation, FromEnv, Milestone, Shutdown, Stage};
use winddown_tests::sys;

use crate::Anything;

/// What happens after `run()` has returned.
#[derive(PartialEq)]
enum After {
    Return,
    Hang,
}

pub(crate) fn run(options: &[String]) -> Result<ExitCode, Anything> {
    let mut budget = Budget::new(Duration::from_secs(60)).overridden_by_env()?;
    let mut escalation = Escalation::default();
    let mut builder = Shutdown::builder().signals().on_notice(|notice| println!("{notice}"));
    let (mut held, mut hands_back, mut after, mut threads) = (0, false, After::Return, true);
    for option in options {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let time = || value.parse().map(Duration::from_millis).map_err(|error| format!("{option}: {error}"));
        match name {
            "lame-duck" => budget.lame_duck = time()?,
            "drain" => budget.drain = Some(time()?),
            "force-close" => budget.force_close = time()?,
            "spacing" => escalation.spacing = time()?,
            "watchdog" => builder = builder.watchdog(time()?),
            "signal" => builder = builder.signal(value.parse()?),
            "hold" => held = value.parse()?,
            "hands-back" => hands_back = true,
            "hang-after" => after = After::Hang,
            "no-more-threads" => threads = false,
            _ => builder = builder.stage(stage(name, value)?),
        }
    }
    let shutdown = Builder::budget(builder, budget).escalation(escalation).build()?;
    let releases: Vec<_> = (0..held).map(|number| hold(&shutdown, number)).collect::<Result<_, _>>()?;
    if hands_back {
        hand_back(&shutdown)?;
    }
    if threads {
        thread::spawn(move || obey(&releases));
    } else {
        sys::no_more_threads()?;
    }
    println!("ready");
    let exit = shutdown.run();
    println!("{}", exit.report);
    println!("repeats: {:?}", exit.report.repeats);
    if after == After::Hang {
        println!("hangs");
        hang();
    }
    Ok(Termination::report(exit))
}

/// `NAME=KIND`, with a limit of 50 ms where it hangs, and without one where it is stuck.
fn stage(name: &str, kind: &str) -> Result<Stage, String> {
    let stage = Stage::new(name.to_owned());
    Ok(match kind {
        "completes" => stage.hook(|| println!("a hook runs")),
        "fails" => stage.hook(|| Err("it is broken")),
        "panics" => stage.hook(|| -> () { panic!("it is very broken") }),
        "hangs" => stage.limit(Duration::from_millis(50)).hook(hang),
        "stuck" => stage.hook(hang),
        _ => return Err(format!("no kind of stage: {kind:?}")),
    })
}

fn hang() {
    loop {
        thread::park();
    }
}

/// A thread that works until it is released, and never stops by itself.
fn hold(shutdown: &Shutdown, number: usize) -> Result<mpsc::Sender<()>, Anything> {
    let (release, released) = mpsc::channel();
    let (entered, has_entered) = mpsc::channel();
    let shutdown = shutdown.clone();
    thread::Builder::new().name(format!("holder-{number}")).spawn(move || {
        let pass = shutdown.work().label(format!("order {number}")).enter_owned();
        let _ = entered.send(());
        let _ = released.recv();
        drop(pass);
    })?;
    has_entered.recv()?;
    Ok(release)
}

/// A thread that works until it is to hand back, with a job before it that does not fit.
fn hand_back(shutdown: &Shutdown) -> Result<(), Anything> {
    let (pass, token) = (shutdown.enter_owned()?, shutdown.token_at(Milestone::HandBack));
    thread::spawn(move || {
        token.wait();
        let left = token.drain_deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let fits = left.is_none_or(|left| left > Duration::from_secs(60));
        println!("{}", if fits { "begun a job of 60 s" } else { "handed back a job of 60 s" });
        drop(pass);
    });
    Ok(())
}

fn obey(releases: &[mpsc::Sender<()>]) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if line == "release" {
            for release in releases {
                let _ = release.send(());
            }
        }
    }
    // The end of the input is not a release.
    loop {
        thread::park();
    }
}

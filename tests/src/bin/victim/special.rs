//! Programs that do one odd thing.

use std::fs;
use std::future::poll_fn;
use std::pin::pin;
use std::process::{self, ExitCode, Termination};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use winddown::{Budget, Exit, FromEnv, Milestone, Reason, Shutdown, Stage, TokenDescriptor};
use winddown_tests::sys::{self, Counting};
use winddown_tests::waker::block_on;

use crate::Anything;

fn code(exit: Exit) -> ExitCode {
    Termination::report(exit)
}

/// The shortest program: a signal may come at any moment of it.
pub(crate) fn early() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().signals().build()?;
    Ok(code(shutdown.run()))
}

/// A signal comes from another thread while the shutdown is being built.
pub(crate) fn building() -> Result<ExitCode, Anything> {
    thread::spawn(|| sys::kill(process::id(), libc::SIGTERM));
    early()
}

/// Triggered before, and never run: the driver winds down by itself.
pub(crate) fn without_run() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().signals().stage(Stage::new("last").hook(|| println!("a hook runs"))).build()?;
    let done = shutdown.token_at(Milestone::Done);
    sys::raise(libc::SIGTERM);
    done.wait();
    Ok(ExitCode::SUCCESS)
}

/// A signal comes from another thread while the last handle is dropped: it is heard and driven to the end, or it kills.
pub(crate) fn dropping() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().signals().build()?;
    let done = shutdown.token_at(Milestone::Done);
    thread::spawn(|| sys::kill(process::id(), libc::SIGTERM));
    drop(shutdown);
    done.wait();
    Ok(ExitCode::SUCCESS)
}

/// A wind-down under way without a handle: it still hears signals.
pub(crate) fn handleless() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().signals().build()?;
    let pass = shutdown.enter_owned()?;
    let done = shutdown.token_at(Milestone::Done);
    shutdown.trigger(Reason::Requested);
    drop(shutdown);
    sys::raise(libc::SIGTERM);
    drop(pass);
    done.wait();
    // The driver gives the signals back once it has published its report.
    loop {
        match Shutdown::builder().signals().build() {
            Ok(_) => return Ok(ExitCode::SUCCESS),
            Err(_) => thread::yield_now(),
        }
    }
}

/// A signal comes while a build fails: it was meant for the program, and kills it.
pub(crate) fn unbuilt() -> Result<ExitCode, Anything> {
    let first = Shutdown::builder().signal(libc::SIGINT).build()?;
    thread::spawn(|| sys::kill(process::id(), libc::SIGTERM));
    drop(Shutdown::builder().signals().build().expect_err("SIGINT is taken"));
    Ok(code(first.run()))
}

/// Two shutdowns that want the same signal, and what the second is told.
pub(crate) fn two() -> Result<ExitCode, Anything> {
    let first = Shutdown::builder().signal(libc::SIGTERM).build()?;
    let second = Shutdown::builder().signals().build();
    println!("{}", second.expect_err("SIGTERM is taken"));
    println!("{}", Shutdown::builder().signal(libc::SIGKILL).build().expect_err("cannot be had"));
    println!("{}", Shutdown::builder().signal(4711).build().expect_err("is none"));
    // What the second did get before it failed is free again.
    let third = Shutdown::builder().signal(libc::SIGINT).build()?;
    println!("ready");
    third.trigger(Reason::Requested);
    Ok(code(first.run()))
}

/// Nobody listens any more: the signal does what it did before.
pub(crate) fn dropped() -> Result<ExitCode, Anything> {
    drop(Shutdown::builder().signals().build()?);
    println!("ready");
    loop {
        thread::park();
    }
}

/// Somebody listens again.
pub(crate) fn reclaimed() -> Result<ExitCode, Anything> {
    for _ in 0..3 {
        drop(Shutdown::builder().signals().build()?);
    }
    let shutdown = Shutdown::builder().signals().build()?;
    println!("ready");
    Ok(code(shutdown.run()))
}

/// 10,000 shutdowns, each with everything: what is held after the first hundred is held after the last.
pub(crate) fn many() -> Result<ExitCode, Anything> {
    let one = || -> Result<(), Anything> {
        let shutdown = Shutdown::builder()
            .signals()
            .watchdog(Duration::from_secs(60))
            .observer(|_: &winddown::Notice| ())
            .stage(Stage::new("close").hook(|| ()))
            .build()?;
        let pass = shutdown.work().label("work").enter_owned()?;
        let token = shutdown.token();
        let stop = token.receiver();
        let kicker = shutdown.kicker(move || drop(pass));
        shutdown.trigger(Reason::Requested);
        assert!(stop.recv().is_err());
        assert_eq!(shutdown.run().code(), 0);
        drop(kicker);
        Ok(())
    };
    let held = |rounds: usize| -> Result<(usize, usize), Anything> {
        for _ in 0..rounds {
            one()?;
        }
        // Threads that were told to end are on their way.
        while fs::read_dir("/proc/self/task")?.count() > 1 {
            thread::yield_now();
        }
        Ok((Counting::bytes(), fs::read_dir("/proc/self/fd")?.count()))
    };
    let (bytes_before, files_before) = held(100)?;
    let (bytes, files) = held(9_900)?;
    println!("bytes: {bytes_before} then {bytes}, files: {files_before} then {files}");
    assert!(bytes <= bytes_before + 4096, "{} bytes more", bytes - bytes_before);
    assert_eq!(files, files_before);
    Ok(ExitCode::SUCCESS)
}

/// Daemonised after `build`: the driver's thread stayed with the parent.
pub(crate) fn forked() -> Result<ExitCode, Anything> {
    let stage = Stage::new("last").hook(|| println!("a hook runs"));
    let observer = |_: &winddown::Notice| println!("not in a child");
    let shutdown = Shutdown::builder().signals().observer(observer).stage(stage).build()?;
    // SAFETY: the only other thread is the driver's, which sleeps without a lock.
    #[expect(unsafe_code, reason = "a fork is what is tested")]
    let child = unsafe { sys::fork() }?;
    if child == 0 {
        let pass = shutdown.enter_owned()?;
        let token = shutdown.token();
        thread::spawn(move || {
            token.wait();
            drop(pass);
        });
        sys::alarm(100);
        println!("ready {}", process::id());
        return Ok(code(shutdown.run()));
    }
    // The parent only hands the signal on.
    Ok(u8::try_from(sys::wait_for(child)?)?.into())
}

/// Forked twice with a descriptor of a token. Each child winds down: one with the descriptor that it has from its parent, and one that
/// makes its own.
pub(crate) fn forked_descriptor() -> Result<ExitCode, Anything> {
    let tells = |descriptor: &TokenDescriptor| -> Result<bool, Anything> {
        Ok(poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&Timespec::default()))? > 0)
    };
    let shutdown = Shutdown::builder().build()?;
    let ours = shutdown.token().descriptor()?;
    for makes_its_own in [false, true] {
        // SAFETY: the only other thread is the driver's, which sleeps without a lock.
        #[expect(unsafe_code, reason = "a fork is what is tested")]
        let child = unsafe { sys::fork() }?;
        if child == 0 {
            sys::alarm(100);
            let theirs = if makes_its_own { Some(shutdown.token().descriptor()?) } else { None };
            shutdown.trigger(Reason::Requested);
            let exit = shutdown.run();
            println!("child: {:?} and {}", theirs.as_ref().map(tells).transpose()?, tells(&ours)?);
            return Ok(code(exit));
        }
        assert_eq!(sys::wait_for(child)?, 0);
        println!("parent: {}", tells(&ours)?);
    }
    shutdown.trigger(Reason::Requested);
    println!("parent, asked: {}", tells(&ours)?);
    Ok(code(shutdown.run()))
}

/// Forked while the parent's driver is draining: the child's own `run` ends all the same.
pub(crate) fn forked_draining() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().signals().build()?;
    let pass = shutdown.enter_owned()?;
    shutdown.trigger(Reason::Requested);
    shutdown.token_at(Milestone::Refusing).wait();
    // SAFETY: the driver's thread waits for the pass, or is about to; a lock of its own that it might hold for a moment
    // is one that the child takes later than the parent's driver lets go of it with all likelihood, and the alarm is set.
    #[expect(unsafe_code, reason = "a fork is what is tested")]
    let child = unsafe { sys::fork() }?;
    if child == 0 {
        sys::alarm(100);
    }
    drop(pass);
    let exit = shutdown.run();
    if child == 0 {
        return Ok(code(exit));
    }
    assert_eq!(exit.code(), 0);
    Ok(u8::try_from(sys::wait_for(child)?)?.into())
}

/// A scope joins a straggler for ever: the pattern that the documentation tells.
pub(crate) fn scope() -> Result<ExitCode, Anything> {
    let budget = Budget::default().drain(Duration::from_millis(20)).force_close(Duration::ZERO);
    let shutdown = Shutdown::builder().budget(budget).signals().build()?;
    thread::scope(|scope| {
        let pass = shutdown.work().label("scoped").enter();
        scope.spawn(move || {
            let _pass = pass;
            loop {
                thread::park();
            }
        });
        println!("ready");
        let exit = shutdown.run();
        println!("{}", exit.report);
        if !exit.report.stragglers.is_empty() {
            process::exit(exit.code().into());
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// P8: signals that find this very thread in the middle of the allocator and of every lock there is.
pub(crate) fn noise() -> Result<ExitCode, Anything> {
    static STOP: AtomicBool = AtomicBool::new(false);
    sys::alarm(20);
    let shutdown = Shutdown::builder().signals().build()?;
    let stormer = thread::spawn(move || {
        for _ in 0..20_000 {
            let _ = sys::kill_main_thread(libc::SIGTERM);
        }
        STOP.store(true, Ordering::Release);
    });
    // Until the driver refuses and afterwards alike: registers, tables, heap.
    let mut rounds = 0_u64;
    while !STOP.load(Ordering::Acquire) {
        let labelled = shutdown.work().label(format!("round {rounds}")).enter();
        drop(shutdown.kicker_at_last_call(|| ()));
        shutdown.trigger_with(Reason::Requested, "noise");
        drop((labelled, vec![0_u8; 100], shutdown.token().receiver()));
        rounds += 1;
    }
    stormer.join().expect("no panic");
    let before = Counting::calls();
    let errno = sys::errno_after(77, || sys::raise(libc::SIGTERM));
    assert_eq!(Counting::calls(), before, "the handler asked for memory");
    println!("errno {errno} after {rounds} rounds");
    Ok(code(shutdown.run()))
}

pub(crate) fn ctrl_c() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().ctrl_c().build()?;
    println!("{}", Shutdown::builder().signals().build().expect_err("SIGINT is taken"));
    println!("ready");
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(code(exit))
}

pub(crate) fn ctrl_c_then_signals() -> Result<ExitCode, Anything> {
    drop(Shutdown::builder().ctrl_c().build()?);
    reclaimed()
}

pub(crate) fn ctrl_c_dropped() -> Result<ExitCode, Anything> {
    drop(Shutdown::builder().ctrl_c().build()?);
    dropped()
}

pub(crate) fn environment() -> ExitCode {
    match Budget::from_env() {
        Ok(budget) => println!("{budget:?}"),
        Err(error) => println!("{error}"),
    }
    ExitCode::SUCCESS
}

/// A task that is told by a signal: by a thread more, or where there is none to be had (`no-more-threads`) by the driver's.
pub(crate) fn task(options: &[String]) -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().signals().build()?;
    if options == ["no-more-threads"] {
        sys::no_more_threads()?;
    }
    let mut cancelled = shutdown.token().cancelled();
    block_on(poll_fn(|context| {
        let polled = pin!(&mut cancelled).poll(context);
        // Only now: from here on somebody has to wake it.
        println!("{}", if polled.is_pending() { "ready" } else { "told" });
        polled
    }));
    let exit = shutdown.run();
    println!("notes: {:?}", exit.report.notes);
    Ok(code(exit))
}

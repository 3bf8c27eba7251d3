//! Where the striped gate's barrier is not to be had, or the threads are another process's.

use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;

use winddown::{Counting, Exit, Reason, Shutdown};
use winddown_tests::sys;

use crate::Anything;

const THREADS: usize = 4;
const PASSES: u64 = 20_000;

/// Threads that come and go, `meanwhile` among them, and the trigger while the last of them are inside.
fn under_load(shutdown: &Shutdown, meanwhile: impl FnOnce()) -> Exit {
    let (warm, go) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut admitted = 0;
                    while admitted < PASSES / 2 {
                        drop(shutdown.enter().expect("running"));
                        admitted += 1;
                    }
                    warm.wait();
                    go.wait();
                    while let Ok(pass) = shutdown.enter() {
                        admitted += 1;
                        drop(pass.split());
                    }
                    admitted
                })
            })
            .collect();
        warm.wait();
        meanwhile();
        go.wait();
        while shutdown.in_flight().total() == 0 {
            thread::yield_now();
        }
        shutdown.trigger(Reason::Requested);
        let exit = shutdown.run();
        let admitted: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        // Each of the later ones was split.
        let parts = admitted - PASSES / 2 * THREADS as u64;
        assert_eq!(exit.report.admitted, admitted + parts, "P2: the drain knows of everyone");
        exit
    })
}

fn said(exit: Exit, counting: Counting) -> ExitCode {
    println!("{}", exit.report);
    assert_eq!(exit.report.counting, counting);
    std::process::Termination::report(exit)
}

/// The kernel refuses it from the start: everybody shares.
pub(crate) fn unfenced() -> Result<ExitCode, Anything> {
    sys::refuse_membarrier()?;
    let shutdown = Shutdown::builder().build()?;
    let exit = under_load(&shutdown, || ());
    Ok(said(exit, Counting::Shared))
}

/// The kernel refuses it once threads have stripes of their own.
pub(crate) fn unfenced_later() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().build()?;
    let exit = under_load(&shutdown, || sys::refuse_membarrier().expect("filters are to be had"));
    Ok(said(exit, Counting::Waited))
}

/// Forked while the thread has a stripe: its child has the same, and the barrier.
pub(crate) fn forked() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().build()?;
    drop(shutdown.enter()?);
    // SAFETY: the only other thread is the driver's, which sleeps without a lock.
    #[expect(unsafe_code, reason = "a fork is what is tested")]
    let child = unsafe { sys::fork() }?;
    if child == 0 {
        sys::alarm(100);
        drop(shutdown.enter()?);
        let exit = under_load(&Shutdown::builder().build()?, || ());
        assert_eq!(exit.report.counting, Counting::Striped);
        shutdown.trigger(Reason::Requested);
        let exit = shutdown.run();
        assert_eq!(exit.report.admitted, 2, "one before the fork, one after");
        return Ok(said(exit, Counting::Striped));
    }
    Ok(u8::try_from(sys::wait_for(child)?)?.into())
}

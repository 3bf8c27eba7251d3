//! P6, P7: a panic of the driver's, planted at each of its steps, one after the other.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use winddown_core::{Budget, Event, Outcome, Reason};

use crate::{Connection, Notice, Part, Report, Shutdown, Stage, lines_to};

const TOTAL: Duration = Duration::from_millis(400);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Winds down a program that has some of everything, with a panic at this step. Returns its report, and `None` if there are fewer steps.
fn wind_down(step: u32, late: bool) -> Option<Arc<Report>> {
    let ran = Arc::new(AtomicUsize::new(0));
    let hook = || {
        let ran = ran.clone();
        move || {
            ran.fetch_add(1, Ordering::Relaxed);
        }
    };
    let ends = Arc::new(AtomicUsize::new(0));
    let counts = ends.clone();
    let budget = Budget::new(Duration::from_secs(2)).margin(Duration::from_secs(2).saturating_sub(TOTAL));
    let times = Duration::from_millis(50);
    let shutdown = Shutdown::builder()
        .budget(budget.force_close(times).flush(times).linger(Duration::ZERO))
        .stage(Stage::new("second").reserve(times).hook(hook()).async_hook(async {}))
        .stage(Stage::new("first").reserve(times).hook(hook()))
        .observer(lines_to(std::io::sink()))
        .observer(move |notice: &Notice| {
            if matches!(notice.event, Event::Finished { .. }) {
                counts.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
        .unwrap();
    shutdown.kicker(|| ()).keep();
    shutdown.kicker_at_last_call(|| ()).keep();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let connection = Connection::new(ours, &shutdown);
    let busy = late.then(|| connection.busy_owned().unwrap());
    let labelled = late.then(|| shutdown.work().label("late").enter_owned().unwrap());
    let ended = shutdown.ended();
    let (told, tells) = mpsc::channel();
    let awaits = thread::spawn(move || told.send(block_on(ended)).unwrap());

    let tripwire = &shutdown.inner().tripwire;
    tripwire.store(step, Ordering::Relaxed);
    let began = Instant::now();
    shutdown.trigger(Reason::Requested);
    let exit = shutdown.run();
    let awaited = tells.recv().unwrap();
    let took = began.elapsed();
    awaits.join().unwrap();
    drop((busy, labelled));
    let report = exit.report.clone();
    assert!(took < TOTAL + Duration::from_millis(250), "step {step} took {took:?}: {report}");
    assert_eq!(awaited.code(), exit.code());
    assert_eq!(ends.load(Ordering::Relaxed), 1, "step {step}: the observers hear the end: {report}");
    if shutdown.inner().tripwire.load(Ordering::Relaxed) > 0 {
        return None;
    }
    // After the report was made there is nothing left to say.
    let says = report.failures.iter().any(|failure| failure.part == Part::Driver && failure.what.contains("planted"));
    assert!(says && report.outcome >= Outcome::Failed || report.failures.is_empty(), "step {step}: {report}");
    assert!(report.outcome >= Outcome::StageAbandoned || ran.load(Ordering::Relaxed) == 2, "step {step}: {report}");
    Some(report)
}

#[test]
fn p6_p7_a_panic_at_any_step_of_the_driver_is_told_in_time() {
    /// How many wind down side by side.
    const ROW: u32 = 16;
    for late in [false, true] {
        let mut steps = 0;
        for from in (1..).step_by(ROW as usize) {
            let row: Vec<_> = (from..from + ROW).map(|step| thread::spawn(move || wind_down(step, late))).collect();
            let reached = row.into_iter().filter_map(|one| one.join().unwrap()).count();
            steps += reached;
            if reached < ROW as usize {
                break;
            }
        }
        assert!(steps > 40, "only {steps} steps were reached");
    }
}

//! When a hook is over: once its thread's locals are dropped. Not here: hooks that are futures, and who polls them (`futures`).

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Outcome, Reason, Shutdown, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::ms;

use crate::{hang, timed};

/// Runs a closure when the thread that has it ends.
struct AtEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

thread_local! {
    static AT_END: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) };
}

fn at_the_thread_s_end(run: impl FnOnce() + 'static) {
    AT_END.set(AtEnd(Some(Box::new(run))));
}

/// A buffer in a thread-local is flushed before the next stage closes its file.
#[test]
fn a_hook_s_thread_locals_are_dropped_before_its_stage_is_completed() {
    for is_future in [false, true] {
        must_end(move || {
            let (_, builder) = timed();
            let flushed = Arc::new(AtomicBool::new(false));
            // The next stage's hook ends the wait if it begins too early.
            let (begin, too_early) = mpsc::channel();
            let theirs = flushed.clone();
            let write = move || {
                at_the_thread_s_end(move || {
                    let _ = too_early.recv_timeout(ms(200));
                    theirs.store(true, Ordering::SeqCst);
                });
            };
            let (has_flushed, at_close) = (flushed.clone(), Arc::new(Mutex::new(None)));
            let theirs = at_close.clone();
            let close = move || {
                *theirs.lock().unwrap() = Some(has_flushed.load(Ordering::SeqCst));
                let _ = begin.send(());
            };
            let writer = Stage::new("writer");
            let writer = if is_future { writer.async_hook(async { write() }) } else { writer.hook(write) };
            let shutdown = builder.stage(Stage::new("file").hook(close)).stage(writer).build().unwrap();
            shutdown.trigger(Reason::Requested);
            assert_clean(&shutdown.run().report);
            assert_eq!(*at_close.lock().unwrap(), Some(true), "is a future: {is_future}");
        });
    }
}

/// P6.
#[test]
fn p6_a_hook_s_thread_local_that_hangs_is_abandoned_with_its_stage() {
    must_end(|| {
        let stage = Stage::new("writer").limit(ms(100)).hook(|| at_the_thread_s_end(hang));
        let shutdown = Shutdown::builder().stage(stage).build().unwrap();
        shutdown.trigger(Reason::Requested);
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::StageAbandoned);
        let problems = &report.stage("writer").unwrap().problems;
        assert!(problems.len() == 1 && problems[0].ends_with("did not end"), "{report}");
    });
}

//! When a hook is over: once its thread's locals are dropped; and hooks that join a thread. Not here: hooks that are futures, and who polls them (`futures`).

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Fate, HookResult, Outcome, Reason, Shutdown, Stage};
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

/// The stage's end when its hook joins a worker: a closure, or a future that does.
fn joined<T: HookResult<K> + Send + 'static, K>(is_future: bool, work: fn() -> T) -> (Fate, Vec<String>) {
    let worker: JoinHandle<T> = thread::spawn(work);
    let shutdown = timed().1.stage(Stage::new("workers")).build().unwrap();
    let hook = move || worker.join();
    if is_future { shutdown.async_hook("workers", async { hook() }) } else { shutdown.hook("workers", hook) }.unwrap();
    shutdown.trigger(Reason::Requested);
    let report = shutdown.run().report;
    let stage = report.stage("workers").unwrap();
    (stage.fate, stage.problems.clone())
}

#[test]
fn p7_a_joined_worker_s_error_or_panic_is_the_hook_s() {
    for is_future in [false, true] {
        must_end(move || {
            assert_eq!(joined(is_future, || ()), (Fate::Completed, vec![]));
            assert_eq!(joined(is_future, || Ok::<(), &str>(())), (Fate::Completed, vec![]));
            assert_eq!(
                joined(is_future, || Err::<(), _>("no more jobs")),
                (Fate::Failed, vec!["no more jobs".to_owned()])
            );
            let (fate, problems) = joined(is_future, || -> () { panic!("a job is odd") });
            assert_eq!(fate, Fate::Panicked);
            assert!(problems[0].starts_with("a job is odd (hook from"), "{problems:?}");
            // A worker that joins another.
            let nested = joined(is_future, || thread::spawn(|| Err::<(), _>("deep")).join());
            assert_eq!(nested, (Fate::Failed, vec!["deep".to_owned()]));
        });
    }
}

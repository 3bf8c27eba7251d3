//! Threads that come and go. Each gives its stripe back in a thread-local's destructor; others of its destructors still take and
//! drop passes when the next thread has the stripe. Not here: the barrier that the stripes need (`membarrier`).

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use winddown::testing::{ManualClock, assert_clean};
use winddown::{OwnedPass, Reason, Shutdown, Stage};

use crate::{WORKERS, storm, until};

/// How many threads each worker begins, one after the other.
const THREADS: usize = 6;
/// How many passes each of them takes, and its destructor again: enough for the next thread to begin meanwhile.
const PASSES: usize = 500;

#[derive(Default)]
struct Book {
    /// Raised after each admission, lowered before the pass is dropped.
    inside: AtomicUsize,
    admitted: AtomicUsize,
}

struct Visitor {
    shutdown: Shutdown,
    book: Arc<Book>,
    pass: Option<OwnedPass>,
}

impl Visitor {
    fn enter(&mut self) {
        self.leave();
        if let Ok(pass) = self.shutdown.enter_owned() {
            self.book.inside.fetch_add(1, SeqCst);
            self.book.admitted.fetch_add(1, SeqCst);
            self.pass = Some(pass);
        }
    }

    fn leave(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.book.inside.fetch_sub(1, SeqCst);
            drop(pass);
        }
    }
}

/// Takes and drops passes.
impl Drop for Visitor {
    fn drop(&mut self) {
        self.leave();
        (0..PASSES).for_each(|_| self.enter());
        self.leave();
    }
}

thread_local! {
    static VISITOR: RefCell<Option<Visitor>> = const { RefCell::new(None) };
}

/// Every second thread has a visitor whose destructor comes after the one that gives the stripe back.
fn visit(mut visitor: Visitor, stays_longer: bool) {
    if stays_longer {
        VISITOR.set(None);
    }
    (0..PASSES).for_each(|_| visitor.enter());
    VISITOR.set(Some(visitor));
}

#[test]
fn p2_p3_p4_hold_for_threads_that_come_and_go() {
    storm(|round| {
        let book = Arc::<Book>::default();
        let theirs = book.clone();
        let closing = move || assert_eq!(theirs.inside.load(SeqCst), 0, "P3: the stages began with a pass alive");
        let stage = Stage::new("closing").hook(closing);
        let shutdown = Shutdown::builder().manual_clock(&ManualClock::new()).stage(stage).build().unwrap();
        let works = || {
            let threads = (0..THREADS).map(|number| {
                let visitor = Visitor { shutdown: shutdown.clone(), book: book.clone(), pass: None };
                let thread = thread::spawn(move || visit(visitor, number % 2 == 0));
                // The thread is finished before its destructors run; `join` waits for them.
                while !thread.is_finished() {
                    thread::yield_now();
                }
                thread
            });
            let threads: Vec<_> = threads.collect();
            for thread in threads {
                thread.join().unwrap();
            }
        };
        let exit = thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(works);
            }
            // The trigger comes early in one round and late in another.
            let all = 2 * PASSES * THREADS * WORKERS;
            until(|| book.admitted.load(SeqCst) >= all / 32 * (round % 32) as usize);
            shutdown.trigger(Reason::Requested);
            shutdown.run()
        });
        assert_clean(&exit.report);
        assert_eq!((book.inside.load(SeqCst), shutdown.in_flight().total()), (0, 0));
        // Entrants that are being refused may be in the report's figure.
        let (told, admitted) = (exit.report.admitted, book.admitted.load(SeqCst) as u64);
        assert!((admitted..=admitted + WORKERS as u64 * THREADS as u64).contains(&told), "P2: {told}, not {admitted}");
    });
}

//! The gate: admission against the close, and the one announcement.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::thread::{self, JoinHandle};
use winddown_core::{Gate, Notify, Refused};

use crate::explore::{Witness, explore};

/// What everybody shares.
struct House {
    gate: Gate<Bell>,
    ledger: Arc<Ledger>,
}

/// What was done. The standard library's atomics in it are not explored: they tell what is so, whoever may see it.
struct Ledger {
    rung: AtomicUsize,
    /// How often each one has been admitted.
    admitted: [AtomicUsize; 3],
    /// The last of the pieces of work that each one has done under its passes.
    work: [Witness; 3],
    /// A closer was here.
    closing: Witness,
    /// The second closer's.
    other_closing: Witness,
}

impl Ledger {
    /// P3: everything that was done under a pass has happened, and is seen.
    fn all_work_is_seen(&self) {
        for (work, admitted) in self.work.iter().zip(&self.admitted) {
            assert_eq!(work.seen(), admitted.load(Ordering::Relaxed), "drained with somebody inside");
        }
    }
}

struct Bell(Arc<Ledger>);

impl Notify for Bell {
    fn notify(&self) {
        self.0.rung.fetch_add(1, Ordering::Relaxed);
        self.0.all_work_is_seen();
    }
}

impl House {
    fn new() -> Arc<Self> {
        let ledger = Arc::new(Ledger {
            rung: AtomicUsize::new(0),
            admitted: Default::default(),
            work: std::array::from_fn(|_| Witness::new()),
            closing: Witness::new(),
            other_closing: Witness::new(),
        });
        Arc::new(Self { gate: Gate::with_notify(Bell(ledger.clone())), ledger })
    }

    /// Somebody who tries to get in so many times, and works when inside.
    fn entrant(self: &Arc<Self>, who: usize, times: usize) -> JoinHandle<()> {
        let house = self.clone();
        thread::spawn(move || (0..times).for_each(|_| house.try_to_work(who)))
    }

    fn try_to_work(&self, who: usize) {
        match self.gate.enter() {
            Ok(_pass) => self.work(who),
            Err(refused) => {
                assert_eq!(refused, Refused::Closed);
                assert!(self.gate.is_closed(), "refused by an open gate");
                assert_eq!(self.ledger.closing.seen(), 1, "refused, and cannot see why");
            }
        }
    }

    /// To be called under a pass.
    fn work(&self, who: usize) {
        let time = self.ledger.admitted[who].fetch_add(1, Ordering::Relaxed) + 1;
        assert!(!self.gate.is_drained(), "drained with somebody inside");
        self.ledger.work[who].note(time);
    }

    fn close(&self) -> bool {
        self.ledger.closing.note(1);
        let did_it = self.gate.close();
        self.look();
        did_it
    }

    /// Looks once, as the driver does.
    fn look(&self) {
        if self.gate.is_drained() {
            self.ledger.all_work_is_seen();
            assert_eq!(self.gate.in_flight(), 0);
        }
    }

    /// Everybody has gone home.
    fn is_over(&self) {
        assert!(self.gate.is_closed() && self.gate.is_drained() && self.gate.in_flight() == 0);
        assert_eq!(self.ledger.rung.load(Ordering::Relaxed), 1, "rung as often");
        self.ledger.all_work_is_seen();
        self.gate.enter().unwrap_err();
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// P2, P3, P4, in all there is.
#[test]
fn one_entrant_against_the_close() {
    explore(None, || {
        let house = House::new();
        let entrant = house.entrant(0, 2);
        assert!(house.close());
        join([entrant]);
        house.is_over();
    });
}

/// P2, P3, P4: one who tries again and again, another, and the closer.
#[test]
fn two_entrants_against_the_close() {
    explore(Some(3), || {
        let house = House::new();
        let entrants = [house.entrant(0, 2), house.entrant(1, 1)];
        assert!(house.close());
        join(entrants);
        house.is_over();
    });
}

/// The same with four threads.
#[test]
fn three_entrants_against_the_close() {
    explore(Some(2), || {
        let house = House::new();
        let entrants = [house.entrant(0, 1), house.entrant(1, 1), house.entrant(2, 1)];
        assert!(house.close());
        join(entrants);
        house.is_over();
    });
}

/// P4: two passes that were there before, sent to other threads, are the last ones.
#[test]
fn the_last_pass_against_the_close() {
    explore(None, || {
        let house = House::new();
        let passes = [0, 1].map(|_| Gate::enter_owned(OfHouse(house.clone())).unwrap());
        let threads = passes.into_iter().enumerate().map(|(who, pass)| {
            let house = house.clone();
            thread::spawn(move || {
                house.work(who);
                drop(pass);
            })
        });
        let threads: Vec<_> = threads.collect();
        assert!(house.close());
        join(threads);
        house.is_over();
    });
}

#[derive(Clone)]
struct OfHouse(Arc<House>);

impl std::ops::Deref for OfHouse {
    type Target = Gate<Bell>;

    fn deref(&self) -> &Gate<Bell> {
        &self.0.gate
    }
}

/// P3: work that was admitted fans out while the gate closes; a part goes to a thread of its own.
#[test]
fn a_split_against_the_close() {
    explore(Some(3), || {
        let house = House::new();
        let pass = Gate::enter_owned(OfHouse(house.clone())).unwrap();
        let theirs = house.clone();
        let fan_out = thread::spawn(move || {
            let part = pass.split().expect("a gate with room");
            let house = theirs.clone();
            let part = thread::spawn(move || {
                house.work(1);
                drop(part);
            });
            theirs.work(0);
            drop(pass);
            join([part]);
        });
        assert!(house.close());
        join([fan_out]);
        house.is_over();
    });
}

/// One of two closers did it, the other sees what that one had done before, and the gate is drained once.
#[test]
fn two_closers_and_a_pass() {
    explore(None, || {
        let house = House::new();
        let pass = Gate::enter_owned(OfHouse(house.clone())).unwrap();
        let worker = {
            let house = house.clone();
            thread::spawn(move || {
                house.work(0);
                drop(pass);
            })
        };
        let theirs = house.clone();
        let closer = thread::spawn(move || {
            theirs.ledger.other_closing.note(1);
            let did_it = theirs.gate.close();
            assert!(did_it || theirs.ledger.closing.seen() == 1, "closed by another, and cannot see why");
            did_it
        });
        house.ledger.closing.note(1);
        let did_it = house.gate.close();
        assert!(did_it || house.ledger.other_closing.seen() == 1, "closed by another, and cannot see why");
        assert_ne!(did_it, closer.join().unwrap(), "one of them closed it");
        join([worker]);
        house.is_over();
    });
}

/// Who is not in the figure any more has done what they did.
#[test]
fn a_count_of_nobody_inside() {
    explore(None, || {
        let house = House::new();
        let pass = Gate::enter_owned(OfHouse(house.clone())).unwrap();
        let theirs = house.clone();
        let worker = thread::spawn(move || {
            theirs.work(0);
            drop(pass);
        });
        let theirs = house.clone();
        let onlooker = thread::spawn(move || {
            if theirs.gate.in_flight() == 0 {
                theirs.ledger.all_work_is_seen();
            }
        });
        join([worker, onlooker]);
        house.close();
        house.is_over();
    });
}

/// Who only looks sees the work, or is told nothing.
#[test]
fn somebody_who_only_looks() {
    explore(Some(3), || {
        let house = House::new();
        let entrant = house.entrant(0, 1);
        let theirs = house.clone();
        let onlooker = thread::spawn(move || {
            theirs.look();
            if theirs.gate.is_closed() {
                assert_eq!(theirs.ledger.closing.seen(), 1, "closed, and cannot see why");
                theirs.gate.enter().unwrap_err();
            }
            theirs.look();
        });
        assert!(house.close());
        join([entrant, onlooker]);
        house.is_over();
    });
}

/// P9: a bell may do with the gate what it likes, whoever rings it.
#[test]
fn a_bell_that_comes_back_in() {
    struct Curious(Arc<(std::sync::OnceLock<std::sync::Weak<Gate<Curious>>>, AtomicUsize)>);
    impl Notify for Curious {
        fn notify(&self) {
            self.0.1.fetch_add(1, Ordering::Relaxed);
            let gate = self.0.0.get().and_then(std::sync::Weak::upgrade).expect("rung by a gate that is there");
            assert_eq!(gate.enter().unwrap_err(), Refused::Closed);
            assert!(gate.is_drained() && !gate.close() && gate.in_flight() == 0);
        }
    }
    explore(None, || {
        let shared = Arc::new((std::sync::OnceLock::new(), AtomicUsize::new(0)));
        let gate = Arc::new(Gate::with_notify(Curious(shared.clone())));
        assert!(shared.0.set(Arc::downgrade(&gate)).is_ok());
        let theirs = gate.clone();
        let entrant = thread::spawn(move || drop(theirs.enter()));
        assert!(gate.close());
        join([entrant]);
        assert!(gate.is_drained());
        assert_eq!(shared.1.load(Ordering::Relaxed), 1);
    });
}

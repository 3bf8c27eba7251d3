//! The gates: admission against the close, and the one announcement. Each model is explored for the gate of one word, and
//! for the striped one with owners, with sharers, with some of each, and with owners who have full fences.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::thread::{self, JoinHandle};
use winddown_core::{Gate, Notify, OwnedPass, Refused, StripeSet};
use winddown_explore::{Door, Striped};

use crate::explore::{Witness, explore};

/// What everybody shares.
struct House<G> {
    gate: G,
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

/// One of the gates.
trait Kind: Door<Bell> + Send + Sync + 'static {
    /// How many switches are explored, where so many would be for the gate of one word.
    fn bound(of_one_word: Option<usize>) -> Option<usize> {
        of_one_word
    }
}

impl Kind for Gate<Bell> {}

/// More words, and so more switches to choose from; with fences on both sides each look is a choice of its own, too.
impl<const OWN: u8, const FENCES: bool> Kind for Striped<Bell, OWN, FENCES> {
    fn bound(of_one_word: Option<usize>) -> Option<usize> {
        let most = if FENCES { 2 } else { 4 };
        Some(of_one_word.map_or(most, |bound| bound.min(most)))
    }
}

/// The stripe of the thread that begins a model.
const MAIN: usize = 2;

struct OfHouse<G>(Arc<House<G>>);

impl<G> Clone for OfHouse<G> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<G> std::ops::Deref for OfHouse<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.0.gate
    }
}

impl<G: Kind> House<G> {
    fn new() -> Arc<Self> {
        let ledger = Arc::new(Ledger {
            rung: AtomicUsize::new(0),
            admitted: Default::default(),
            work: std::array::from_fn(|_| Witness::new()),
            closing: Witness::new(),
            other_closing: Witness::new(),
        });
        Arc::new(Self { gate: G::with_notify(Bell(ledger.clone())), ledger })
    }

    /// Somebody who tries to get in so many times, and works when inside.
    fn entrant(self: &Arc<Self>, who: usize, times: usize) -> JoinHandle<()> {
        let house = self.clone();
        thread::spawn(move || {
            let _at = house.gate.at(who);
            (0..times).for_each(|_| house.try_to_work(who));
        })
    }

    /// One that is there before the model's threads are.
    fn pass(self: &Arc<Self>) -> OwnedPass<OfHouse<G>> {
        let _at = self.gate.at(MAIN);
        G::enter_owned(OfHouse(self.clone())).unwrap()
    }

    /// Somebody who works under a pass that is there.
    fn worker(self: &Arc<Self>, who: usize, pass: OwnedPass<OfHouse<G>>) -> JoinHandle<()> {
        let house = self.clone();
        thread::spawn(move || {
            let _at = house.gate.at(who);
            house.work(who);
            drop(pass);
        })
    }

    fn try_to_work(&self, who: usize) {
        match self.gate.enter() {
            Ok(_pass) => self.work(who),
            Err(refused) => {
                assert_eq!(refused, Refused::Closed);
                // Before any other look at the gate, which would bring it.
                assert_eq!(self.ledger.closing.seen(), 1, "refused, and cannot see why");
                assert!(self.gate.is_closed(), "refused by an open gate");
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
fn one_entrant_against_the_close<G: Kind>() {
    explore(G::bound(None), || {
        let house = House::<G>::new();
        let entrant = house.entrant(0, 2);
        assert!(house.close());
        join([entrant]);
        house.is_over();
    });
}

/// P2, P3, P4: one who tries again and again, another, and the closer.
fn two_entrants_against_the_close<G: Kind>() {
    explore(G::bound(Some(3)), || {
        let house = House::<G>::new();
        let entrants = [house.entrant(0, 2), house.entrant(1, 1)];
        assert!(house.close());
        join(entrants);
        house.is_over();
    });
}

/// The same with four threads.
fn three_entrants_against_the_close<G: Kind>() {
    explore(G::bound(Some(2)), || {
        let house = House::<G>::new();
        let entrants = [house.entrant(0, 1), house.entrant(1, 1), house.entrant(2, 1)];
        assert!(house.close());
        join(entrants);
        house.is_over();
    });
}

/// P4: two passes that were there before, sent to other threads, are the last ones.
fn the_last_pass_against_the_close<G: Kind>() {
    explore(G::bound(None), || {
        let house = House::<G>::new();
        let [one, other] = [0, 1].map(|_| house.pass());
        let threads = [house.worker(0, one), house.worker(1, other)];
        assert!(house.close());
        join(threads);
        house.is_over();
    });
}

/// P3: work that was admitted fans out while the gate closes; a part goes to a thread of its own.
fn a_split_against_the_close<G: Kind>() {
    explore(G::bound(Some(3)), || {
        let house = House::<G>::new();
        let pass = house.pass();
        let theirs = house.clone();
        let fan_out = thread::spawn(move || {
            let at = theirs.gate.at(0);
            let part = pass.split().expect("a gate with room");
            let part = theirs.worker(1, part);
            theirs.work(0);
            drop(pass);
            drop(at);
            join([part]);
        });
        assert!(house.close());
        join([fan_out]);
        house.is_over();
    });
}

/// One of two closers did it, the other sees what that one had done before, and the gate is drained once.
fn two_closers_and_a_pass<G: Kind>() {
    explore(G::bound(None), || {
        let house = House::<G>::new();
        let worker = house.worker(0, house.pass());
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
fn a_count_of_nobody_inside<G: Kind>() {
    explore(G::bound(None), || {
        let house = House::<G>::new();
        let worker = house.worker(0, house.pass());
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
fn somebody_who_only_looks<G: Kind>() {
    explore(G::bound(Some(3)), || {
        let house = House::<G>::new();
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

/// A stripe that goes on to another thread, with nothing in between but that.
#[test]
fn a_stripe_that_is_given_back() {
    explore(Some(3), || {
        let house = House::<Striped<Bell, 0b111>>::new();
        let free = Arc::new(StripeSet::new());
        let threads = [0, 1].map(|who| {
            let (house, free) = (house.clone(), free.clone());
            thread::spawn(move || {
                let at = house.gate.stripes().at(who);
                let number = free.claim().unwrap();
                at.moves_to(number);
                house.try_to_work(who);
                free.give_back(number);
            })
        });
        assert!(house.close());
        join(threads);
        house.is_over();
    });
}

macro_rules! for_each_gate {
    ($($model:ident)*) => {
        for_each_gate!(word: Gate<Bell> => $($model)*);
        for_each_gate!(owners: Striped<Bell, 0b111> => $($model)*);
        for_each_gate!(sharers: Striped<Bell, 0> => $($model)*);
        for_each_gate!(mixed: Striped<Bell, 0b110> => $($model)*);
        for_each_gate!(fenced: Striped<Bell, 0b111, true> => $($model)*);
    };
    ($kind:ident: $gate:ty => $($model:ident)*) => {
        mod $kind {
            use super::*;

            $(#[test]
            fn $model() {
                super::$model::<$gate>();
            })*
        }
    };
}

for_each_gate!(
    one_entrant_against_the_close
    two_entrants_against_the_close
    three_entrants_against_the_close
    the_last_pass_against_the_close
    a_split_against_the_close
    two_closers_and_a_pass
    a_count_of_nobody_inside
    somebody_who_only_looks
);

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

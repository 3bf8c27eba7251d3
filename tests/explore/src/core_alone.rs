//! The race in core alone: a lifecycle and a gate of either kind, and everything that one can do with them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use arbitrary::Arbitrary;
use winddown_core::{Forced, Gate, Lifecycle, Notify, OwnedPass, Phase, Reason, Refused, State};

use super::program::{Threads, Whom};
use super::{Door, STRIPES, Striped, thread};

#[derive(Arbitrary, Debug)]
pub(super) struct Program {
    gate: Kind,
    threads: Threads<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    OneWord,
    /// The first threads have a stripe each.
    Owners,
    Sharers,
    /// One thread has a stripe, the others share.
    Mixed,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Step {
    Enter,
    Leave,
    Split,
    Send(Whom),
    Receive,
    Forget,
    Close,
    Ask(Why),
    AskUncounted(Why),
    Force { by_interrupt: bool },
    BeginClosing,
    Finish,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Why {
    Requested,
    Failure,
    Interrupt,
    Signal(u8),
}

impl From<Why> for Reason {
    fn from(why: Why) -> Self {
        match why {
            Why::Requested => Self::Requested,
            Why::Failure => Self::Failure,
            Why::Interrupt => Self::Interrupt,
            Why::Signal(number) => Self::Signal(number),
        }
    }
}

type Pass<G> = OwnedPass<Shared<G>>;

/// Either of the gates.
trait Gateway: Door<Bell> + Send + Sync + 'static {}

impl<G: Door<Bell> + Send + Sync + 'static> Gateway for G {}

/// What is raced for.
struct House<G: Gateway> {
    gate: G,
    life: Lifecycle,
    inboxes: Vec<Mutex<VecDeque<Pass<G>>>>,
    book: Arc<Book>,
}

/// What is so, in atomics that are no part of the race.
#[derive(Default)]
struct Book {
    house: OnceLock<Weak<dyn Rung>>,
    /// Admitted and not gone: counted after the gate has, and taken off before.
    inside: AtomicUsize,
    forgotten: AtomicUsize,
    /// A call to `close` has returned.
    refusing: AtomicBool,
    closed: AtomicUsize,
    rung: AtomicUsize,
    first: Mutex<Option<Reason>>,
    interrupts: AtomicUsize,
    too_soon: AtomicUsize,
    others: AtomicUsize,
    forced: Mutex<Option<Forced>>,
    closing: AtomicUsize,
    done: AtomicUsize,
}

/// Looks around when it is rung, and tries everything (P9).
struct Bell(Arc<Book>);

impl Notify for Bell {
    fn notify(&self) {
        let Book { house, inside, rung, .. } = &*self.0;
        assert_eq!(rung.fetch_add(1, SeqCst), 0, "P4: rung twice");
        assert_eq!(inside.load(SeqCst), 0, "P3: rung with somebody inside");
        house.get().and_then(Weak::upgrade).expect("the gate is in it").rung();
    }
}

/// A house, for a bell that need not know which.
trait Rung: Send + Sync {
    fn rung(&self);
}

impl<G: Gateway> Rung for House<G> {
    fn rung(&self) {
        assert!(self.gate.is_drained() && self.gate.in_flight() == 0 && !self.gate.close());
        assert_eq!(self.gate.enter().unwrap_err(), Refused::Closed);
    }
}

struct Shared<G: Gateway>(Arc<House<G>>);

impl<G: Gateway> Clone for Shared<G> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<G: Gateway> std::ops::Deref for Shared<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.0.gate
    }
}

pub(super) fn run(Program { gate, threads: Threads(threads) }: &Program) {
    match gate {
        Kind::OneWord => race::<Gate<Bell>>(threads),
        Kind::Owners => race::<Striped<Bell, 0b111>>(threads),
        Kind::Sharers => race::<Striped<Bell, 0>>(threads),
        Kind::Mixed => race::<Striped<Bell, 0b010>>(threads),
    }
}

fn race<G: Gateway>(threads: &[Vec<Step>]) {
    let book = Arc::<Book>::default();
    let house = Arc::new(House {
        gate: G::with_notify(Bell(book.clone())),
        life: Lifecycle::new(),
        inboxes: threads.iter().map(|_| Mutex::default()).collect(),
        book: book.clone(),
    });
    let for_bell: Arc<dyn Rung> = house.clone();
    assert!(book.house.set(Arc::downgrade(&for_bell)).is_ok());
    drop(for_bell);
    let threads: Vec<_> = threads
        .iter()
        .enumerate()
        .map(|(own, steps)| {
            let (house, steps) = (Shared(house.clone()), steps.clone());
            thread::spawn(move || {
                let theirs = house.clone();
                let _at = (own < STRIPES).then(|| theirs.at(own));
                let mut racer = Racer { own, seen: house.0.life.load(), house, passes: Vec::new() };
                for step in steps {
                    racer.take(step);
                }
                racer.empty_handed();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut last = Racer { own: 0, seen: house.life.load(), house: Shared(house.clone()), passes: Vec::new() };
    for inbox in &house.inboxes {
        last.passes.extend(std::mem::take(&mut *locked(inbox)));
    }
    last.empty_handed();
    last.take(Step::Close);
    book.is_balanced(&house);
}

impl Book {
    /// What must be so when everybody has gone home.
    fn is_balanced<G: Gateway>(&self, house: &House<G>) {
        let forgotten = self.forgotten.load(SeqCst);
        assert_eq!(self.closed.load(SeqCst), 1, "closed so often");
        let (drained, inside) = (house.gate.is_drained(), house.gate.in_flight());
        assert_eq!((drained, inside), (forgotten == 0, forgotten), "P3, P4: drained, and how many are inside");
        assert_eq!(self.rung.load(SeqCst), usize::from(forgotten == 0), "P4");
        let state = house.life.load();
        assert_eq!(state.reason(), *locked(&self.first), "P1");
        assert_eq!(state.forced(), *locked(&self.forced));
        let (closing, done) = (self.closing.load(SeqCst), self.done.load(SeqCst));
        assert!(done <= closing && closing <= 1, "P1: {closing} began to close, {done} finished");
        let phase = match (state.reason(), closing, done) {
            (None, ..) => Phase::Running,
            (_, 0, _) => Phase::Draining,
            (_, _, 0) => Phase::Closing,
            _ => Phase::Done,
        };
        assert_eq!(state.phase(), phase, "P1");
        let repeats = state.repeats();
        let told: [usize; 3] = [repeats.interrupts.into(), repeats.too_soon.into(), repeats.others.into()];
        let asked = [&self.interrupts, &self.too_soon, &self.others].map(|count| count.load(SeqCst));
        assert_eq!(told, [asked[0].min(7), asked[1].min(31), asked[2].min(511)], "asked so often");
    }
}

/// One of the threads.
struct Racer<G: Gateway> {
    own: usize,
    house: Shared<G>,
    passes: Vec<Pass<G>>,
    /// The last that it saw of the lifecycle.
    seen: State,
}

impl<G: Gateway> Racer<G> {
    fn take(&mut self, step: Step) {
        let shared = self.house.clone();
        let House { gate, life, inboxes, book } = &*shared.0;
        match step {
            Step::Enter => self.enter(),
            Step::Leave => self.leave(),
            Step::Split => {
                if let Some(pass) = self.passes.last() {
                    let part = pass.split().expect("a gate with room");
                    book.inside.fetch_add(1, SeqCst);
                    self.passes.push(part);
                }
            }
            Step::Send(whom) => {
                locked(&inboxes[whom.among(inboxes.len())]).extend(self.passes.pop());
            }
            Step::Receive => {
                let pass = locked(&inboxes[self.own]).pop_front();
                self.passes.extend(pass);
            }
            Step::Forget => {
                if let Some(pass) = self.passes.pop() {
                    book.forgotten.fetch_add(1, SeqCst);
                    std::mem::forget(pass);
                }
            }
            Step::Close => {
                book.closed.fetch_add(gate.close().into(), SeqCst);
                book.refusing.store(true, SeqCst);
                assert!(gate.is_closed());
            }
            Step::Ask(why) => self.ask(why.into(), true),
            Step::AskUncounted(why) => self.ask(why.into(), false),
            Step::Force { by_interrupt } => {
                let by = if by_interrupt { Forced::Interrupt } else { Forced::Call };
                if life.force(by) {
                    assert_eq!(locked(&book.forced).replace(by), None, "P1: forced twice");
                }
            }
            Step::BeginClosing => {
                book.closing.fetch_add(life.begin_closing().into(), SeqCst);
            }
            Step::Finish => {
                book.done.fetch_add(life.finish().into(), SeqCst);
            }
        }
        self.look();
    }

    fn enter(&mut self) {
        let Book { inside, refusing, .. } = &*self.house.0.book;
        let refused = refusing.load(SeqCst);
        match G::enter_owned(self.house.clone()) {
            Ok(pass) => {
                inside.fetch_add(1, SeqCst);
                assert!(!refused, "P2: admitted after the refusal");
                self.passes.push(pass);
            }
            Err(error) => assert!(error == Refused::Closed && self.house.is_closed(), "P2: {error}"),
        }
    }

    fn leave(&mut self) {
        if let Some(pass) = self.passes.pop() {
            self.house.0.book.inside.fetch_sub(1, SeqCst);
            drop(pass);
        }
    }

    fn empty_handed(&mut self) {
        while !self.passes.is_empty() {
            self.leave();
        }
    }

    fn ask(&mut self, why: Reason, counted: bool) {
        let House { life, book, .. } = &*self.house.0;
        let asked = if counted { life.trigger(why) } else { life.trigger_uncounted(why) };
        if asked.is_first() {
            assert_eq!(locked(&book.first).replace(why), None, "P1: two were the first");
        }
        let counts = match (why.is_interrupt(), counted) {
            (true, true) => &book.interrupts,
            _ if asked.is_first() => return,
            (true, false) => &book.too_soon,
            (false, _) => &book.others,
        };
        counts.fetch_add(1, SeqCst);
    }

    /// What one may see at any time, besides a few passes and much else that is going on.
    fn look(&mut self) {
        let House { gate, life, book, .. } = &*self.house.0;
        let state = life.load();
        assert!(self.seen.phase() <= state.phase(), "P1: back from {:?} to {state:?}", self.seen);
        assert!(self.seen.reason().is_none() || self.seen.reason() == state.reason(), "P1: another reason");
        assert!(self.seen.forced().is_none() || self.seen.forced() == state.forced(), "P1: forced anew");
        assert_eq!(state.phase() == Phase::Running, state.reason().is_none());
        self.seen = state;
        let own = self.passes.len();
        if gate.is_drained() {
            assert_eq!((own, book.inside.load(SeqCst), gate.in_flight()), (0, 0, 0), "P3: drained");
        } else {
            assert!(own <= gate.in_flight(), "P3: not counted");
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Plays scenes on the shipped gate and records its steps. Not here: the atomics that report them (`sync`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use winddown_core::Notify;

use crate::pass::OwnedPass;
use crate::protocol::At;
use crate::scene::{Act, Interrupts, Scene};
use crate::striped::StripedGate;
use crate::stripes::{Stripe, Stripes};

/// A stripe is two of the protocol's slots: its owner's pair of counters, and its sharers' pair.
pub(crate) const STRIPES: usize = 2;

type Gate = StripedGate<Threads, Bell, STRIPES>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Load,
    Store,
    Update,
}

/// A step, in the gate's words or in the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<Word, Value> {
    /// The last is the word's value after the access.
    Access(How, Word, Ordering, Value),
    LightBarrier,
    HeavyBarrier,
    /// Only mistaken protocols have one.
    Fence,
    Admitted,
    Rings,
}

/// The gate's words are named by their offset in it.
pub(crate) type GateStep = Step<usize, usize>;

/// What a scene is played on.
struct Stage {
    gate: Rc<Gate>,
    passes: RefCell<Vec<OwnedPass<Rc<Gate>>>>,
    at: Cell<At>,
    interrupts: RefCell<Interrupts>,
    steps: RefCell<Vec<GateStep>>,
}

thread_local! {
    static STAGE: RefCell<Option<Rc<Stage>>> = const { RefCell::new(None) };
}

/// Plays a scene. Returns its steps.
pub(crate) fn play(scene: &Scene) -> Vec<GateStep> {
    let stage = Rc::new(Stage {
        gate: Rc::new(Gate::with_notify(Threads, Bell)),
        passes: RefCell::default(),
        at: Cell::new(0),
        interrupts: RefCell::default(),
        steps: RefCell::default(),
    });
    STAGE.set(Some(stage.clone()));
    scene.before.iter().for_each(|act| stage.take(*act));
    *stage.interrupts.borrow_mut() = Interrupts::of(scene);
    stage.take(scene.interrupted);
    stage.interrupts.take();
    scene.after.iter().for_each(|act| stage.take(*act));
    STAGE.set(None);
    stage.steps.take()
}

impl Stage {
    fn take(&self, act: Act) {
        let at = self.at.replace(act.at().unwrap_or_default());
        match act {
            Act::Enter(_) => {
                let pass = Gate::enter_owned(self.gate.clone());
                if pass.is_ok() {
                    step(Step::Admitted);
                }
                self.passes.borrow_mut().extend(pass);
            }
            // The pass is not in the list meanwhile: acts that come in between use others.
            Act::Split(_) => {
                let pass = self.passes.borrow_mut().pop();
                if let Some(pass) = pass {
                    let part = pass.split().expect("never refused");
                    step(Step::Admitted);
                    self.passes.borrow_mut().extend([pass, part]);
                }
            }
            Act::Leave(_) => {
                let pass = self.passes.borrow_mut().pop();
                drop(pass);
            }
            Act::Close => drop(self.gate.close()),
            Act::Look => drop(self.gate.is_drained()),
        }
        self.at.set(at);
    }

    /// Takes the acts that come in before the next step.
    fn may_be_interrupted(&self) {
        loop {
            let due = self.interrupts.borrow_mut().begin();
            let Some(act) = due else { return };
            self.take(act);
            self.interrupts.borrow_mut().end();
        }
    }
}

fn stage() -> Option<Rc<Stage>> {
    STAGE.with_borrow(Clone::clone)
}

fn step(step: GateStep) {
    if let Some(stage) = stage() {
        stage.may_be_interrupted();
        stage.steps.borrow_mut().push(step);
    }
}

/// Makes an access and records it. `does` returns the access's result, and the word's value after it.
pub(crate) fn access<T>(how: How, address: usize, order: Ordering, does: impl FnOnce() -> (T, usize)) -> T {
    let Some(stage) = stage() else { return does().0 };
    stage.may_be_interrupted();
    let (result, value) = does();
    let word = address - Rc::as_ptr(&stage.gate).addr();
    stage.steps.borrow_mut().push(Step::Access(how, word, order, value));
    result
}

pub(crate) struct Threads;

impl Stripes for Threads {
    fn stripe(&self) -> Stripe {
        let at = stage().map_or(0, |stage| stage.at.get());
        let number = usize::from(at / 2);
        if at.is_multiple_of(2) { Stripe::own(number) } else { Stripe::shared(number) }
    }

    fn light_barrier(&self) {
        step(Step::LightBarrier);
    }

    fn heavy_barrier(&self) {
        step(Step::HeavyBarrier);
    }
}

pub(crate) struct Bell;

impl Notify for Bell {
    fn notify(&self) {
        step(Step::Rings);
    }
}

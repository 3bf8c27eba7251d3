//! Plays scenes on the protocol's code: each store is visible at once. Not here: the machine on which stores wait (`machine`).

use std::collections::HashSet;
use std::mem;
use std::sync::atomic::Ordering::{self, Relaxed};

use crate::code::{Code, Event, Local, Op, Word};
use crate::gate::{How, STRIPES, Step};
use crate::protocol::Slot::{self, Own, Shared};
use crate::protocol::{Gate, Variant};
use crate::scene::{Act, Interrupts, Scene};

pub(crate) const SLOTS: [Slot; 2 * STRIPES] = [Own, Shared, Own, Shared];

const WORDS: usize = 16;
/// Counts the entrants that are refused after they have counted: a figure, and no part of the protocol.
pub(crate) const UNDONE: Word = Word(15);

pub(crate) type ModelStep = Step<Word, i8>;

pub(crate) struct Model {
    /// The code of each act.
    codes: Vec<(Act, Code)>,
    /// Each act's branches, and where they went on.
    taken: HashSet<(Act, usize, bool)>,
    memory: [i8; WORDS],
    passes: usize,
    interrupts: Interrupts,
    steps: Vec<ModelStep>,
}

impl Model {
    pub(crate) fn new(variant: Variant, acts: impl IntoIterator<Item = Act>) -> Self {
        let gate = Gate { variant, barrier: true, slots: &SLOTS };
        let codes = acts.into_iter().map(|act| {
            let mut code = Code::default();
            match act {
                Act::Enter(at) => gate.enter(&mut code, at, |_| (), |_| ()),
                Act::Split(at) => gate.split(&mut code, at),
                Act::Leave(at) => gate.leave(&mut code, at),
                Act::Close => gate.close(&mut code),
                Act::Look => Gate::is_drained(&mut code),
            }
            (act, code)
        });
        Self {
            codes: codes.collect(),
            taken: HashSet::new(),
            memory: [0; WORDS],
            passes: 0,
            interrupts: Interrupts::default(),
            steps: Vec::new(),
        }
    }

    /// Plays a scene. Returns its steps, and whether all acts came in between.
    pub(crate) fn play(&mut self, scene: &Scene) -> (Vec<ModelStep>, bool) {
        (self.memory, self.passes) = ([0; WORDS], 0);
        scene.before.iter().for_each(|act| self.take(*act));
        self.interrupts = Interrupts::of(scene);
        self.take(scene.interrupted);
        let interrupts = mem::take(&mut self.interrupts);
        scene.after.iter().for_each(|act| self.take(*act));
        (mem::take(&mut self.steps), interrupts.are_over())
    }

    /// Returns how many ways of these acts' branches were not taken.
    pub(crate) fn branches_left(&self, acts: &[Act]) -> usize {
        let code = |act| &self.codes.iter().find(|(other, _)| other == act).expect("an act of this model's").1;
        let branches = acts.iter().flat_map(|act| code(act).0.iter()).filter(|op| matches!(op, Op::Branch(..))).count();
        2 * branches - self.taken.iter().filter(|(act, ..)| acts.contains(act)).count()
    }

    fn take(&mut self, act: Act) {
        // As in `gate`: the pass at hand is not in the list meanwhile.
        let at_hand = usize::from(matches!(act, Act::Split(_) | Act::Leave(_)));
        let Some(others) = self.passes.checked_sub(at_hand) else { return };
        self.passes = others;
        let number = self.codes.iter().position(|(other, _)| *other == act).expect("an act of this model's");
        let (mut next, mut local) = (0, Local::default());
        while let Some(&op) = self.codes[number].1.0.get(next) {
            next += 1;
            match op {
                Op::Load(word, order, then) => {
                    let value = self.access(How::Load, word, order, |old| old);
                    then(&mut local, value);
                }
                Op::Increment(word, order) => {
                    let old = self.access(How::Load, word, Relaxed, |old| old);
                    self.access(How::Store, word, order, |_| old + 1);
                }
                Op::Update(word, order, new, then) => {
                    let old = self.access(How::Update, word, order, |old| new(local, old));
                    then(&mut local, old);
                }
                Op::LightBarrier => self.step(Step::LightBarrier),
                Op::BeginBarrier => self.step(Step::HeavyBarrier),
                Op::EndBarrier | Op::Note(Event::Leaves) => {}
                Op::Note(Event::Undone) => {
                    self.access(How::Update, UNDONE, Relaxed, |old| old + 1);
                }
                Op::Note(Event::Admitted) => {
                    self.step(Step::Admitted);
                    self.passes += 1;
                }
                Op::Note(Event::Rings) => self.step(Step::Rings),
                Op::Branch(so, there) => {
                    let so = so(local);
                    self.taken.insert((act, next - 1, so));
                    if !so {
                        next = usize::from(there);
                    }
                    local = Local::default();
                }
                Op::Jump(there) => next = usize::from(there),
                Op::Fence => self.step(Step::Fence),
                Op::Store(..) | Op::Await(_) => unreachable!("no part of the protocol"),
            }
        }
        if matches!(act, Act::Split(_)) {
            self.passes += 1;
        }
    }

    fn access(&mut self, how: How, word: Word, order: Ordering, new: impl FnOnce(i8) -> i8) -> i8 {
        self.may_be_interrupted();
        let value = &mut self.memory[usize::from(word.0)];
        let old = *value;
        *value = new(old);
        self.steps.push(Step::Access(how, word, order, *value));
        old
    }

    fn step(&mut self, step: ModelStep) {
        self.may_be_interrupted();
        self.steps.push(step);
    }

    fn may_be_interrupted(&mut self) {
        while let Some(act) = self.interrupts.begin() {
            self.take(act);
            self.interrupts.end();
        }
    }
}

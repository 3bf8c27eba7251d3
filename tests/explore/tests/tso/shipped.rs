//! Compares the shipped gate's steps with the protocol's: the same words in the same sequence, by the same instructions, with
//! the same memory orders, barriers and values. The scenes take each branch of the protocol both ways. Not here: how the
//! steps are recorded (`gate`, `sync`), and the protocol's other states (`search`).

use std::collections::HashMap;

use crate::WRONG;
use crate::code::Word;
use crate::gate::{self, GateStep, Step};
use crate::model::{Model, ModelStep, UNDONE};
use crate::protocol::{At, BIAS, CLOSED, DRAINED, LATE, PHASE, Variant};
use crate::scene::{Act, Scene};

/// Two threads' slots: owners, an owner and a sharer, sharers of one stripe, and of two.
const THREADS: [(At, At); 4] = [(0, 2), (0, 1), (1, 1), (1, 3)];

/// Maps the gate's words to the protocol's. A pair is formed at the first access to either, and is final.
#[derive(Default)]
struct Words(HashMap<usize, Word>);

impl Words {
    fn same(&mut self, theirs: usize, word: Word) -> bool {
        match self.0.get(&theirs) {
            Some(known) => *known == word,
            None => !self.0.values().any(|known| *known == word) && self.0.insert(theirs, word).is_none(),
        }
    }

    fn agree(&mut self, gate: GateStep, model: ModelStep) -> bool {
        match (gate, model) {
            (Step::Access(how, theirs, order, value), Step::Access(how_1, word, order_1, value_1)) => {
                (how, order) == (how_1, order_1) && self.same(theirs, word) && in_the_protocol(word, value) == value_1
            }
            (Step::LightBarrier, Step::LightBarrier)
            | (Step::HeavyBarrier, Step::HeavyBarrier)
            | (Step::Admitted, Step::Admitted)
            | (Step::Rings, Step::Rings) => true,
            _ => false,
        }
    }
}

/// Translates a value of the gate's to the protocol's smaller numbers.
fn in_the_protocol(word: Word, value: usize) -> i8 {
    let small = |value: isize| i8::try_from(value).expect("few passes");
    match word {
        LATE if value > usize::MAX / 4 => BIAS + small(value.wrapping_sub(1 << (usize::BITS - 1)).cast_signed()),
        PHASE | LATE | DRAINED | UNDONE => small(value.cast_signed()),
        _ => small((value >> 1).cast_signed()) + if value & 1 == 0 { 0 } else { CLOSED },
    }
}

/// Plays scenes on the gate and on the protocol, and compares the two.
struct Stages {
    words: Words,
    model: Model,
    /// What the second thread does.
    others: [Act; 4],
    scenes: usize,
}

impl Stages {
    /// Plays the scene. `false`: the interrupted act has too few steps for all that should come in between.
    fn play(&mut self, scene: &Scene) -> Result<bool, String> {
        self.scenes += 1;
        let (gate, (model, all)) = (gate::play(scene), self.model.play(scene));
        let same = gate.iter().zip(&model).take_while(|(gate, model)| self.words.agree(**gate, **model)).count();
        if same == gate.len().max(model.len()) {
            return Ok(all);
        }
        let (gate, model) = (gate.get(same), model.get(same));
        Err(format!("{scene:?}\nstep {same}\n  of the gate: {gate:?}\n  of the protocol: {model:?}"))
    }

    /// Plays the scene with up to `more` further acts of the second thread in between, at each step from `from` on.
    fn vary(&mut self, scene: &mut Scene, from: usize, more: usize) -> Result<(), String> {
        if more == 0 {
            return Ok(());
        }
        for other in self.others {
            for at in from.. {
                scene.between.push((at, other));
                let all = self.play(scene)?;
                if all {
                    self.vary(scene, at, more - 1)?;
                }
                scene.between.pop();
                if !all {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Plays all scenes. Returns how many there are, or the first difference.
fn compare(variant: Variant) -> Result<usize, String> {
    let mut scenes = 0;
    let mut words = Words::default();
    for (one, two) in THREADS {
        let ones = [Act::Enter(one), Act::Split(one), Act::Leave(one), Act::Close, Act::Look];
        let others = [Act::Enter(two), Act::Split(two), Act::Leave(two), Act::Close];
        let model = Model::new(variant, ones.into_iter().chain(others));
        let mut stages = Stages { words, model, others, scenes };
        let [enter, split, _, close] = others;
        // What happens before the interrupted act, and how many acts come in between at most: enough for each branch.
        let found: [(&[Act], usize); _] = [
            (&[], 2),
            (&[enter], 3),
            (&[enter, enter], 2),
            (&[close], 1),
            (&[enter, close], 2),
            (&[enter, close, split], 2),
        ];
        for (before, more) in found {
            for interrupted in ones {
                let after = [[Act::Leave(one); 6].as_slice(), &[Act::Close, Act::Look, Act::Enter(two)]].concat();
                let mut scene = Scene { before: before.to_vec(), interrupted, between: Vec::new(), after };
                stages.play(&scene)?;
                stages.vary(&mut scene, 0, more)?;
            }
        }
        let left = stages.model.branches_left(&ones);
        // Not taken: an entrant that is refused after it has counted finds the gate open when it leaves; no gate opens again.
        // Neither: such a sharer pays the last that is owed. For that, another thread has to stand still after its count.
        assert_eq!(left, if one % 2 == 0 { 1 } else { 2 }, "branches that do not go both ways");
        Stages { words, scenes, .. } = stages;
    }
    Ok(scenes)
}

#[test]
fn p2_p3_p4_the_gate_makes_the_steps_of_the_protocol() {
    match compare(Variant::Right) {
        Ok(scenes) => println!("{scenes} scenes"),
        Err(differs) => panic!("{differs}"),
    }
}

/// So the comparison would notice a gate with such a mistake.
#[test]
fn each_mistake_in_the_protocol_differs_from_the_gate() {
    for (variant, what, ..) in WRONG {
        let Err(differs) = compare(*variant) else { panic!("the gate does this: {what}") };
        println!("{what}: {differs}\n");
    }
}

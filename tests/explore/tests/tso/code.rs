//! What the threads of a program are made of: instructions, and the methods that write them.

use std::sync::atomic::Ordering;

/// As many as a program may have.
pub(crate) const WORDS: usize = 11;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word(pub(crate) u8);

/// What a thread remembers between two steps, up to the next branch.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Local {
    pub(crate) seen: i8,
    pub(crate) sum: i8,
}

/// The orders are those that the library asks for. To an x86 they are all the same; `shipped` compares them.
#[derive(Clone, Copy)]
pub(crate) enum Op {
    Load(Word, Ordering, fn(&mut Local, i8)),
    Store(Word, i8),
    /// A plain load, an addition and a plain store, of this order: in one step, which is the same where nobody else writes the
    /// word.
    Increment(Word, Ordering),
    /// A locked instruction: what becomes of the word, and what the thread makes of the value before.
    Update(Word, Ordering, fn(Local, i8) -> i8, fn(&mut Local, i8)),
    /// A load that goes on when it finds something.
    Await(Word),
    Fence,
    /// `membarrier`: every other thread passes a full fence at some point of its own between the two.
    BeginBarrier,
    EndBarrier,
    // What follows touches no memory, and is a part of the step before.
    /// A fence for the compiler: an x86 does nothing.
    LightBarrier,
    /// Goes on here if that is so, and otherwise there. Everything remembered is forgotten.
    Branch(fn(Local) -> bool, u16),
    Jump(u16),
    Note(Event),
}

/// What is said to the observer that checks the promises, and is no part of the protocol.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    /// A pass is given out: by `enter`, or by a split.
    Admitted,
    /// Whoever has a pass begins to give it back.
    Leaves,
    /// Counted, and refused.
    Undone,
    Rings,
}

/// The code of one thread, which its methods write.
#[derive(Default)]
pub(crate) struct Code(pub(crate) Vec<Op>);

impl Code {
    pub(crate) fn push(&mut self, op: Op) {
        self.0.push(op);
    }

    pub(crate) fn look(&mut self, word: Word, order: Ordering) {
        self.push(Op::Load(word, order, |local, value| local.seen = value));
    }

    pub(crate) fn update(&mut self, word: Word, order: Ordering, new: fn(Local, i8) -> i8) {
        self.push(Op::Update(word, order, new, |local, old| local.seen = old));
    }

    pub(crate) fn when(&mut self, so: fn(Local) -> bool, then: impl FnOnce(&mut Self)) {
        self.either(so, then, |_| ());
    }

    pub(crate) fn either(
        &mut self,
        so: fn(Local) -> bool,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        let branch = self.0.len();
        self.push(Op::Jump(0));
        then(self);
        let jump = self.0.len();
        self.push(Op::Jump(0));
        self.0[branch] = Op::Branch(so, self.here());
        otherwise(self);
        self.0[jump] = Op::Jump(self.here());
    }

    pub(crate) fn here(&self) -> u16 {
        u16::try_from(self.0.len()).expect("a short program")
    }

    fn writes(&self, word: Word) -> bool {
        self.0
            .iter()
            .any(|op| matches!(op, Op::Store(to, _) | Op::Increment(to, _) | Op::Update(to, ..) if *to == word))
    }
}

pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) words: [&'static str; WORDS],
    pub(crate) threads: Vec<(&'static str, Code)>,
}

impl Program {
    /// Fails where an [`Op::Increment`] is not what it is taken for.
    pub(crate) fn check(&self) {
        for (_, code) in &self.threads {
            for op in &code.0 {
                let Op::Increment(word, _) = op else { continue };
                let others = self.threads.iter().filter(|(_, other)| !std::ptr::eq(other, code) && other.writes(*word));
                assert_eq!(others.count(), 0, "{}: {} has two owners", self.name, self.words[usize::from(word.0)]);
            }
        }
    }
}

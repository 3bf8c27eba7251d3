//! A machine with the memory of an x86 (x86-TSO): each thread's stores wait in a buffer of its own, in order, and reach
//! memory at any later time. What one step does, and what is wrong then; not which steps are taken.

use std::fmt;

use crate::code::{Event, Local, Op, Program, WORDS, Word};

const THREADS: usize = 4;
/// Stores that one thread can have in its buffer. A program that needs more fails.
const DEPTH: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Violation {
    /// P2: admitted by a gate that had said that it was drained.
    LateAdmission,
    /// P3: drained with a pass alive.
    EarlyDrain,
    /// P4: everybody is done, and the bell was not rung.
    LostWake,
    /// P4: rung more than once.
    RungTwice,
    /// Somebody waits for what does not come: the program is at fault.
    Stuck,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LateAdmission => "P2: admitted when drained",
            Self::EarlyDrain => "P3: drained with a pass alive",
            Self::LostWake => "P4: the wake is lost",
            Self::RungTwice => "P4: rung twice",
            Self::Stuck => "somebody waits for ever",
        })
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Step {
    thread: usize,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// The next instruction.
    Act,
    /// The oldest store in the thread's buffer reaches memory.
    Flush,
    /// The fence that another thread's barrier asks for.
    Interrupt,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Thread {
    next: u16,
    local: Local,
    buffer: [Entry; DEPTH],
}

/// A store in a buffer, or none: where to, and what. As one number, because numbers are hashed faster.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Entry(u16);

impl Entry {
    const NONE: Self = Self(0);

    fn new(word: Word, value: i8) -> Self {
        Self(u16::from_le_bytes([value.cast_unsigned(), word.0 + 1]))
    }

    fn store(self) -> Option<(Word, i8)> {
        let [value, word] = self.0.to_le_bytes();
        Some((Word(word.checked_sub(1)?), value.cast_signed()))
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    memory: [i8; WORDS],
    threads: [Thread; THREADS],
    /// Who has not yet passed the fence that a barrier asks for: a bit each.
    unfenced: u8,
    alive: i8,
    rung: i8,
    pub(crate) broken: Option<Violation>,
}

impl State {
    pub(crate) fn steps(program: &Program) -> impl Iterator<Item = Step> {
        let kinds = [Kind::Act, Kind::Flush, Kind::Interrupt];
        (0..program.threads.len()).flat_map(move |thread| kinds.map(|kind| Step { thread, kind }))
    }

    /// The state after a step, if the step can be taken.
    pub(crate) fn after(&self, program: &Program, Step { thread, kind }: Step) -> Option<Self> {
        let mut state = *self;
        let buffer = &mut state.threads[thread].buffer;
        match kind {
            Kind::Act => state.act(program, thread)?,
            Kind::Flush => {
                let (word, value) = buffer[0].store()?;
                buffer[0] = Entry::NONE;
                buffer.rotate_left(1);
                state.memory[usize::from(word.0)] = value;
            }
            Kind::Interrupt => {
                if state.unfenced & (1 << thread) == 0 || buffer[0] != Entry::NONE {
                    return None;
                }
                state.unfenced &= !(1 << thread);
            }
        }
        Some(state)
    }

    fn act(&mut self, program: &Program, thread: usize) -> Option<()> {
        let code = &program.threads[thread].1.0;
        let op = *code.get(usize::from(self.threads[thread].next))?;
        let empty = self.threads[thread].buffer[0] == Entry::NONE;
        match op {
            Op::Load(word, _, then) => {
                let value = self.seen_by(thread, word);
                then(&mut self.threads[thread].local, value);
            }
            Op::Store(word, value) => self.store(thread, word, value),
            Op::Increment(word, _) => self.store(thread, word, self.seen_by(thread, word) + 1),
            Op::Update(word, _, new, then) if empty => {
                let (local, memory) = (&mut self.threads[thread].local, &mut self.memory[usize::from(word.0)]);
                let old = *memory;
                *memory = new(*local, old);
                then(local, old);
            }
            Op::Await(word) => match self.seen_by(thread, word) {
                0 => return None,
                value => self.threads[thread].local.seen = value,
            },
            Op::Fence if empty => {}
            Op::BeginBarrier if empty => self.unfenced = ((1 << program.threads.len()) - 1) & !(1 << thread),
            Op::EndBarrier if self.unfenced == 0 => {}
            Op::Update(..) | Op::Fence | Op::BeginBarrier | Op::EndBarrier => return None,
            Op::LightBarrier | Op::Branch(..) | Op::Jump(_) | Op::Note(_) => unreachable!("no code begins with it"),
        }
        self.threads[thread].next += 1;
        self.go_on(code, thread);
        Some(())
    }

    /// Up to the next access to memory: what is between two is seen by nobody else.
    fn go_on(&mut self, code: &[Op], thread: usize) {
        loop {
            let Thread { next, local, .. } = &mut self.threads[thread];
            match code.get(usize::from(*next)) {
                Some(Op::Branch(so, there)) => {
                    *next = if so(*local) { *next + 1 } else { *there };
                    *local = Local::default();
                }
                Some(Op::Jump(there)) => *next = *there,
                Some(Op::LightBarrier) => *next += 1,
                Some(Op::Note(event)) => {
                    *next += 1;
                    self.note(*event);
                }
                _ => return,
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Admitted => {
                self.alive += 1;
                if self.rung > 0 {
                    self.broken = Some(Violation::LateAdmission);
                }
            }
            Event::Leaves => self.alive -= 1,
            Event::Undone => {}
            Event::Rings => {
                self.rung += 1;
                if self.alive > 0 {
                    self.broken = Some(Violation::EarlyDrain);
                } else if self.rung > 1 {
                    self.broken = Some(Violation::RungTwice);
                }
            }
        }
    }

    /// A thread sees its own stores before they reach memory.
    fn seen_by(&self, thread: usize, word: Word) -> i8 {
        let own =
            self.threads[thread].buffer.iter().rev().find_map(|entry| entry.store().filter(|(to, _)| *to == word));
        own.map_or(self.memory[usize::from(word.0)], |(_, value)| value)
    }

    fn store(&mut self, thread: usize, word: Word, value: i8) {
        let free = self.threads[thread].buffer.iter_mut().find(|entry| **entry == Entry::NONE);
        *free.expect("fewer stores than DEPTH") = Entry::new(word, value);
    }

    /// What is wrong with a state that no step leads out of. In every program somebody closes the gate.
    pub(crate) fn at_the_end(&self, program: &Program) -> Option<Violation> {
        let mut threads = self.threads.iter().zip(&program.threads);
        if threads.any(|(thread, (_, code))| thread.next != code.here()) {
            return Some(Violation::Stuck);
        }
        assert_eq!(self.alive, 0, "{}: somebody kept a pass", program.name);
        (self.rung == 0).then_some(Violation::LostWake)
    }

    /// One line for the step that leads from here to `after`.
    pub(crate) fn describe(&self, program: &Program, Step { thread, kind }: Step, after: &Self) -> String {
        let (name, code) = &program.threads[thread];
        let Thread { next, buffer, .. } = &self.threads[thread];
        let word = |word: Word| program.words[usize::from(word.0)];
        let at = |state: &Self, of: Word| state.memory[usize::from(of.0)];
        let act = |op: Op| match op {
            Op::Load(from, ..) | Op::Await(from) => format!("reads {} = {}", word(from), self.seen_by(thread, from)),
            Op::Store(to, _) | Op::Increment(to, _) => format!("stores {} = {}", word(to), after.seen_by(thread, to)),
            Op::Update(to, ..) => format!("updates {} from {} to {}", word(to), at(self, to), at(after, to)),
            Op::Fence => "is fenced".to_owned(),
            Op::BeginBarrier => "begins the barrier".to_owned(),
            Op::EndBarrier => "ends the barrier".to_owned(),
            Op::LightBarrier | Op::Branch(..) | Op::Jump(_) | Op::Note(_) => unreachable!("no step"),
        };
        let did = match (kind, buffer[0].store()) {
            (Kind::Act, _) => act(code.0[usize::from(*next)]),
            (Kind::Flush, Some((to, value))) => format!("{} = {value} reaches memory", word(to)),
            (Kind::Flush, None) => unreachable!("nothing to flush"),
            (Kind::Interrupt, _) => "is fenced by the barrier".to_owned(),
        };
        let [alive, rung] = [("alive", self.alive, after.alive), ("rung", self.rung, after.rung)]
            .map(|(what, was, is)| if was == is { String::new() } else { format!("; {what}: {is}") });
        format!("{name}: {did}{alive}{rung}")
    }
}

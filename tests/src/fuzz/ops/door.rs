//! A gate with its model and its passes. A wait group is one, too, and then spoken to by its own names.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use arbitrary::{Result, Unstructured};
use winddown_core::{Notify, OwnedPass, Pass, Refused, WaitGroup};

use crate::oracle;

type Gate<'a> = winddown_core::Gate<&'a Bell<'a>>;

/// What is done at a door. A pass is chosen by number, modulo how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum DoorOp {
    Enter,
    EnterOwned,
    Split(u8),
    Drop(u8),
    Forget(u8),
    Close,
}

impl DoorOp {
    pub(super) fn next(bytes: &mut Unstructured) -> Result<Self> {
        Ok(match bytes.arbitrary::<u8>()? {
            0..72 => Self::Enter,
            72..112 => Self::EnterOwned,
            112..152 => Self::Split(bytes.arbitrary()?),
            152..224 => Self::Drop(bytes.arbitrary()?),
            224..232 => Self::Forget(bytes.arbitrary()?),
            _ => Self::Close,
        })
    }
}

/// Counts how often it is rung, and from within asks the gate what it has to answer then (P9).
#[derive(Default)]
pub(super) struct Bell<'a> {
    rings: Cell<u32>,
    gate: Cell<Option<&'a Gate<'a>>>,
    /// The gate has answered wrongly. (Told later: whoever drops a pass may be unwinding.)
    misled: Cell<bool>,
    /// Owned passes alive.
    holders: Cell<usize>,
}

impl Notify for Bell<'_> {
    fn notify(&self) {
        self.rings.set(self.rings.get() + 1);
        let right = self.gate.get().is_some_and(|gate| {
            let over = gate.is_closed() && gate.is_drained() && gate.in_flight() == 0;
            over && gate.enter().is_err_and(|refused| refused == Refused::Closed) && !gate.close() && gate.is_drained()
        });
        self.misled.set(self.misled.get() || !right);
    }
}

/// What an owned pass keeps: counted, so that a pass that is gone without its holder is noticed.
struct Holder<'a>(&'a Gate<'a>, &'a Bell<'a>);

impl<'a> Holder<'a> {
    fn new(gate: &'a Gate<'a>, bell: &'a Bell<'a>) -> Self {
        bell.holders.set(bell.holders.get() + 1);
        Self(gate, bell)
    }
}

impl Clone for Holder<'_> {
    fn clone(&self) -> Self {
        Self::new(self.0, self.1)
    }
}

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        self.1.holders.set(self.1.holders.get() - 1);
    }
}

impl<'a> Deref for Holder<'a> {
    type Target = Gate<'a>;

    fn deref(&self) -> &Gate<'a> {
        self.0
    }
}

enum Held<'a> {
    Borrowed(Pass<'a, Gate<'a>>),
    Owned(OwnedPass<Holder<'a>>),
}

/// The real thing, the model, and who is inside.
pub(super) struct Door<'a> {
    gate: &'a Gate<'a>,
    group: Option<&'a WaitGroup<&'a Bell<'a>>>,
    bell: &'a Bell<'a>,
    model: oracle::gate::Gate,
    held: Vec<Held<'a>>,
    /// Owned passes alive, by the model.
    owned: usize,
}

impl<'a> Door<'a> {
    pub(super) fn new(gate: &'a Gate<'a>, group: Option<&'a WaitGroup<&'a Bell<'a>>>, bell: &'a Bell<'a>) -> Self {
        bell.gate.set(Some(gate));
        let door = Self { gate, group, bell, model: oracle::gate::Gate::default(), held: Vec::new(), owned: 0 };
        door.check();
        door
    }

    pub(super) fn run(&mut self, op: DoorOp) {
        let pick = |which: u8, held: &[Held]| usize::from(which).checked_rem(held.len());
        match op {
            DoorOp::Enter => {
                let pass = match self.group {
                    Some(group) => group.join(),
                    None => self.gate.enter(),
                };
                self.came(pass.map(Held::Borrowed));
            }
            DoorOp::EnterOwned => {
                let pass = Gate::enter_owned(Holder::new(self.gate, self.bell));
                self.owned += usize::from(pass.is_ok());
                self.came(pass.map(Held::Owned));
            }
            DoorOp::Split(which) => {
                if let Some(at) = pick(which, &self.held) {
                    let part = match &self.held[at] {
                        Held::Borrowed(pass) => pass.split().map(Held::Borrowed),
                        Held::Owned(pass) => {
                            self.owned += 1;
                            pass.split().map(Held::Owned)
                        }
                    };
                    self.held.push(part.expect("there is room"));
                    self.model.split();
                }
            }
            DoorOp::Drop(which) => {
                if let Some(at) = pick(which, &self.held) {
                    self.leave(at);
                }
            }
            DoorOp::Forget(which) => {
                if let Some(at) = pick(which, &self.held) {
                    std::mem::forget(self.held.swap_remove(at));
                }
            }
            DoorOp::Close => {
                let first = match self.group {
                    Some(group) => group.seal(),
                    None => self.gate.close(),
                };
                assert_eq!(first, self.model.close());
            }
        }
        self.check();
    }

    /// P2: in or refused, and as the model has it.
    fn came(&mut self, pass: Result<Held<'a>, Refused>) {
        assert_eq!(pass.as_ref().err().copied(), self.model.enter().err());
        self.held.extend(pass.ok());
    }

    fn leave(&mut self, at: usize) {
        let pass = self.held.swap_remove(at);
        self.owned -= usize::from(matches!(pass, Held::Owned(_)));
        drop(pass);
        self.model.leave();
    }

    /// Waits for the group, while its members leave; not where one was lost, and it would be for ever.
    pub(super) fn wait(&mut self) {
        let Some(group) = self.group else { return };
        if self.model.inside > self.held.len() {
            return;
        }
        let expected = self.held.len();
        let mut sleeps = 0;
        self.model.close();
        group.wait_with(|| {
            sleeps += 1;
            assert!(!self.held.is_empty(), "waits for nobody");
            self.leave(self.held.len() - 1);
        });
        assert_eq!(sleeps, expected);
        self.check();
    }

    /// Everyone leaves.
    pub(super) fn empty(&mut self) {
        while !self.held.is_empty() {
            self.leave(self.held.len() - 1);
            self.check();
        }
    }

    fn check(&self) {
        let (gate, bell) = (self.gate, self.bell);
        let seen = oracle::gate::Gate {
            inside: gate.in_flight(),
            closed: gate.is_closed(),
            drained: gate.is_drained(),
            rings: bell.rings.get(),
        };
        assert_eq!(seen, self.model);
        assert!(!bell.misled.get(), "P9: a wrong answer to the bell");
        assert_eq!(bell.holders.get(), self.owned, "owned passes and what they keep");
        if let Some(group) = self.group {
            assert_eq!((group.members(), group.is_done()), (self.model.inside, self.model.drained));
        }
    }
}

impl fmt::Debug for Door<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.gate, self.group.map(|group| group as &dyn fmt::Debug))?;
        self.held.iter().try_for_each(|held| match held {
            Held::Borrowed(pass) => write!(f, " {pass:?}"),
            Held::Owned(pass) => write!(f, " {pass:?}"),
        })
    }
}

//! What the tasks of the bare program share: the lifecycle, a gate for each class, who holds a label, who waits for what.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use winddown_core::{
    Escalate, Escalation, Forced, Gate, InFlight, Lifecycle, Milestone, Milestones, Notify, OwnedPass, Plan, Priority,
    Reason, Refused, Times,
};

use super::executor::{Bell, Clock, Latch, Spawner};

pub(super) struct World {
    pub(super) life: Lifecycle,
    pub(super) clock: Clock,
    /// Wakes the driver.
    pub(super) bell: Bell,
    pub(super) spawner: Spawner,
    pub(super) refused: Cell<u64>,
    /// Workers with a pass that counts.
    pub(super) at_work: Cell<usize>,
    /// Hooks that have ended since the driver last looked: of which stage, and how.
    pub(super) ended: RefCell<Vec<(usize, Result<(), Trouble>)>>,
    escalation: Escalation,
    gates: [Gate<Bell>; 3],
    /// One for each milestone.
    told: [Latch; 7],
    labels: RefCell<BTreeMap<u64, Holder>>,
    next: Cell<u64>,
}

/// What went wrong with a hook.
pub(super) enum Trouble {
    Failed(String),
    Panicked(String),
}

/// Who holds a labelled pass.
#[derive(Clone)]
pub(super) struct Holder {
    pub(super) label: &'static str,
    pub(super) class: Priority,
    pub(super) since: Duration,
}

impl World {
    pub(super) fn new(escalation: Escalation, spawner: Spawner) -> Self {
        let clock = Clock::default();
        let bell = clock.bell();
        Self {
            life: Lifecycle::new(),
            gates: [(); 3].map(|()| Gate::with_notify(bell.clone())),
            clock,
            bell,
            spawner,
            refused: Cell::default(),
            at_work: Cell::default(),
            ended: RefCell::default(),
            escalation,
            told: Default::default(),
            labels: RefCell::default(),
            next: Cell::default(),
        }
    }

    pub(super) fn gate(&self, class: Priority) -> &Gate<Bell> {
        &self.gates[class as usize]
    }

    /// A count of each class.
    pub(super) fn each(&self, count: fn(&Gate<Bell>) -> usize) -> InFlight {
        let [critical, high, low] = Priority::ALL.map(|class| count(self.gate(class)));
        InFlight { critical, high, low }
    }

    pub(super) fn milestone(&self, milestone: Milestone) -> &Latch {
        &self.told[milestone as usize - 1]
    }

    /// Releases who waits for these milestones.
    pub(super) fn reach(&self, milestones: Milestones) {
        use Milestone::{Closing, Done, HandBack, HighLate, LastCall, Refusing, Triggered};
        let all = [Triggered, Refusing, HighLate, HandBack, LastCall, Closing, Done];
        all.into_iter().filter(|&milestone| milestones.contains(milestone)).for_each(|it| self.milestone(it).open());
    }

    /// The times of the wind-down that was asked for.
    pub(super) fn times(&self, plan: &Plan) -> Option<Times> {
        let reason = self.life.load().reason()?;
        Some(plan.times(self.life.asked_at()?, reason))
    }

    /// Asks to stop. Whether this was the first to.
    pub(super) fn trigger(&self, reason: Reason) -> bool {
        let (triggered, escalate) = self.life.trigger_at(self.clock.now(), reason, &self.escalation);
        assert!(escalate != Escalate::Exit, "the process ends here");
        self.bell.notify();
        triggered.is_first()
    }

    pub(super) fn force(&self, by: Forced) -> bool {
        let forced = self.life.force(by);
        self.bell.notify();
        forced
    }

    /// Those of one class who hold a label, and by which number.
    pub(super) fn holders(&self, class: Priority) -> Vec<(u64, Holder)> {
        let labels = self.labels.borrow();
        labels.iter().filter(|(_, holder)| holder.class == class).map(|(&id, holder)| (id, holder.clone())).collect()
    }

    pub(super) fn is_alive(&self, id: u64) -> bool {
        self.labels.borrow().contains_key(&id)
    }
}

/// One admitted piece of work.
pub struct Pass {
    // Given back first: when the last pass wakes the driver, nobody is registered any more.
    _label: Option<Registered>,
    counted: OwnedPass<Door>,
    class: Priority,
}

/// The way to a gate.
#[derive(Clone)]
struct Door {
    world: Rc<World>,
    class: Priority,
}

impl Deref for Door {
    type Target = Gate<Bell>;

    fn deref(&self) -> &Self::Target {
        self.world.gate(self.class)
    }
}

/// A place in the register, given back when dropped.
struct Registered {
    world: Rc<World>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.world.labels.borrow_mut().remove(&self.id);
    }
}

impl Pass {
    pub(super) fn enter(world: &Rc<World>, class: Priority, label: Option<&'static str>) -> Result<Self, Refused> {
        let door = Door { world: world.clone(), class };
        let entered = Gate::enter_owned(door).inspect_err(|_| world.refused.set(world.refused.get() + 1));
        let counted = entered?;
        let registered = label.map(|label| {
            let id = world.next.replace(world.next.get() + 1);
            world.labels.borrow_mut().insert(id, Holder { label, class, since: world.clock.now() });
            Registered { world: world.clone(), id }
        });
        Ok(Self { _label: registered, counted, class })
    }

    pub(super) fn split(&self) -> Result<Self, Refused> {
        Ok(Self { _label: None, counted: self.counted.split()?, class: self.class })
    }

    /// Whether the drain waits for it.
    pub(super) fn counts(&self) -> bool {
        self.class != Priority::Low
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("class", &self.class).finish_non_exhaustive()
    }
}

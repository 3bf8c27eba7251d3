//! Bugs in what tasks wait with.

use super::{Bug, Explorer};
use Explorer::{Loom, Races};

const CANCELLED: &str = "bindings-std/src/token/cancelled.rs";
const WAIT: &str = "bindings-std/src/wait.rs";
const WAKE: &str = "bindings-std/src/wait/wake.rs";
const INNER: &str = "bindings-std/src/inner.rs";
const FINISH: &str = "bindings-std/src/finish.rs";

/// Those in registering, waking and taking back.
pub(super) const IN_TASKS: &[Bug] = &[
    Bug {
        what: "P4: a task that comes while it is asked is entered in a list that was taken",
        file: WAIT,
        from: "        if lists.taken.contains(milestone) {\n            return (None, Some(waker));\n        }\n",
        to: "",
        by: Loom("waker::a_task_against_the_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "a task is told first, and the state changes afterwards",
        file: INNER,
        from: "        let mut kept = self.message.lock();\n",
        to: "        self.wake(self.waiters.announce(Milestones::only(Milestone::Triggered)));\n        let mut kept = self.message.lock();\n",
        by: Loom("waker::a_task_against_the_trigger"),
        says: "told before it was asked for",
    },
    Bug {
        what: "P4: a list that was taken is one that waits again",
        file: WAIT,
        from: "lists.taken = lists.taken.with(milestones);",
        to: "lists.taken = milestones;",
        by: Loom("waker::a_task_against_the_driver"),
        says: "deadlock",
    },
    Bug {
        what: "P4: an earlier list than that of the milestone is not taken",
        file: WAKE,
        from: "self.waiters.reach(self.plan.released_by(milestone))",
        to: "self.waiters.reach(winddown_core::Milestones::only(milestone))",
        by: Races,
        says: "deadlock",
    },
    Bug {
        what: "P4: another waker is taken for the one that is entered",
        file: CANCELLED,
        from: "Some((_, identity)) if *identity == Identity::of(context.waker()) => Poll::Pending,",
        to: "Some(_) => Poll::Pending,",
        by: Loom("waker::another_waker_against_the_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "P4: another waker goes, and the one that is entered stays",
        file: WAIT,
        from: "(Some(place), slab.replace(place, waker))",
        to: "(Some(place), Some(waker))",
        by: Loom("waker::another_waker_against_the_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "P9: a waker is woken under the lock",
        file: WAKE,
        from: "        let panics = due.wake();\n        self.waiters.lists.lock().wakes.end(panics);",
        to: "        let mut lists = self.waiters.lists.lock();\n        let panics = due.wake();\n        lists.wakes.end(panics);\n        drop(lists);",
        by: Loom("waker::a_waker_that_comes_back"),
        says: "deadlock",
    },
    Bug {
        what: "P9: a waker that is not needed any more is dropped under the lock",
        file: WAIT,
        from: "        lists.wakers.get_mut(&milestone)?.remove(place)\n",
        to: "        drop(lists.wakers.get_mut(&milestone)?.remove(place));\n        None\n",
        by: Loom("waker::a_waker_that_comes_back"),
        says: "deadlock",
    },
    Bug {
        what: "P9: a waker that is replaced is dropped under the lock",
        file: WAIT,
        from: "            Some(place) => (Some(place), slab.replace(place, waker)),",
        to: "            Some(place) => {\n                drop(slab.replace(place, waker));\n                (Some(place), None)\n            }",
        by: Loom("waker::a_waker_that_comes_back"),
        says: "deadlock",
    },
    Bug {
        what: "the report does not wait for wakers under way",
        file: FINISH,
        from: "|| observers.are_done() && !inner.is_waking()",
        to: "|| observers.are_done()",
        by: Loom("waker::a_task_against_the_driver"),
        says: "expected Clean",
    },
    Bug {
        what: "P4: wakers that return do not tell the driver",
        file: WAKE,
        from: "        self.waiters.lists.lock().wakes.end(panics);\n        self.trigger.driver.notify();",
        to: "        self.waiters.lists.lock().wakes.end(panics);",
        by: Loom("waker::a_task_against_the_driver"),
        says: "deadlock",
    },
];

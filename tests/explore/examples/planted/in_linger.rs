//! Bugs in what connections are to the drain: the linger's end, awaited requests, the late gate.

use super::{Bug, Explorer};
use Explorer::{Loom, LoomFurther, Races};

const CONNECTION: &str = "core/src/connection.rs";
const SEQUENCE: &str = "core/src/sequence.rs";
const DRIVE: &str = "bindings-std/src/drive.rs";
const GUARDS: &str = "bindings-std/src/guards.rs";
const OPEN: &str = "bindings-std/src/open.rs";
const OWNED: &str = "bindings-std/src/connection.rs";
const HELPERS: &str = "bindings-std/src/helpers/kept.rs";

/// Those between a connection, its guards, the attendant and the driver.
pub(super) const IN_LINGER: &[Bug] = &[
    Bug {
        what: "P3: the last guard leaves a connection whose linger is over without a decision",
        file: CONNECTION,
        from: "        undecided || is_awaitable(after)\n",
        to: "        undecided && is_awaitable(after) && false\n",
        by: Loom("linger::word_the_last_guard_against_the_linger"),
        says: "left: 0",
    },
    Bug {
        what: "P3: the linger's end looks first, and is noted afterwards",
        file: CONNECTION,
        from: "let before = self.always(|word| word | LINGERED);",
        to: "let before = self.load();\n        self.always(|word| word | LINGERED);",
        by: Loom("linger::word_the_last_guard_against_the_linger"),
        says: "left: ",
    },
    Bug {
        what: "a request whose head time is over stays awaited, and is taken off the count twice",
        file: CONNECTION,
        from: ".then_some(word & !AWAITED | ENDED | EXPIRED)",
        to: ".then_some(word | ENDED | EXPIRED)",
        by: Loom("linger::word_a_request_against_the_head_time_and_the_cut"),
        says: "left: 2",
    },
    Bug {
        what: "P3: a connection is ended while a request is being received",
        file: CONNECTION,
        from: "(may(word) && !receives(word)).then_some(word | ENDED)",
        to: "may(word).then_some(word | ENDED)",
        by: Loom("linger::word_a_request_that_begins_against_the_end"),
        says: "told of the end while a request is received",
    },
    Bug {
        what: "P2, P3: the drain ends with the late gate open",
        file: SEQUENCE,
        from: "        if self.late_closed {\n            return self.enter(Part::Closing, Milestone::Closing);\n        }\n        self.late_closed = true;\n        Step::CloseLate",
        to: "        self.enter(Part::Closing, Milestone::Closing)",
        by: LoomFurther("linger::a_late_request_against_the_late_gate"),
        says: "admitted, and the drain has ended",
    },
    Bug {
        what: "P2: the late gate is not closed",
        file: DRIVE,
        from: "Step::CloseLate => drop(inner.gate_at(Inner::LATE).close()),",
        to: "Step::CloseLate => {}",
        by: LoomFurther("linger::a_late_request_against_the_late_gate"),
        says: "admitted, and the drain has ended",
    },
    Bug {
        what: "P3: the driver looks at connections first, and counts passes afterwards",
        file: DRIVE,
        from: "        let [critical, high, low] = Priority::ALL.map(|class| waited_for(inner.gate(class)));\n        let critical = critical + inner.kickers.pending();\n        let late = if late_gate.is_closed() { waited_for(late_gate) } else { late_gate.in_flight() };\n        let attending = inner.is_attending() || inner.connections.is_accounting();\n        let awaited = inner.connections.awaited_since();\n",
        to: "        let attending = inner.is_attending() || inner.connections.is_accounting();\n        let awaited = inner.connections.awaited_since();\n        let [critical, high, low] = Priority::ALL.map(|class| waited_for(inner.gate(class)));\n        let critical = critical + inner.kickers.pending();\n        let late = if late_gate.is_closed() { waited_for(late_gate) } else { late_gate.in_flight() };\n",
        by: LoomFurther("linger::a_next_request_against_the_driver"),
        says: "deadlock",
    },
    Bug {
        what: "P3: a guard gives its pass back before its connection is idle or awaited",
        file: GUARDS,
        from: "        if let Some(share) = self.share.take() {\n            share.leave(self.hold);\n            drop(share);\n        }\n        drop(self.pass.take());",
        to: "        drop(self.pass.take());\n        if let Some(share) = self.share.take() {\n            share.leave(self.hold);\n            drop(share);\n        }",
        by: Loom("linger::a_next_request_against_the_driver"),
        says: "deadlock",
    },
    Bug {
        what: "P3: so does one that leaves the scope",
        file: GUARDS,
        from: "        if let Some(share) = self.share.take() {\n            share.leave(self.hold);\n            drop(share);\n        }\n        drop(self.pass.take());",
        to: "        drop(self.pass.take());\n        if let Some(share) = self.share.take() {\n            share.leave(self.hold);\n            drop(share);\n        }",
        by: Loom("linger::a_next_request_behind_an_owned_guard_against_the_driver"),
        says: "P3: the request had arrived",
    },
    Bug {
        what: "P4: a request that is taken stays on the count of those that are awaited",
        file: OPEN,
        from: "        if entered.await_ended {\n            self.inner.connections.end_await();\n        }\n",
        to: "",
        by: Loom("linger::a_request_that_has_arrived_against_the_linger"),
        says: "deadlock",
    },
    Bug {
        what: "P4: a new connection does not tell the driver",
        file: OWNED,
        from: "            // The driver has to linger for it, and to end it.\n            shutdown.inner().trigger.driver.notify();\n",
        to: "",
        by: Loom("linger::a_new_connection_against_the_linger"),
        says: "deadlock",
    },
    Bug {
        what: "P4: an owner looks whether the linger is over, and leaves its waker afterwards",
        file: OWNED,
        from: "        self.opened().end_by_owner(context.waker().clone());\n",
        to: "        let lingered = self.shutdown.inner().connections.has_lingered();\n        self.opened().end_by_owner(context.waker().clone());\n        if !lingered {\n            return Poll::Pending;\n        }\n",
        by: Races,
        says: "deadlock",
    },
    Bug {
        what: "P4: the attendant does not tell the driver that it is done",
        file: HELPERS,
        from: "            done.notify();\n",
        to: "            let _ = done;\n",
        by: Races,
        says: "deadlock",
    },
    Bug {
        what: "P3: the attendant is done when it has taken its last job",
        file: HELPERS,
        from: "        !state.queue.is_empty() || !state.running.is_empty()\n",
        to: "        !state.queue.is_empty()\n",
        by: Races,
        says: "P3",
    },
    Bug {
        what: "P7: a connection that was answered for the last time can be told of the end",
        file: CONNECTION,
        from: "    word & !(AWAITED | BEGUN | EXPIRED) | SPENT | ENDED | ACCOUNTED\n}",
        to: "    word & !(AWAITED | BEGUN | EXPIRED) | SPENT | ACCOUNTED\n}",
        by: Loom("linger::word_a_last_answer_against_the_linger_and_the_cut"),
        says: "after its last answer",
    },
    Bug {
        what: "P3: a guard gives its pass back before its connection counts as answered",
        file: GUARDS,
        from: "        self.become_one(Hold::Answered, None).expect",
        to: "        let mut this = self;\n        drop(this.pass.take());\n        this.become_one(Hold::Answered, None).expect",
        by: Loom("linger::an_answered_connection_against_the_driver"),
        says: "deadlock",
    },
    Bug {
        what: "P4: a lingering read ends, and the driver is not told",
        file: OPEN,
        from: "            self.inner.connections.end_answered();\n            self.inner.trigger.driver.notify();\n",
        to: "            self.inner.connections.end_answered();\n",
        by: Loom("linger::an_answered_connection_behind_an_owned_guard_against_the_driver"),
        says: "deadlock",
    },
    Bug {
        what: "P3: a byte that arrives while its connection is ended is not looked for",
        file: OPEN,
        from: "        if shut {\n            // A byte that arrived before is found by this look; one that comes now has come too late.\n            let _ = self.await_request();\n        }\n",
        to: "        let _ = shut;\n",
        by: Loom("linger::a_byte_that_arrives_while_its_connection_is_ended"),
        says: "deadlock",
    },
];

//! Bugs in core.

use super::{Bug, Explorer};
use Explorer::{Loom, Races};

const GATE: &str = "core/src/gate.rs";
const LIFECYCLE: &str = "core/src/lifecycle.rs";
const SYNC: &str = "core/src/sync.rs";

/// Those in the gate and the lifecycle.
pub(super) const IN_CORE: &[Bug] = &[
    Bug {
        what: "P2: the look before the addition decides, and not the addition",
        file: GATE,
        from: "if before < Self::MAX { Ok(()) } else { Err(self.undo(before)) }",
        to: "{ let _ = before; Ok(()) }",
        by: Loom("gate::one_entrant_against_the_close"),
    },
    Bug {
        what: "P2: admitted first, counted afterwards",
        file: GATE,
        from: "        self.count_one()\n    }",
        to: "        self.word.fetch_add(1, Ordering::Acquire);\n        Ok(())\n    }",
        by: Races,
    },
    Bug {
        what: "who is refused by the look does not see what the closer did",
        file: GATE,
        from: "if self.word.load(Ordering::Acquire) & REFUSED != 0 {\n            return",
        to: "if self.word.load(Ordering::Relaxed) & REFUSED != 0 {\n            return",
        by: Loom("gate::one_entrant_against_the_close"),
    },
    Bug {
        what: "who is refused by the addition does not see what the closer did",
        file: GATE,
        from: "let before = self.word.fetch_add(1, Ordering::Acquire);",
        to: "let before = self.word.fetch_add(1, Ordering::Relaxed);",
        by: Loom("gate::one_entrant_against_the_close"),
    },
    Bug {
        what: "the closer does not publish what it did",
        file: GATE,
        from: "let before = self.word.fetch_or(REFUSED, Ordering::AcqRel);",
        to: "let before = self.word.fetch_or(REFUSED, Ordering::Acquire);",
        by: Loom("gate::one_entrant_against_the_close"),
    },
    Bug {
        what: "who closes second does not see what the first did",
        file: GATE,
        from: "let before = self.word.fetch_or(REFUSED, Ordering::AcqRel);",
        to: "let before = self.word.fetch_or(REFUSED, Ordering::Release);",
        by: Loom("gate::two_closers_and_a_pass"),
    },
    Bug {
        what: "who sees the gate closed does not see what the closer did",
        file: GATE,
        from: "    pub fn is_closed(&self) -> bool {\n        self.word.load(Ordering::Acquire)",
        to: "    pub fn is_closed(&self) -> bool {\n        self.word.load(Ordering::Relaxed)",
        by: Loom("gate::somebody_who_only_looks"),
    },
    Bug {
        what: "P3: a pass does not publish the work that was done under it",
        file: GATE,
        from: "let before = self.word.fetch_sub(1, Ordering::Release);",
        to: "let before = self.word.fetch_sub(1, Ordering::Relaxed);",
        by: Loom("gate::the_last_pass_against_the_close"),
    },
    Bug {
        what: "P3: the bell's hearer does not see the others' work",
        file: GATE,
        from: "REFUSED | DRAINED, Ordering::Acquire, Ordering::Relaxed)",
        to: "REFUSED | DRAINED, Ordering::Relaxed, Ordering::Relaxed)",
        by: Loom("gate::the_last_pass_against_the_close"),
    },
    Bug {
        what: "P3: who sees the gate drained does not see the work",
        file: GATE,
        from: "    pub fn is_drained(&self) -> bool {\n        self.word.load(Ordering::Acquire)",
        to: "    pub fn is_drained(&self) -> bool {\n        self.word.load(Ordering::Relaxed)",
        by: Loom("gate::somebody_who_only_looks"),
    },
    Bug {
        what: "who sees nobody inside does not see their work",
        file: GATE,
        from: "        let word = self.word.load(Ordering::Acquire);\n        if word & DRAINED == 0",
        to: "        let word = self.word.load(Ordering::Relaxed);\n        if word & DRAINED == 0",
        by: Loom("gate::a_count_of_nobody_inside"),
    },
    Bug {
        what: "P3: \"closed and empty\" is looked at and then stored, in two steps",
        file: GATE,
        from: "        if swapped.is_ok() {\n            self.bell.notify();",
        to: "        if swapped.is_ok() || self.word.load(Ordering::Acquire) == REFUSED | DRAINED {\n            self.bell.notify();",
        by: Loom("gate::two_entrants_against_the_close"),
    },
    Bug {
        what: "P4: the last pass tells nobody",
        file: GATE,
        from: "if before == REFUSED | 1 {",
        to: "if false {",
        by: Loom("gate::the_last_pass_against_the_close"),
    },
    Bug {
        what: "P4: the close of an empty gate tells nobody",
        file: GATE,
        from: "        if before == 0 {\n            self.try_drained();",
        to: "        if before == 1 {\n            self.try_drained();",
        by: Loom("gate::one_entrant_against_the_close"),
    },
    Bug {
        what: "P4: a refused entrant takes its count back and tells nobody",
        file: GATE,
        from: "    fn undo(&self, before: usize) -> Refused {\n        self.leave();",
        to: "    fn undo(&self, before: usize) -> Refused {\n        self.word.fetch_sub(1, Ordering::Release);",
        by: Loom("gate::one_entrant_against_the_close"),
    },
    Bug {
        what: "P4: a refused entrant leaves its count behind",
        file: GATE,
        from: "    fn undo(&self, before: usize) -> Refused {\n        self.leave();",
        to: "    fn undo(&self, before: usize) -> Refused {",
        by: Races,
    },
    Bug {
        what: "P4: told by everyone who finds it drained",
        file: GATE,
        from: "if swapped.is_ok() {",
        to: "if swapped.is_ok() || swapped.is_err() {",
        by: Loom("gate::two_entrants_against_the_close"),
    },
    Bug {
        what: "P3: a split is not counted",
        file: GATE,
        from: "let before = self.word.fetch_add(1, Ordering::Relaxed);",
        to: "let before = self.word.load(Ordering::Relaxed);",
        by: Loom("gate::a_split_against_the_close"),
    },
    Bug {
        what: "P1: a transition is looked up and then stored, in two steps",
        file: SYNC,
        from: "        match word.compare_exchange_weak(current, new, Ordering::AcqRel, Ordering::Relaxed) {\n            \
               Ok(before) => return Ok(before),\n            Err(now) => current = now,\n        }",
        to: "        word.store(new, Ordering::Release);\n        current = new;\n        if current == new {\n            \
             return Ok(word.load(Ordering::Acquire));\n        }",
        by: Loom("lifecycle::three_who_ask"),
    },
    Bug {
        what: "a transition does not publish what its caller did",
        file: SYNC,
        from: "compare_exchange_weak(current, new, Ordering::AcqRel,",
        to: "compare_exchange_weak(current, new, Ordering::Acquire,",
        by: Loom("lifecycle::three_who_ask"),
    },
    Bug {
        what: "who joins does not see what the first one did",
        file: SYNC,
        from: "compare_exchange_weak(current, new, Ordering::AcqRel,",
        to: "compare_exchange_weak(current, new, Ordering::Release,",
        by: Loom("lifecycle::who_joins_sees_why"),
    },
    Bug {
        what: "who sees a phase does not see what led to it",
        file: LIFECYCLE,
        from: "State(self.word.load(Ordering::Acquire))",
        to: "State(self.word.load(Ordering::Relaxed))",
        by: Loom("lifecycle::driven_asked_and_forced_at_once"),
    },
    Bug {
        what: "P1: the last reason wins",
        file: LIFECYCLE,
        from: "if PHASE.of(word) == 0 {\n                let (kind",
        to: "if PHASE.of(word) < 2 {\n                let (kind",
        by: Loom("lifecycle::three_who_ask"),
    },
    Bug {
        what: "P1: a step is taken from any phase before",
        file: LIFECYCLE,
        from: "(PHASE.of(word) == from).then(",
        to: "(PHASE.of(word) <= from).then(",
        by: Loom("lifecycle::driven_asked_and_forced_at_once"),
    },
    Bug {
        what: "forced twice",
        file: LIFECYCLE,
        from: "(open && FORCED.of(word) == 0).then(",
        to: "open.then(",
        by: Races,
    },
    Bug {
        what: "P1: forced while running",
        file: LIFECYCLE,
        from: "matches!(State(word).phase(), Phase::Draining | Phase::Closing)",
        to: "State(word).phase() != Phase::Done",
        by: Races,
    },
];

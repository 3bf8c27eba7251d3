//! Bugs in the thread binding.

use super::{Bug, Explorer};
use Explorer::{Loom, Races};

const EVENT_COUNT: &str = "bindings-std/src/event_count.rs";
const CONDVAR: &str = "bindings-std/src/event_count/condvar.rs";
const TOKEN: &str = "bindings-std/src/token.rs";
const WAIT: &str = "bindings-std/src/wait.rs";
const TRIGGER: &str = "bindings-std/src/trigger.rs";
const INNER: &str = "bindings-std/src/inner.rs";
const DRIVE: &str = "bindings-std/src/drive.rs";
const KICKER: &str = "bindings-std/src/kicker.rs";
const CLOCK: &str = "bindings-std/src/testing.rs";

/// Those in waiting, waking and handing over.
pub(super) const IN_BINDING: &[Bug] = &[
    Bug {
        what: "P4: told first, changed afterwards",
        file: EVENT_COUNT,
        from: "        self.count.fetch_add(1, Ordering::Release);\n        self.sleepers.wake_all(&self.count);",
        to: "        self.sleepers.wake_all(&self.count);\n        self.count.fetch_add(1, Ordering::Release);",
        by: Loom("wait_group::two_members_and_a_waiter"),
        says: "deadlock",
    },
    Bug {
        what: "P4: counted and nobody woken",
        file: EVENT_COUNT,
        from: "        self.sleepers.wake_all(&self.count);",
        to: "",
        by: Races,
        says: "deadlock",
    },
    Bug {
        what: "P4: the key does not bring what was done before the notification",
        file: EVENT_COUNT,
        from: "self.count.load(Ordering::Acquire)",
        to: "self.count.load(Ordering::Relaxed)",
        by: Loom("shutdown::a_token_against_the_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "P4: the notification does not bring what was done before it",
        file: EVENT_COUNT,
        from: "self.count.fetch_add(1, Ordering::Release);",
        to: "self.count.fetch_add(1, Ordering::Relaxed);",
        by: Loom("shutdown::a_token_against_the_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "P4: woken without the lock, between the look at the count and the sleep",
        file: CONDVAR,
        from: "        drop(self.lock.lock());\n",
        to: "",
        by: Loom("wait_group::two_members_and_a_waiter"),
        says: "deadlock",
    },
    Bug {
        what: "P4: sleeps without another look at the count",
        file: CONDVAR,
        from: "while count.load(Ordering::Relaxed) == key {\n            match until {\n                None => self.bell.wait(&mut lock),",
        to: "loop {\n            match until {\n                None if count.load(Ordering::Relaxed) > 99 => return,\n                None => return self.bell.wait(&mut lock),",
        by: Races,
        says: "deadlock",
    },
    Bug {
        what: "P4: a token looks first and takes its key afterwards",
        file: TOKEN,
        from: "            let key = waiters.key();\n            if self.should_stop() {\n                return true;\n            }",
        to: "            if self.should_stop() {\n                return true;\n            }\n            let key = waiters.key();",
        by: Loom("shutdown::a_token_against_the_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "P4: the driver tells the tokens first and then says what is reached",
        file: WAIT,
        from: "        self.reached.store(milestone as u32, Ordering::Release);\n        self.announce(milestone)",
        to: "        let due = self.announce(milestone);\n        self.reached.store(milestone as u32, Ordering::Release);\n        due",
        by: Loom("shutdown::work_until_the_refusal_against_the_driver"),
        says: "deadlock",
    },
    Bug {
        what: "P4: a channel that is asked for late is never closed",
        file: WAIT,
        from: "        if lists.taken >= Some(milestone) {\n            return channel().1;",
        to: "        if lists.taken > Some(Milestone::Done) {\n            return channel().1;",
        by: Loom("shutdown::a_channel_against_the_trigger"),
        says: "asked for, and never told",
    },
    Bug {
        what: "P5: the time of the trigger is that of whoever last saw nobody ask",
        file: TRIGGER,
        from: "self.asked_at.fetch_min(nanos(now), Ordering::Relaxed);",
        to: "self.asked_at.store(nanos(now), Ordering::Relaxed);",
        by: Loom("trigger::one_before_time_passes_and_another"),
        says: "counted from a moment after the trigger",
    },
    Bug {
        what: "what was done before a milestone is not published with it",
        file: WAIT,
        from: "self.reached.store(milestone as u32, Ordering::Release);",
        to: "self.reached.store(milestone as u32, Ordering::Relaxed);",
        by: Loom("shutdown::work_until_the_refusal_against_the_driver"),
        says: "told, and cannot see why",
    },
    Bug {
        what: "who sees a milestone does not see what was done before",
        file: WAIT,
        from: "self.reached.load(Ordering::Acquire)",
        to: "self.reached.load(Ordering::Relaxed)",
        by: Loom("shutdown::work_until_the_refusal_against_the_driver"),
        says: "told, and cannot see why",
    },
    Bug {
        what: "P5: the clock is read after the trigger",
        file: TRIGGER,
        from: "        let escalate = match triggered {",
        to: "        if triggered.is_first() {\n            self.asked_at.store(nanos(self.clock.now()), Ordering::Relaxed);\n        }\n        let escalate = match triggered {",
        by: Loom("trigger::one_that_is_seen_before_time_passes"),
        says: "counted anew",
    },
    Bug {
        what: "P4: a trigger does not wake the driver",
        file: INNER,
        from: "        self.trigger.driver.notify();\n        if escalate ==",
        to: "        if escalate ==",
        by: Loom("shutdown::two_who_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "the message comes after the report was made",
        file: INNER,
        from: "        drop(kept);\n",
        to: "        let message = first.then(|| kept.take()).flatten();\n        drop(kept);\n        self.trigger.driver.notify();\n        \
             if first {\n            *self.message.lock() = message;\n        }",
        by: Loom("shutdown::two_who_trigger"),
        says: "the first one is told",
    },
    Bug {
        what: "P6: the last handle goes, and the driver is not told",
        file: INNER,
        from: "            inner.let_go();\n        }\n        inner.trigger.driver.notify();",
        to: "            inner.let_go();\n        }",
        by: Loom("shutdown::the_last_handles_against_a_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "P4: the report is announced before it is there",
        file: INNER,
        from: "        let _ = self.report.set(Arc::new(report));\n        self.ended.notify();",
        to: "        self.ended.notify();\n        let _ = self.report.set(Arc::new(report));",
        by: Races,
        says: "deadlock",
    },
    Bug {
        what: "P6: the driver looks for triggers first and for handles afterwards",
        file: DRIVE,
        from: "        let orphaned = inner.is_orphaned();\n        if inner.trigger.lifecycle.load().phase() != Phase::Running {\n            break;\n        }\n",
        to: "        if inner.trigger.lifecycle.load().phase() != Phase::Running {\n            break;\n        }\n        let orphaned = inner.is_orphaned();\n",
        by: Loom("shutdown::the_last_handles_against_a_trigger"),
        says: "deadlock",
    },
    Bug {
        what: "P4: a gate that is forgotten by the refusal",
        file: DRIVE,
        from: "                for class in Priority::ALL {\n                    inner.gate(class).close();",
        to: "                for class in [Priority::High, Priority::Low] {\n                    inner.gate(class).close();",
        by: Loom("shutdown::a_pass_against_the_driver"),
        says: "deadlock",
    },
    Bug {
        what: "P3: work of class High is not waited for",
        file: DRIVE,
        from: "in_flight: InFlight { critical, high, low },",
        to: "in_flight: InFlight { critical, high: high.min(0), low },",
        by: Loom("shutdown::a_pass_of_class_high_against_the_driver"),
        says: "over, ",
    },
    Bug {
        what: "P4: the driver looks first and takes its key afterwards",
        file: DRIVE,
        from: "                Step::Wait(until) => inner.trigger.clock.wait(&inner.trigger.driver, key, until),",
        to: "                Step::Wait(until) => {\n                    let key = inner.trigger.driver.key().max(key);\n                    inner.trigger.clock.wait(&inner.trigger.driver, key, until);\n                }",
        by: Races,
        says: "deadlock",
    },
    Bug {
        what: "P9: a kicker that is taken back is dropped under the lock",
        file: KICKER,
        from: "        let entry = self.id.and_then(|id| self.inner.kickers.table.lock().waiting.remove(&id));\n",
        to: "        let mut table = self.inner.kickers.table.lock();\n        let entry = self.id.and_then(|id| table.waiting.remove(&id));\n",
        by: Loom("shutdown::a_kicker_that_comes_back"),
        says: "deadlock",
    },
    Bug {
        what: "a kicker that runs is not waited for",
        file: DRIVE,
        from: " + inner.kickers.running();",
        to: " + inner.kickers.running().min(0);",
        by: Loom("shutdown::a_kicker_taken_back_against_the_trigger"),
        says: "something failed",
    },
    Bug {
        what: "a kicker that comes late is never kicked",
        file: KICKER,
        from: "if table.reached.contains(&at) {",
        to: "if table.reached.contains(&Milestone::Done) {",
        by: Races,
        says: "a kicker that was kept",
    },
    Bug {
        what: "P6: time passes between the look at the clock and the sleep",
        file: CLOCK,
        from: "        if until <= self.now() {\n            return;\n        }\n",
        to: "",
        by: Loom("shutdown::a_deadline_against_the_driver"),
        says: "deadlock",
    },
];

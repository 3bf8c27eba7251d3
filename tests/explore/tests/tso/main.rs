//! The striped gate's protocol on a machine with the memory of an x86: every state of small programs, and mistakes in the
//! protocol that have to be found. And that the gate which is shipped follows the protocol, step by step. See
//! CONTRIBUTING.md.

mod code;
mod gate;
mod litmus;
mod machine;
mod model;
mod programs;
mod protocol;
mod scene;
mod search;
mod shipped;

// The gate's source once more, with atomics from the `sync` that is here.
#[allow(dead_code, unreachable_pub, reason = "core has more uses for it, and shows it to others")]
#[path = "../../../../core/src/pass.rs"]
mod pass;
#[allow(dead_code, unreachable_pub, reason = "core has more uses for it, and shows it to others")]
#[path = "../../../../core/src/striped.rs"]
mod striped;
#[allow(dead_code, unreachable_pub, reason = "core has more uses for it, and shows it to others")]
#[path = "../../../../core/src/stripes.rs"]
mod stripes;
#[allow(dead_code, reason = "not each type needs each method")]
mod sync;

use winddown_core::{Notify, Refused};

use self::code::Program;
use self::machine::Violation::{self, EarlyDrain, LateAdmission, LostWake, RungTwice};
use self::pass::{OwnedPass, Pass};
use self::programs::{large_programs, programs};
use self::protocol::Variant;
use self::search::search;
use self::stripes::{Stripe, Stripes};

/// What a pass is of by default, as in core.
type Gate = striped::StripedGate<gate::Threads, gate::Bell>;

/// A mistake, the program that shows it, and how.
const WRONG: &[(Variant, &str, &str, Violation)] = &[
    (Variant::EnterLooksFirst, "an entrant looks at the phase and then counts", "one", LateAdmission),
    (Variant::NoClosedBit, "on a shared slot the look at the phase decides", "shared by two", LateAdmission),
    (Variant::NoBarrier, "no barrier", "one", EarlyDrain),
    (Variant::BarrierFirst, "the barrier comes before the close", "one", EarlyDrain),
    (Variant::SettledBeforePublication, "leavers settle before the publication", "two", EarlyDrain),
    (Variant::OnePass, "one pass over the slots", "halved, and another", EarlyDrain),
    (Variant::EnteredFirst, "entered is summed before left", "mixed, three", EarlyDrain),
    (Variant::SumIsIgnored, "the closer does not look who was late", "one", LostWake),
    (Variant::LeaveLooksFirst, "a leaver looks at the phase and then counts", "one", LostWake),
    (Variant::FenceOnEnterOnly, "a fence on entering, and no barrier", "one", LostWake),
    (Variant::LateFirst, "a leaver is late before it has left", "one", LostWake),
    (Variant::RungByAll, "all ring who find it drained", "one", RungTwice),
];

#[test]
fn p2_p3_p4_hold_in_every_state() {
    hold_in_all(programs(Variant::Right));
}

#[test]
#[ignore = "millions of states: with --release"]
fn p2_p3_p4_hold_in_every_state_of_large_programs() {
    hold_in_all(large_programs(Variant::Right));
}

#[test]
fn p2_late_admissions_are_found() {
    all_are_found(LateAdmission);
}

#[test]
fn p3_early_drains_are_found() {
    all_are_found(EarlyDrain);
}

#[test]
fn p4_lost_wakes_are_found() {
    all_are_found(LostWake);
}

#[test]
fn p4_a_bell_that_rings_twice_is_found() {
    all_are_found(RungTwice);
}

fn hold_in_all(programs: impl Iterator<Item = Program>) {
    println!("program | states");
    for program in programs {
        match search(&program) {
            Ok(states) => println!("{} | {states}", program.name),
            Err(found) => panic!("{}: {}\n{}", program.name, found.violation, found.trace.join("\n")),
        }
    }
}

/// Every mistake that shows in this way. The traces are printed, too, for those who want to know how.
fn all_are_found(violation: Violation) {
    let mut table = vec!["mistake | caught by | violation | states".to_owned()];
    for (variant, what, name, _) in WRONG.iter().filter(|(.., shows)| *shows == violation) {
        let program = programs(*variant).find(|program| program.name == *name).expect("a program's name");
        let Err(found) = search(&program) else { panic!("{what}: {name} shows nothing") };
        let trace = found.trace.join("\n  ");
        assert_eq!(found.violation, violation, "{what}: {name}\n  {trace}");
        println!("{what}: {name}\n  {trace}\n");
        table.push(format!("{what} | {name} | {violation} | {}", found.states));
    }
    println!("{}", table.join("\n"));
}

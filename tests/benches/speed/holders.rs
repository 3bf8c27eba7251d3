//! From the drain's deadline to `run()` returning, with many holders of each kind.

use std::time::Duration;

use winddown::{Budget, Fate};
use winddown_tests::holders::{Kind, Measured, measure};

use crate::rounds::{Effort, number};

/// 5 s in all: drains until 1. The stages begin right then, so that a driver that does something else before is late with them.
const BUDGET: Budget = Budget::new(Duration::from_secs(6)).drain(Duration::from_secs(1));

const NUMBERS: [usize; 4] = [1_000, 10_000, 100_000, 200_000];

/// Prints a row as soon as it is measured: each takes some seconds.
pub(crate) fn print(effort: Effort) {
    let many = if effort.rounds == Effort::QUICK.rounds { &NUMBERS[..2] } else { &NUMBERS };
    println!("### Holders that are still there at the drain's deadline (1 s after the trigger), ms\n");
    println!(
        "| | number | last call late by | first hook late by | from the deadline to the end of `run` | left of 5 s | outcome | named \
         | told | stages |"
    );
    println!("|---|{}", "--:|".repeat(9));
    for kind in Kind::ALL {
        for &many in many {
            row(kind, many, &measure(kind, many, budget(kind)));
        }
    }
    println!(
        "\nA single run each. The kickers at the last call have a forced close of 500 ms; nothing else has to take time. Late: in the \
         driver's clock, and in a hook. Named: the holders in the report. Told: those whose closure or waker ran before `run` \
         returned. The connections share one descriptor.\n"
    );
}

/// What begins at the last call needs some time before the stages.
fn budget(kind: Kind) -> Budget {
    let force_close = if kind == Kind::LastCallKickers { Duration::from_millis(500) } else { Duration::ZERO };
    BUDGET.force_close(force_close)
}

fn row(kind: Kind, many: usize, measured: &Measured) {
    let millis = |time: Duration| number(time.as_secs_f64() * 1e3);
    let total = BUDGET.total();
    let left = match total.checked_sub(measured.returned) {
        Some(left) => millis(left),
        None => format!("**-{}**", millis(measured.returned.saturating_sub(total))),
    };
    let several = measured.stages.iter().filter(|&&fate| fate == Fate::Completed).count();
    println!(
        "| {kind} | {many} | {} | {} | {} | {left} | {}{} | {} | {} | {several} of {} |",
        millis(measured.last_call_late),
        measured.hook_late.map_or_else(|| "never".to_owned(), millis),
        millis(measured.returned.saturating_sub(Duration::from_secs(1))),
        measured.outcome,
        measured.failure.as_ref().map_or_else(String::new, |failure| format!("; {failure}")),
        measured.named,
        measured.told,
        measured.stages.len(),
    );
}

//! P6: with many holders of any kind the driver acts on the drain's deadline in time, and every stage runs. The table with up to 200,000
//! of each is the bench's: `cargo bench -p winddown-tests -- holders`.

use std::time::Duration;

use winddown::{Budget, Outcome};
use winddown_tests::holders::{Kind, Measured, measure};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

/// 1.5 s in all: drains until 0.4. The stages begin right then, except where something is told at the last call.
const BUDGET: Budget = Budget::new(secs(2)).margin(ms(500)).flush(ms(500)).linger(ms(100)).drain(ms(400));

/// How late the driver, a hook and the end may be on a machine that runs other tests. The bench prints how late they are on a quiet one.
const SLACK: Duration = ms(50);

/// One kind after the other: side by side they would take the processors from each other.
#[test]
fn p6_many_holders_of_each_kind_leave_the_stages_their_time() {
    let wrong: Vec<_> = Kind::ALL
        .into_iter()
        .filter_map(|kind| {
            // Closures are user code, which runs on few threads and takes its time.
            let many = if kind.is_closure() { 20_000 } else { 100_000 };
            let force_close = if kind == Kind::LastCallKickers { ms(300) } else { ms(0) };
            let measured = must_end(move || measure(kind, many, BUDGET.force_close(force_close)));
            (!is_right(kind, many, &measured)).then(|| format!("{many} {kind}: {measured:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_right(kind: Kind, many: usize, measured: &Measured) -> bool {
    let is_in_time = measured.last_call_late < SLACK
        && measured.hook_late.is_some_and(|late| late < SLACK)
        && measured.returned < BUDGET.total() + SLACK;
    // Every holder that holds on is named, and every one that is to be told has been told.
    let named = if kind.is_named() { many } else { 0 };
    let told = if kind.is_told() { many } else { 0 };
    let is_true = measured.outcome == Outcome::DrainTimedOut && measured.failure.is_none();
    is_in_time && measured.is_every_stage_completed() && (measured.named, measured.told) == (named, told) && is_true
}

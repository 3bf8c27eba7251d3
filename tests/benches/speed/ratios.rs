//! What has to be shown, and whether this run shows it. Medians are compared.

use winddown::Shutdown;
use winddown_core::Gate;

use crate::doors::Door;
use crate::memory::{Memory, Tables};
use crate::rounds::{Table, number};
use crate::waits::{Event, LockedVec, Ours};
use crate::{blocked, check, enter, last_pass, register, tasks, wakers};

/// All that was measured; what was not asked for is not there.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) tables: Vec<Table>,
    pub(crate) memory: Option<Tables>,
}

/// One line: what was measured is to be at most, or at least, so much.
struct Demand {
    what: String,
    limit: Limit,
    unit: &'static str,
    measured: f64,
}

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

pub(crate) fn print(measured: &Measured) {
    let demands: Vec<_> = [enter, check, register, wakers, tasks, blocked, last_pass, memory]
        .into_iter()
        .flat_map(|of| of(measured))
        .collect();
    if demands.is_empty() {
        return;
    }
    println!("### What has to be shown\n\n| what | must reach | measured | holds |\n|---|--:|--:|---|");
    for Demand { what, limit, unit, measured } in demands {
        let (sign, value, holds) = match limit {
            Limit::AtMost(value) => ("≤", value, measured <= value),
            Limit::AtLeast(value) => ("≥", value, measured >= value),
        };
        let holds = if holds { "yes" } else { "**no**" };
        println!("| {what} | {sign} {value}{unit} | {}{unit} | {holds} |", number(measured));
    }
    println!("\nMedians of this run are compared. A line whose parts were not measured is left out.");
}

fn enter(measured: &Measured) -> Vec<Demand> {
    const OURS: &str = <Shutdown as Door>::NAME;
    let Some(table) = measured.table(enter::TITLE) else { return Vec::new() };
    let alone = table.median(OURS, enter::ALONE);
    let two = table.median(OURS, enter::TWO);
    let faster = |column, name: &str, threads, times| {
        let peer = table.least(column, |row| row.starts_with(name));
        let ((name, median), ours) = (peer?, table.median(OURS, column)?);
        let what = format!("enter and leave, {threads}: faster than {name}");
        Some(Demand { what, limit: Limit::AtLeast(times), unit: " times", measured: median / ours })
    };
    let demands = [
        at_most("enter and leave, 1 thread", 1.5, " ns", alone),
        faster(enter::ALONE, "swansong", "1 thread", 5.0),
        faster(enter::ALONE, "tokio-util", "1 thread", 5.0),
        faster(enter::ALONE, "crossbeam-utils", "1 thread", 5.0),
        at_most("enter and leave, each of 2 threads: next to 1 thread", 1.1, " times", ratio(two, alone)),
        faster(enter::TWO, "tokio-util", "each of 2 threads", 30.0),
        faster(enter::TWO, "crossbeam-utils", "each of 2 threads", 30.0),
        faster(enter::TWO, "swansong", "each of 2 threads", 1.0),
        at_most("`Gate`: enter and leave, 1 thread", 4.5, " ns", table.median(<Gate as Door>::NAME, enter::ALONE)),
    ];
    demands.into_iter().flatten().collect()
}

fn check(measured: &Measured) -> Vec<Demand> {
    let Some(table) = measured.table(check::TITLE) else { return Vec::new() };
    let demands = [check::SHUTDOWN, check::TOKEN].into_iter().flat_map(|name| {
        let (alone, two) = (table.median(name, check::ALONE), table.median(name, check::TWO));
        [
            at_most(&format!("is it shutting down? {name}"), 0.3, " ns", alone),
            at_most(&format!("{name}, each of 2 threads: next to 1 thread"), 1.1, " times", ratio(two, alone)),
        ]
    });
    demands.flatten().collect()
}

fn register(measured: &Measured) -> Vec<Demand> {
    let Some(table) = measured.table(register::TITLE) else { return Vec::new() };
    let again = table.median(<Ours as Event>::NAME, register::AGAIN);
    at_most("another poll of a task that waits", 5.0, " ns", again).into_iter().collect()
}

fn tasks(measured: &Measured) -> Vec<Demand> {
    let Some(table) = measured.table(tasks::TITLE) else { return Vec::new() };
    let of = |name| table.median(name, tasks::TEN_THOUSAND);
    let ratio = ratio(of(<Ours as Event>::NAME), of(<LockedVec as Event>::NAME));
    at_most("trigger to 10,000 tasks that have run: next to the executor itself", 1.2, " times", ratio)
        .into_iter()
        .collect()
}

fn wakers(measured: &Measured) -> Vec<Demand> {
    let Some(table) = measured.table(wakers::TITLE) else { return Vec::new() };
    let column = wakers::TEN_THOUSAND;
    let ours = table.least(column, |name| name.starts_with("winddown")).map(|(_, median)| median);
    let floor = table.least(column, |name| name.starts_with("*floor")).map(|(_, median)| median);
    let peer = table.least(column, |name| !name.starts_with("winddown") && !name.starts_with("*floor"));
    let ahead = |(peer, median): (&str, f64)| {
        let what = format!("trigger to 10,000 wakers: faster than the fastest peer ({peer})");
        Some(Demand { what, limit: Limit::AtLeast(1.0), unit: " times", measured: median / ours? })
    };
    let demands = [
        at_most("trigger to 10,000 wakers: next to the locked vector", 1.1, " times", ratio(ours, floor)),
        peer.and_then(ahead),
    ];
    demands.into_iter().flatten().collect()
}

fn blocked(measured: &Measured) -> Vec<Demand> {
    let Some(table) = measured.table(blocked::TITLE) else { return Vec::new() };
    let of = |name| table.median(name, blocked::SIXTY_FOUR);
    let ratio = ratio(of(blocked::OURS), of(blocked::FLOOR));
    at_most("trigger to 64 blocked threads: next to one futex", 1.1, " times", ratio).into_iter().collect()
}

fn last_pass(measured: &Measured) -> Vec<Demand> {
    let Some(table) = measured.table(last_pass::TITLE) else { return Vec::new() };
    let of = |name| table.median(name, 0);
    let driver = ratio(of(last_pass::DRIVER), of(last_pass::FLOOR));
    let run = ratio(of(last_pass::RUN), of(last_pass::FLOOR_OF_TWO));
    let demands = [
        at_most("last pass to the driver, on another core: next to one futex", 1.1, " times", driver),
        at_most("last pass to the end of `run`: next to two futexes", 1.1, " times", run),
    ];
    demands.into_iter().flatten().collect()
}

fn memory(measured: &Measured) -> Vec<Demand> {
    let Some(tables) = &measured.memory else { return Vec::new() };
    let rows = [("pass", &tables.passes), ("waiting task", &tables.waiters)];
    let ours = rows.into_iter().flat_map(|(kind, rows)| {
        let ours = rows.iter().filter(|row| row.name.starts_with("winddown"));
        ours.filter_map(move |Memory { name, calls, .. }| {
            // A vector that grows does so a few times in 10,000.
            at_most(&format!("allocations for a {kind}: {name}"), 0.01, "", Some(*calls))
        })
    });
    ours.collect()
}

impl Measured {
    fn table(&self, title: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.title == title)
    }
}

fn at_most(what: &str, limit: f64, unit: &'static str, measured: Option<f64>) -> Option<Demand> {
    Some(Demand { what: what.into(), limit: Limit::AtMost(limit), unit, measured: measured? })
}

fn ratio(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(of? / to?)
}

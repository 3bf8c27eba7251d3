//! How fast it is, next to other crates and to what nobody can do without.
//!
//! `cargo bench -p winddown-tests --features peers` prints tables of `median (min)`; behind `--`, the names of tables choose
//! some of them, `--quick` has fewer rounds. Without the feature other crates are neither built nor measured. What the
//! figures are for is in `ratios`; `tests/instructions` counts instructions instead.
#![expect(clippy::cast_precision_loss, reason = "figures of three digits")]

mod blocked;
mod check;
mod close;
mod count;
mod crowd;
mod doors;
mod enter;
mod heap;
mod holders;
mod last_pass;
mod memory;
#[cfg(feature = "peers")]
mod peers;
mod quiet;
mod ratios;
mod register;
mod relay;
mod rounds;
mod striped;
mod tasks;
mod threads;
mod waiters;
mod waits;
mod waker;
mod wakers;

use std::process::Command;
use std::{env, fs};

use ratios::Measured;
use rounds::{Effort, Table};

type Measure = fn(Effort) -> Table;

/// The tables by their names; `memory`, `holders` and `ratios` are three more, of another kind.
const TABLES: [(&str, Measure); 9] = [
    ("enter", enter::measure),
    ("many", enter::measure_many),
    ("check", check::measure),
    ("register", register::measure),
    ("wakers", wakers::measure),
    ("tasks", tasks::measure),
    ("blocked", blocked::measure),
    ("last_pass", last_pass::measure),
    ("close", close::measure),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--count") {
        let times = arguments.get(at + 2).map_or(0, |times| times.parse().expect("a number of times"));
        return count::count(arguments.get(at + 1).map(String::as_str), times);
    }
    let has = |name| arguments.iter().any(|argument| argument == name);
    // Cargo says `--bench` when it is asked for figures, and not when it is asked for tests.
    let effort = if has("--quick") || !has("--bench") { Effort::QUICK } else { Effort::FULL };
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let known = |name: &str| matches!(name, "memory" | "holders") || TABLES.iter().any(|(table, _)| *table == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        let names = TABLES.map(|(name, _)| name).join(", ");
        eprintln!("there is no table {unknown}; there are {names}, memory, holders");
        std::process::exit(2);
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| *wanted == name);
    let began = quiet::began();
    head(effort);
    let mut measured = Measured::default();
    for (name, measure) in TABLES {
        if is_wanted(name) {
            let table = measure(effort);
            table.print();
            measured.tables.push(table);
        }
    }
    if is_wanted("memory") {
        let tables = memory::measure();
        tables.print();
        measured.memory = Some(tables);
    }
    ratios::print(&measured);
    if is_wanted("holders") {
        holders::print(effort);
    }
    println!(
        "\nOther processes had {:.0} % of the cores' time meanwhile; the figures are as good as that is little.",
        began.others()
    );
}

/// What was measured, and where.
fn head(Effort { rounds, .. }: Effort) {
    let cores = threads::cores();
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("of an unknown model", |(_, model)| model);
    let compiler = Command::new("rustc").arg("-V").output();
    let compiler = compiler.map_or_else(|_| "an unknown compiler".into(), |output| output.stdout);
    let compiler = String::from_utf8_lossy(&compiler);
    let compiler = compiler.trim();
    println!("{cores} cores, {model}; {compiler}; {rounds} rounds. Each cell: median (min).\n");
    #[cfg(feature = "peers")]
    println!("Next to {}.\n", peers::versions());
}

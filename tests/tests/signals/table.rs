//! Tables of how a program is started, which signals it is sent, and what happens: each row is a real process. Not here: the rows.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use winddown_tests::child::{Child, End};
use winddown_tests::sys::{self, signals};

/// How many rows run at a time.
const AT_A_TIME: usize = 8;

/// Runs every row of a table, prints how each went, and fails if one went otherwise than it says.
///
/// The program has the commands `inheriting` and `launched` of `victim`. A line is a row: `started by | inherits | options | is sent | what happens`.
///
/// - `started by`: the command in front of the program's. `sh:` is a script of the shell's in which `"$@"` is the program's.
/// - `inherits`: states of signals, as `inheriting` sets them.
/// - `options`: of `launched`.
/// - `is sent`: signals, one after the other, once the program is ready.
/// - `what happens`: what the program says of its end, or the signal that killed it.
///
/// A signal that must have no effect stands in front of one that ends the program, which then knows nothing of the first.
#[track_caller]
pub(crate) fn hold(program: &str, name: &str, table: &'static str) {
    let rows: Vec<Row> = table.lines().filter(|line| !line.trim().is_empty()).map(Row::new).collect();
    let (next, happened) = (AtomicUsize::new(0), Mutex::new(vec![String::new(); rows.len()]));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(rows.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(number) else { break };
                    let happens = catch_unwind(AssertUnwindSafe(|| row.run(program)));
                    happened.lock().unwrap()[number] =
                        happens.unwrap_or_else(|_| "it ended before it was ready".to_owned());
                }
            });
        }
    });
    let happened = happened.into_inner().unwrap();
    let widths: Vec<_> = (0..5).map(|column| rows.iter().map(|row| row.0[column].len()).max().unwrap_or(0)).collect();
    let lines = rows.iter().zip(&happened).map(|(row, happened)| {
        let cells = row.0.iter().zip(&widths).filter(|(_, width)| **width > 0);
        let cells: Vec<_> = cells.map(|(cell, width)| format!("  {cell:width$}")).collect();
        let verdict = if happened == row.0[4] { "ok".to_owned() } else { format!("FAILED: {happened}") };
        format!("{}  {verdict}", cells.concat())
    });
    let text = format!("\n\n{name}\n{}\n", lines.collect::<Vec<_>>().join("\n"));
    let right = rows.iter().zip(&happened).all(|(row, happened)| happened == row.0[4]);
    // Not by `print!`, which the test runner would keep to itself.
    let _ = std::io::stdout().write_all(text.as_bytes());
    assert!(right, "{text}");
}

/// The cells of a row.
struct Row([&'static str; 5]);

impl Row {
    fn new(line: &'static str) -> Self {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        Self(cells.try_into().unwrap_or_else(|_| panic!("not five cells: {line}")))
    }

    /// Returns what happens.
    fn run(&self, program: &str) -> String {
        let [started, inherits, options, sent, _] = self.0;
        let mut command: Vec<&str> = match started.strip_prefix("sh:") {
            Some(script) => vec!["sh", "-c", script, "sh"],
            None => started.split_whitespace().collect(),
        };
        if !inherits.is_empty() {
            command.extend([program, "inheriting"]);
            command.extend(inherits.split_whitespace());
            command.push("--");
        }
        command.extend([program, "launched"]);
        command.extend(options.split_whitespace());
        let mut child = Child::start(command[0], &command[1..]);
        let ready = child.wait_for("ready ");
        let process = ready.trim().trim_start_matches("ready ").parse().expect("a process number");
        for signal in sent.split_whitespace().map(|name| signals::number(name).expect("a signal")) {
            // The program may be gone already.
            let _ = sys::kill(process, signal);
        }
        happened(&child.end())
    }
}

fn happened(end: &End) -> String {
    // A shell, and a program that is process 1, end with this code where others are killed.
    let code = end.code().unwrap_or_else(|| end.died_of().map_or(-1, |signal| 128 + signal));
    let said = end.output.lines().find_map(|line| line.strip_prefix("ended: "));
    match said {
        Some(said) if said.contains(&format!(", code {code}")) => said.to_owned(),
        Some(said) => format!("{said}, but exit code {code}"),
        None if code > 128 => format!("killed by {}", signals::name(code - 128)),
        None => format!("exit code {code}, and says:\n{}", end.output),
    }
}

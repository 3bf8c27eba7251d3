//! Which scenario runs on which harness, as a table.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use super::{Harness, Scenario};
use crate::patience::must_end;

/// Runs scenarios, and prints how they went when all of them have run on all of its harnesses.
#[derive(Debug)]
pub struct Table {
    harnesses: &'static [&'static str],
    /// By scenario and harness.
    verdicts: Mutex<BTreeMap<(&'static str, &'static str), Verdict>>,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Ok,
    Failed,
    Cannot(&'static str),
}

impl Table {
    /// An empty table, with a column for each harness.
    #[must_use]
    pub const fn new(harnesses: &'static [&'static str]) -> Self {
        Self { harnesses, verdicts: Mutex::new(BTreeMap::new()) }
    }

    /// Runs a scenario, unless the harness [cannot](Harness::CANNOT).
    ///
    /// # Panics
    ///
    /// When the scenario does, or has not returned after a minute; when there is none of this name, or the harness excuses
    /// itself from one that does not exist.
    pub fn run<H: Harness>(&self, name: &str) {
        let all = super::all::<H>();
        let find = |name: &str| all.iter().find(|scenario| scenario.name == name);
        let Scenario { name, run } = *find(name).unwrap_or_else(|| panic!("no scenario {name:?}"));
        assert!(H::CANNOT.iter().all(|(cannot, _)| find(cannot).is_some()), "{:?}", H::CANNOT);
        if let Some((_, why)) = H::CANNOT.iter().find(|(cannot, _)| *cannot == name) {
            return self.record::<H>(name, Verdict::Cannot(why));
        }
        let ran = catch_unwind(AssertUnwindSafe(|| must_end(run)));
        self.record::<H>(name, if ran.is_ok() { Verdict::Ok } else { Verdict::Failed });
        ran.unwrap_or_else(|panic| resume_unwind(panic));
    }

    /// Whoever is the last prints.
    fn record<H: Harness>(&self, name: &'static str, verdict: Verdict) {
        let names: Vec<_> = super::all::<H>().iter().map(|scenario| scenario.name).collect();
        let mut verdicts = self.verdicts.lock().unwrap();
        verdicts.insert((name, H::NAME), verdict);
        if verdicts.len() == names.len() * self.harnesses.len() {
            let text = self.text(&names, &verdicts);
            // Not by `print!`, which the test runner would keep to itself.
            let _ = std::io::stdout().write_all(text.as_bytes());
        }
    }

    fn text(&self, names: &[&str], verdicts: &BTreeMap<(&str, &str), Verdict>) -> String {
        let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
        let line = |name: &str, cells: Vec<String>| {
            let cells: Vec<_> = cells.iter().map(|cell| format!("  {cell:8}")).collect();
            format!("{name:width$}{}", cells.concat()).trim_end().to_owned()
        };
        let mut lines = vec![line("scenario", self.harnesses.iter().map(ToString::to_string).collect())];
        let mut notes = Vec::new();
        for name in names {
            let cell = |harness: &&'static str| match verdicts[&(*name, *harness)] {
                Verdict::Ok => "ok".to_owned(),
                Verdict::Failed => "FAILED".to_owned(),
                Verdict::Cannot(why) => {
                    notes.push(format!("({}) {harness}: {why}", notes.len() + 1));
                    format!("- ({})", notes.len())
                }
            };
            lines.push(line(name, self.harnesses.iter().map(cell).collect()));
        }
        format!("\n\n{}\n\n{}\n\n", lines.join("\n"), notes.join("\n"))
    }
}

//! The report as a timeline for people. Not here: anything that is counted or decided.

use std::fmt;
use std::time::Duration;

use winddown_core::{Fate, Outcome, Priority, Unserved};

use crate::Report;
use crate::report::{AtEnd, Counting, StageReport};

/// How many columns the bars have together.
const WIDTH: u32 = 32;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = self.budget.total();
        write!(f, "wind-down by {}: {}, in {} of {}", self.reason, self.outcome, Time(self.took), Time(budget))?;
        if let Some(message) = &self.message {
            write!(f, " ({message})")?;
        }
        f.write_str("\n\n")?;
        let names = self.stages.iter().map(|stage| stage.name.chars().count());
        let row = Row { width: names.max().unwrap_or(0).max("lame duck".len()), total: self.took };
        if !self.budget.lame_duck.is_zero() && !self.reason.is_interrupt() {
            row.write(f, "lame duck", Duration::ZERO, self.lame_duck, '░', "still admitting")?;
        }
        row.write(f, "draining", self.lame_duck, self.draining, '▒', &self.drained())?;
        let mut stages: Vec<_> = self.stages.iter().collect();
        stages.sort_by_key(|stage| if stage.began.is_some() { stage.turn } else { usize::MAX });
        for stage in stages {
            let note = note(stage);
            row.write(f, &stage.name, stage.began.unwrap_or(self.took), stage.took, '█', &note)?;
        }
        self.write_stragglers(f)?;
        self.write_unserved(f)?;
        for failure in &self.failures {
            write!(f, "\n  {}", failure.what)?;
        }
        for note in &self.notes {
            write!(f, "\n  note: {note}")?;
        }
        match self.counting {
            Counting::Shared if cfg!(target_os = "linux") => {
                f.write_str("\n  admission on shared lines: no membarrier(2) to be had")?;
            }
            Counting::Striped | Counting::Shared => {}
            Counting::Waited => f.write_str("\n  membarrier(2) was refused after the start: waited instead")?,
        }
        write!(f, "\n  exit code {}", self.exit_code())?;
        let is_chosen = self.exit_code() != self.outcome.exit_code(self.reason);
        if is_chosen { f.write_str(", chosen by the program") } else { Ok(()) }
    }
}

impl Report {
    fn drained(&self) -> String {
        let entered = match self.in_flight.total() {
            0 => "nothing in flight".to_owned(),
            some => format!("{some} in flight"),
        };
        let left = match self.outcome {
            Outcome::Clean | Outcome::Failed => String::new(),
            _ => match self.stragglers.len() + self.unlabelled.total() {
                0 => String::new(),
                late => format!(", {late} late"),
            },
        };
        let refused = if self.refused > 0 { format!(", {} refused", self.refused) } else { String::new() };
        entered + &left + &refused
    }

    fn write_stragglers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for straggler in self.stragglers.iter() {
            let at_end = match straggler.at_end {
                AtEnd::StillHeld => "still held",
                AtEnd::LetGo => "let go late",
                AtEnd::Dropped => "dropped (what it started elsewhere may run on)",
            };
            write!(
                f,
                "\n  late: {:?} ({}), {at_end}, {} old, from {}, thread {:?}",
                straggler.label,
                straggler.class,
                Time(straggler.age),
                straggler.location,
                straggler.thread
            )?;
        }
        for class in Priority::ALL {
            match self.unlabelled.of(class) {
                0 => {}
                count => write!(f, "\n  late: {count} without a label ({class})")?,
            }
        }
        if self.stragglers.is_empty() && self.unlabelled.total() == 0 { Ok(()) } else { f.write_str("\n") }
    }
}

impl Report {
    fn write_unserved(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = |count: u64| if count == 1 { "client" } else { "clients" };
        let Unserved { lost, unknown, incomplete, unused, .. } = self.unserved;
        if lost > 0 {
            write!(f, "\n  lost: {lost} {} whose request the program never read", clients(lost))?;
        }
        if unknown {
            f.write_str("\n  lost: possibly more clients, because some could not be examined in time")?;
        }
        if incomplete > 0 {
            write!(f, "\n  incomplete: {incomplete} {} whose request did not arrive whole", clients(incomplete))?;
        }
        if unused > 0 {
            write!(f, "\n  unused: {unused} {} that sent nothing", clients(unused))?;
        }
        Ok(())
    }
}

fn note(stage: &StageReport) -> String {
    let fate = if stage.fate == Fate::Completed { "ok".to_owned() } else { stage.fate.to_string() };
    if stage.problems.is_empty() { fate } else { format!("{fate}: {}", stage.problems.join("; ")) }
}

struct Row {
    width: usize,
    total: Duration,
}

impl Row {
    /// A name, a bar on the common scale, a time and a note.
    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        from: Duration,
        took: Duration,
        ink: char,
        note: &str,
    ) -> fmt::Result {
        let (from, to) = (self.column(from), self.column(from.saturating_add(took)));
        let bar: String = (0..WIDTH)
            .map(|column| match column {
                _ if took.is_zero() => '·',
                // However short, what took time is seen.
                _ if column >= from.min(WIDTH - 1) && column < to.max(from.min(WIDTH - 1) + 1) => ink,
                _ => '·',
            })
            .collect();
        writeln!(f, "  {name:<width$}  {bar}  {:>8}  {note}", Time(took).to_string(), width = self.width)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and WIDTH")]
    fn column(&self, at: Duration) -> u32 {
        let share = if self.total.is_zero() { 0.0 } else { at.as_secs_f64() / self.total.as_secs_f64() };
        (share.clamp(0.0, 1.0) * f64::from(WIDTH)).round() as u32
    }
}

/// A time with three figures or so.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (micros, millis, seconds) = (self.0.as_micros(), self.0.as_millis(), self.0.as_secs_f64());
        match () {
            () if micros < 1_000 => write!(f, "{micros} us"),
            () if millis < 1_000 => write!(f, "{millis} ms"),
            () if self.0.subsec_nanos() == 0 => write!(f, "{seconds} s"),
            () => write!(f, "{seconds:.2} s"),
        }
    }
}

//! The report as a timeline for people. Not here: anything that is counted or decided.

use std::fmt;
use std::time::Duration;

use winddown_core::{Fate, Forced, Outcome, Reason, Unserved};

use crate::Report;
use crate::report::{Counting, Cut, StageReport};
use crate::text::{OneLine, Time};

mod late;

/// How many columns the bars have together.
const WIDTH: u32 = 32;

/// A drain that waited a shorter time than this for kickers was not held up by them.
const LEAST_KICKING: Duration = Duration::from_millis(1);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_headline(f)?;
        f.write_str("\n\n")?;
        let shown = |stage: &StageReport| OneLine(&stage.name).to_string();
        let names = self.stages.iter().map(|stage| shown(stage).chars().count());
        let row = Row { width: names.max().unwrap_or(0).max("lame duck".len()), total: self.took };
        if !self.budget.lame_duck.is_zero() && !self.reason.is_interrupt() {
            row.write(f, "lame duck", Duration::ZERO, self.lame_duck, '░', "still admitting")?;
        }
        row.write(f, "draining", self.lame_duck, self.draining, '▒', &self.drained())?;
        let mut stages: Vec<_> = self.stages.iter().collect();
        stages.sort_by_key(|stage| if stage.began.is_some() { stage.turn } else { usize::MAX });
        for stage in stages {
            let note = note(stage);
            row.write(f, &shown(stage), stage.began.unwrap_or(self.took), stage.took, '█', &note)?;
        }
        for cut in &self.cuts {
            write!(f, "\n  {cut}")?;
        }
        late::write(self, f)?;
        self.write_unserved(f)?;
        for failure in &self.failures {
            write!(f, "\n  failed: {}", OneLine(&failure.what))?;
        }
        for note in &self.notes {
            write!(f, "\n  note: {}", OneLine(note))?;
        }
        if !self.stopped.is_zero() {
            let lost = Time(self.stopped);
            write!(
                f,
                "\n  note: the process did not run for at least {lost} (stopped or suspended, or without a processor)"
            )?;
        }
        match self.counting {
            Counting::Shared if cfg!(target_os = "linux") => {
                f.write_str(
                    "\n  note: admitting work was slower than it can be, because membarrier(2) is not available here",
                )?;
            }
            Counting::Striped | Counting::Shared => {}
            Counting::Waited => {
                f.write_str(
                    "\n  note: membarrier(2) was refused after the program had started: a short wait took its place",
                )?;
            }
        }
        write!(f, "\n  exit code {}", self.exit_code())?;
        match () {
            () if self.exit_code() != self.outcome.exit_code(self.reason) => f.write_str(", chosen by the program"),
            () if self.is_clean_after_failure() => f.write_str(", because of the failure"),
            () => Ok(()),
        }
    }
}

impl Report {
    /// Why, how it went, and in what time.
    fn write_headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Failure => f.write_str("wind-down because of a failure")?,
            reason => write!(f, "wind-down by {reason}")?,
        }
        if let Some(message) = &self.message {
            write!(f, " ({})", OneLine(message))?;
        }
        // The program has failed, and what is clean is only its end.
        let what = if self.is_clean_after_failure() { "the wind-down itself was " } else { "" };
        write!(f, ": {what}{}, in {} of {}", self.outcome, Time(self.took), Time(self.budget.total()))
    }

    fn is_clean_after_failure(&self) -> bool {
        (self.reason, self.outcome) == (Reason::Failure, Outcome::Clean)
    }

    fn drained(&self) -> String {
        let entered = match self.in_flight.total() {
            0 => "nothing in flight".to_owned(),
            some => format!("{some} in flight"),
        };
        let held = match self.kicking {
            time if time < LEAST_KICKING => String::new(),
            time => format!(", waited {} for kickers alone", Time(time)),
        };
        let left = match self.outcome {
            Outcome::Clean | Outcome::Failed => String::new(),
            _ => match self.stragglers.len() + self.unlabelled.total() {
                0 => String::new(),
                late => format!(", {late} late"),
            },
        };
        let refused = if self.refused > 0 { format!(", {} refused", self.refused) } else { String::new() };
        entered + &held + &left + &refused
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

/// A line of the report.
impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.by {
            Forced::Call => "the program forced the end",
            Forced::Drain => "an interrupt ended the drain",
            Forced::Interrupt => "an interrupt forced the end",
        };
        write!(f, "{what} after {}", Time(self.at))?;
        let passes = self.in_flight.critical + self.in_flight.high;
        let counted = |count: usize, one: &str, many: &str| {
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let passes = counted(passes, "pass in flight", "passes in flight");
        let kickers = counted(self.kickers, "kicker running", "kickers running");
        let held: Vec<_> = passes.into_iter().chain(kickers).collect();
        if !held.is_empty() {
            write!(f, ", with {}", held.join(" and "))?;
        } else if self.by == Forced::Drain {
            f.write_str(", with nothing in flight")?;
        }
        let stages: Vec<_> = self.stages.iter().map(|stage| format!("{stage:?}")).collect();
        match &*stages {
            [] => Ok(()),
            [stage] => write!(f, ": stage {stage} did not complete"),
            stages => write!(f, ": stages {} did not complete", stages.join(", ")),
        }
    }
}

fn note(stage: &StageReport) -> String {
    let fate = if stage.fate == Fate::Completed { "ok".to_owned() } else { stage.fate.to_string() };
    if stage.problems.is_empty() { fate } else { format!("{fate}: {}", OneLine(&stage.problems.join("; "))) }
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

//! Contenders measured in turns, and the table that comes of it. Not here: what is measured.

use std::fmt::Write;
use std::io::{self, IsTerminal};

/// Somebody who is measured: the cost of the same thing, in each of a table's columns.
pub(crate) struct Contender {
    name: &'static str,
    sample: Box<dyn FnMut() -> Vec<f64>>,
}

impl Contender {
    /// `sample` measures each column once.
    pub(crate) fn new(name: &'static str, sample: impl FnMut() -> Vec<f64> + 'static) -> Self {
        Self { name, sample: Box::new(sample) }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How often everybody has a turn.
    pub(crate) rounds: usize,
    /// How often something that happens once is repeated within a turn.
    pub(crate) repeats: usize,
    /// How long something that goes on is looked at within a turn, in milliseconds.
    pub(crate) window: u64,
}

impl Effort {
    pub(crate) const FULL: Self = Self { rounds: 15, repeats: 9, window: 10 };
    pub(crate) const QUICK: Self = Self { rounds: 3, repeats: 3, window: 2 };
}

/// What was measured of somebody in one column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) min: f64,
}

impl Figure {
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let half = samples.len() / 2;
        let median =
            if samples.len() % 2 == 1 { samples[half] } else { f64::midpoint(samples[half - 1], samples[half]) };
        Self { median, min: samples[0] }
    }
}

/// What was measured of everybody.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    columns: Vec<String>,
    rows: Vec<(&'static str, Vec<Figure>)>,
    /// What a reader has to know of the figures.
    note: String,
}

impl Table {
    /// Measures the contenders one after the other, and that again in every round, in the opposite order each time: what
    /// else the machine does falls on all of them, and nobody is always behind the same one.
    pub(crate) fn measure(
        title: &'static str,
        columns: impl IntoIterator<Item: Into<String>>,
        mut contenders: Vec<Contender>,
        rounds: usize,
    ) -> Self {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        let mut samples = vec![vec![Vec::new(); columns.len()]; contenders.len()];
        let shows = io::stderr().is_terminal();
        for round in 0..rounds {
            if shows {
                eprint!("\r{title}: round {} of {rounds} ", round + 1);
            }
            let mut order: Vec<_> = (0..contenders.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let sample = (contenders[index].sample)();
                assert_eq!(sample.len(), columns.len(), "{}: a figure for each column", contenders[index].name);
                for (samples, sample) in samples[index].iter_mut().zip(sample) {
                    samples.push(sample);
                }
            }
        }
        if shows {
            eprintln!();
        }
        let figures = samples.into_iter().map(|columns| columns.into_iter().map(Figure::of).collect());
        let rows = contenders.iter().map(|contender| contender.name).zip(figures).collect();
        Self { title, columns, rows, note: String::new() }
    }

    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The median of a row and column.
    pub(crate) fn median(&self, row: &str, column: usize) -> Option<f64> {
        let (_, figures) = self.rows.iter().find(|(name, _)| *name == row)?;
        Some(figures[column].median)
    }

    /// The least of the medians in a column, of the rows that `of` picks.
    pub(crate) fn least(&self, column: usize, of: impl Fn(&str) -> bool) -> Option<(&'static str, f64)> {
        let rows = self.rows.iter().filter(|(name, _)| of(name));
        rows.map(|(name, figures)| (*name, figures[column].median)).min_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// As Markdown: `median (min)`.
    pub(crate) fn print(&self) {
        let mut text = format!("### {}\n\n| |", self.title);
        for column in &self.columns {
            let _ = write!(text, " {column} |");
        }
        let _ = write!(text, "\n|---|{}", "--:|".repeat(self.columns.len()));
        for (name, figures) in &self.rows {
            let _ = write!(text, "\n| {name} |");
            for figure in figures {
                let _ = write!(text, " {} ({}) |", number(figure.median), number(figure.min));
            }
        }
        println!("{text}\n");
        if !self.note.is_empty() {
            println!("{}\n", self.note);
        }
    }
}

/// With three digits that say something.
pub(crate) fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

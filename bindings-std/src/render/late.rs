//! The lines about work that was late: a line each while it is little, and a summary of much. Not here: the other lines (`render`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use winddown_core::Priority;

use crate::Report;
use crate::report::{AtEnd, Straggler};
use crate::text::{ThreadName, Time};

/// At most so many stragglers have a line each, and at most so many groups of them.
const MOST_LINES: usize = 10;

/// So many of the oldest stragglers have a line each besides their groups.
const OLDEST: usize = 3;

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if report.stragglers.len() > MOST_LINES {
        write_summary(&report.stragglers, f)?;
    } else {
        report.stragglers.iter().try_for_each(|straggler| write_line(straggler, f))?;
    }
    for class in Priority::ALL {
        match report.unlabelled.of(class) {
            0 => {}
            count => write!(f, "\n  late: {count} without a label ({class})")?,
        }
    }
    if report.stragglers.is_empty() && report.unlabelled.total() == 0 { Ok(()) } else { f.write_str("\n") }
}

fn write_line(straggler: &Straggler, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let at_end = match straggler.at_end {
        AtEnd::StillHeld => "not finished",
        AtEnd::LetGo => "finished after its deadline",
        AtEnd::Dropped => "cancelled (what it started elsewhere may run on)",
    };
    write!(
        f,
        "\n  late: {:?} ({}), {at_end}, {} old at its deadline, admitted at {}, on thread {}{}",
        straggler.label,
        straggler.class,
        Time(straggler.age),
        straggler.location,
        ThreadName(&straggler.thread),
        LastThread(straggler)
    )
}

/// The thread that had it last, if that is another than the one that it was admitted on.
struct LastThread<'a>(&'a Straggler);

impl fmt::Display for LastThread<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.last_thread {
            Some(last) if *last != self.0.thread => write!(f, ", last on thread {}", ThreadName(last)),
            _ => Ok(()),
        }
    }
}

/// Stragglers with one label, of one class.
#[derive(Default)]
struct Group {
    count: usize,
    unfinished: usize,
    oldest: Duration,
}

impl Group {
    fn add(&mut self, straggler: &Straggler) {
        self.count += 1;
        self.unfinished += usize::from(straggler.at_end == AtEnd::StillHeld);
        self.oldest = self.oldest.max(straggler.age);
    }
}

/// The largest groups, the rest as a number, and the oldest stragglers.
fn write_summary(stragglers: &[Straggler], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut groups: BTreeMap<(&str, Priority), Group> = BTreeMap::new();
    for straggler in stragglers {
        groups.entry((&straggler.label, straggler.class)).or_default().add(straggler);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // Groups of the same size are in the order of their labels.
    groups.sort_by_key(|(_, group)| Reverse(group.count));
    let (shown, others) = groups.split_at(groups.len().min(MOST_LINES));
    for ((label, class), Group { count, unfinished, oldest }) in shown {
        let oldest = Time(*oldest);
        write!(f, "\n  late: {count} of {label:?} ({class}), {unfinished} not finished, the oldest {oldest} old")?;
    }
    if !others.is_empty() {
        let more: usize = others.iter().map(|(_, group)| group.count).sum();
        let labels = others.iter().map(|((label, _), _)| label).collect::<BTreeSet<_>>().len();
        write!(f, "\n  late: and {more} more, with {labels} label{}", if labels == 1 { "" } else { "s" })?;
    }
    let mut oldest: Vec<_> = stragglers.iter().collect();
    // Work of class Low comes last: the drain did not wait for it, and its time was over later, so that it always looks older.
    let by_age = |straggler: &&Straggler| (straggler.class == Priority::Low, Reverse(straggler.age), straggler.holder);
    let (first, _, _) = oldest.select_nth_unstable_by_key(OLDEST, by_age);
    first.sort_unstable_by_key(by_age);
    f.write_str("\n  the oldest of these:")?;
    first.iter().try_for_each(|straggler| write_line(straggler, f))
}

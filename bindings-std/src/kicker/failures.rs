//! The kickers that failed, for the report: those that panicked, those that ran too long, and those that never began. Not here: when they
//! run (`kicker`).

use std::collections::BTreeMap;
use std::panic::Location;
use std::time::Duration;

use crate::report::{Failure, Part};
use crate::text::Time;

/// So many panics are named, and the others counted.
const MOST_NAMED: usize = 64;

/// The failures up to now.
#[derive(Clone, Default)]
pub(super) struct Failures {
    /// At most `MOST_NAMED`.
    panics: Vec<Failure>,
    /// How many panicked besides.
    unnamed: usize,
    too_long: BTreeMap<TooLong, Ran>,
}

/// How kickers from one place ran too long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TooLong {
    pub(super) location: &'static Location<'static>,
    /// The drain waited for it until its time was over.
    pub(super) held_the_drain: bool,
    pub(super) returned: bool,
}

#[derive(Clone, Copy, Default)]
struct Ran {
    count: usize,
    longest: Duration,
}

impl Failures {
    pub(super) fn add_panic(&mut self, location: &'static Location<'static>, message: &str) {
        if self.panics.len() < MOST_NAMED {
            self.panics.push(failure(format!("the kicker from {location} panicked: {message}")));
        } else {
            self.unnamed += 1;
        }
    }

    pub(super) fn add_too_long(&mut self, kind: TooLong, ran: Duration) {
        let all = self.too_long.entry(kind).or_default();
        all.count += 1;
        all.longest = all.longest.max(ran);
    }

    /// Returns a line for each panic that is named, and for each place with kickers that ran too long.
    pub(super) fn lines(self) -> impl Iterator<Item = Failure> {
        let unnamed = (self.unnamed > 0).then(|| failure(format!("{} more kickers panicked", self.unnamed)));
        self.panics.into_iter().chain(unnamed).chain(self.too_long.into_iter().map(too_long))
    }
}

fn too_long((kind, ran): (TooLong, Ran)) -> Failure {
    let TooLong { location, held_the_drain, returned } = kind;
    let (kickers, up_to) = match ran.count {
        1 => (format!("the kicker from {location}"), ""),
        many => (format!("{many} kickers from {location}"), "up to "),
    };
    let held = if held_the_drain { " held up the drain to its end, and" } else { "" };
    let end = if returned { "" } else { ", and did not return" };
    failure(format!("{kickers}{held} ran for {up_to}{}{end}", Time(ran.longest)))
}

pub(super) fn never_told(count: usize, first: &'static Location<'static>) -> Failure {
    let kickers = if count == 1 { "1 kicker was" } else { &*format!("{count} kickers were") };
    failure(format!("{kickers} never told: no thread was free before the drain was over; the first is from {first}"))
}

fn failure(what: String) -> Failure {
    Failure { part: Part::Kicker, what }
}

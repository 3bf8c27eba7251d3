//! Panics, or errors, of one kind: the first messages, and how many there were. Not here: the other failures (`faults`).

use crate::report::{Failure, Part};

/// So many are named, and the others counted.
const MOST_NAMED: usize = 10;

/// The panics, or the errors, of one kind up to now.
#[derive(Default)]
pub(crate) struct Panics {
    /// At most `MOST_NAMED`.
    messages: Vec<String>,
    count: usize,
}

/// The words for panics, or errors, of one kind.
pub(crate) struct Words {
    /// "a task panicked".
    pub(crate) one: &'static str,
    /// "1 more task panicked".
    pub(crate) one_more: &'static str,
    /// "tasks panicked", after a number.
    pub(crate) many: &'static str,
}

impl Panics {
    pub(crate) fn are_more_than(&self, count: usize) -> bool {
        self.count > count
    }

    /// Adds others, which came later.
    pub(crate) fn append(&mut self, others: Self) {
        self.count += others.count - others.messages.len();
        self.extend(others.messages);
    }

    pub(crate) fn into_first(self) -> Option<String> {
        self.messages.into_iter().next()
    }

    /// Returns a failure for each that is named, and one for the others.
    pub(crate) fn failures(&self, part: Part, words: &Words) -> Vec<Failure> {
        let Words { one, one_more, many } = words;
        let named = self.messages.iter().map(|message| format!("{one}: {message}"));
        let others = match self.count - self.messages.len() {
            0 => None,
            1 => Some(format!("and {one_more}")),
            more => Some(format!("and {more} more {many}")),
        };
        named.chain(others).map(|what| Failure { part, what }).collect()
    }

    /// Returns one failure for all, which names the first.
    pub(crate) fn failure(&self, part: Part, kind: &str) -> Option<Failure> {
        let first = self.messages.first()?;
        let what = match self.count {
            1 => format!("a {kind} panicked: {first}"),
            count => format!("{count} {kind}s panicked, the first: {first}"),
        };
        Some(Failure { part, what })
    }
}

impl Extend<String> for Panics {
    fn extend<I: IntoIterator<Item = String>>(&mut self, messages: I) {
        for message in messages {
            self.count += 1;
            if self.messages.len() < MOST_NAMED {
                self.messages.push(message);
            }
        }
    }
}

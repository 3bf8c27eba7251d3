//! What became of every request: what its client saw, against the server's log and database. Everything that is not
//! known to be well counts as lost.
//!
//! - *Answered*: a whole answer, and the right one. An order's row is in the database as it was answered.
//! - *Refused*: the server never saw it, and the client knows: no connection came about, or the answer before it said
//!   that it was the last (`Connection: close`), or it was a 503.
//! - *Lost*: everything else. Also what was sent on an open connection that was then taken away unread: the server's
//!   log never saw it, but its client cannot know that.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redb::{Database, ReadableTable};

use super::script::order_body;
use super::tried::{Cut, End, Kind, Tried};
use crate::store::{Failed, ORDERS};

/// How long after the SIGTERM a request may still begin whose answer says that the server is ready.
const NOTICE: Duration = Duration::from_millis(100);

/// What the server's log says.
#[derive(Default)]
pub(super) struct Log {
    read: HashSet<String>,
    answered: HashSet<String>,
    /// When its last line was written, if that is the last line of a clean end.
    pub(super) closed: Option<SystemTime>,
}

/// The rows of the database, by the id in them: number and body.
pub(super) struct Rows(HashMap<String, (u64, String)>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Answered(&'static str),
    Refused(&'static str),
    Lost(&'static str),
}

/// What a verdict says, if it is of one sort.
type Sort = fn(&Verdict) -> Option<&'static str>;

/// All verdicts, counted.
pub(super) struct Account {
    verdicts: BTreeMap<Verdict, usize>,
    /// What must not be, whoever got which answer.
    broken: Vec<String>,
    /// When the last whole answer had arrived.
    pub(super) last_answer: Option<Instant>,
}

pub(super) fn read_log(path: &Path) -> io::Result<Log> {
    let mut log = Log::default();
    for line in fs::read_to_string(path)?.lines() {
        let words: Vec<_> = line.split(' ').collect();
        log.closed = None;
        match words[..] {
            [_, "read", id, ..] => drop(log.read.insert(id.to_owned())),
            [_, "answered", id, ..] => drop(log.answered.insert(id.to_owned())),
            [at, "closed"] => log.closed = at.parse().ok().map(|at| UNIX_EPOCH + Duration::from_micros(at)),
            _ => {}
        }
    }
    Ok(log)
}

impl Rows {
    pub(super) fn read(path: &Path) -> Result<Self, Failed> {
        let table = Database::open(path)?.begin_read()?.open_table(ORDERS)?;
        let mut rows = HashMap::new();
        for row in table.iter()? {
            let (number, row) = row?;
            let (id, body) = row.value();
            rows.insert(id.to_owned(), (number.value(), body.to_owned()));
        }
        Ok(Self(rows))
    }
}

impl Account {
    pub(super) fn of(tries: &[Vec<Tried>], log: &Log, rows: &Rows, signalled: Instant) -> Self {
        let mut account = Self { verdicts: BTreeMap::new(), broken: Vec::new(), last_answer: None };
        let mut unknown: HashSet<_> = rows.0.keys().map(String::as_str).collect();
        for tries in tries {
            for tried in tries {
                let row = rows.0.get(&tried.id);
                let seen = log.read.contains(&tried.id) || row.is_some();
                let verdict = match &tried.end {
                    End::Answered { status: 503, .. } if !seen => Verdict::Refused("by a 503"),
                    End::Answered { status, body, at } => {
                        account.last_answer = account.last_answer.max(Some(*at));
                        if !log.answered.contains(&tried.id) {
                            account.broken.push(format!("{} was answered, and the log lacks it", tried.id));
                        }
                        let order = if let Kind::Show { order } = tried.kind { Some(&*tries[order].id) } else { None };
                        right(tried, (*status, body, *at), order, row, signalled)
                    }
                    end => unanswered(end, seen),
                };
                if let (End::Answered { status, at, .. }, Verdict::Lost(WRONG)) = (&tried.end, verdict) {
                    account.broken.push(wrong(tried, *status, *at, signalled));
                }
                if matches!(tried.end, End::Answered { .. }) && verdict == Verdict::Lost(NO_ROW) {
                    account.broken.push(format!("order {} was answered, and its row is not as answered", tried.id));
                }
                if row.is_some() {
                    unknown.remove(tried.id.as_str());
                }
                *account.verdicts.entry(verdict).or_default() += 1;
            }
        }
        account.broken.extend(unknown.into_iter().map(|id| format!("the row of {id} is nobody's order")));
        account
    }

    fn count(&self, which: impl Fn(&Verdict) -> bool) -> usize {
        self.verdicts.iter().filter(|(verdict, _)| which(verdict)).map(|(_, count)| count).sum()
    }

    pub(super) fn answered(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Answered(_)))
    }

    pub(super) fn lost(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Lost(_)))
    }

    pub(super) fn is_clean(&self) -> bool {
        self.broken.is_empty() && self.lost() == 0
    }
}

const NO_ROW: &str = "an order answered without its row";
const WRONG: &str = "wrong answers";

/// Says which request had a wrong answer, and when, in seconds from the SIGTERM.
fn wrong(Tried { id, kind, began, .. }: &Tried, status: u16, at: Instant, signalled: Instant) -> String {
    let from_signal = |at: Instant| match at.checked_duration_since(signalled) {
        Some(after) => after.as_secs_f64(),
        None => -signalled.duration_since(at).as_secs_f64(),
    };
    format!("{id}, {kind:?}, from {:+.3} s to {:+.3} s, was answered {status}", from_signal(*began), from_signal(at))
}

/// Whether a whole answer is the right one. `order` is the id of the order that it should show, if it should show one.
fn right(
    tried: &Tried,
    (status, body, at): (u16, &str, Instant),
    order: Option<&str>,
    row: Option<&(u64, String)>,
    signalled: Instant,
) -> Verdict {
    let (what, is_right) = match tried.kind {
        Kind::Order => {
            let as_answered =
                row.is_some_and(|(number, row)| body.trim() == number.to_string() && *row == order_body(&tried.id));
            if status == 201 && !as_answered {
                return Verdict::Lost(NO_ROW);
            }
            ("orders, each with its row", status == 201)
        }
        Kind::Show { .. } => ("orders shown", status == 200 && order.is_some_and(|id| body == order_body(id))),
        Kind::Slow => ("slow", status == 200),
        Kind::Large => ("large, 128 KiB each", status == 200),
        Kind::TooLarge => ("uploads turned down, 413", status == 413),
        Kind::Alive => ("alive, also while draining", status == 200),
        Kind::Ready => {
            // One that was under way at the SIGTERM may have either answer.
            match status {
                200 => ("ready", tried.began < signalled + NOTICE),
                status => ("not ready, from the SIGTERM on", status == 503 && at >= signalled),
            }
        }
        Kind::Rush => ("in the rush", status == 200),
    };
    if is_right { Verdict::Answered(what) } else { Verdict::Lost(WRONG) }
}

fn unanswered(end: &End, seen: bool) -> Verdict {
    match end {
        End::Cut { any_bytes: true, .. } => Verdict::Lost("in the midst of the answer"),
        End::Cut { how: Cut::Nonsense, .. } => Verdict::Lost("answered with something else"),
        _ if seen => Verdict::Lost("read, and not answered"),
        End::NoConnection => Verdict::Refused("no connection"),
        End::Told => Verdict::Refused("behind an answer that said it was the last"),
        End::Cut { how: Cut::Silent, .. } => Verdict::Lost("nothing came"),
        _ => Verdict::Lost("connection taken away, unread"),
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<9}{:>7}", "sent", self.count(|_| true))?;
        let sorts: [(_, Sort); 3] = [
            ("answered", |verdict| if let Verdict::Answered(what) = verdict { Some(what) } else { None }),
            ("refused", |verdict| if let Verdict::Refused(what) = verdict { Some(what) } else { None }),
            ("lost", |verdict| if let Verdict::Lost(what) = verdict { Some(what) } else { None }),
        ];
        for (name, sort) in sorts {
            writeln!(f, "  {name:<9}{:>7}", self.count(|verdict| sort(verdict).is_some()))?;
            for (verdict, count) in &self.verdicts {
                if let Some(what) = sort(verdict) {
                    writeln!(f, "  {:<9}{:>7}  {count:>7} {what}", "", "")?;
                }
            }
        }
        for line in self.broken.iter().take(10) {
            writeln!(f, "  broken: {line}")?;
        }
        match self.broken.len().saturating_sub(10) {
            0 => Ok(()),
            more => writeln!(f, "  broken: and {more} more"),
        }
    }
}

//! What it costs to ask whether it is time to stop, while it is not.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use winddown::{Shutdown, Token};

use crate::crowd::Crowd;
use crate::doors::running;
use crate::rounds::{Contender, Effort, Table};

pub(crate) const TITLE: &str = "Is it shutting down? ns for each time it is asked";
pub(crate) const SHUTDOWN: &str = "winddown `Shutdown::is_shutting_down`";
pub(crate) const TOKEN: &str = "winddown `Token::should_stop`";

/// The columns.
pub(crate) const ALONE: usize = 0;
pub(crate) const TWO: usize = 1;

/// How often it is asked in a row, so that the loop around it is not what is measured.
const IN_A_ROW: usize = 64;

pub(crate) fn measure(effort: Effort) -> Table {
    let crowds = [1, 2].map(|threads| Crowd { threads, window: Duration::from_millis(effort.window) });
    let mut contenders = vec![
        row(crowds, SHUTDOWN, running, Shutdown::is_shutting_down),
        row(crowds, TOKEN, with_token, |(_, token)| token.should_stop()),
    ];
    #[cfg(feature = "peers")]
    contenders.extend(crate::peers::check::contenders(crowds));
    contenders.push(row(
        crowds,
        "*floor: an acquire load*",
        || AtomicBool::new(false),
        |asked| asked.load(Ordering::Acquire),
    ));
    Table::measure(TITLE, ["1 thread", "2 threads, each"], contenders, effort.rounds)
        .with_note("Asked 64 times in a row, and the answers put together: a processor does several loads at a time.")
}

/// With its shutdown, whose driver would otherwise end while this is measured.
fn with_token() -> (Shutdown, Token) {
    let shutdown = running();
    let token = shutdown.token();
    (shutdown, token)
}

pub(crate) fn row<D: Sync + 'static>(
    crowds: [Crowd; 2],
    name: &'static str,
    make: impl Fn() -> D + 'static,
    ask: impl Fn(&D) -> bool + Sync + 'static,
) -> Contender {
    let asked = move |on: &D, _| {
        let mut any = false;
        for _ in 0..IN_A_ROW {
            any |= ask(on);
        }
        black_box(any);
    };
    Contender::new(name, move || crowds.iter().map(|crowd| crowd.cost(&make(), &asked) / IN_A_ROW as f64).collect())
}

//! Names of variables that are nearly those of a budget. Not here: their values (`budget`), and which variables are set, which takes an
//! operating system.

use crate::Budget;

/// How many changes are a slip.
const SLIPS: usize = 2;

impl Budget {
    /// Returns the variable of [`VARIABLES`](Self::VARIABLES) that a misspelt name was meant to be. `None`: the name is one of them, or it is
    /// near to none and belongs to another program or library.
    ///
    /// A name is misspelt in two ways:
    ///
    /// - At most two changes make it a variable's. A change adds, removes or replaces a letter, or swaps two neighbours.
    /// - It is a variable's up to the unit, and ends there or goes on with another word for a time, as `WINDDOWN_GRACE` and
    ///   `WINDDOWN_GRACE_PERIOD_MS` do. `WINDDOWN_HEAD_BRANCH` is another program's.
    ///
    /// Upper and lower case are alike. Kubernetes sets variables for each service, which begin with the service's name. Those of a service
    /// `winddown-grace` are not misspelt: `WINDDOWN_GRACE_SERVICE_HOST`, `WINDDOWN_GRACE_PORT`, `WINDDOWN_GRACE_PORT_80_TCP_ADDR`.
    ///
    /// ```
    /// use winddown_core::Budget;
    ///
    /// assert_eq!(Budget::misspelt("WINDDOWN_GRCAE_SECONDS"), Some("WINDDOWN_GRACE_SECONDS"));
    /// assert_eq!(Budget::misspelt("WINDDOWN_GRACE_SECONDS"), None);
    /// assert_eq!(Budget::misspelt("WINDDOWN_SERVICE_HOST"), None);
    /// assert_eq!(Budget::misspelt("WINDDOWN_LOG"), None);
    /// ```
    #[must_use]
    pub fn misspelt(name: &str) -> Option<&'static str> {
        if Self::VARIABLES.contains(&name) || is_of_a_service(name) {
            return None;
        }
        let changes = |variable: &&str| if has_its_beginning(name, variable) { 0 } else { changes(name, variable) };
        Self::VARIABLES.into_iter().min_by_key(changes).filter(|nearest| changes(nearest) <= SLIPS)
    }
}

/// Whether Kubernetes, or a link of Docker's, makes such names for a service.
fn is_of_a_service(name: &str) -> bool {
    let mut ports = name.match_indices("_PORT_").map(|(at, port)| &name[at + port.len()..]);
    name.ends_with("_PORT")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT_")
        || ports.any(|number| number.starts_with(|digit: char| digit.is_ascii_digit()))
}

/// Words for a time. A unit may follow.
const TIMES: &str = "PERIOD TIME TIMEOUT DURATION";

/// Units of time, in the ways in which they are written.
const UNITS: &str = "S SEC SECS SECOND SECONDS MS MSEC MSECS MILLI MILLIS MILLISECOND MILLISECONDS US MICRO MICROS MICROSECOND \
                     MICROSECONDS NS NANO NANOS NANOSECOND NANOSECONDS MIN MINS MINUTE MINUTES H HOUR HOURS";

/// Whether a name is the variable's up to its unit, and ends there or goes on with words for a time.
fn has_its_beginning(name: &str, variable: &str) -> bool {
    let beginning = variable.trim_end_matches("_SECONDS");
    let Some((part, rest)) = name.split_at_checked(beginning.len()) else { return false };
    let is_one_of = |words: &str, word| words.split(' ').any(|known| known.eq_ignore_ascii_case(word));
    // Before the first `_` is nothing.
    let mut words = rest.split('_');
    part.eq_ignore_ascii_case(beginning)
        && words.next() == Some("")
        && match (words.next(), words.next(), words.next()) {
            (None, ..) => true,
            (Some(word), None, _) => is_one_of(TIMES, word) || is_one_of(UNITS, word),
            (Some(time), Some(unit), None) => is_one_of(TIMES, time) && is_one_of(UNITS, unit),
            _ => false,
        }
}

/// More letters than a variable has.
const LONGEST: usize = 40;

/// Returns how many changes make a name the variable's: the distance of Damerau and Levenshtein, where no letter is changed twice.
fn changes(name: &str, variable: &str) -> usize {
    let variable = variable.as_bytes();
    // The last two rows and this one. A row has the changes from the letters read so far to each beginning of `variable`.
    let mut rows = [[0; LONGEST]; 3];
    rows[1] = core::array::from_fn(|column| column);
    let mut last = None;
    for (row, letter) in name.chars().enumerate() {
        if row >= LONGEST {
            return usize::MAX;
        }
        let is = |letter: char, column: usize| letter.eq_ignore_ascii_case(&char::from(variable[column]));
        rows[2][0] = row + 1;
        for column in 0..variable.len() {
            let replaced = rows[1][column] + usize::from(!is(letter, column));
            let added_or_removed = rows[1][column + 1].min(rows[2][column]) + 1;
            let swaps = |last| column > 0 && is(letter, column - 1) && is(last, column);
            let swapped = if last.is_some_and(swaps) { rows[0][column - 1] + 1 } else { usize::MAX };
            rows[2][column + 1] = replaced.min(added_or_removed).min(swapped);
        }
        rows.rotate_left(1);
        last = Some(letter);
    }
    rows[1][variable.len()]
}

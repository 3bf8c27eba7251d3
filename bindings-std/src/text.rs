//! How single values look in text for people: text that the library did not choose, threads, and times. Not here: the lines (`render`, `observe`).

use std::fmt::{self, Write as _};
use std::time::Duration;

/// Text that a program or a peer chose (a name, a message, an error), kept on one line.
///
/// A character that could end the line, move the cursor or turn the direction of writing is shown as an escape, as in a string
/// literal. All other characters are shown as they are.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            if is_control(character) { write!(f, "{}", character.escape_default()) } else { f.write_char(character) }
        })
    }
}

/// Whether it is a control character (C0, DEL, C1), a separator of lines or paragraphs, or a control of bidirectional text.
fn is_control(character: char) -> bool {
    let is_bidi = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') || is_bidi
}

/// What [`thread_of`](crate::report::thread_of) returns: a name in quotes, or an id without.
pub(crate) struct ThreadName<'a>(pub(crate) &'a str);

impl fmt::Display for ThreadName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.strip_prefix("ThreadId(").and_then(|rest| rest.strip_suffix(')'));
        match number {
            Some(number) if number.bytes().all(|digit| digit.is_ascii_digit()) => f.write_str(self.0),
            _ => write!(f, "{:?}", self.0),
        }
    }
}

/// A time with three figures or so.
pub(crate) struct Time(pub(crate) Duration);

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

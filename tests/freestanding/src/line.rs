//! A line of text in a place of fixed size.

use core::ffi::CStr;
use core::fmt::{self, Display, Write};

const ROOM: usize = 80;

/// What a line tells. Numbers are written here: the formatting of `core` would be a tenth of the program.
#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    Number(usize),
    Word(&'a dyn Display),
}

/// A line, its end included. What does not fit is cut off.
pub(crate) struct Line {
    /// What is not written is 0, and the last byte is never written: it ends the text.
    bytes: [u8; ROOM],
    length: usize,
}

impl Line {
    pub(crate) fn new(before: &str, what: What<'_>, after: &str) -> Self {
        let mut line = Self { bytes: [0; ROOM], length: 0 };
        line.push(before);
        match what {
            What::Number(number) => line.push_number(number),
            // It fails only where `write_str` does, which never does.
            What::Word(word) => drop(write!(line, "{word}")),
        }
        line.push(after);
        line.push("\n");
        line
    }

    pub(crate) fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }

    fn push(&mut self, text: &str) {
        for byte in text.bytes().take(ROOM - 1 - self.length) {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    fn push_number(&mut self, number: usize) {
        if number > 9 {
            self.push_number(number / 10);
        }
        self.push(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][number % 10]);
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

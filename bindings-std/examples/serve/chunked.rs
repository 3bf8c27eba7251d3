//! The chunked coding of a body (RFC 9112, 7.1): from bytes as they come to the body. Not here: reading them, and when they are
//! late (`http`).

use crate::http::{Bad, MAX_BODY, MAX_HEAD};

/// The longest line with a chunk's size, extensions included.
const MAX_LINE: usize = 256;

/// A body of which some chunks have come.
#[derive(Default)]
pub(crate) struct Chunked {
    body: Vec<u8>,
    next: Next,
    /// The length of the trailers so far. They are not kept.
    trailers: usize,
}

/// The kind of the next bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Size,
    /// So many bytes of a chunk, and the end of a line.
    Data(usize),
    Trailers,
    /// They belong to the next request.
    Other,
}

impl Chunked {
    /// Takes what has come off the front of `buffer`. Returns the body once it is whole.
    pub(crate) fn take(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Bad> {
        let mut rest = buffer.as_slice();
        while self.next != Next::Other {
            let Some(next) = self.step(&mut rest)? else { break };
            self.next = next;
        }
        let taken = buffer.len() - rest.len();
        buffer.drain(..taken);
        Ok((self.next == Next::Other).then(|| std::mem::take(&mut self.body)))
    }

    /// Takes one part off the front of `rest`, if it has come. Returns what follows it.
    fn step(&mut self, rest: &mut &[u8]) -> Result<Option<Next>, Bad> {
        match self.next {
            Next::Size => {
                let Some(line) = take_line(rest, MAX_LINE, malformed)? else { return Ok(None) };
                match size(line).ok_or_else(malformed)? {
                    0 => Ok(Some(Next::Trailers)),
                    size if size > MAX_BODY - self.body.len() => Err(Bad::new(413, "the body is too long\n")),
                    size => Ok(Some(Next::Data(size))),
                }
            }
            Next::Data(size) => match rest.split_at_checked(size) {
                Some((data, [b'\r', b'\n', left @ ..])) => {
                    self.body.extend_from_slice(data);
                    *rest = left;
                    Ok(Some(Next::Size))
                }
                None | Some((_, [] | [b'\r'])) => Ok(None),
                Some(_) => Err(malformed()),
            },
            Next::Trailers => {
                let too_long = || Bad::new(431, "the trailers are too long\n");
                let Some(line) = take_line(rest, MAX_HEAD - self.trailers, too_long)? else { return Ok(None) };
                self.trailers += line.len();
                match line {
                    [] => Ok(Some(Next::Other)),
                    line if line.contains(&b':') => Ok(Some(Next::Trailers)),
                    _ => Err(malformed()),
                }
            }
            Next::Other => Ok(None),
        }
    }
}

fn malformed() -> Bad {
    Bad::new(400, "that is no chunk\n")
}

/// Takes the first line off the front, if it has come. It ends with CR and LF, and has neither in it.
fn take_line<'a>(rest: &mut &'a [u8], at_most: usize, too_long: fn() -> Bad) -> Result<Option<&'a [u8]>, Bad> {
    let end = rest.iter().position(|&byte| byte == b'\n');
    if end.unwrap_or(rest.len()) > at_most + 1 {
        return Err(too_long());
    }
    let Some(end) = end else { return Ok(None) };
    match rest[..end].split_last() {
        Some((b'\r', line)) if !line.contains(&b'\r') => {
            *rest = &rest[end + 1..];
            Ok(Some(line))
        }
        _ => Err(malformed()),
    }
}

/// Returns the size that a line begins with; one too large to count is too large. Extensions are ignored.
fn size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii_end();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    Some(usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).unwrap_or(usize::MAX))
}

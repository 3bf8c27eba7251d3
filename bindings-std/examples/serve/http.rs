//! Requests as they come: one after the other, pipelined or not, in pieces or not, within limits of size and time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Error, Header, Status};

use crate::chunked::Chunked;

/// The longest request line and headers together.
pub(crate) const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;
/// The longest body.
pub(crate) const MAX_BODY: usize = 64 * 1024;
const MAX_ID: usize = 64;
/// From the first byte of a head to its last.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The same, for a body.
const BODY_TIME: Duration = Duration::from_secs(10);
const CHUNK: usize = 8 * 1024;

/// A request that has come whole.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// What is after the question mark.
    pub(crate) query: String,
    /// Its `X-Id`; empty if it has none that can be put in a log.
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    /// The client wants no further answer on this connection.
    pub(crate) close: bool,
}

/// A request that gets no further. After it nobody knows where the next one begins.
pub(crate) struct Bad {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
    pub(crate) id: String,
}

/// Why there is no request.
pub(crate) enum Fault {
    Bad(Bad),
    /// The client has gone away, or the wind-down has ended the connection.
    Gone,
}

/// Why nothing more came.
enum Lack {
    Gone,
    Late,
}

/// A head that has come whole.
pub(crate) struct Head {
    /// Without its body.
    pub(crate) request: Request,
    length: Length,
    expects_continue: bool,
}

/// Where a body ends.
enum Length {
    Known(usize),
    /// Its last chunk says so.
    Chunked,
}

/// The receiving side of a connection, with what came but was not asked for yet.
pub(crate) struct Reader<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
    /// The limit that the socket has.
    timeout: Option<Duration>,
}

impl Bad {
    pub(crate) fn new(status: u16, why: &'static str) -> Self {
        Self { status, why, id: String::new() }
    }
}

impl Lack {
    fn fault(self, why: &'static str, id: &str) -> Fault {
        match self {
            Self::Gone => Fault::Gone,
            Self::Late => Fault::Bad(Bad { status: 408, why, id: id.to_owned() }),
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(stream: &'a TcpStream) -> Self {
        Self { stream, buffer: Vec::new(), timeout: None }
    }

    /// Returns whether some of the next request has been read.
    pub(crate) fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Waits for the next request to begin, at most this long. Returns whether it has.
    pub(crate) fn wait_for_a_byte(&mut self, at_most: Duration) -> bool {
        self.has_begun() || self.fill(at_most).is_ok()
    }

    /// Receives the head of the request that has begun. One that is late is a 408.
    pub(crate) fn receive_head(&mut self) -> Result<Head, Fault> {
        let deadline = Instant::now() + HEAD_TIME;
        loop {
            if let Some(head) = take_head(&mut self.buffer).map_err(Fault::Bad)? {
                return Ok(head);
            }
            self.fill_by(deadline).map_err(|lack| lack.fault("the head did not come\n", ""))?;
        }
    }

    /// Receives the body that belongs to a head.
    pub(crate) fn receive_body(&mut self, head: Head) -> Result<Request, Fault> {
        let Head { mut request, length, expects_continue } = head;
        if matches!(length, Length::Known(length) if length > MAX_BODY) {
            return Err(Fault::Bad(Bad { status: 413, why: "the body is too long\n", id: request.id }));
        }
        if expects_continue && self.buffer.is_empty() && !matches!(length, Length::Known(0)) {
            let _ = (&mut self.stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let deadline = Instant::now() + BODY_TIME;
        let mut chunked = Chunked::default();
        loop {
            let body = match length {
                Length::Known(length) if self.buffer.len() < length => None,
                Length::Known(length) => Some(self.buffer.drain(..length).collect()),
                Length::Chunked => {
                    chunked.take(&mut self.buffer).map_err(|bad| Fault::Bad(Bad { id: request.id.clone(), ..bad }))?
                }
            };
            if let Some(body) = body {
                request.body = body;
                return Ok(request);
            }
            self.fill_by(deadline).map_err(|lack| lack.fault("the body did not come\n", &request.id))?;
        }
    }

    fn fill_by(&mut self, deadline: Instant) -> Result<(), Lack> {
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Lack::Late),
            left => self.fill(left),
        }
    }

    /// Waits for more, and appends it.
    fn fill(&mut self, at_most: Duration) -> Result<(), Lack> {
        if self.timeout != Some(at_most) {
            self.stream.set_read_timeout(Some(at_most)).map_err(|_| Lack::Gone)?;
            self.timeout = Some(at_most);
        }
        let mut chunk = [0; CHUNK];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Lack::Gone),
                Ok(count) => {
                    return {
                        self.buffer.extend_from_slice(&chunk[..count]);
                        Ok(())
                    };
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Lack::Late),
                    _ => return Err(Lack::Gone),
                },
            }
        }
    }
}

/// Takes a head off the front, if it is there to its end.
fn take_head(buffer: &mut Vec<u8>) -> Result<Option<Head>, Bad> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let too_long = || Bad::new(431, "the head is too long\n");
    let end = match parsed.parse(&buffer[..buffer.len().min(MAX_HEAD)]) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) if buffer.len() >= MAX_HEAD => return Err(too_long()),
        Ok(Status::Partial) => return Ok(None),
        Err(Error::TooManyHeaders) => return Err(too_long()),
        Err(Error::Version) => return Err(Bad::new(505, "HTTP/1.1 is spoken here\n")),
        Err(_) => return Err(Bad::new(400, "that is not HTTP\n")),
    };
    let head = understand(&parsed)?;
    buffer.drain(..end);
    Ok(Some(head))
}

/// What the head asks for, or why it cannot be had.
fn understand(parsed: &httparse::Request<'_, '_>) -> Result<Head, Bad> {
    let all = |name: &'static str| {
        let named = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
        parsed.headers.iter().filter(named).map(|header| header.value)
    };
    let id = all("x-id").next().and_then(loggable).unwrap_or_default();
    let bad = |status, why| Bad { status, why, id: id.to_owned() };
    let is_old = parsed.version == Some(0);
    if !is_old && all("host").count() != 1 {
        return Err(bad(400, "there is one Host in HTTP/1.1\n"));
    }
    let length = length(all("content-length")).ok_or_else(|| bad(400, "that is no Content-Length\n"))?;
    let length = match all("transfer-encoding").collect::<Vec<_>>()[..] {
        [] => Length::Known(length),
        // Two servers that understand such a request differently disagree about where the next one begins.
        _ if all("content-length").next().is_some() => return Err(bad(400, "a length, or chunks\n")),
        _ if is_old => return Err(bad(400, "there is no Transfer-Encoding in HTTP/1.0\n")),
        [coding] if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => Length::Chunked,
        _ => return Err(bad(501, "the only Transfer-Encoding is chunked\n")),
    };
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !path.starts_with('/') {
        return Err(bad(400, "that is no path\n"));
    }
    let said = |token: &str| all("connection").any(|value| has_token(value, token));
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        id: id.to_owned(),
        body: Vec::new(),
        close: said("close") || is_old && !said("keep-alive"),
    };
    let expects_continue = !is_old && all("expect").any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    Ok(Head { request, length, expects_continue })
}

/// Returns the length, 0 if there is none; `None` if it is no number, or several differ. One too large to count is too large.
fn length<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<usize> {
    let Some(first) = values.next() else { return Some(0) };
    let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    if !is_number || values.any(|value| value != first) {
        return None;
    }
    Some(std::str::from_utf8(first).ok()?.parse().unwrap_or(usize::MAX))
}

fn has_token(value: &[u8], token: &str) -> bool {
    value.split(|&byte| byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// What can stand in a line of the log as one word.
fn loggable(value: &[u8]) -> Option<&str> {
    let fits = (1..=MAX_ID).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    if fits { std::str::from_utf8(value).ok() } else { None }
}

//! Answers, and how they look on the wire.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::TcpStream;

/// An answer to one request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: Cow<'static, [u8]>,
    /// Given back to the client, as it was.
    id: String,
    /// The answer to HEAD: all but the body.
    head_only: bool,
    /// What goes with a 405.
    allow: Option<&'static str>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { status, body: body.into(), id: String::new(), head_only: false, allow: None }
    }

    pub(crate) fn text(status: u16, text: &'static str) -> Self {
        Self::new(status, text.as_bytes())
    }

    pub(crate) fn not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::text(405, "not with that method\n") }
    }

    pub(crate) fn id(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    pub(crate) fn head_only(self, head_only: bool) -> Self {
        Self { head_only, ..self }
    }

    /// In one write, if the kernel takes it; `scratch` saves an allocation for each.
    pub(crate) fn write(&self, mut stream: &TcpStream, scratch: &mut Vec<u8>, last: bool) -> io::Result<()> {
        scratch.clear();
        write!(
            scratch,
            "HTTP/1.1 {} {}\r\nContent-Length: {}\r\nContent-Type: text/plain; charset=utf-8\r\n",
            self.status,
            reason(self.status),
            self.body.len()
        )?;
        if !self.id.is_empty() {
            write!(scratch, "X-Id: {}\r\n", self.id)?;
        }
        if let Some(allow) = self.allow {
            write!(scratch, "Allow: {allow}\r\n")?;
        }
        // HTTP/1.0 keeps a connection only if the answer says so, too.
        scratch.extend_from_slice(if last { b"Connection: close\r\n\r\n" } else { b"Connection: keep-alive\r\n\r\n" });
        if !self.head_only {
            scratch.extend_from_slice(&self.body);
        }
        stream.write_all(scratch)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

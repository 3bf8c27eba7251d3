//! A client that keeps its connection, and asks for one thing after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any server takes: who hears nothing for so long hears nothing more.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    stream: TcpStream,
    buffer: [u8; 1024],
}

impl Client {
    pub(crate) fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: [0; 1024] })
    }

    pub(crate) fn ask(&mut self, path: &str) -> io::Result<()> {
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    /// Returns when the last byte of the answer is here, which has to be a good one.
    pub(crate) fn answer(&mut self) -> io::Result<()> {
        let mut filled = 0;
        while !is_whole(&self.buffer[..filled]) {
            match self.stream.read(&mut self.buffer[filled..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        if self.buffer.starts_with(b"HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&self.buffer[..filled])))
    }
}

/// Whether there is an answer with all of its body.
fn is_whole(bytes: &[u8]) -> bool {
    let Some((head, body)) = str::from_utf8(bytes).ok().and_then(|text| text.split_once("\r\n\r\n")) else {
        return false;
    };
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, length)| length.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}

//! The access log: a line for each request that was read, and one for each answer. One thread writes it.
//!
//! ```text
//! 1763719200000123 read o-17 POST /orders
//! 1763719200000456 answered o-17 201
//! 1763719200900789 closed
//! ```
//!
//! The number is the time, in microseconds since 1970.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When nothing comes for so long, what there is can be read in the file.
const QUIET: Duration = Duration::from_millis(200);

pub(crate) struct Log {
    lines: Sender<Line>,
    writer: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

enum Line {
    Text(String),
    Close,
}

impl Log {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let (lines, queue) = mpsc::channel();
        let writer = thread::Builder::new().name("log".into()).spawn(move || write(file, &queue))?;
        Ok(Self { lines, writer: Mutex::new(Some(writer)) })
    }

    /// A request was read, at least its head.
    pub(crate) fn read(&self, id: &str, line: &str) {
        self.line(format_args!("read {} {line}", or_dash(id)));
    }

    /// The kernel has its whole answer.
    pub(crate) fn answered(&self, id: &str, status: u16) {
        self.line(format_args!("answered {} {status}", or_dash(id)));
    }

    /// Its answer could not be written.
    pub(crate) fn failed(&self, id: &str, status: u16) {
        self.line(format_args!("failed {} {status}", or_dash(id)));
    }

    fn line(&self, text: std::fmt::Arguments<'_>) {
        // The writer is gone only where the disk failed, which `close` reports.
        let _ = self.lines.send(Line::Text(format!("{} {text}\n", now())));
    }

    /// Writes what was said so far, and ends. Every request's last line is in the file.
    pub(crate) fn close(&self) -> io::Result<()> {
        let _ = self.lines.send(Line::Close);
        match self.writer.lock().expect("nobody panics in here").take().map(JoinHandle::join) {
            None => Ok(()),
            Some(ended) => ended.unwrap_or_else(|_| Err(io::Error::other("the log's thread panicked"))),
        }
    }
}

fn or_dash(id: &str) -> &str {
    if id.is_empty() { "-" } else { id }
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

fn write(file: File, queue: &Receiver<Line>) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(64 * 1024, file);
    loop {
        match queue.recv_timeout(QUIET) {
            Ok(Line::Text(text)) => file.write_all(text.as_bytes())?,
            Err(RecvTimeoutError::Timeout) => file.flush()?,
            Ok(Line::Close) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    writeln!(file, "{} closed", now())?;
    file.flush()
}

//! A small server for the socket tests: it answers lines. `bye` instead of an answer says that it is the last.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use winddown::{Acceptor, Connection, Listener, Stream};

/// Serves every connection on a thread of its own, until the acceptor ends.
///
/// # Panics
///
/// When the listener is out of order.
pub fn serve_all<L: Listener>(acceptor: Acceptor<L>)
where
    for<'a> &'a L::Stream: Read + Write,
{
    for connection in acceptor.incoming() {
        let connection = connection.expect("the listener works");
        thread::spawn(move || serve(&connection));
    }
}

/// Answers lines until the peer or the program has had enough.
pub fn serve<S: Stream>(connection: &Connection<S>)
where
    for<'a> &'a S: Read + Write,
{
    serve_with(connection, |_| ());
}

/// As [`serve`], with the work that each line takes: it is done before the answer is written.
pub fn serve_with<S: Stream>(connection: &Connection<S>, work: impl Fn(&str))
where
    for<'a> &'a S: Read + Write,
{
    let mut lines = BufReader::new(connection.stream());
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).is_err() || !line.ends_with('\n') {
            return;
        }
        let Ok(busy) = connection.busy() else { return };
        work(&line);
        let closing = connection.is_closing();
        let answer = if closing { format!("bye {line}") } else { format!("ok {line}") };
        if connection.stream().write_all(answer.as_bytes()).is_err() {
            return;
        }
        if closing {
            let _ = busy.lingering_close(Duration::from_secs(1));
            return;
        }
    }
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A whole answer came.
    Answered,
    /// Nobody was there: the connection did not come about.
    Refused,
    /// The connection came about, and no whole answer did.
    Reset,
}

/// Connects, asks one line, and listens for the answer.
#[must_use]
pub fn ask_once(address: std::net::SocketAddr) -> Fate {
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(250)) else { return Fate::Refused };
    let mut answer = String::new();
    let asked = (&stream).write_all(b"?\n").and_then(|()| BufReader::new(&stream).read_line(&mut answer));
    if asked.is_ok() && answer.ends_with("?\n") { Fate::Answered } else { Fate::Reset }
}

/// Four clients who connect and ask without a pause until they are refused, and what becomes of each question. When this
/// returns, some have been answered.
///
/// # Panics
///
/// When one is not, before anything has been done about it.
#[must_use]
pub fn without_a_pause(address: std::net::SocketAddr) -> mpsc::Receiver<Fate> {
    let (sender, fates) = mpsc::channel();
    for _ in 0..4 {
        let sender = sender.clone();
        thread::spawn(move || {
            loop {
                let fate = ask_once(address);
                if sender.send(fate).is_err() || fate == Fate::Refused {
                    return;
                }
            }
        });
    }
    assert_eq!(fates.iter().take(20).filter(|&fate| fate == Fate::Answered).count(), 20);
    fates
}

/// One line from a stream.
///
/// # Errors
///
/// What the system says; an end before the line's is one, too.
pub fn read_line(stream: impl Read) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::with_capacity(1, stream).read_line(&mut line)?;
    if line.ends_with('\n') { Ok(line) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

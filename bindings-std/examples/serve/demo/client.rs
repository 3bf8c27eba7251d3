//! One client: a connection, what is on its way on it, and what it does when something can be done. It never blocks.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::script::{PATIENCE, Piece, Random, Role};
use super::tried::{Cut, End, Kind, Tried};

pub(super) struct Client {
    number: usize,
    role: Role,
    random: Random,
    link: Link,
    /// Nothing is to be done before.
    pub(super) wake: Instant,
    /// On their way, by their index among the tries, oldest first.
    pending: VecDeque<usize>,
    unsent: VecDeque<Piece>,
    inbox: Vec<u8>,
    last_order: Option<usize>,
    /// How many answers there were since somebody took note.
    pub(super) answered: usize,
}

enum Link {
    None,
    Connecting(TcpStream),
    Open(TcpStream),
}

impl Client {
    pub(super) fn new(number: usize, first: Instant) -> Self {
        Self {
            number,
            role: Role::of(number),
            random: Random::new(number),
            link: Link::None,
            wake: first,
            pending: VecDeque::new(),
            unsent: VecDeque::new(),
            inbox: Vec::new(),
            last_order: None,
            answered: 0,
        }
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    /// What it waits for, and on what; `None` while it thinks.
    pub(super) fn interest(&self, now: Instant) -> Option<(&TcpStream, PollFlags)> {
        match &self.link {
            Link::Connecting(stream) => Some((stream, PollFlags::OUT)),
            Link::Open(stream) if self.wake <= now && !self.pending.is_empty() => {
                let out = if self.unsent.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
                let early = self.unsent.is_empty() || self.role.reads_early();
                Some((stream, if early { out | PollFlags::IN } else { out }))
            }
            _ => None,
        }
    }

    /// Begins something, if there is nothing on its way.
    pub(super) fn begin(&mut self, tries: &mut Vec<Tried>, address: SocketAddr, now: Instant) {
        if !self.pending.is_empty() {
            return;
        }
        for _ in 0..self.role.window() {
            self.ask(tries, now);
        }
        if matches!(self.link, Link::Open(_)) {
            return;
        }
        match connect(address, self.role) {
            Ok(stream) => self.link = Link::Connecting(stream),
            Err(_) => self.end(tries, |_| End::NoConnection, now),
        }
    }

    fn ask(&mut self, tries: &mut Vec<Tried>, now: Instant) {
        let kind = self.role.next(&mut self.random, self.last_order);
        let id = format!("{}-{}", self.number, tries.len());
        let number = match kind {
            Kind::Show { order } => match &tries[order].end {
                End::Answered { body, .. } => body.trim().to_owned(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        self.unsent.extend(self.role.write(kind, &id, &number, &mut self.random));
        self.pending.push_back(tries.len());
        tries.push(Tried { id, kind, began: now, end: End::Open });
    }

    /// Its socket can be written to or read from.
    pub(super) fn ready(&mut self, tries: &mut Vec<Tried>, flags: PollFlags, now: Instant) {
        if let Link::Connecting(stream) = &self.link {
            match stream.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => {
                    let refused = matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::TimedOut);
                    let end = if refused { End::NoConnection } else { cut(false, Cut::Reset) };
                    return self.end(tries, |_| end.clone(), now);
                }
            }
            let Link::Connecting(stream) = std::mem::replace(&mut self.link, Link::None) else { return };
            self.link = Link::Open(stream);
        }
        if flags.intersects(PollFlags::OUT | PollFlags::ERR) && !self.unsent.is_empty() {
            self.send(tries, now);
        }
        let reads = self.unsent.is_empty() || self.role.reads_early();
        if flags.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP) && reads {
            self.receive(tries, now);
        }
    }

    fn send(&mut self, tries: &mut [Tried], now: Instant) {
        while let (Link::Open(stream), Some(piece)) = (&mut self.link, self.unsent.front_mut()) {
            if !piece.pause.is_zero() {
                self.wake = now + std::mem::take(&mut piece.pause);
                return;
            }
            match stream.write(&piece.bytes) {
                Ok(count) if count == piece.bytes.len() => drop(self.unsent.pop_front()),
                Ok(count) => drop(piece.bytes.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.cut(tries, Cut::Reset, now),
            }
        }
    }

    fn receive(&mut self, tries: &mut Vec<Tried>, now: Instant) {
        let Link::Open(stream) = &mut self.link else { return };
        let (amount, pause) = self.role.pace();
        let before = self.inbox.len();
        self.inbox.resize(before + amount, 0);
        let result = stream.read(&mut self.inbox[before..]);
        self.inbox.truncate(before + result.as_ref().map_or(0, |&count| count));
        match result {
            Ok(0) => self.cut(tries, Cut::Ended, now),
            Ok(_) => {
                self.wake = now + pause;
                self.take_answers(tries, now);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.cut(tries, Cut::Reset, now),
        }
    }

    fn take_answers(&mut self, tries: &mut Vec<Tried>, now: Instant) {
        while let Some(&index) = self.pending.front() {
            let answer = match take_answer(&mut self.inbox) {
                // One to what was not read has no id: it is the answer to what was next.
                Ok(Some(answer)) if answer.id.is_empty() || answer.id == tries[index].id => answer,
                Ok(None) => return,
                Ok(Some(_)) | Err(Nonsense) => return self.cut(tries, Cut::Nonsense, now),
            };
            self.pending.pop_front();
            self.answered += 1;
            if tries[index].kind == Kind::Order && answer.status == 201 {
                self.last_order = Some(index);
            }
            tries[index].end = End::Answered { status: answer.status, body: answer.body, at: now };
            if answer.close {
                // A last answer after which the server would not have heard the rest.
                return self.end(tries, |_| End::Told, now);
            }
            if self.role.window() > 1 {
                self.ask(tries, now);
            } else {
                self.wake = now + self.role.think(&mut self.random);
            }
        }
    }

    /// Gives up what has been silent for too long.
    pub(super) fn lose_patience(&mut self, tries: &mut [Tried], now: Instant) {
        if self.pending.front().is_some_and(|&index| now.duration_since(tries[index].began) > PATIENCE) {
            let connecting = matches!(self.link, Link::Connecting(_));
            if connecting { self.end(tries, |_| End::NoConnection, now) } else { self.cut(tries, Cut::Silent, now) }
        }
    }

    /// Nobody is there any more: a connection that has not come about will not.
    pub(super) fn give_up_connecting(&mut self, tries: &mut [Tried], now: Instant) {
        if matches!(self.link, Link::Connecting(_)) {
            self.end(tries, |_| End::NoConnection, now);
        }
    }

    fn cut(&mut self, tries: &mut [Tried], how: Cut, now: Instant) {
        let begun = !self.inbox.is_empty();
        self.end(tries, |place| cut(begun && place == 0, how), now);
    }

    /// The connection is over, and with it all that was on its way.
    fn end(&mut self, tries: &mut [Tried], how: impl Fn(usize) -> End, now: Instant) {
        let mut pause = self.role.think(&mut self.random);
        for (place, index) in self.pending.drain(..).enumerate() {
            tries[index].end = how(place);
            if tries[index].end != End::Told {
                pause = self.role.sulk(&mut self.random);
            }
        }
        self.link = Link::None;
        self.unsent.clear();
        self.inbox.clear();
        self.wake = now + pause;
    }
}

fn cut(any_bytes: bool, how: Cut) -> End {
    End::Cut { any_bytes, how }
}

fn connect(address: SocketAddr, role: Role) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if role == Role::Pipeliner {
        // What it has not read is then still the server's to send.
        socket.set_recv_buffer_size(32 * 1024)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

struct Answer {
    id: String,
    status: u16,
    body: String,
    close: bool,
}

/// What came is no answer.
struct Nonsense;

/// Takes an answer off the front, if it is there to its end.
fn take_answer(inbox: &mut Vec<u8>) -> Result<Option<Answer>, Nonsense> {
    const SHORT: usize = 1024;
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Response::new(&mut headers);
    let start = match parsed.parse(inbox) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Nonsense),
    };
    let value = |name: &str| {
        let header = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length: usize = value("content-length").and_then(|length| length.parse().ok()).ok_or(Nonsense)?;
    let Some(body) = inbox.get(start..start + length) else { return Ok(None) };
    let answer = Answer {
        id: value("x-id").unwrap_or_default().to_owned(),
        status: parsed.code.unwrap_or_default(),
        body: String::from_utf8_lossy(&body[..length.min(SHORT)]).into_owned(),
        close: value("connection") == Some("close"),
    };
    inbox.drain(..start + length);
    Ok(Some(answer))
}

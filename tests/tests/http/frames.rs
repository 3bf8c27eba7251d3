//! A client that speaks HTTP/2 frame by frame (RFC 9113, 4.1).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW: u8 = 8;
const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) struct Frames(TcpStream);

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    /// Of a GOAWAY: the last stream that was or will be worked on.
    pub(crate) fn last_stream(&self) -> u32 {
        u32::from_be_bytes(self.body[..4].try_into().unwrap())
    }
}

impl Frames {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut this = Self(stream);
        this.send(SETTINGS, 0, 0, &[]);
        this
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[&head, body].concat()).unwrap();
    }

    /// Asks for `/`.
    pub(crate) fn get(&mut self, stream: u32) {
        // Of HPACK's static table: GET, http, /, and an authority of one letter.
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'x']);
    }

    /// Asks for nothing.
    pub(crate) fn ping(&mut self) {
        self.send(PING, 0, 0, &[0; 8]);
    }

    /// Wants a tunnel to somewhere.
    pub(crate) fn tunnel(&mut self, stream: u32) {
        // A method by the table's name for it, and an authority of one letter.
        let head = [&[0x02, 7], &b"CONNECT"[..], &[0x41, 1, b'x']].concat();
        self.send(HEADERS, END_HEADERS, stream, &head);
    }

    /// Takes as much as anybody sends.
    pub(crate) fn widen(&mut self) {
        const INITIAL_WINDOW: [u8; 2] = [0, 4];
        self.send(SETTINGS, 0, 0, &[&INITIAL_WINDOW[..], &(u32::MAX >> 1).to_be_bytes()].concat());
        self.send(WINDOW, 0, 0, &(1_u32 << 30).to_be_bytes());
    }

    /// The next frame that is not the connection's own affair; `None` at its end. What asks for an acknowledgement gets it.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut body = vec![0; length as usize];
            self.0.read_exact(&mut body).ok()?;
            let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
            let frame = Frame { kind: head[3], flags: head[4], stream, body };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
                PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.body),
                DATA | HEADERS | RESET | GOAWAY => return Some(frame),
                _ => {}
            }
        }
    }
}

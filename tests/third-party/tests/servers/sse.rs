//! Each of a thousand clients gets its last event.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::program::Program;

const CLIENTS: usize = 1_000;

/// Connects, and asks for events.
fn client(program: &Program) -> BufReader<TcpStream> {
    let mut stream = program.connect();
    write!(stream, "GET / HTTP/1.1\r\nHost: {}\r\n\r\n", program.address).unwrap();
    BufReader::new(stream)
}

/// Reads on to the first event.
fn hear_one(reader: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "an answer, and an event");
    }
}

/// Returns whether the last event comes, and after it the end.
fn has_last(reader: &mut BufReader<TcpStream>) -> bool {
    let mut rest = String::new();
    let ended = reader.read_to_string(&mut rest).is_ok();
    // hyper sends chunks: the last event is followed by the end of its own, and by the empty one.
    let rest = rest.trim_end_matches("\r\n0\r\n\r\n");
    ended && rest.ends_with("event: bye\ndata: the server stops\n\n")
}

fn every_client_has_a_last_event(example: &str) {
    let program = Program::start(example);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| client(&program)).collect();
    clients.iter_mut().for_each(hear_one);
    program.terminate();
    let told = clients.iter_mut().filter_map(|client| has_last(client).then_some(())).count();
    assert_eq!(told, CLIENTS, "clients that got the last event");
    program.end_clean();
}

#[test]
fn a4_every_client_gets_a_last_event_from_threads() {
    every_client_has_a_last_event("sse");
}

#[test]
fn a4_every_client_gets_a_last_event_from_smol() {
    every_client_has_a_last_event("sse_smol");
}

//! Answers that a server writes after the handler has returned: 20 MB, to readers that are slow.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::program::Program;

const READERS: usize = 4;
const SIZE: usize = 20_000_000;

/// Sends a request and reads its answer slowly, to the end of the connection. Says when the answer has begun. Returns how many
/// bytes of the body came, and whether a chunked one has its end.
fn slow_reader(program: &Program, begun: mpsc::Sender<()>) -> thread::JoinHandle<(usize, bool)> {
    let (mut stream, address) = (program.connect(), program.address);
    thread::spawn(move || {
        write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        let (mut line, mut chunked) = (String::new(), false);
        while line != "\r\n" {
            chunked |= line.eq_ignore_ascii_case("Transfer-Encoding: chunked\r\n");
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "a head");
        }
        begun.send(()).unwrap();
        let (mut buffer, mut got, mut tail) = (vec![0; 1 << 16], 0, Vec::new());
        // An error is an answer that was cut.
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            // The body is of one letter, which is no digit of a chunk's size.
            got += buffer[..read].iter().filter(|&&byte| byte == b'x').count();
            tail.extend_from_slice(&buffer[read.saturating_sub(7)..read]);
            tail.drain(..tail.len().saturating_sub(7));
            thread::sleep(Duration::from_millis(3));
        }
        (got, !chunked || tail == b"\r\n0\r\n\r\n")
    })
}

fn every_byte_arrives(example: &str) {
    let program = Program::start(example);
    let (begun, has_begun) = mpsc::channel();
    let readers: Vec<_> = (0..READERS).map(|_| slow_reader(&program, begun.clone())).collect();
    readers.iter().for_each(|_| has_begun.recv().unwrap());
    program.terminate();
    let got: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert_eq!(got, [(SIZE, true); READERS], "bytes that each reader got, and whether the answer has its end");
    program.end_clean();
}

#[test]
fn p3_an_answer_written_by_rouille_after_the_handler_arrives_whole() {
    every_byte_arrives("rouille");
}

#[test]
fn p3_an_answer_written_by_touche_after_the_handler_arrives_whole() {
    every_byte_arrives("touche");
}

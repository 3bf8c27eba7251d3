//! The examples, as a user runs them: real requests in flight, a real SIGTERM.

use std::io::{Read, Write};
use std::net::TcpStream;

use libc::{SIGINT, SIGTERM};
use winddown_tests::child::{Child, example};

fn request(address: &str, millis: u32) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /{millis} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn requests_in_flight_are_answered_and_the_exit_code_is_0() {
    let program = example(env!("CARGO_BIN_EXE_victim"), "hello");
    for (signal, name) in [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")] {
        let mut child = Child::start(&program, &[]);
        let line = child.wait_for("is up");
        let address = line.split('/').nth(2).unwrap().to_owned();
        // One answered at once, so that the others are known to have been accepted before: connections come in order.
        let slow: Vec<_> = [1_500, 1_600, 1_700].map(|millis| request(&address, millis)).into();
        assert!(answer(request(&address, 0)).starts_with("HTTP/1.1 200 OK\r\n"));
        child.signal(signal);
        // The three, and perhaps the one that was answered and has not let go yet.
        let refusing = child.wait_for("refusing, ");
        assert!(refusing.contains(" 3 in flight") || refusing.contains(" 4 in flight"), "{refusing}");
        for (stream, millis) in slow.into_iter().zip([1_500, 1_600, 1_700]) {
            let answer = answer(stream);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with(&format!("hello, after {millis} ms\n")), "{answer}");
        }
        let end = child.end();
        end.assert_code(0).assert_said(&format!("wind-down by {name}: clean"));
        end.assert_said(" in flight\n").assert_said("http").assert_said("log").assert_said("exit code 0");
        assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
    }
}

/// A server that somebody else wrote.
#[test]
fn tiny_http_answers_all_that_it_has_and_the_exit_code_is_0() {
    let mut child = Child::start(&example(env!("CARGO_BIN_EXE_victim"), "tiny_http"), &[]);
    let line = child.wait_for("is up");
    let address = line.split('/').nth(2).unwrap().to_owned();
    let slow: Vec<_> = [300, 400, 500].map(|millis| (millis, closing_request(&address, millis))).into();
    for _ in &slow {
        // The program has it: what the server is still reading is the server's affair.
        child.wait_for("GET /");
    }
    child.signal(SIGTERM);
    for (millis, stream) in slow {
        let answer = answer(stream);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("hello, after {millis} ms\n")), "{answer}");
    }
    child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean");
}

fn closing_request(address: &str, millis: u32) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /{millis} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

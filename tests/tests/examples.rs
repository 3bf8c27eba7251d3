//! The examples, as a user runs them: real requests in flight, a real SIGTERM.

use std::io::{BufRead, BufReader, Read, Write};
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

/// Keep-alive connections, one idle and one with a request under way, which is not its first.
#[test]
fn minimal_answers_the_last_request_with_a_close_and_the_exit_code_is_0() {
    let mut child = Child::start(&example(env!("CARGO_BIN_EXE_victim"), "minimal"), &[]);
    let line = child.wait_for("is up");
    let address = line.split('/').nth(2).unwrap().to_owned();
    let connections = [0; 2].map(|millis| {
        let mut stream = request(&address, millis);
        let answer = kept_answer(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("Connection: close\r\n"), "{answer}");
        stream
    });
    let [idle, mut busy] = connections;
    // Longer than the linger: should the server read it only after the signal, it is one that was on its way.
    write!(busy, "GET /1500 HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    child.signal(SIGTERM);
    let last = answer(busy);
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n") && last.contains("Connection: close\r\n"), "{last}");
    assert!(last.ends_with("hello, after 1500 ms\n"), "{last}");
    assert_eq!(answer(idle), "", "an idle connection is closed");
    child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean");
}

/// One answer, on a connection that stays.
fn kept_answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let mut reader = BufReader::new(stream);
    while !answer.contains(" ms\n") {
        assert!(reader.read_line(&mut answer).unwrap() > 0, "{answer}");
    }
    answer
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

/// By itself, and on a signal: the hook on the one thread that there is.
#[test]
fn an_executor_of_the_program_s_own_winds_down() {
    let program = example(env!("CARGO_BIN_EXE_victim"), "custom_executor");
    for (arguments, reason) in [(&[][..], "request"), (&["wait"], "SIGTERM")] {
        let mut child = Child::start(&program, arguments);
        child.wait_for("up, as process");
        if reason == "SIGTERM" {
            child.signal(SIGTERM);
        }
        let end = child.end();
        end.assert_code(0).assert_said(&format!("wind-down by {reason}: clean"));
        end.assert_said("a task was told")
            .assert_said("a task drops its pass")
            .assert_said("the upload has ended: Ok(())");
        end.assert_said("the hook, on Some(\"main\")").assert_said("exit code 0");
    }
}

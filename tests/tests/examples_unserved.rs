//! The examples and clients for whom there is not enough time or not enough threads: a request that never arrives whole, a
//! connection for which no worker is free.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use libc::SIGTERM;
use winddown_tests::child::{Child, example, example_of};
use winddown_tests::sys;

const VICTIM: &str = env!("CARGO_BIN_EXE_victim");
/// For all tests of this file at once, and for each child, which inherits it.
const DESCRIPTORS: u64 = 2_000;

/// Each client sends one byte and keeps its connection open. The drain has at least 4 s, of which they get 0.4 s: the linger, and
/// the head time.
fn assert_slow_heads_are_incomplete(program: &str, arguments: &[&str], greeting: &str, crowd: usize) {
    sys::allow_descriptors(DESCRIPTORS).unwrap();
    let variables = [("WINDDOWN_LINGER_SECONDS", "0.1"), ("WINDDOWN_HEAD_SECONDS", "0.3")];
    let mut child =
        Child::start_with(program, arguments, &[&variables[..], &[("WINDDOWN_GRACE_SECONDS", "10")]].concat());
    let line = child.wait_for(greeting);
    let address = line.split(greeting).nth(1).unwrap().split([',', '/']).next().unwrap();
    let connect = || TcpStream::connect(address).unwrap();
    let mut clients: Vec<_> = (0..crowd).map(|_| connect()).collect();
    for client in &mut clients {
        client.write_all(b"G").unwrap();
    }
    // Connections come in order: when the last one has its answer, all have been accepted.
    let mut last = connect();
    last.write_all(b"GET /0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    child.signal(SIGTERM);
    for client in &mut clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "closed, not reset");
    }
    let end = child.end();
    end.assert_code(0).assert_said("wind-down by SIGTERM: clean");
    end.assert_said(&format!("incomplete: {crowd} clients whose request did not arrive whole"));
}

#[test]
fn minimal_waits_for_1000_slow_heads_no_longer_than_the_head_time() {
    assert_slow_heads_are_incomplete(&example(VICTIM, "minimal"), &[], "http://", 1_000);
}

#[test]
fn serve_waits_for_slow_heads_no_longer_than_the_head_time() {
    with_files("serve", |arguments| {
        assert_slow_heads_are_incomplete(&example(VICTIM, "serve"), arguments, "listening on ", 200);
    });
}

#[test]
fn http_waits_for_slow_heads_no_longer_than_the_head_time() {
    with_files("http", |arguments| {
        let program = example_of(VICTIM, "winddown-smol", "http");
        assert_slow_heads_are_incomplete(&program, arguments, "listening on ", 200);
    });
}

/// A client that has its answer, a 413, and goes on sending the body: what is left unread is no request.
#[test]
fn http_does_not_count_an_answered_client_that_goes_on_sending() {
    with_files("upload", |arguments| {
        let program = example_of(VICTIM, "winddown-smol", "http");
        let mut child = Child::start_with(&program, arguments, &[("WINDDOWN_LINGER_SECONDS", "0")]);
        let line = child.wait_for("listening on ");
        let address = line.trim_start_matches("listening on ").split(',').next().unwrap();
        // Keeps the drain waiting for longer than the linger.
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"GET /slow?ms=1000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n").unwrap();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 413 "));
        child.signal(SIGTERM);
        child.wait_for("refusing, ");
        // More than the server reads after its last answer, a mebibyte.
        while client.write_all(&[b'x'; 16 * 1024]).is_ok() {}
        let end = child.end();
        end.assert_code(0).assert_said("wind-down by SIGTERM: clean");
        assert!(!end.output.contains("lost:") && !end.output.contains("incomplete:"), "{}", end.output);
    });
}

/// The arguments of `serve` and `http`, with a database and a log in a folder that is removed.
fn with_files(name: &str, test: impl FnOnce(&[&str])) {
    let folder = std::env::temp_dir().join(format!("winddown-{}-slow-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let file = |name| folder.join(name).into_os_string().into_string().unwrap();
    let (database, log) = (file("orders.redb"), file("access.log"));
    test(&["--listen", "127.0.0.1:0", "--lame-duck", "0", "--database", &database, "--log", &log]);
    fs::remove_dir_all(folder).unwrap();
}

/// Five rounds of requests for each worker, of which one is over at the SIGTERM. A request takes longer than the linger and the
/// head time together, so a client that is taken from the accept queue too early has no answer.
#[test]
fn a1_workers_answers_every_client_that_waits_for_a_worker() {
    let variables = [("WINDDOWN_LINGER_SECONDS", "0.1"), ("WINDDOWN_HEAD_SECONDS", "0.3")];
    let mut child = Child::start_with(&example(VICTIM, "workers"), &[], &variables);
    let line = child.wait_for("is up");
    let address = line.split('/').nth(2).unwrap();
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET /600 HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
            stream
        })
        .collect();
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("hello, after 600 ms\n"), "client {number}: {answer:?}");
        if number == 0 {
            child.signal(SIGTERM);
        }
    }
    let end = child.end();
    end.assert_code(0).assert_said("wind-down by SIGTERM: clean");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

/// The first two requests are one segment, so the second is in the program's buffer while it writes the first answer, and that
/// write lasts until the linger is over. The client sends a third request before it can know that the second answer is the last.
#[test]
fn a6_serve_keeps_a_connection_open_whose_next_request_is_in_its_buffer() {
    with_files("pipelined", |arguments| {
        let variables = [("WINDDOWN_LINGER_SECONDS", "0")];
        let mut child = Child::start_with(&example(VICTIM, "serve"), arguments, &variables);
        let line = child.wait_for("listening on ");
        let address = line.trim_start_matches("listening on ").split(',').next().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let large = b"GET /large?kb=4096 HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(&large.repeat(2)).unwrap();
        let first = read_head(&mut client);
        assert!(!first.contains("Connection: close"), "{first}");
        child.signal(SIGTERM);
        child.wait_for("refusing, ");
        assert_eq!(large_body(&mut client), 4096 * 1024);
        client.write_all(large).unwrap();
        let second = read_head(&mut client);
        assert!(second.contains("Connection: close"), "{second}");
        assert_eq!(large_body(&mut client), 4096 * 1024);
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "closed, not reset");
        drop(client);
        child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean");
    });
}

fn read_head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

fn large_body(client: &mut TcpStream) -> u64 {
    std::io::copy(&mut client.take(4096 * 1024), &mut std::io::sink()).unwrap()
}

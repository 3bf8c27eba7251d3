//! The example `serve` and requests that are none: each gets its status or a clean close, and none a panic, a hang, or a
//! thread that stays.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown as Half, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use libc::SIGTERM;
use winddown_tests::child::{Child, example};

struct Server {
    child: Child,
    address: String,
    folder: PathBuf,
}

impl Server {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("winddown-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let file = |name| folder.join(name).into_os_string().into_string().unwrap();
        let files = ["--database", &file("orders.redb"), "--log", &file("access.log")];
        let arguments = [&["--listen", "127.0.0.1:0", "--lame-duck", "0"], &files[..]].concat();
        let mut child = Child::start(&example(env!("CARGO_BIN_EXE_victim"), "serve"), &arguments);
        let line = child.wait_for("listening on ");
        let address = line.trim_start_matches("listening on ").split(',').next().unwrap().to_owned();
        Self { child, address, folder }
    }

    /// What comes back for these bytes, after which nothing more is sent.
    fn answer(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // The server may have answered and closed before it has read all.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Half::Write));
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error} for {:?}", String::from_utf8_lossy(bytes)),
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().count()
    }

    fn stop(mut self) {
        self.child.signal(SIGTERM);
        self.child.wait_for("wind-down by SIGTERM: clean");
        self.child.end().assert_code(0);
        fs::remove_dir_all(self.folder).unwrap();
    }
}

fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0)
}

fn headers(count: usize) -> String {
    (0..count).fold("GET / HTTP/1.1\r\nHost: x\r\n".to_owned(), |mut head, number| {
        write!(head, "A{number}: b\r\n").unwrap();
        head
    }) + "\r\n"
}

#[test]
fn every_bad_request_gets_its_status_or_a_clean_close() {
    let server = Server::start("bad");
    let get = |line: &str| format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes();
    let post = |length: &str, body: &str| {
        format!("POST /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes()
    };
    let table: Vec<(&str, Vec<u8>, u16)> = vec![
        ("good", get("GET /healthz HTTP/1.1"), 200),
        ("nothing", vec![], 0),
        ("empty lines only", b"\r\n\r\n\r\n".to_vec(), 0),
        ("half a head", b"GET /healthz HT".to_vec(), 0),
        ("half a body", post("10", "12345"), 0),
        ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        ("zeros", vec![0; 1000], 400),
        ("no version", b"GET /healthz\r\n\r\n".to_vec(), 400),
        ("another version", get("GET /healthz HTTP/3.7"), 505),
        ("no host", b"GET /healthz HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("two hosts", b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(), 400),
        ("a header without a colon", b"GET / HTTP/1.1\r\nHost x\r\n\r\n".to_vec(), 400),
        ("a header with a NUL", b"GET / HTTP/1.1\r\nHost: \0\r\n\r\n".to_vec(), 400),
        ("no path", get("GET * HTTP/1.1"), 400),
        ("a path that is not there", get("GET /nowhere HTTP/1.1"), 404),
        ("a path that climbs", get("GET /../../etc/passwd HTTP/1.1"), 404),
        ("a method that is not there", get("BREW /healthz HTTP/1.1"), 405),
        ("a number that is none", get("GET /orders/one HTTP/1.1"), 404),
        ("a number too large", get("GET /orders/99999999999999999999999 HTTP/1.1"), 404),
        ("no parameter", get("GET /slow HTTP/1.1"), 400),
        ("a parameter that is none", get("GET /slow?ms=-1 HTTP/1.1"), 400),
        ("a parameter too large", get("GET /slow?ms=99999999999 HTTP/1.1"), 400),
        ("a length that is none", post("ten", ""), 400),
        ("a negative length", post("-1", ""), 400),
        ("a length with a sign", post("+1", "x"), 400),
        ("a length too large to count", post("99999999999999999999999", ""), 413),
        ("a body too long", post("10000000", &"x".repeat(200_000)), 413),
        ("lengths that differ", post("1\r\nContent-Length: 2", "xx"), 400),
        ("chunks and a length", post("1\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400),
        (
            "a body that is no text",
            {
                let mut bytes = post("2", "");
                bytes.extend([0xff, 0xfe]);
                bytes
            },
            400,
        ),
        ("a line too long", get(&format!("GET /{} HTTP/1.1", "x".repeat(100_000))), 431),
        ("a head without end", vec![b'x'; 100_000], 431),
        ("too many headers", headers(500).into_bytes(), 431),
    ];
    // Heads and bodies that do not come, on connections that stay open: waited for to the end of this test.
    let begin = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let before = server.threads();
    let slow = [
        begin(b"GET /healthz HTTP/1.1\r\nHo"),
        begin(&post("10", "12345")),
        begin(&post_chunked("Transfer-Encoding: chunked", "5\r\nnails\r\n")),
    ];
    for (what, bytes, expected) in &table {
        let answer = server.answer(bytes);
        assert_eq!(status(&answer), *expected, "{what}: {answer:?}");
    }
    // Every prefix of a good one is a half one, and has a clean close.
    let whole = post("5", "12345");
    for end in 0..whole.len() {
        assert_eq!(status(&server.answer(&whole[..end])), 0, "{end} bytes of it");
    }
    assert_eq!(status(&server.answer(&whole)), 201);
    // And a good one with any one byte of its head damaged is answered, or closed; what follows is as good as before.
    for at in 0..whole.len() - 5 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x15;
        let _ = server.answer(&damaged);
    }
    assert_eq!(status(&server.answer(&get("GET /healthz HTTP/1.1"))), 200);
    for mut stream in slow {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(status(&answer), 408, "{answer}");
    }
    while server.threads() > before {
        thread::yield_now();
    }
    server.stop();
}

fn post_chunked(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /orders HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}").into_bytes()
}

#[test]
fn every_bad_chunk_gets_its_status_or_a_clean_close() {
    let server = Server::start("chunks");
    let chunked =
        |coding: &str, body: &str| post_chunked(&format!("Connection: close\r\nTransfer-Encoding: {coding}"), body);
    let table: Vec<(&str, Vec<u8>, u16)> = vec![
        ("chunks", chunked("chunked", "5\r\nnails\r\n0\r\n\r\n"), 201),
        ("chunks with extensions and trailers", chunked("Chunked", "5;a=\"b\"\r\nnails\r\n00\r\nA: b\r\n\r\n"), 201),
        ("no chunk but the last", chunked("chunked", "0\r\n\r\n"), 201),
        ("another coding", chunked("gzip", "x"), 501),
        ("another coding before chunks", chunked("gzip, chunked", "0\r\n\r\n"), 501),
        ("chunks twice", chunked("chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 501),
        ("chunks in HTTP/1.0", b"POST /orders HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(), 400),
        ("half a chunk", chunked("chunked", "5\r\nnai"), 0),
        ("no last chunk", chunked("chunked", "5\r\nnails\r\n"), 0),
        ("no end of the trailers", chunked("chunked", "0\r\nA: b\r\n"), 0),
        ("a chunk without a size", chunked("chunked", "\r\nnails\r\n0\r\n\r\n"), 400),
        ("a size that is none", chunked("chunked", "five\r\nnails\r\n0\r\n\r\n"), 400),
        ("a size with a sign", chunked("chunked", "+5\r\nnails\r\n0\r\n\r\n"), 400),
        ("a size without a CR", chunked("chunked", "5\nnails\r\n0\r\n\r\n"), 400),
        ("a chunk longer than its size", chunked("chunked", "4\r\nnails\r\n0\r\n\r\n"), 400),
        ("a trailer that is none", chunked("chunked", "0\r\nnails\r\n\r\n"), 400),
        ("a size without end", chunked("chunked", &"0".repeat(10_000)), 400),
        ("an extension too long", chunked("chunked", &format!("5;{}\r\nnails\r\n", "x".repeat(10_000))), 400),
        ("a size too large", chunked("chunked", "fffffff\r\nnails"), 413),
        ("a size too large to count", chunked("chunked", &format!("{}\r\n", "f".repeat(100))), 413),
        ("chunks too long together", chunked("chunked", &format!("8000\r\n{}\r\n", "x".repeat(0x8000)).repeat(3)), 413),
        ("trailers without end", chunked("chunked", &format!("0\r\n{}", "A: b\r\n".repeat(20_000))), 431),
        ("a trailer without end", chunked("chunked", &format!("0\r\nA: {}", "b".repeat(100_000))), 431),
    ];
    for (what, bytes, expected) in &table {
        let answer = server.answer(bytes);
        assert_eq!(status(&answer), *expected, "{what}: {answer:?}");
    }
    server.stop();
}

/// Cut at each place in turn, and then a byte at a time. The second request shows where the first one ended.
#[test]
fn a_chunked_order_in_pieces_is_the_same_order() {
    let server = Server::start("chunked");
    let order =
        post_chunked("Transfer-Encoding: chunked", "5\r\nnails\r\nB;x\r\n and screws\r\n0\r\nA: b\r\nC: d\r\n\r\n");
    let next = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let whole = [&order[..], next].concat();
    let send = |pieces: &[&[u8]]| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece).unwrap();
            thread::yield_now();
        }
        std::io::read_to_string(stream).unwrap()
    };
    let check = |answer: &str| {
        assert!(answer.starts_with("HTTP/1.1 201 ") && answer.ends_with("alive\n"), "{answer}");
        let number = answer.lines().find_map(|line| line.parse::<u64>().ok()).expect("its number");
        let shown = format!("GET /orders/{number} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert!(server.answer(shown.as_bytes()).ends_with("\r\n\r\nnails and screws"));
    };
    for at in order.len() - 60..order.len() {
        let (first, second) = whole.split_at(at);
        check(&send(&[first, second]));
    }
    check(&send(&whole.chunks(1).collect::<Vec<_>>()));

    // A client that waits for the invitation.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let headers = "Connection: close\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked";
    stream.write_all(&post_chunked(headers, "")).unwrap();
    let mut invited = [0; 25];
    stream.read_exact(&mut invited).unwrap();
    assert_eq!(&invited, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"1\r\nx\r\n0\r\n\r\n").unwrap();
    assert_eq!(status(&std::io::read_to_string(stream).unwrap()), 201);
    server.stop();
}

/// Pipelined: each gets its answer, in order; and what stands in the database is what was answered.
#[test]
fn a_hundred_pipelined_orders_are_answered_in_order() {
    let server = Server::start("pipelined");
    let orders = (0..100).fold(String::new(), |mut all, number| {
        write!(all, "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{number:02}").unwrap();
        all
    });
    let answers = server.answer(orders.as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 201 ").count(), 100);
    let numbers: Vec<u64> = answers.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(numbers.len() == 100 && numbers.is_sorted(), "{numbers:?}");
    let shown = format!("GET /orders/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", numbers[42]);
    assert!(server.answer(shown.as_bytes()).ends_with("42"));
    server.stop();
}

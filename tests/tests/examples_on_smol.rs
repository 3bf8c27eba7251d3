//! The examples of `winddown-smol`, as a user runs them: real connections, a real SIGTERM.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use libc::SIGTERM;
use winddown_tests::child::{Child, example_of};

/// The program, and its address: what is behind `before` in the line that it begins with.
fn start(name: &str, arguments: &[&str], before: &str) -> (Child, String) {
    let mut child = Child::start(&example_of(env!("CARGO_BIN_EXE_victim"), "winddown-smol", name), arguments);
    let line = child.wait_for(before);
    let address = line.split(before).nth(1).unwrap().split(',').next().unwrap().to_owned();
    (child, address)
}

/// Says a line, and hears one.
fn ask(stream: &mut BufReader<TcpStream>, line: &str) -> String {
    writeln!(stream.get_mut(), "{line}").unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    answer
}

fn rest(stream: BufReader<TcpStream>) -> String {
    std::io::read_to_string(stream).unwrap()
}

#[test]
fn a4_echo_says_goodbye_to_who_is_connected() {
    let (child, address) = start("echo", &[], "echo is up on ");
    let mut clients = [0; 3].map(|_| BufReader::new(TcpStream::connect(&address).unwrap()));
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(ask(client, &format!("hello {number}")), format!("hello {number}\n"));
    }
    child.signal(SIGTERM);
    for client in clients {
        assert_eq!(rest(client), "goodbye\n");
    }
    child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean").assert_said("3 in flight");
    assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
}

/// The connection is a task's, the work a thread's, and one stage each.
#[test]
fn mixed_answers_what_its_threads_have_found() {
    let (child, address) = start("mixed", &[], "mixed is up on ");
    let mut client = BufReader::new(TcpStream::connect(&address).unwrap());
    assert_eq!(ask(&mut client, "360"), "360 = 2 x 2 x 2 x 3 x 3 x 5\n");
    assert_eq!(ask(&mut client, "six"), "a number, please\n");
    // On its way before the signal: answered, whenever it is read (A3).
    writeln!(client.get_mut(), "97").unwrap();
    child.signal(SIGTERM);
    assert_eq!(rest(client), "97 = 97\n");
    let end = child.end();
    end.assert_code(0).assert_said("wind-down by SIGTERM: clean");
    end.assert_said("workers: completed").assert_said("statistics are written");
}

#[test]
fn http_takes_an_order_shows_it_and_closes_its_database() {
    let folder = std::env::temp_dir().join(format!("winddown-{}-http", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let file = |name| folder.join(name).into_os_string().into_string().unwrap();
    let (database, log) = (file("orders.redb"), file("access.log"));
    let arguments = ["--listen", "127.0.0.1:0", "--lame-duck", "0", "--database", &database, "--log", &log];
    let (child, address) = start("http", &arguments, "listening on ");
    let mut stream = TcpStream::connect(&address).unwrap();
    let mut request = |text: &str, until: &str| {
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with(until) {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "it ended behind {answer:?}");
            answer.push(byte[0].into());
        }
        answer
    };
    let order = "POST /orders HTTP/1.1\r\nHost: x\r\nX-Id: o-1\r\nContent-Length: 5\r\n\r\nnails";
    let answer = request(order, "\r\n\r\n1\n");
    assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("x-id: o-1"), "{answer}");
    let answer = request("GET /orders/1 HTTP/1.1\r\nHost: x\r\n\r\n", "nails");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for (line, status) in [("GET /orders/2", 404), ("GET /nothing", 404), ("PUT /orders", 405), ("GET /slow?ms=x", 400)]
    {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
    }
    child.signal(SIGTERM);
    drop(stream);
    child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean").assert_said("database: completed");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains(" answered o-1 201\n") && log.trim_end().ends_with(" closed"), "{log}");
    fs::remove_dir_all(folder).unwrap();
}

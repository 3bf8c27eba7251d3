//! Every example under what every program meets: HTTP/1.0 clients, a stop in the middle, a SIGTERM during start-up, output that has
//! no reader, full accept queues. Not here: what only one of them does (`examples`, `examples_on_smol`, `serve`), and the same under
//! `ab`, `curl` and as process 1 (`tests/clients/run table`).

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libc::{SIGCONT, SIGSTOP, SIGTERM};
use winddown_tests::child::{Child, example_of};
use winddown_tests::sys;

/// The servers, with what they are asked.
const HTTP: [(&str, &str); 6] = [
    ("hello", "/1"),
    ("minimal", "/1"),
    ("workers", "/1"),
    ("tiny_http", "/1"),
    ("serve", "/slow?ms=1"),
    ("http", "/slow?ms=1"),
];
/// The servers that speak in lines.
const LINES: [&str; 2] = ["echo", "mixed"];

/// Long enough for any machine; no test passes by waiting for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An example that can be started, and its files.
struct Example {
    name: &'static str,
    program: String,
    address: String,
    folder: PathBuf,
}

impl Example {
    /// `test` tells its files from those of other tests.
    fn new(name: &'static str, test: &str) -> Self {
        let package = if ["http", "echo", "mixed"].contains(&name) { "winddown-smol" } else { "winddown" };
        let folder = std::env::temp_dir().join(format!("winddown-{}-all-{test}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { name, program: example_of(env!("CARGO_BIN_EXE_victim"), package, name), address, folder }
    }

    fn arguments(&self) -> Vec<String> {
        let file = |name| self.folder.join(name).into_os_string().into_string().unwrap();
        match self.name {
            "custom_executor" => vec!["wait".to_owned()],
            "serve" | "http" => {
                let (database, log) = (file("orders.redb"), file("access.log"));
                ["--listen", &self.address, "--lame-duck", "0", "--database", &database, "--log", &log]
                    .map(str::to_owned)
                    .into()
            }
            _ => vec![self.address.clone()],
        }
    }

    fn start(&self) -> Child {
        let arguments = self.arguments();
        Child::start(&self.program, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Connects as soon as the port accepts.
    fn connect(&self) -> TcpStream {
        let begun = Instant::now();
        loop {
            match TcpStream::connect(&self.address) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return stream;
                }
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{}: {error}", self.name),
            }
        }
    }

    /// Returns all that comes for these bytes, until the server closes.
    fn answer(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        rest(stream).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn rest(mut stream: impl Read) -> std::io::Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

/// Returns the values of the header `Connection`, in small letters.
fn connection_headers(head: &str) -> Vec<String> {
    let head = head.to_ascii_lowercase();
    head.lines().filter_map(|line| line.strip_prefix("connection:")).map(|value| value.trim().to_owned()).collect()
}

fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "it ended after {head:?}");
    }
    head
}

/// `ab` sends the first, and `ab -k` the second.
#[test]
fn every_server_answers_http_1_0_and_keeps_a_connection_only_if_asked() {
    for (name, path) in HTTP {
        let example = Example::new(name, "old");
        let child = example.start();
        let answer = example.answer(&format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 OK\r\n"), "{name}: {answer}");
        let said = connection_headers(&answer);
        assert!(said.is_empty() || said == ["close"], "{name}: {answer}");

        let mut client = BufReader::new(example.connect());
        let request = format!("GET {path} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        client.get_mut().write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut client);
        let said = connection_headers(&head);
        if said == ["keep-alive"] {
            let marker = "content-length:";
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix(marker)).expect("a length").trim().parse();
            client.read_exact(&mut vec![0; length.unwrap()]).unwrap();
            let closing = format!("GET {path} HTTP/1.0\r\n\r\n");
            client.get_mut().write_all(closing.as_bytes()).unwrap();
            assert!(read_head(&mut client).contains(" 200 OK\r\n"), "{name}");
        } else {
            assert!(said.is_empty() || said == ["close"], "{name}: {head}");
        }
        rest(client).unwrap_or_else(|error| panic!("{name}: {error}"));
        child.signal(SIGTERM);
        child.end().assert_code(0);
    }
}

/// A SIGSTOP with a SIGCONT interrupts reads that have a timeout, although no handler runs.
#[test]
fn g3_no_server_drops_a_connection_because_it_was_stopped_and_continued() {
    for (name, path) in HTTP {
        let example = Example::new(name, "stopped");
        let child = example.start();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        // tiny_http has four threads, and after that a race in who starts another one.
        let count = if name == "tiny_http" { 1 } else { 3 };
        let mut idle: Vec<_> = (0..count).map(|_| example.connect()).collect();
        let mut half: Vec<_> = (0..count).map(|_| example.connect()).collect();
        for client in &mut half {
            client.write_all(&request.as_bytes()[..20]).unwrap();
        }
        // Connections come in order: these have been accepted.
        assert!(example.answer(&request).contains(" 200 OK\r\n"), "{name}");
        child.signal(SIGSTOP);
        child.wait_for_state('T');
        child.signal(SIGCONT);
        // Its threads look at what interrupted them.
        assert!(example.answer(&request).contains(" 200 OK\r\n"), "{name}");
        for client in &mut idle {
            client.write_all(request.as_bytes()).unwrap();
        }
        for client in &mut half {
            client.write_all(&request.as_bytes()[20..]).unwrap();
        }
        for client in idle.into_iter().chain(half) {
            let answer = rest(client).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(answer.contains(" 200 OK\r\n"), "{name}: {answer:?}");
        }
        child.signal(SIGTERM);
        child.end().assert_code(0);
    }
}

#[test]
fn g3_echo_and_mixed_go_on_after_they_were_stopped_and_continued() {
    for name in LINES {
        let example = Example::new(name, "stopped");
        let child = example.start();
        let mut client = BufReader::new(example.connect());
        for _ in 0..2 {
            writeln!(client.get_mut(), "15").unwrap();
            let mut line = String::new();
            client.read_line(&mut line).unwrap();
            assert!(line.starts_with("15"), "{name}: {line:?}");
            child.signal(SIGSTOP);
            child.wait_for_state('T');
            child.signal(SIGCONT);
        }
        child.signal(SIGTERM);
        drop(client);
        child.end().assert_code(0);
    }
}

/// The signal's default action would end the program, and as process 1 the signal would be lost (K7).
#[test]
fn g4_a_sigterm_winds_every_example_down_as_soon_as_its_port_accepts() {
    for name in HTTP.iter().map(|(name, _)| *name).chain(LINES) {
        let example = Example::new(name, "start");
        for _ in 0..4 {
            let child = example.start();
            drop(example.connect());
            child.signal(SIGTERM);
            let end = child.end();
            assert_eq!(end.died_of(), None, "{name}");
            end.assert_code(0).assert_said("wind-down by SIGTERM: clean");
        }
    }
}

/// `eprintln!` and `println!` panic there. Standard output and error are a pipe without a reader, and then closed.
#[test]
fn the_exit_code_of_every_example_is_0_without_a_reader_for_its_output() {
    for name in HTTP.iter().map(|(name, _)| *name).chain(LINES).chain(["custom_executor"]) {
        let example = Example::new(name, "output");
        for redirected in ["", ">&- 2>&-"] {
            let (reader, writer) = std::io::pipe().unwrap();
            let mut command = Command::new("sh");
            let script = format!("exec \"$0\" \"$@\" {redirected}");
            command.args(["-c", &script, &example.program]).args(example.arguments()).stdin(Stdio::null());
            command.stdout(writer.try_clone().unwrap()).stderr(writer);
            let mut child = sys::with_default_signals(&mut command).spawn().unwrap();
            drop((command, reader));
            if name == "custom_executor" {
                // It has no port: its handlers show that it has started.
                let status = format!("/proc/{}/status", child.id());
                while !fs::read_to_string(&status).is_ok_and(|status| catches_sigterm(&status)) {
                    std::thread::yield_now();
                }
            } else {
                drop(example.connect());
            }
            sys::kill(child.id(), SIGTERM).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(0), "{name}, {redirected:?}");
        }
    }
}

fn catches_sigterm(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("Linux has it").trim();
    u64::from_str_radix(mask, 16).unwrap() & 1 << (SIGTERM - 1) != 0
}

/// Has clients wait in the accept queue of a program that gets a SIGTERM meanwhile, and returns their answers.
fn queued(name: &'static str, path: &str, clients: usize) -> Vec<String> {
    let example = Example::new(name, "queued");
    let child = example.start();
    drop(example.connect());
    child.signal(SIGSTOP);
    child.wait_for_state('T');
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let mut stream = example.connect();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            stream
        })
        .collect();
    child.signal(SIGTERM);
    child.signal(SIGCONT);
    let answers = clients.into_iter().map(|client| rest(client).unwrap_or_else(|error| format!("{error}"))).collect();
    child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean");
    answers
}

/// A close with the request unread would be a reset, and destroy the 503 on its way.
#[test]
fn a6_hello_reads_a_request_before_it_answers_503() {
    let answers = queued("hello", "/1", 60);
    let with = |status| answers.iter().filter(|answer| answer.starts_with(status)).count();
    let (served, refused) = (with("HTTP/1.1 200 OK\r\n"), with("HTTP/1.1 503 Service Unavailable\r\n"));
    assert_eq!(served + refused, 60, "{answers:?}");
}

#[test]
fn a1_tiny_http_answers_every_client_of_its_accept_queue() {
    let answers = queued("tiny_http", "/1", 60);
    let served = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200 OK\r\n")).count();
    assert_eq!(served, 60, "{answers:?}");
}

//! The example `tls` as a process of its own, with a real SIGTERM, under `curl` and `openssl s_client`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;
use std::{env, process, thread};

/// The type of a TLS record that is an alert.
const ALERT: u8 = 21;
/// How long a test waits for a line before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the example, once. Returns its program.
fn example() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--example", "tls", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .status()
            .unwrap();
        assert!(built.success());
        // The tests are in a folder beside the examples'.
        let own = env::current_exe().unwrap();
        own.parent().unwrap().parent().unwrap().join("examples/tls")
    })
}

/// A certificate for `localhost`, and its key.
fn certificate() -> &'static [PathBuf; 2] {
    static FILES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    FILES.get_or_init(|| {
        let files =
            ["certificate", "key"].map(|what| env::temp_dir().join(format!("winddown-{}-{what}", process::id())));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out"])
            .arg(&files[0])
            .arg("-keyout")
            .arg(&files[1])
            .stderr(Stdio::null())
            .status()
            .expect("openssl is installed");
        assert!(made.success());
        files
    })
}

/// A process whose lines are listened to. Killed when dropped.
struct Heard {
    process: Child,
    lines: mpsc::Receiver<String>,
    heard: String,
}

impl Heard {
    fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(process.stdout.take().unwrap()), Box::new(process.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut output = BufReader::new(output);
                let mut line = Vec::new();
                while output.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
                    let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
                    line.clear();
                }
            });
        }
        Self { process, lines, heard: String::new() }
    }

    /// Waits for a line with `part` in it, and returns it.
    #[track_caller]
    fn wait_for(&mut self, part: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else { panic!("no {part:?}, but:\n{}", self.heard) };
            self.heard += &line;
            if line.contains(part) {
                return line;
            }
        }
    }

    fn write(&mut self, text: &str) {
        self.process.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits for its end. Returns all that it said.
    fn end(mut self) -> (ExitStatus, String) {
        drop(self.process.stdin.take());
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.heard += &line;
        }
        let status = self.process.wait().unwrap();
        (status, std::mem::take(&mut self.heard))
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server. Connections are idle for 0.5 s after the refusal, and an incomplete request has a second more.
struct Server {
    heard: Heard,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(example());
        command
            .args(certificate())
            .arg("127.0.0.1:0")
            .env("WINDDOWN_LINGER_SECONDS", "0.5")
            .env("WINDDOWN_HEAD_SECONDS", "1");
        let mut heard = Heard::start(&mut command);
        let line = heard.wait_for(" is up");
        let address = line.trim_start_matches("https://").split('/').next().unwrap().parse().unwrap();
        Self { heard, address }
    }

    /// Sends SIGTERM, and waits until the program refuses.
    fn refuse(&mut self) {
        let killed = Command::new("kill").args(["-TERM", &self.heard.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.heard.wait_for("refusing");
    }

    /// Waits for its end, which has to be clean. Returns all that it said.
    fn ends_clean(self) -> String {
        let (status, said) = self.heard.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("finished: clean") && !said.contains(" late"), "{said}");
        said
    }
}

/// Asks by HTTPS, with a body that comes from the process's input.
fn curl(address: SocketAddr) -> Heard {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--no-buffer",
        "--include",
        "--http1.1",
        "--upload-file",
        "-",
        "--cacert",
    ]);
    Heard::start(command.arg(&certificate()[0]).arg(format!("https://{address}/")))
}

/// Whether curl has had this answer.
#[track_caller]
fn assert_answered(curl: Heard, name: &str, last: bool) {
    let (status, said) = curl.end();
    assert!(status.success(), "{said}");
    assert!(said.contains(&format!("hello, {name}")), "{said}");
    assert_eq!(said.to_ascii_lowercase().contains("connection: close"), last, "{said}");
}

/// A proxy for one connection: it keeps the bytes that the server sends, and passes on only so many of the client's until it is told
/// to pass on the rest.
struct Proxy {
    address: SocketAddr,
    from_server: Arc<Mutex<Vec<u8>>>,
    passed: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Proxy {
    fn to(server: SocketAddr, at_first: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let from_server = Arc::new(Mutex::new(Vec::new()));
        let (kept, (tell, passed), (go_on, told)) = (from_server.clone(), mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(server).unwrap();
            let (mut to_client, mut server_reads) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = server_reads.read(&mut buffer) {
                    kept.lock().unwrap().extend(&buffer[..read]);
                    if to_client.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                let _ = to_client.shutdown(Half::Write);
            });
            let (mut client, mut server) = (client, server);
            let mut first = vec![0; at_first];
            client.read_exact(&mut first).unwrap();
            server.write_all(&first).unwrap();
            tell.send(()).unwrap();
            if told.recv().is_ok() {
                let _ = std::io::copy(&mut client, &mut server);
            }
            let _ = server.shutdown(Half::Write);
        });
        Self { address, from_server, passed, go_on }
    }
}

#[test]
fn a_request_under_way_at_sigterm_is_answered_over_tls_and_nothing_of_it_is_in_clear() {
    let mut server = Server::start();
    // A keep-alive one before the signal, for comparison.
    let mut before = curl(server.address);
    before.write("you");
    assert_answered(before, "you", false);
    let proxy = Proxy::to(server.address, 1);
    proxy.go_on.send(()).unwrap();
    let mut client = curl(proxy.address);
    client.write("wor");
    server.heard.wait_for("PUT /");
    server.heard.wait_for("PUT /");
    server.refuse();
    client.write("ld");
    assert_answered(client, "world", true);
    let wire = proxy.from_server.lock().unwrap().clone();
    let wire = String::from_utf8_lossy(&wire);
    assert!(wire.len() > 500 && !wire.contains("hello") && !wire.contains("HTTP/1.1"), "in clear: {wire}");
    server.ends_clean();
}

/// The first part of a `ClientHello` has arrived when the program refuses, and the rest comes after the linger.
#[test]
fn a_client_in_the_middle_of_its_handshake_is_answered() {
    let mut server = Server::start();
    let proxy = Proxy::to(server.address, 100);
    let mut client = curl(proxy.address);
    client.write("world");
    proxy.passed.recv().unwrap();
    let mut idle = TcpStream::connect(server.address).unwrap();
    server.refuse();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "ended with the linger");
    proxy.go_on.send(()).unwrap();
    assert_answered(client, "world", true);
    server.ends_clean();
}

#[test]
fn a_handshake_that_is_never_over_ends_in_time_and_is_counted() {
    let mut server = Server::start();
    let proxy = Proxy::to(server.address, 100);
    let client = curl(proxy.address);
    proxy.passed.recv().unwrap();
    // Another one is idle, and ended with the linger.
    let mut idle = TcpStream::connect(server.address).unwrap();
    server.refuse();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    let (status, said) = client.end();
    assert!(!status.success(), "{said}");
    let said = server.ends_clean();
    assert!(said.contains("incomplete"), "{said}");
}

#[test]
fn an_idle_connection_gets_a_close_notify() {
    let mut server = Server::start();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-msg", "-ign_eof", "-CAfile"]).arg(&certificate()[0]).arg("-connect");
    let mut client = Heard::start(command.arg(server.address.to_string()));
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.wait_for("hello, ");
    server.refuse();
    client.wait_for("<<< TLS 1.3, Alert");
    let (_, said) = client.end();
    assert!(said.contains("close_notify") && !said.contains("unexpected eof"), "{said}");
    server.ends_clean();
}

/// Clear text costs its own connection, is answered by an alert, and logged.
#[test]
fn clear_text_sent_to_the_tls_port_is_refused_by_an_alert_and_stops_no_other_client() {
    let mut server = Server::start();
    let mut clear = TcpStream::connect(server.address).unwrap();
    clear.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    clear.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&ALERT), "{answer:?}");
    server.heard.wait_for("TLS handshake with ");
    let mut other = curl(server.address);
    other.write("world");
    assert_answered(other, "world", false);
    server.refuse();
    drop(clear);
    server.ends_clean();
}

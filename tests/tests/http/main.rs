//! HTTP with hyper on smol: real sockets, a made-up clock, and clients that say every byte themselves.

mod frames;
mod last;
mod over;
mod scrambled;
mod two;
mod upgrades;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;

use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol::{Async, Executor, channel};
use winddown::testing::{ManualClock, assert_clean, assert_outcome};
use winddown_smol::http::{self, Protocol};
use winddown_smol::{AtEnd, Budget, Exit, Incoming, Milestone, Outcome, Phase, Reason, Shutdown, Spawned, Tasks};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

/// Drains until 9, ends at 9.5; idle connections linger until 0.5 after the refusal, which is at 0.
struct Server {
    clock: ManualClock,
    shutdown: Shutdown,
    address: SocketAddr,
    /// The accept queue is dry and the listener closed: a time of the kernel's, not of the clock's.
    closed: mpsc::Receiver<()>,
}

impl Server {
    /// With hyper's own settings, on an executor with two threads.
    fn start<S, F>(service: S) -> Self
    where
        S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<String>> + Send + 'static,
    {
        Self::with(|_| http1::Builder::new(), service)
    }

    fn with<P, S, F>(protocol: impl FnOnce(Tasks) -> P, service: S) -> Self
    where
        P: Protocol,
        S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<String>> + Send + 'static,
    {
        let service = service_fn(move |request| {
            let answer = service(request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let executor = Arc::new(Executor::new());
        let spawning = executor.clone();
        let spawn = move |task: Spawned| spawning.spawn(task).detach();
        Self::spawning(&executor, spawn, |incoming, tasks| {
            http::serve(incoming, protocol(tasks.clone()), service, tasks)
        })
    }

    /// With whatever serves, and with tasks spawned in whatever way.
    fn spawning<F: Future<Output = ()> + Send + 'static>(
        executor: &Arc<Executor<'static>>,
        spawn: impl Fn(Spawned) + Send + Sync + 'static,
        serve: impl FnOnce(Incoming<TcpListener>, Tasks) -> F,
    ) -> Self {
        let clock = ManualClock::new();
        let shutdown = Shutdown::builder().budget(Budget::new(secs(11))).manual_clock(&clock).build().unwrap();
        for _ in 0..2 {
            let (executor, over) = (executor.clone(), shutdown.token_at(Milestone::Done));
            thread::spawn(move || smol::block_on(executor.run(over.run_until(pending::<()>()))));
        }
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        let incoming = Incoming::new(listener, &shutdown).unwrap();
        let (close, closed) = mpsc::channel();
        let serve = serve(incoming, shutdown.tasks(spawn));
        executor.spawn(async move { drop((serve.await, close)) }).detach();
        Self { clock, shutdown, address, closed }
    }

    fn connect(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).unwrap()))
    }

    fn refuse(&self) {
        self.shutdown.trigger(Reason::Requested);
        assert!(self.closed.recv().is_err());
    }

    /// The time is over in which idle connections may bring one more request.
    fn end_linger(&self) {
        self.clock.wait_for_sleeper(ms(500));
        self.clock.advance(ms(500));
    }

    /// Lets time pass till the last call, which ends all that there is: the clock stands still then.
    fn run_out(&self) -> Exit {
        self.end_linger();
        self.clock.wait_for_sleeper(secs(9));
        self.clock.advance(ms(8_500));
        self.shutdown.threads().run()
    }
}

/// One connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "the connection ended behind {head:?}");
        }
        head
    }

    /// An answer with its head in small letters; whether it was the last, and its body.
    fn answer(&mut self) -> (bool, String) {
        let head = self.head().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (head.contains("connection: close"), String::from_utf8(body).unwrap())
    }

    fn is_ended(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}

/// Says its path.
async fn echo(request: Request<Body>) -> Response<String> {
    Response::new(request.uri().path().to_owned())
}

/// Tells when it was begun, and waits to be let go.
fn gated() -> (impl Fn(Request<Body>) -> GatedAnswer + Clone + Send + Sync, mpsc::Receiver<()>, channel::Sender<()>) {
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = channel::unbounded::<()>();
    let service = move |request: Request<Body>| -> GatedAnswer {
        let (begun, gate) = (begun.clone(), gate.clone());
        Box::pin(async move {
            begun.send(()).unwrap();
            let _ = gate.recv().await;
            echo(request).await
        })
    };
    (service, has_begun, open)
}

type GatedAnswer = std::pin::Pin<Box<dyn Future<Output = Response<String>> + Send>>;

#[test]
fn a3_an_idle_connection_may_bring_one_more_request_and_is_told_that_it_is_the_last() {
    must_end(|| {
        let server = Server::start(echo);
        let (mut one, mut idle) = (server.connect(), server.connect());
        for client in [&mut one, &mut idle] {
            client.get("/first");
            assert_eq!(client.answer(), (false, "/first".to_owned()));
        }
        server.refuse();
        one.get("/last");
        assert_eq!(one.answer(), (true, "/last".to_owned()));
        assert!(one.is_ended());
        drop(one);
        server.end_linger();
        assert!(idle.is_ended(), "nothing came, and it is closed");
        drop(idle);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

#[test]
fn p3_a_request_is_waited_for_till_its_answer_is_written() {
    must_end(|| {
        let (service, begun, open) = gated();
        let server = Server::start(service);
        let mut client = server.connect();
        client.get("/slow");
        begun.recv().unwrap();
        server.refuse();
        server.end_linger();
        server.clock.wait_for_sleeper(secs(9));
        assert_eq!(server.shutdown.phase(), Phase::Draining);
        open.try_send(()).unwrap();
        assert_eq!(client.answer(), (true, "/slow".to_owned()));
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// The answer's head has gone out before the refusal, and its body is larger than what kernels keep.
#[test]
fn p3_an_answer_that_is_read_slowly_is_waited_for_to_its_last_byte() {
    must_end(|| {
        const LARGE: usize = 16 << 20;
        let server = Server::start(|_| async { Response::new(".".repeat(LARGE)) });
        let mut client = server.connect();
        client.get("/");
        let head = client.head();
        assert!(head.contains(&LARGE.to_string()), "{head}");
        server.refuse();
        server.end_linger();
        server.clock.wait_for_sleeper(secs(9));
        assert_eq!(server.shutdown.phase(), Phase::Draining, "most of it is not the kernel's yet");
        let mut body = vec![0; LARGE];
        client.0.read_exact(&mut body).unwrap();
        assert!(client.is_ended());
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// A3: one whose head was there at the end of the linger may bring its body after it.
#[test]
fn a3_a_request_that_has_begun_is_not_cut_by_the_end_of_the_linger() {
    must_end(|| {
        let (began, has_begun) = mpsc::channel();
        let server = Server::start(move |request: Request<Body>| {
            began.send(()).unwrap();
            async {
                use http_body_util::BodyExt;
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Response::new(String::from_utf8(body.into()).unwrap())
            }
        });
        let (mut client, mut idle) = (server.connect(), server.connect());
        idle.get("/");
        has_begun.recv().unwrap();
        assert_eq!(idle.answer(), (false, String::new()));
        server.refuse();
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha");
        has_begun.recv().unwrap();
        server.end_linger();
        assert!(idle.is_ended());
        client.send("lf");
        assert_eq!(client.answer(), (true, "half".to_owned()));
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// The same for a head that comes in two pieces.
#[test]
fn a3_nor_is_a_head_that_has_begun() {
    must_end(|| {
        let server = Server::start(echo);
        let mut client = server.connect();
        client.get("/first");
        assert_eq!(client.answer(), (false, "/first".to_owned()));
        server.refuse();
        client.send("GET /last HTTP/1.1\r\nHost: x\r\n");
        server.end_linger();
        // It waits for as long again, and no longer.
        server.clock.wait_for_sleeper(secs(1));
        client.send("\r\n");
        assert_eq!(client.answer(), (true, "/last".to_owned()));
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// P3: a head that is never whole has the head time, and no more; the outcome is clean. The same with another request in flight.
#[test]
fn p3_half_a_head_is_waited_for_until_the_head_time_whatever_else_is_in_flight() {
    for in_flight in [false, true] {
        must_end(move || {
            let (service, begun, open) = gated();
            let server = Server::start(service);
            let mut slow = in_flight.then(|| server.connect());
            if let Some(slow) = &mut slow {
                slow.get("/slow");
                begun.recv().unwrap();
            }
            // As long as there is work, the driver does not wait for idle connections, which would hide the head time.
            let work = server.shutdown.threads().enter_owned().unwrap();
            let mut half = server.connect();
            half.send("GET /half HTTP/1.1\r\nHo");
            server.refuse();
            server.end_linger();
            // 5 s after the end of the linger.
            server.clock.wait_for_sleeper(ms(5_500));
            server.clock.advance(secs(5));
            assert!(half.is_ended());
            if let Some(slow) = &mut slow {
                open.try_send(()).unwrap();
                assert_eq!(slow.answer(), (true, "/slow".to_owned()));
            }
            drop((slow, half, work));
            let report = server.shutdown.threads().run().report;
            assert_clean(&report);
            assert_eq!((report.unserved.incomplete, report.unserved.lost), (1, 0), "{report}");
            assert!(report.stragglers.is_empty(), "{report}");
        });
    }
}

/// A3: the executor was busy for longer than the linger, and the request in the socket all the while.
#[test]
fn a3_a_request_that_nobody_has_read_by_the_end_of_the_linger_is_answered() {
    must_end(|| {
        let serve = |incoming, tasks: Tasks| {
            let service = service_fn(|request| async { Ok::<_, Infallible>(echo(request).await) });
            http::serve(incoming, http1::Builder::new(), service, tasks)
        };
        let (server, go) = late(serve);
        let mut client = server.connect();
        client.get("/early");
        server.refuse();
        server.end_linger();
        go.send(()).unwrap();
        assert_eq!(client.answer(), (true, "/early".to_owned()));
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// A server whose connections are accepted, and served from when they are let go.
fn late<F: Future<Output = ()> + Send + 'static>(
    serve: impl FnOnce(Incoming<TcpListener>, Tasks) -> F,
) -> (Server, mpsc::Sender<()>) {
    let (go, let_go) = mpsc::channel();
    let (held, holding) = mpsc::channel::<Spawned>();
    let executor = Arc::new(Executor::new());
    let spawning = executor.clone();
    thread::spawn(move || {
        let_go.recv().unwrap();
        for task in holding {
            spawning.spawn(task).detach();
        }
    });
    (Server::spawning(&executor, move |task| drop(held.send(task)), serve), go)
}

/// A6: a close with bytes unread is a reset, which may overtake the answer.
#[test]
fn a6_a_last_answer_arrives_whatever_else_was_sent() {
    must_end(|| {
        const LARGE: usize = 4 << 20;
        for _ in 0..5 {
            let server = Server::start(|_| async { Response::new(".".repeat(LARGE)) });
            let mut client = server.connect();
            server.refuse();
            for path in ["/one", "/two", "/three"] {
                client.get(path);
            }
            let (last, body) = client.answer();
            assert!(last && body.len() == LARGE);
            client.send("and this\r\n");
            assert!(client.is_ended());
            drop(client);
            assert_clean(&server.shutdown.threads().run().report);
        }
    });
}

#[test]
fn p6_p7_a_service_that_hangs_is_cut_dropped_and_named() {
    // One that does not look whether the client is still there, and one that does: the future is dropped here, or by hyper.
    for half_close in [true, false] {
        must_end(move || {
            struct Seen(mpsc::Sender<()>);
            impl Drop for Seen {
                fn drop(&mut self) {
                    let _ = self.0.send(());
                }
            }
            let (begun, has_begun) = mpsc::channel();
            let (dropped, was_dropped) = mpsc::channel();
            let builder = move |_| {
                let mut builder = http1::Builder::new();
                builder.half_close(half_close);
                builder
            };
            let server = Server::with(builder, move |_| {
                let seen = Seen(dropped.clone());
                begun.send(()).unwrap();
                async move {
                    let () = pending().await;
                    drop(seen);
                    Response::default()
                }
            });
            let mut client = server.connect();
            client.get("/");
            has_begun.recv().unwrap();
            server.refuse();
            let exit = server.run_out();
            assert_outcome(&exit.report, Outcome::DrainTimedOut);
            assert_eq!(exit.code(), 11);
            let [late] = &*exit.report.stragglers else { panic!("{}", exit.report) };
            assert!(
                late.label.starts_with("connection from 127.0.0.1:") && late.label.ends_with("busy"),
                "{}",
                late.label
            );
            assert_eq!(late.at_end, AtEnd::Dropped, "{}", exit.report);
            was_dropped.recv().unwrap();
            assert!(client.is_ended());
        });
    }
}

#[test]
fn p7_a_service_that_panics_is_named_and_stops_nobody() {
    must_end(|| {
        let server = Server::start(|request: Request<Body>| async move {
            assert!(request.uri().path() != "/burst", "burst");
            echo(request).await
        });
        let (mut burst, mut other) = (server.connect(), server.connect());
        burst.get("/burst");
        assert!(burst.is_ended());
        other.get("/");
        assert_eq!(other.answer(), (false, "/".to_owned()));
        drop((burst, other));
        server.refuse();
        let exit = server.shutdown.threads().run();
        assert_outcome(&exit.report, Outcome::Failed);
        let [failure] = &*exit.report.failures else { panic!("{}", exit.report) };
        assert_eq!((failure.part, exit.code()), (winddown::Part::Task, 10));
        assert!(failure.what.contains("burst") && failure.what.contains("http connection"), "{}", failure.what);
    });
}

/// The builder is the user's.
#[test]
fn a_setting_of_hypers_own_holds() {
    must_end(|| {
        let builder = |_| {
            let mut builder = http1::Builder::new();
            builder.keep_alive(false);
            builder
        };
        let server = Server::with(builder, echo);
        let mut client = server.connect();
        client.get("/");
        assert_eq!(client.answer(), (true, "/".to_owned()));
        assert!(client.is_ended());
        drop(client);
        server.refuse();
        assert_clean(&server.shutdown.threads().run().report);
    });
}

//! The last answer of an HTTP/1 connection: its `Connection` header, and the client that keeps its end open or closes it early.

use std::io::{self, Read};
use std::net::Shutdown as Half;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::Executor;
use winddown::testing::assert_clean;
use winddown::{Phase, Reason};
use winddown_smol::{Spawned, http};
use winddown_tests::patience::must_end;
use winddown_tests::steps::secs;

use crate::{Client, Server, echo, gated};

/// How long the server reads on after a last answer, in real time.
const LINGERING: Duration = Duration::from_secs(2);

/// A client that has read a whole last answer, and keeps its end open.
fn answered(server: &Server) -> Client {
    let mut client = server.connect();
    client.get("/first");
    assert_eq!(client.answer(), (false, "/first".to_owned()));
    server.refuse();
    client.get("/last");
    assert_eq!(client.answer(), (true, "/last".to_owned()));
    assert!(client.is_ended());
    client
}

/// The drain's deadline falls into the time in which the server reads on.
#[test]
fn p7_a_client_that_keeps_its_end_open_after_a_whole_answer_is_not_late() {
    must_end(|| {
        let server = Server::start(echo);
        let client = answered(&server);
        // The client hears the end a moment before the pass is given back.
        while server.shutdown.in_flight().critical > 0 {
            std::thread::yield_now();
        }
        server.clock.advance(secs(9));
        let exit = server.shutdown.threads().run();
        drop(client);
        assert_clean(&exit.report);
        assert_eq!((exit.code(), exit.report.took <= secs(9)), (0, true), "{}", exit.report);
        assert_eq!((exit.report.unserved.lost, exit.report.unserved.incomplete), (0, 0), "{}", exit.report);
    });
}

/// A6: the drain waits for the lingering read, which has a limit, and for nothing after it. Bytes that come are no request.
#[test]
fn a6_the_drain_waits_for_the_lingering_read_and_no_longer_than_its_limit() {
    must_end(|| {
        let server = Server::start(echo);
        let begun = Instant::now();
        let mut client = answered(&server);
        client.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
        // No idle connection is waited for any more, and the clock stands still: only the end of the lingering read ends the drain.
        server.clock.advance(secs(1));
        let report = server.shutdown.threads().run().report;
        assert!(begun.elapsed() >= LINGERING, "{:?}", begun.elapsed());
        drop(client);
        assert_clean(&report);
        assert_eq!((report.took, report.unserved.lost, report.unserved.incomplete), (secs(1), 0, 0), "{report}");
    });
}

/// No answer will come: the connection is not late for the client that keeps its end open.
#[test]
fn p7_a_service_that_fails_holds_no_pass_while_its_connection_lingers() {
    must_end(|| {
        let executor = Arc::new(Executor::new());
        let spawning = executor.clone();
        let spawn = move |task: Spawned| spawning.spawn(task).detach();
        let server = Server::spawning(&executor, spawn, |incoming, tasks| {
            let service = service_fn(|_| async { Err::<Response<String>, _>(io::Error::other("broken")) });
            http::serve(incoming, http1::Builder::new(), service, tasks)
        });
        let mut client = server.connect();
        client.get("/");
        assert!(client.is_ended());
        assert_eq!(server.shutdown.in_flight().critical, 0);
        server.refuse();
        server.clock.advance(secs(9));
        assert_clean(&server.shutdown.threads().run().report);
        drop(client);
    });
}

/// The `Connection` headers of an answer, in small letters.
fn connection_headers(head: &str) -> Vec<String> {
    let head = head.to_ascii_lowercase();
    head.lines().filter_map(|line| line.strip_prefix("connection: ")).map(str::to_owned).collect()
}

/// Asks by HTTP/1.0, and reads the answer. Returns its `Connection` headers.
fn ask_by_1_0(client: &mut Client, keep_alive: bool) -> Vec<String> {
    client.send(if keep_alive { "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" } else { "GET / HTTP/1.0\r\n\r\n" });
    let head = client.head();
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    client.0.read_exact(&mut [0; 1]).unwrap();
    connection_headers(&head)
}

#[test]
fn an_http_1_0_answer_has_one_connection_header_and_says_what_happens() {
    must_end(|| {
        let server = Server::start(echo);
        let mut kept = server.connect();
        for _ in 0..2 {
            assert_eq!(ask_by_1_0(&mut kept, true), ["keep-alive"]);
        }
        let mut once = server.connect();
        assert_eq!(ask_by_1_0(&mut once, false), [""; 0]);
        assert!(once.is_ended());
        let (mut idle, mut fresh) = (server.connect(), server.connect());
        for client in [&mut idle, &mut fresh] {
            assert_eq!(ask_by_1_0(client, true), ["keep-alive"]);
        }
        server.refuse();
        assert_eq!(ask_by_1_0(&mut kept, true), ["close"], "refusing, and the client would keep it");
        assert!(kept.is_ended());
        assert_eq!(ask_by_1_0(&mut fresh, false), ["close"], "refusing");
        assert!(fresh.is_ended());
        drop((kept, once, fresh));
        server.end_linger();
        assert!(idle.is_ended());
        drop(idle);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// The answer of a service that sets the header itself.
#[test]
fn a_connection_header_of_the_services_own_does_not_outlive_the_refusal() {
    must_end(|| {
        let server = Server::start(|request| async {
            let mut answer = echo(request).await;
            answer.headers_mut().append("connection", "keep-alive".parse().unwrap());
            answer
        });
        let (mut old, mut new) = (server.connect(), server.connect());
        assert_eq!(ask_by_1_0(&mut old, true), ["keep-alive"], "as the service says");
        new.get("/");
        assert_eq!(connection_headers(&new.head()), ["keep-alive"]);
        new.0.read_exact(&mut [0; 1]).unwrap();
        server.refuse();
        assert_eq!(ask_by_1_0(&mut old, true), ["close"]);
        new.get("/");
        assert_eq!(connection_headers(&new.head()), ["close"]);
        new.0.read_exact(&mut [0; 1]).unwrap();
        assert!(old.is_ended() && new.is_ended());
        drop((old, new));
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// A client that shuts its side down after its request, as `nc -N` does, while the request is worked on. Returns the answer.
fn half_closed(half_close: bool) -> String {
    let (service, begun, open) = gated();
    let builder = move |_| {
        let mut builder = http1::Builder::new();
        builder.half_close(half_close);
        builder
    };
    let server = Server::with(builder, service);
    let mut client = server.connect();
    client.get("/half");
    begun.recv().unwrap();
    server.shutdown.trigger(Reason::Requested);
    client.0.get_ref().shutdown(Half::Write).unwrap();
    let mut answer = String::new();
    if !half_close {
        // The request's future is dropped before the gate opens.
        client.0.read_to_string(&mut answer).unwrap();
    }
    assert!(server.shutdown.phase() <= Phase::Closing);
    let _ = open.try_send(());
    client.0.read_to_string(&mut answer).unwrap();
    drop(client);
    assert_clean(&server.shutdown.threads().run().report);
    answer
}

#[test]
fn a_client_that_shuts_its_side_down_is_answered_with_half_close() {
    must_end(|| {
        let answer = half_closed(true);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n/half"), "{answer}");
    });
}

#[test]
fn a_client_that_shuts_its_side_down_gets_no_answer_without_half_close() {
    must_end(|| assert_eq!(half_closed(false), ""));
}

//! Serving over an I/O object of the program's choice, which stands for TLS. (TLS itself is tested in `tests/third-party`.)

use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming as Body;
use hyper::rt::{Read as _, ReadBuf, Write as _};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use smol::Executor;
use winddown::testing::{assert_clean, assert_outcome};
use winddown::{Outcome, Part};
use winddown_smol::{Spawned, Token, http};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::scrambled::{Client, GOODBYE, HELLO, scrambled, start, start_two};
use crate::{Server, echo};

fn counts(exit: &winddown_smol::Exit) -> (u64, u64) {
    (exit.report.unserved.lost, exit.report.unserved.incomplete)
}

/// What is on the wire.
#[test]
fn nothing_of_an_answer_goes_around_the_wrapper() {
    must_end(|| {
        let (server, _) = start(|_| async { Response::new("secret".to_owned()) });
        let mut client = Client::shaken(&server);
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let wire = client.rest();
        assert!(!String::from_utf8_lossy(&wire).contains("secret"));
        let clear = String::from_utf8(scrambled(&wire)).unwrap();
        assert!(clear.starts_with("HTTP/1.1 200") && clear.ends_with("secretgoodbye"), "{clear}");
        drop(client);
        server.refuse();
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// A3: a client that is in the middle of the handshake when the program refuses, and when the linger is over.
#[test]
fn a3_a_handshake_that_has_begun_is_finished_and_its_request_answered() {
    must_end(|| {
        let (server, _) = start(echo);
        let work = server.shutdown.threads().enter_owned().unwrap();
        let mut client = Client::connect(&server);
        client.send_clear(&HELLO[..2]);
        server.refuse();
        server.end_linger();
        server.clock.wait_for_sleeper(ms(5_500));
        client.send_clear(&HELLO[2..]);
        client.is_welcome();
        // The request comes a round trip later, when idle connections are not waited for any more.
        server.clock.advance(secs(1));
        drop(work);
        server.clock.wait_for_sleeper(ms(5_500));
        client.get("/last");
        assert_eq!(client.answer(), (true, "/last".to_owned()));
        client.is_told_goodbye();
        drop(client);
        let exit = server.shutdown.threads().run();
        assert_clean(&exit.report);
        assert_eq!(counts(&exit), (0, 0));
    });
}

/// The first request comes along with the handshake's last bytes.
#[test]
fn a_request_right_behind_the_handshake_is_answered() {
    must_end(|| {
        let (server, _) = start(echo);
        let mut client = Client::connect(&server);
        client.send_clear(&[HELLO.to_vec(), scrambled(b"GET /at-once HTTP/1.1\r\nHost: x\r\n\r\n")].concat());
        client.is_welcome();
        assert_eq!(client.answer(), (false, "/at-once".to_owned()));
        drop(client);
        server.refuse();
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// P3, P7: one that is never over has the head time, is then counted as incomplete, and the outcome is clean.
#[test]
fn p7_a_handshake_that_is_never_over_is_ended_with_the_head_time_and_counted() {
    for many in [false, true] {
        must_end(move || {
            let server = if many { start_two() } else { start(echo).0 };
            // As long as there is work, the driver does not wait for idle connections, which would hide the head time.
            let work = server.shutdown.threads().enter_owned().unwrap();
            let mut client = Client::connect(&server);
            client.send_clear(&HELLO[..2]);
            server.refuse();
            server.end_linger();
            server.clock.wait_for_sleeper(ms(5_500));
            server.clock.advance(secs(5));
            assert_eq!(client.rest(), b"");
            drop((client, work));
            let exit = server.shutdown.threads().run();
            assert_clean(&exit.report);
            assert_eq!((counts(&exit), exit.code()), ((0, 1), 0), "many: {many}");
            assert!(exit.report.stragglers.is_empty(), "{}", exit.report);
        });
    }
}

/// After the handshake, and after an answer, a connection is idle: ended with the linger, with a goodbye, and not counted.
#[test]
fn a3_an_idle_connection_is_told_goodbye_with_the_linger() {
    must_end(|| {
        let (server, _) = start(echo);
        let mut silent = Client::shaken(&server);
        let mut idle = Client::shaken(&server);
        idle.get("/");
        assert_eq!(idle.answer(), (false, "/".to_owned()));
        let mut absent = Client::connect(&server);
        server.refuse();
        server.end_linger();
        silent.is_told_goodbye();
        idle.is_told_goodbye();
        assert_eq!(absent.rest(), b"", "it has not even begun the handshake");
        drop((silent, idle, absent));
        let exit = server.shutdown.threads().run();
        assert_clean(&exit.report);
        assert_eq!((counts(&exit), exit.report.took), ((0, 0), ms(500)));
    });
}

/// P7: the client's own goodbye, in answer to the server's, is bytes that arrive on a connection that was ended, and no request. A
/// request that has crossed the goodbye is lost.
#[test]
fn p7_a_goodbye_after_the_linger_is_no_request_and_a_request_that_crosses_it_is_lost() {
    for request in [false, true] {
        must_end(move || {
            let (server, _) = start(echo);
            let mut client = Client::shaken(&server);
            server.refuse();
            server.end_linger();
            let mut goodbye = *GOODBYE;
            client.0.read_exact(&mut goodbye).unwrap();
            assert_eq!(scrambled(&goodbye), GOODBYE);
            if request {
                client.get("/too-late");
            } else {
                client.send_clear(&scrambled(GOODBYE));
            }
            // The clock stands still: the connection's end is what the drain waits for.
            let exit = server.shutdown.threads().run();
            drop(client);
            assert_outcome(&exit.report, if request { Outcome::ClientsLost } else { Outcome::Clean });
            assert_eq!(counts(&exit), (u64::from(request), 0));
        });
    }
}

/// One costs its own connection; the program's `wrap` has seen the error.
#[test]
fn a_handshake_that_fails_costs_its_own_connection_only() {
    must_end(|| {
        let (server, failures) = start(echo);
        let work = server.shutdown.threads().enter_owned().unwrap();
        let mut other = Client::shaken(&server);
        let mut half = Client::connect(&server);
        half.send_clear(&HELLO[..2]);
        for at_the_refusal in [false, true] {
            let mut clear = Client::connect(&server);
            if at_the_refusal {
                server.refuse();
            }
            clear.send_clear(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(clear.rest(), b"");
            assert_eq!(failures.recv().unwrap(), "not a hello");
        }
        other.get("/last");
        assert_eq!(other.answer(), (true, "/last".to_owned()));
        // One whose handshake the wind-down waits for: it is no request that was not whole.
        server.end_linger();
        server.clock.wait_for_sleeper(ms(5_500));
        half.send_clear(b"???");
        assert_eq!(half.rest(), b"");
        assert_eq!(failures.recv().unwrap(), "not a hello");
        drop((other, half, work));
        let exit = server.shutdown.threads().run();
        assert_clean(&exit.report);
        assert_eq!(counts(&exit), (0, 0));
    });
}

/// P7: a `wrap` that panics is named, and takes nothing with it.
#[test]
fn p7_a_wrap_that_panics_is_named_and_stops_no_other_connection() {
    must_end(|| {
        let executor = Arc::new(Executor::new());
        let spawning = executor.clone();
        let spawn = move |task: Spawned| spawning.spawn(task).detach();
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let server = Server::spawning(&executor, spawn, |incoming, tasks| {
            let wrap = move |wire| {
                assert!(calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0, "burst");
                std::future::ready(Ok(wire))
            };
            let service = service_fn(|request| async { Ok::<_, Infallible>(echo(request).await) });
            http::serve_over(incoming, wrap, http1::Builder::new(), service, tasks)
        });
        assert!(server.connect().is_ended());
        let mut other = server.connect();
        other.get("/");
        assert_eq!(other.answer(), (false, "/".to_owned()));
        drop(other);
        server.refuse();
        let report = server.shutdown.threads().run().report;
        assert_outcome(&report, Outcome::Failed);
        let [failure] = &*report.failures else { panic!("{report}") };
        assert!(failure.part == Part::Task && failure.what.contains("burst"), "{}", failure.what);
    });
}

/// P3: hyper has given the whole answer to the wrapper, which keeps it.
#[test]
fn p3_an_answer_that_the_wrapper_keeps_is_waited_for_to_its_last_byte() {
    must_end(|| {
        const LARGE: usize = 8 << 20;
        let (server, _) = start(|_| async { Response::new(".".repeat(LARGE)) });
        let mut client = Client::shaken(&server);
        client.get("/");
        let head = client.head();
        assert!(head.contains(&LARGE.to_string()) && !head.contains("close"), "{head}");
        server.refuse();
        server.end_linger();
        server.clock.wait_for_sleeper(secs(9));
        assert_eq!(server.shutdown.in_flight().critical, 1);
        let mut body = vec![0; LARGE];
        client.0.read_exact(&mut body).unwrap();
        client.is_told_goodbye();
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// A4: the upgraded connection speaks through the wrapper, too.
#[test]
fn a4_an_upgraded_connection_speaks_through_the_wrapper() {
    must_end(|| {
        let (server, _) = start(|mut request: Request<Body>| async move {
            let token = request.extensions().get::<Token>().expect("each has one").clone();
            let upgrade = hyper::upgrade::on(&mut request);
            smol::spawn(async move {
                let mut line = upgrade.await.unwrap();
                let mut room = [0; 4];
                let mut buffer = ReadBuf::new(&mut room);
                std::future::poll_fn(|context| Pin::new(&mut line).poll_read(context, buffer.unfilled()))
                    .await
                    .unwrap();
                token.cancelled().await;
                let said = [buffer.filled(), b", and so long"].concat();
                std::future::poll_fn(|context| Pin::new(&mut line).poll_write(context, &said)).await.unwrap();
                std::future::poll_fn(|context| Pin::new(&mut line).poll_shutdown(context)).await.unwrap();
            })
            .detach();
            let mut answer = Response::new(String::new());
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            answer.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("echo"));
            answer
        });
        let mut client = Client::shaken(&server);
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nping");
        assert!(client.head().starts_with("http/1.1 101"));
        server.refuse();
        assert_eq!(String::from_utf8(scrambled(&client.rest())).unwrap(), "ping, and so longgoodbye");
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// A3: HTTP/2 whose handshake has begun before the refusal.
#[test]
fn a3_a_request_of_http_2_behind_a_handshake_that_has_begun_is_answered() {
    must_end(|| {
        let server = start_two();
        let mut client = Client::connect(&server);
        client.send_clear(&HELLO[..2]);
        server.refuse();
        server.end_linger();
        server.clock.wait_for_sleeper(secs(1));
        client.send_clear(&HELLO[2..]);
        client.is_welcome();
        // The preface, empty SETTINGS, and GET / by HPACK's static table.
        let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frames.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        frames.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'x']);
        client.send_clear(&scrambled(&frames));
        let clear = scrambled(&client.rest());
        assert!(clear.windows(10).any(|part| part == [0, 0, 1, 0, 1, 0, 0, 0, 1, b'/']), "no DATA in {clear:?}");
        assert!(clear.ends_with(GOODBYE));
        drop(client);
        let exit = server.shutdown.threads().run();
        assert_clean(&exit.report);
        assert_eq!(counts(&exit), (0, 0));
    });
}

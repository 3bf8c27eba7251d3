//! HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread;

use hyper::body::Incoming as Body;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol::{Executor, channel};
use winddown::testing::{assert_clean, assert_outcome};
use winddown::{AtEnd, Outcome, Part, Phase};
use winddown_smol::{Spawned, http};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::frames::{DATA, END_STREAM, Frame, Frames, GOAWAY, HEADERS, RESET};
use crate::{Server, echo, gated, late};

/// RFC 9113, 6.8: first without a limit, and then, when whatever was on its way has come, with the last stream.
#[test]
fn a_goaway_is_said_twice_and_what_is_under_way_is_finished() {
    must_end(|| {
        let (service, begun, open) = gated();
        let server = Server::with(http2::Builder::new, service);
        let mut client = Frames::connect(server.address);
        client.get(1);
        begun.recv().unwrap();
        server.refuse();
        let first = client.next().unwrap();
        assert_eq!((first.kind, first.last_stream()), (GOAWAY, u32::MAX >> 1));
        let second = client.next().unwrap();
        assert_eq!((second.kind, second.last_stream()), (GOAWAY, 1));
        open.try_send(()).unwrap();
        let answer: Vec<Frame> = std::iter::from_fn(|| client.next()).collect();
        assert!(answer.iter().any(|frame| frame.kind == HEADERS && frame.stream == 1), "{answer:?}");
        assert!(answer.iter().any(|frame| (frame.stream, frame.kind, &*frame.body) == (1, DATA, b"/")), "{answer:?}");
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// One that crosses the first GOAWAY was sent in good faith.
#[test]
fn a_request_that_crosses_the_goaway_is_answered() {
    must_end(|| {
        let (service, begun, open) = gated();
        let server = Server::with(http2::Builder::new, service);
        let mut client = Frames::connect(server.address);
        client.get(1);
        begun.recv().unwrap();
        server.refuse();
        // Before it reads the GOAWAY, and with it the ping that the second one waits for.
        client.get(3);
        begun.recv().unwrap();
        let goaways = [client.next().unwrap(), client.next().unwrap()].map(|frame| (frame.kind, frame.last_stream()));
        assert_eq!(goaways, [(GOAWAY, u32::MAX >> 1), (GOAWAY, 3)]);
        open.try_send(()).unwrap();
        open.try_send(()).unwrap();
        let answers: Vec<Frame> = std::iter::from_fn(|| client.next()).collect();
        for stream in [1, 3] {
            let whole = |frame: &&Frame| frame.stream == stream && frame.kind == DATA && frame.body == b"/";
            assert!(answers.iter().find(whole).is_some(), "{stream} of {answers:?}");
        }
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

#[test]
fn an_idle_connection_ends_by_itself() {
    must_end(|| {
        let (service, _begun, open) = gated();
        open.try_send(()).unwrap();
        let server = Server::with(http2::Builder::new, service);
        let mut client = Frames::connect(server.address);
        client.get(1);
        while client.next().unwrap().flags & END_STREAM == 0 {}
        server.refuse();
        let goaways: Vec<_> = std::iter::from_fn(|| client.next()).map(|frame| frame.kind).collect();
        assert_eq!(goaways, [GOAWAY; 2]);
        // The clock has not moved: nobody waited for the linger.
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// What a client says about the connection itself is no request, read or unread: it holds no drain, and is not incomplete.
#[test]
fn p3_after_the_goaways_only_streams_count() {
    must_end(|| {
        let server = Server::with(http2::Builder::new, echo);
        let mut client = Frames::connect(server.address);
        client.get(1);
        while client.next().unwrap().kind != DATA {}
        server.refuse();
        // The ping of the first GOAWAY is never answered; others come without end.
        for _ in 0..50 {
            client.ping();
        }
        server.end_linger();
        while client.next().is_some() {}
        drop(client);
        let report = server.shutdown.threads().run().report;
        assert_clean(&report);
        assert_eq!((report.unserved.incomplete, report.unserved.lost), (0, 0), "{report}");
    });
}

/// Each stream is a task of hyper's own, which ends a moment after the connection.
#[test]
fn p7_a_connection_with_a_stream_that_hangs_is_named_as_dropped() {
    must_end(|| {
        let (service, begun, open) = gated();
        let server = Server::with(http2::Builder::new, service);
        let mut client = Frames::connect(server.address);
        client.get(1);
        client.get(3);
        begun.recv().unwrap();
        begun.recv().unwrap();
        server.refuse();
        let exit = server.run_out();
        assert_outcome(&exit.report, Outcome::DrainTimedOut);
        let [late] = &*exit.report.stragglers else { panic!("{}", exit.report) };
        assert_eq!(late.at_end, AtEnd::Dropped, "{}", exit.report);
        drop((open, client));
    });
}

/// A server whose service blocks in its `poll`.
struct Blocking {
    server: Server,
    begun: mpsc::Receiver<()>,
    /// The ends of tasks: of the connection's own, and of the stream's.
    ended: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

impl Blocking {
    fn start() -> Self {
        let (begins, begun) = mpsc::channel();
        let (ends, ended) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let gone = Arc::new(Mutex::new(gone));
        let executor = Arc::new(Executor::new());
        let spawning = executor.clone();
        let spawn = move |task: Spawned| {
            let ends = ends.clone();
            let task = async move {
                task.await;
                let _ = ends.send(());
            };
            spawning.spawn(task).detach();
        };
        let server = Server::spawning(&executor, spawn, |incoming, tasks| {
            let service = service_fn(move |_| {
                let (begins, gone) = (begins.clone(), gone.clone());
                async move {
                    begins.send(()).unwrap();
                    gone.lock().unwrap().recv().unwrap();
                    Ok::<_, Infallible>(Response::new(String::new()))
                }
            });
            http::serve(incoming, http2::Builder::new(tasks.clone()), service, tasks)
        });
        Self { server, begun, ended, go }
    }
}

/// hyper is done with a connection whose client has gone. A future on it that is being polled is not.
#[test]
fn p3_a_stream_that_is_being_polled_is_waited_for_when_its_client_has_gone() {
    must_end(|| {
        let Blocking { server, begun, ended, go } = Blocking::start();
        let mut client = Frames::connect(server.address);
        client.get(1);
        begun.recv().unwrap();
        server.refuse();
        drop(client);
        ended.recv().unwrap();
        assert_eq!((server.shutdown.phase(), server.shutdown.in_flight().critical), (Phase::Draining, 1));
        go.send(()).unwrap();
        assert_clean(&server.shutdown.threads().run().report);
    });
}

#[test]
fn p7_a_connection_with_a_stream_that_is_being_polled_is_named_as_still_held() {
    must_end(|| {
        let Blocking { server, begun, ended, go } = Blocking::start();
        let mut client = Frames::connect(server.address);
        client.get(1);
        begun.recv().unwrap();
        server.refuse();
        server.end_linger();
        server.clock.wait_for_sleeper(secs(9));
        server.clock.advance(ms(8_500));
        ended.recv().unwrap();
        server.clock.wait_for_sleeper(ms(9_500));
        server.clock.advance(ms(500));
        let report = server.shutdown.threads().run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        let [late] = &*report.stragglers else { panic!("{report}") };
        assert_eq!(late.at_end, AtEnd::StillHeld, "{report}");
        go.send(()).unwrap();
        drop(client);
    });
}

/// hyper takes the whole answer at once, and h2 keeps what the client does not read.
#[test]
fn p3_an_answer_that_is_read_slowly_is_waited_for_to_its_last_byte() {
    must_end(|| {
        const LARGE: usize = 16 << 20;
        let server = Server::with(http2::Builder::new, |_| async { Response::new(".".repeat(LARGE)) });
        let mut client = Frames::connect(server.address);
        client.widen();
        client.get(1);
        assert_eq!(client.next().unwrap().kind, HEADERS);
        let mut read = client.next().unwrap().body.len();
        server.refuse();
        server.end_linger();
        server.clock.wait_for_sleeper(secs(9));
        assert_eq!((server.shutdown.phase(), server.shutdown.in_flight().critical), (Phase::Draining, 1));
        read += std::iter::from_fn(|| client.next()).filter(|f| f.kind == DATA).map(|f| f.body.len()).sum::<usize>();
        assert_eq!(read, LARGE);
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// Each has a task of hyper's own.
#[test]
fn p7_a_service_that_panics_is_named_and_stops_nobody() {
    must_end(|| {
        let server = Server::with(http2::Builder::new, |request: Request<Body>| async move {
            assert!(request.method() == "CONNECT", "burst");
            echo(request).await
        });
        let mut client = Frames::connect(server.address);
        client.get(1);
        let reset = client.next().unwrap();
        assert_eq!((reset.kind, reset.stream), (RESET, 1));
        server.refuse();
        while client.next().is_some() {}
        drop(client);
        let report = server.shutdown.threads().run().report;
        assert_outcome(&report, Outcome::Failed);
        let [failure] = &*report.failures else { panic!("{report}") };
        assert_eq!(failure.part, Part::Task);
        assert!(failure.what.contains("burst") && failure.what.contains("http request"), "{}", failure.what);
    });
}

/// A3: h2 hands a request out only when there is nothing more to read, and with an end it hands out none.
#[test]
fn a3_a_request_that_nobody_has_read_by_the_end_of_the_linger_is_answered() {
    must_end(|| {
        let (server, go) = late(|incoming, tasks| {
            let service = service_fn(|request| async { Ok::<_, Infallible>(echo(request).await) });
            http::serve(incoming, http2::Builder::new(tasks.clone()), service, tasks)
        });
        let mut client = Frames::connect(server.address);
        client.get(1);
        server.refuse();
        server.end_linger();
        go.send(()).unwrap();
        let frames: Vec<_> = std::iter::from_fn(|| client.next()).collect();
        assert!(frames.iter().any(|frame| frame.kind == DATA && frame.body == b"/"), "{frames:?}");
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// A4, P3: a tunnel has an answer that is at its end long before the tunnel is.
#[test]
fn a4_a_tunnel_is_admitted_work() {
    must_end(|| {
        let (tell, told) = mpsc::channel();
        let (open, gate) = channel::bounded::<()>(1);
        let server = Server::with(http2::Builder::new, move |mut request: Request<Body>| {
            let (upgrade, tell, gate) = (hyper::upgrade::on(&mut request), tell.clone(), gate.clone());
            smol::spawn(async move {
                let tunnel = upgrade.await;
                tell.send(tunnel.is_ok()).unwrap();
                let _ = gate.recv().await;
                drop(tunnel);
            })
            .detach();
            async { Response::new(String::new()) }
        });
        let mut client = Frames::connect(server.address);
        client.tunnel(1);
        assert!(told.recv().unwrap());
        assert_eq!(client.next().unwrap().kind, HEADERS);
        server.refuse();
        server.end_linger();
        server.clock.wait_for_sleeper(secs(9));
        assert_eq!(server.shutdown.in_flight().critical, 1);
        open.close();
        while client.next().is_some() {}
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

/// Its destructor comes when everything is written: nobody writes any more to notice that.
struct SlowToGo(Option<&'static [u8]>, mpsc::Receiver<()>);

impl Drop for SlowToGo {
    fn drop(&mut self) {
        let _ = self.1.recv();
    }
}

impl hyper::body::Body for SlowToGo {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(hyper::body::Frame::data(data))))
    }
}

#[test]
fn an_answer_that_ends_behind_the_last_write_leaves_an_idle_connection() {
    must_end(|| {
        let (go, gates) = mpsc::channel();
        let executor = Arc::new(Executor::new());
        let spawning = executor.clone();
        let spawn = move |task| spawning.spawn(task).detach();
        let server = Server::spawning(&executor, spawn, |incoming, tasks| {
            let service = service_fn(move |_| {
                let (open, gate) = mpsc::channel();
                go.send(open).unwrap();
                async { Ok::<_, Infallible>(Response::new(SlowToGo(Some(b"x"), gate))) }
            });
            http::serve(incoming, http2::Builder::new(tasks.clone()), service, tasks)
        });
        let mut client = Frames::connect(server.address);
        client.get(1);
        let open: mpsc::Sender<()> = gates.recv().unwrap();
        while client.next().unwrap().flags & END_STREAM == 0 {}
        assert_eq!(server.shutdown.in_flight().critical, 1);
        drop(open);
        while server.shutdown.in_flight().critical > 0 {
            thread::yield_now();
        }
        server.refuse();
        while client.next().is_some() {}
        drop(client);
        assert_clean(&server.shutdown.threads().run().report);
    });
}

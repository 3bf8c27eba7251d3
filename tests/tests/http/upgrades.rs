//! Connections that come to speak something else.

use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;

use hyper::body::Incoming as Body;
use hyper::rt::{Read as _, ReadBuf, Write as _};
use hyper::{Request, Response, StatusCode, header};
use winddown::testing::{assert_clean, assert_outcome};
use winddown_smol::{Outcome, Token};
use winddown_tests::patience::must_end;

use crate::{Client, Server};

/// Answers every request by an upgrade. What speaks then is a task of its own.
fn upgrading<F>(speak: fn(hyper::upgrade::Upgraded, Token) -> F) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    Server::start(move |mut request: Request<Body>| async move {
        let token = request.extensions().get::<Token>().expect("each has one").clone();
        let upgrade = hyper::upgrade::on(&mut request);
        smol::spawn(async move { speak(upgrade.await.unwrap(), token).await }).detach();
        let mut answer = Response::new(String::new());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        answer.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("echo"));
        answer
    })
}

fn upgraded(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nping");
    assert!(client.head().starts_with("HTTP/1.1 101"));
    client
}

/// What is left of the connection.
struct Line(hyper::upgrade::Upgraded);

impl Line {
    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut buffer = ReadBuf::new(buffer);
        // One that is cut has an end, or an error.
        let _ = poll_fn(|context| Pin::new(&mut self.0).poll_read(context, buffer.unfilled())).await;
        buffer.filled().len()
    }

    async fn write(&mut self, bytes: &[u8]) {
        let wrote = poll_fn(|context| Pin::new(&mut self.0).poll_write(context, bytes)).await.unwrap();
        assert_eq!(wrote, bytes.len());
    }
}

#[test]
fn a4_who_was_upgraded_is_told_says_goodbye_and_is_waited_for() {
    must_end(|| {
        let server = upgrading(|upgraded, token| async move {
            let mut line = Line(upgraded);
            let mut buffer = [0; 16];
            let read = line.read(&mut buffer).await;
            line.write(&buffer[..read]).await;
            token.cancelled().await;
            line.write(b"goodbye").await;
        });
        let mut client = upgraded(&server);
        let mut said = [0; 4];
        client.0.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ping");
        server.refuse();
        let mut rest = String::new();
        client.0.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "goodbye");
        assert_clean(&server.shutdown.threads().run().report);
    });
}

#[test]
fn a4_who_does_not_listen_is_cut_and_named() {
    must_end(|| {
        let server = upgrading(|upgraded, _| async move {
            let mut line = Line(upgraded);
            while line.read(&mut [0; 16]).await > 0 {}
        });
        let mut client = upgraded(&server);
        server.refuse();
        let report = server.run_out().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        let [late] = &*report.stragglers else { panic!("{report}") };
        assert!(late.label.ends_with("upgraded"), "{}", late.label);
        assert!(client.is_ended());
    });
}

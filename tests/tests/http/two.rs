//! HTTP/2.

use hyper::server::conn::http2;
use winddown::testing::assert_clean;
use winddown_tests::patience::must_end;

use crate::frames::{DATA, END_STREAM, Frame, Frames, GOAWAY, HEADERS};
use crate::{Server, gated};

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
        let last = answer.iter().rfind(|frame| frame.kind == DATA).unwrap();
        assert!(last.flags & END_STREAM != 0 || answer.iter().any(|frame| frame.kind == DATA && frame.body == b"/"));
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

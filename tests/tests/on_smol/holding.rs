//! Values of futures that hold a pass until they are dropped.

use std::convert::Infallible;

use futures_lite::io::Cursor;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use smol::block_on;
use winddown::testing::assert_clean;
use winddown_smol::{Holding, OwnedPass, Reason, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::steps::secs;

use crate::timed;

fn pass(shutdown: &Shutdown) -> OwnedPass {
    shutdown.enter_owned().unwrap()
}

/// As a server does that writes the answer when the service has returned it.
#[test]
fn p3_the_drain_waits_for_a_body_that_holds_a_pass() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown: Shutdown = builder.build().unwrap();
        let body = Holding::new(Full::new(Bytes::from("an answer")), pass(&shutdown));
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        assert_eq!((body.size_hint().exact(), shutdown.in_flight().critical), (Some(9), 1));
        // Dropped when it is collected, as by a server that has taken it all.
        let bytes = block_on(body.collect()).unwrap().to_bytes();
        assert_eq!(bytes, "an answer");
        assert_clean(&shutdown.threads().run().report);
    });
}

#[test]
fn a_holding_is_the_stream_or_the_reader_that_it_holds_the_pass_for() {
    let shutdown: Shutdown = timed().1.build().unwrap();
    let parts = stream::iter(["an ", "answer"]).map(Ok::<_, Infallible>);
    let parts = Holding::from(pass(&shutdown).held_by(parts));
    assert_eq!((futures_lite::Stream::size_hint(&parts), shutdown.in_flight().critical), ((2, Some(2)), 1));
    assert_eq!(block_on(parts.map(Result::unwrap).collect::<String>()), "an answer");
    assert_eq!(shutdown.in_flight().critical, 0);

    let mut line = Holding::new(Cursor::new(b"an answer".to_vec()), pass(&shutdown));
    block_on(async {
        let mut read = [0; 2];
        line.read_exact(&mut read).await.unwrap();
        line.write_all(b"-").await.unwrap();
        line.flush().await.unwrap();
    });
    assert_eq!(line.get_ref().get_ref(), b"an-answer");
    let (line, pass) = line.into_parts();
    assert_eq!((line.position(), shutdown.in_flight().critical), (3, 1));
    drop(pass);
    assert_eq!(shutdown.in_flight().critical, 0);
}

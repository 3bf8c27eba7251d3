//! Readers, writers and streams that end: on real sockets, with somebody pending in them.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::task::Context;

use futures_lite::future::{poll_fn, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use smol::{Async, block_on, channel, net};
use winddown_smol::{Reason, Shutdown, Until};
use winddown_tests::patience::must_end;

use crate::{Place, apart, timed};

fn pair() -> (Async<UnixStream>, Async<UnixStream>) {
    Async::<UnixStream>::pair().unwrap()
}

/// Says so when the future was polled and is pending.
async fn watched<F: Future + Unpin>(mut future: F, pends: mpsc::Sender<()>) -> F::Output {
    poll_fn(move |context: &mut Context<'_>| {
        let poll = std::pin::Pin::new(&mut future).poll(context);
        if poll.is_pending() {
            let _ = pends.send(());
        }
        poll
    })
    .await
}

#[test]
fn a_pending_read_is_woken_by_the_trigger_and_ends() {
    for place in Place::ALL {
        must_end(move || {
            let shutdown = timed().1.build().unwrap();
            let (ours, mut theirs) = pair();
            let mut until = Until::new(&shutdown.token(), ours);
            let (pends, is_pending) = mpsc::channel();
            let reader = place.start(async move {
                let mut buffer = [0; 8];
                let first = until.read(&mut buffer).await.unwrap();
                let last = watched(until.read(&mut buffer[first..]), pends).await.unwrap();
                (buffer, first, last, until)
            });
            block_on(theirs.write_all(b"hello")).unwrap();
            is_pending.recv().unwrap();
            shutdown.trigger(Reason::Requested);
            let (buffer, first, last, until) = reader.join().unwrap();
            assert_eq!((&buffer[..first], last), (&b"hello"[..], 0));
            // The socket itself has not ended.
            block_on(async {
                theirs.write_all(b"later").await.unwrap();
                let mut buffer = [0; 5];
                until.into_inner().read_exact(&mut buffer).await.unwrap();
                assert_eq!(&buffer, b"later");
            });
        });
    }
}

#[test]
fn a_writer_fails_and_can_be_flushed_and_closed() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        // Of this kind, a close is heard at the other end.
        let (ours, mut theirs) = net::unix::UnixStream::pair().unwrap();
        // What is in the buffer has been taken, and has not been written.
        let mut until = Until::new(&shutdown.token(), futures_lite::io::BufWriter::new(ours));
        block_on(async {
            until.write_all(b"taken").await.unwrap();
            shutdown.trigger(Reason::Requested);
            assert_eq!(until.write(b"refused").await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
            until.flush().await.unwrap();
            until.close().await.unwrap();
            let mut all = String::new();
            theirs.read_to_string(&mut all).await.unwrap();
            assert_eq!(all, "taken");
        });
    });
}

#[test]
fn a_pending_write_is_woken_by_the_trigger_and_fails() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (ours, theirs) = pair();
        let mut until = Until::new(&shutdown.token(), ours);
        let (pends, is_pending) = mpsc::channel();
        let writer = apart(async move { watched(until.write_all(&vec![0; 64 << 20]), pends).await });
        is_pending.recv().unwrap();
        shutdown.trigger(Reason::Requested);
        assert_eq!(writer.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
        drop(theirs);
    });
}

/// The two halves in two tasks, both of them pending.
#[test]
fn p4_a_reader_and_a_writer_of_two_tasks_are_both_woken() {
    for writer_last in [true, false] {
        must_end(move || {
            let shutdown = timed().1.build().unwrap();
            let (ours, _theirs) = pair();
            let (mut reader, mut writer) = futures_lite::io::split(Until::new(&shutdown.token(), ours));
            let (reading, is_reading) = mpsc::channel();
            let (filling, is_writing) = mpsc::channel();
            let read = async move { watched(reader.read(&mut [0; 8]), reading).await };
            let write = async move { watched(writer.write_all(&vec![0; 64 << 20]), filling).await };
            let (read, write) = if writer_last {
                let read = apart(read);
                is_reading.recv().unwrap();
                let write = apart(write);
                is_writing.recv().unwrap();
                (read, write)
            } else {
                let write = apart(write);
                is_writing.recv().unwrap();
                let read = apart(read);
                is_reading.recv().unwrap();
                (read, write)
            };
            shutdown.trigger(Reason::Requested);
            assert_eq!(read.join().unwrap().unwrap(), 0);
            assert_eq!(write.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
        });
    }
}

#[test]
fn a_stream_ends_for_ever() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (sender, receiver) = channel::unbounded();
        let child = shutdown.token().child();
        let mut until = Until::new(&child, Box::pin(receiver));
        let (pends, is_pending) = mpsc::channel();
        sender.try_send(1).unwrap();
        let consumer = apart(async move {
            let first = until.next().await;
            let last = watched(until.next(), pends).await;
            (first, last, until.next().await, until)
        });
        is_pending.recv().unwrap();
        child.stop(Reason::Requested);
        let (first, last, again, until) = consumer.join().unwrap();
        assert_eq!((first, last, again), (Some(1), None, None));
        sender.try_send(2).unwrap();
        assert_eq!(block_on(until.into_inner().next()), Some(2));
        assert!(!shutdown.is_shutting_down());
    });
}

/// A goodbye goes through what has not ended.
#[test]
fn an_ended_writer_can_still_be_written_to_from_within() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (ours, mut theirs) = pair();
        let mut until = Until::new(&shutdown.token(), ours);
        shutdown.trigger(Reason::Requested);
        block_on(async {
            assert_eq!(until.write(b"refused").await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
            until.get_mut().write_all(b"bye").await.unwrap();
            assert!(until.get_ref().get_ref().peer_addr().is_ok());
            drop(until);
            let mut all = String::new();
            theirs.read_to_string(&mut all).await.unwrap();
            assert_eq!(all, "bye");
        });
    });
}

/// One that has ended by itself has, without anybody.
#[test]
fn what_ends_by_itself_ends() {
    must_end(|| {
        let shutdown: Shutdown = timed().1.build().unwrap();
        let (ours, theirs) = pair();
        drop(theirs);
        let mut until = Until::new(&shutdown.token(), ours);
        let mut numbers = Until::new(&shutdown.token(), futures_lite::stream::iter([1, 2]));
        block_on(zip(async { assert_eq!(until.read(&mut [0]).await.unwrap(), 0) }, async {
            assert_eq!((numbers.next().await, numbers.next().await, numbers.next().await), (Some(1), Some(2), None));
        }));
    });
}

#[test]
fn until_has_at_most_as_many_items_as_its_stream() {
    let shutdown = timed().1.build().unwrap();
    let numbers = Until::new(&shutdown.token(), futures_lite::stream::iter([1, 2, 3]));
    assert_eq!(futures_lite::Stream::size_hint(&numbers), (0, Some(3)));
}

//! Accepting without a descriptor left, against a connection that closes. The descriptors are counted here, in a lock, as the
//! kernel does; the sockets are there because a stream has to be one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use loom::sync::Mutex;
use loom::thread;
use winddown::testing::ManualClock;
use winddown::{Acceptor, Budget, Connection, Incoming, Listener, Next, Shutdown};

use crate::bell::Bell;
use crate::explore::explore;

/// "Too many open files", by its number on every Unix.
const EMFILE: i32 = 24;

/// How many are free.
#[derive(Clone, Debug)]
struct Descriptors(Arc<Mutex<usize>>);

/// Free when dropped.
#[derive(Debug)]
struct Stream(UnixStream, Descriptors);

impl Drop for Stream {
    fn drop(&mut self) {
        *self.1.0.lock().unwrap() += 1;
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Somebody is always there.
struct Crowd(UnixStream, Descriptors);

impl AsFd for Crowd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener for Crowd {
    type Stream = Stream;
    type Address = ();

    fn accept_one(&self) -> io::Result<Stream> {
        let mut free = self.1.0.lock().unwrap();
        *free = free.checked_sub(1).ok_or(io::Error::from_raw_os_error(EMFILE))?;
        Ok(Stream(UnixStream::pair()?.0, self.1.clone()))
    }

    fn never_block(&self) -> io::Result<()> {
        Ok(())
    }

    fn address(&self) -> String {
        "a crowd".to_owned()
    }

    fn bound_to(&self) -> io::Result<()> {
        Ok(())
    }

    fn shut_the_door(&self) -> io::Result<Duration> {
        Ok(Duration::ZERO)
    }

    fn member(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

/// A program that has all its descriptors in use, for so many connections.
fn starving<const OPEN: usize>() -> (Incoming<Crowd>, [Connection<Stream>; OPEN]) {
    let shutdown = Shutdown::builder().budget(Budget::default()).manual_clock(&ManualClock::new()).build().unwrap();
    let descriptors = Descriptors(Arc::new(Mutex::new(OPEN)));
    let crowd = Crowd(UnixStream::pair().unwrap().0, descriptors);
    let mut incoming = Acceptor::new(crowd, &shutdown).unwrap().incoming();
    let open = [(); OPEN].map(|()| incoming.next().unwrap().unwrap());
    (incoming, open)
}

/// P4: who waits for a descriptor while one comes free. (Nothing times out here: the 100 ms of A8 are no help.)
#[test]
fn a_thread_that_starves_against_a_close() {
    explore(Some(2), || {
        let (mut incoming, [connection]) = starving();
        let other = thread::spawn(move || drop(connection));
        assert!(incoming.next().unwrap().is_ok());
        other.join().unwrap();
    });
}

/// P4: an event loop that does, while two come free.
#[test]
fn a_loop_that_starves_against_two_who_close() {
    explore(Some(2), || {
        let (mut incoming, [one, two]) = starving();
        let others = [one, two].map(|connection| thread::spawn(move || drop(connection)));
        let bell = Bell::new();
        let mut accepted = Vec::new();
        while accepted.len() < 2 {
            match incoming.try_next(&bell.clone().into()) {
                Next::Item(item) => accepted.push(item.unwrap()),
                Next::Starving(_) => bell.wait(),
                other => panic!("{other:?}"),
            }
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

/// P4: the same where the connection goes before the work on it, which keeps the stream open.
#[test]
fn a_thread_that_starves_against_the_end_of_the_work() {
    explore(Some(2), || {
        let (mut incoming, [connection]) = starving();
        let busy = connection.busy_owned().unwrap();
        let other = thread::spawn(move || {
            drop(connection);
            drop(busy);
        });
        assert!(incoming.next().unwrap().is_ok());
        other.join().unwrap();
    });
}

//! The race for connections: requests that have arrived, against the linger's end and the drain's. The linger is 0 and the clock
//! stands still, so nothing is ended because time has passed: a request that is not served, or a connection that is waited for
//! in vain, is a bug.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Waker};
use std::time::Duration;

use arbitrary::Arbitrary;
use winddown::testing::{ManualClock, assert_clean};
use winddown::{Budget, Connection, Milestone, Reason, Shutdown, Stage, Token};

use crate::thread;
use crate::whole::block_on;

#[derive(Arbitrary, Debug)]
pub(super) struct Program {
    first: Client,
    second: Option<Client>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Client {
    request: Request,
    /// Its guards leave the scope.
    owned: bool,
    /// Its owner ends the connection itself.
    ends_itself: bool,
    /// Its thread waits so long before it goes on: a scheduler seldom lets a thread stand still for the length of a drain.
    after: After,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum After {
    Nothing,
    Refusal,
    /// Where nothing was sent: else nobody is told of it.
    Linger,
}

/// A request when the program is asked to stop.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// It is in the socket, and no thread has read any of it.
    Arrived,
    /// The same, while an earlier one is at work.
    Next,
    /// Half of it was read.
    BeingRead,
    /// It has not arrived when the linger is over. It is refused, or waited for.
    Late,
    /// The connection itself comes at the refusal, and sends nothing.
    New,
}

pub(super) fn run(program: &Program) {
    let closing = Arc::new(AtomicBool::new(false));
    let theirs = closing.clone();
    let shutdown = Shutdown::builder()
        .budget(Budget::new(Duration::from_secs(30)).linger(Duration::ZERO))
        .manual_clock(&ManualClock::new())
        .stage(Stage::new("closing").hook(move || theirs.store(true, SeqCst)))
        .build()
        .expect("a plan that fits");
    let clients = [Some(program.first), program.second].into_iter().flatten();
    let served: Vec<_> = clients.map(|client| client.connect(&shutdown, &closing)).collect();
    shutdown.trigger(Reason::Requested);
    let report = shutdown.run().report;
    for served in served {
        served.join().expect("it is served");
    }
    assert_clean(&report);
    assert_eq!((report.unserved.lost, report.unserved.incomplete), (0, 0), "{report}");
}

impl Client {
    /// A connection that is known to the wind-down when this returns, and the thread that serves it.
    fn connect(self, shutdown: &Shutdown, closing: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
        let (ours, theirs) = UnixStream::pair().expect("two descriptors");
        let served = Served {
            client: self,
            refusing: shutdown.token_at(Milestone::Refusing),
            closing: closing.clone(),
            peer: theirs,
        };
        if self.request == Request::New {
            // It keeps the drain waiting until it has heard of the linger's end.
            let (pass, shutdown) = (shutdown.enter_owned().expect("running"), shutdown.clone());
            return thread::spawn(move || {
                shutdown.token_at(Milestone::Refusing).wait();
                let connection = Connection::new(ours, &shutdown);
                block_on(poll_fn(|context| connection.poll_lingered(context)));
                drop((served, connection, pass));
            });
        }
        let connection = Connection::new(ours, shutdown);
        if self.ends_itself {
            let _ = connection.poll_lingered(&Context::from_waker(Waker::noop()));
        }
        match self.request {
            Request::Next => {
                served.send();
                served.send();
                let busy = connection.busy_owned().expect("running");
                receive(&connection);
                thread::spawn(move || {
                    served.wait(&connection);
                    drop(busy);
                    served.serve(&connection);
                })
            }
            Request::BeingRead => {
                let receiving = connection.receiving_owned().expect("never refused");
                thread::spawn(move || {
                    served.wait(&connection);
                    served.send();
                    let busy = receiving.busy().expect("P3: half of the request was read, and it was refused");
                    served.work(&connection);
                    drop(busy);
                })
            }
            Request::Arrived | Request::Late | Request::New => {
                if self.request == Request::Arrived {
                    served.send();
                }
                thread::spawn(move || {
                    served.wait(&connection);
                    served.serve(&connection);
                })
            }
        }
    }
}

/// A connection's thread.
struct Served {
    client: Client,
    refusing: Token,
    closing: Arc<AtomicBool>,
    peer: UnixStream,
}

impl Served {
    fn wait(&self, connection: &Connection<UnixStream>) {
        match (self.client.after, self.client.request) {
            (After::Nothing, _) => {}
            (After::Linger, Request::Late) => block_on(poll_fn(|context| connection.poll_lingered(context))),
            _ => self.refusing.wait(),
        }
    }

    /// A request of one byte.
    fn send(&self) {
        (&self.peer).write_all(b"r").expect("the buffer has room");
    }

    /// Serves one request, by a guard of either kind.
    fn serve(&self, connection: &Connection<UnixStream>) {
        let refused = if self.client.owned {
            connection.busy_owned().map(|_busy| self.work(connection)).is_err()
        } else {
            connection.busy().map(|_busy| self.work(connection)).is_err()
        };
        assert!(!refused || self.client.request == Request::Late, "P3: the request had arrived, and was refused");
    }

    fn work(&self, connection: &Connection<UnixStream>) {
        // Of a late one, which may have been shut down for reading, only the guard is of interest.
        if self.client.request != Request::Late {
            receive(connection);
        }
        assert!(!self.closing.load(SeqCst), "P3: a stage has begun with a request at work");
    }
}

fn receive(connection: &Connection<UnixStream>) {
    connection.stream().read_exact(&mut [0]).expect("it was sent");
}

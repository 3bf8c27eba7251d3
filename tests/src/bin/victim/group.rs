//! Drains of a listener in an `SO_REUSEPORT` group, in a network namespace of its own: `group MEMBERS MIGRATES DRAINS`. It prints
//! how the clients fared that connect all the time.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use winddown::{Acceptor, Budget, Connection, Milestone, Outcome, Reason, Shutdown};
use winddown_tests::sys;

use crate::Anything;

/// How the exchanges of all clients ended.
#[derive(Debug, Default)]
struct Exchanges {
    answered: AtomicUsize,
    refused: AtomicUsize,
    reset: AtomicUsize,
    /// Those that took longer than 0.8 s: the client's SYN was dropped, and sent again after a second.
    slow: AtomicUsize,
}

/// Runs the drains that the options name. MEMBERS: `own` (two listeners of this wind-down), `foreign` (one of it, and one that
/// goes on), `stuck` (the same, and the loop of the first accepts nobody before the linger is over) or `sole`.
pub(crate) fn group(options: &[String]) -> Result<ExitCode, Anything> {
    let [members, migrates, drains] = options else { return Err("it takes MEMBERS MIGRATES DRAINS".into()) };
    sys::bring_up_loopback()?;
    fs::write("/proc/sys/net/ipv4/tcp_migrate_req", migrates)?;
    let exchanges = Exchanges::default();
    let mut unclean = 0;
    for _ in 0..drains.parse()? {
        unclean += usize::from(drain(members, &exchanges)? != Outcome::Clean);
    }
    println!("{exchanges:?}, {unclean} drains that were not clean");
    Ok(ExitCode::SUCCESS)
}

fn drain(members: &str, exchanges: &Exchanges) -> io::Result<Outcome> {
    let shutdown: Shutdown =
        Shutdown::builder().budget(Budget::new(Duration::from_secs(5))).build().map_err(io::Error::other)?;
    let first = bind(0)?;
    let address = first.local_addr()?;
    let second = if members == "sole" { None } else { Some(bind(address.port())?) };
    let (over, closing) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let serve = |listener| -> io::Result<_> {
            let incoming = Acceptor::new(listener, &shutdown)?.incoming();
            let (idle, peer) = UnixStream::pair()?;
            let idle = Connection::new(idle, &shutdown);
            let (stuck, token) = (members == "stuck", shutdown.token_at(Milestone::Refusing));
            Ok(scope.spawn(move || {
                let mut incoming = incoming;
                if stuck {
                    // It serves until the wind-down begins.
                    while let Some(Ok(connection)) = incoming.next() {
                        answer(&connection);
                        if token.should_stop() {
                            break;
                        }
                    }
                    // An idle connection is ended when the linger is over.
                    let _ = idle.stream().read(&mut [0]);
                }
                incoming.flatten().for_each(|connection| answer(&connection));
                drop(peer);
            }))
        };
        let mut ours = vec![serve(first)?];
        let foreign = match second {
            Some(second) if members == "own" => {
                ours.push(serve(second)?);
                None
            }
            other => other,
        };
        if let Some(foreign) = foreign {
            let closing = &closing;
            scope.spawn(move || {
                while let Ok((stream, _)) = foreign.accept() {
                    if closing.load(Ordering::SeqCst) {
                        break;
                    }
                    answer(&stream);
                }
            });
        }
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        exchange(address, exchanges);
                    }
                })
            })
            .collect();
        await_more(&exchanges.answered, 200);
        shutdown.trigger(Reason::Requested);
        let exit = shutdown.run();
        for thread in ours {
            thread.join().expect("no accept loop panics");
        }
        // They go on to meet what is left.
        await_more(if ["own", "sole"].contains(&members) { &exchanges.refused } else { &exchanges.answered }, 1);
        over.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().expect("no client panics");
        }
        closing.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(address);
        Ok(exit.report.outcome)
    })
}

/// Waits until a counter is so much greater.
fn await_more(counter: &AtomicUsize, more: usize) {
    let enough = counter.load(Ordering::SeqCst) + more;
    while counter.load(Ordering::SeqCst) < enough {
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn bind(port: u16) -> io::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    sys::listen_in_group(address, 1024)
}

fn answer(mut stream: impl Read + Write) {
    if stream.read_exact(&mut [0]).is_ok() {
        let _ = stream.write_all(b"a");
    }
}

fn exchange(address: SocketAddr, exchanges: &Exchanges) {
    let began = Instant::now();
    let result = TcpStream::connect_timeout(&address, Duration::from_secs(4)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(4)))?;
        stream.write_all(b"q")?;
        stream.read_exact(&mut [0])
    });
    let counter = match result {
        Ok(()) => &exchanges.answered,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => &exchanges.refused,
        Err(_) => &exchanges.reset,
    };
    counter.fetch_add(1, Ordering::SeqCst);
    exchanges.slow.fetch_add(usize::from(began.elapsed() > Duration::from_millis(800)), Ordering::SeqCst);
}

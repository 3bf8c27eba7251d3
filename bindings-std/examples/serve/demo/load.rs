//! The clients, shared out among a few threads, each of which polls its share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::client::Client;
use super::script::{CROWD, RUSHING, Role};
use super::tried::Tried;

/// For the crowd.
const THREADS: usize = 4;
/// More, for those in a rush.
const RUSH_THREADS: usize = 4;
/// The connections are opened over this time.
const ARRIVAL: u64 = 500;

/// How often a thread looks whether it is to rush or to stop, if nothing else happens.
const TICK: Duration = Duration::from_millis(10);

/// A running load.
pub(super) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<Tried>>>,
}

/// Relaxed throughout: these are wishes and figures.
struct Shared {
    address: SocketAddr,
    rush: AtomicBool,
    stop: AtomicBool,
    answered: AtomicUsize,
}

impl Load {
    pub(super) fn start(address: SocketAddr) -> io::Result<Self> {
        let (rush, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { address, rush, stop, answered: AtomicUsize::new(0) });
        let crowd = (0..THREADS).map(|share| (share..CROWD).step_by(THREADS));
        let rush = (0..RUSH_THREADS).map(|share| (CROWD + share..CROWD + RUSHING).step_by(RUSH_THREADS));
        let threads = crowd.chain(rush).map(|numbers| {
            let shared = shared.clone();
            thread::Builder::new().name("clients".into()).spawn(move || run(numbers, &shared))
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, shared })
    }

    pub(super) fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Whether to open connections without a pause.
    pub(super) fn rush(&self, rush: bool) {
        self.shared.rush.store(rush, Ordering::Relaxed);
    }

    /// Begins nothing new, waits for what is on its way, and returns all that was tried, by thread.
    pub(super) fn stop(self) -> Vec<Vec<Tried>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().expect("clients do not panic")).collect()
    }
}

fn run(numbers: impl Iterator<Item = usize>, shared: &Shared) -> Vec<Tried> {
    let began = Instant::now();
    let arrival = |number: usize| began + Duration::from_millis(number as u64 * ARRIVAL / CROWD as u64);
    let mut clients: Vec<_> = numbers.map(|number| Client::new(number, arrival(number))).collect();
    let mut tries = Vec::new();
    loop {
        let now = Instant::now();
        let stopping = shared.stop.load(Ordering::Relaxed);
        let rush = shared.rush.load(Ordering::Relaxed);
        for client in &mut clients {
            if stopping {
                client.give_up_connecting(&mut tries, now);
            } else if client.wake <= now && (rush || client.role() != Role::Rusher) {
                client.begin(&mut tries, shared.address, now);
            }
            client.lose_patience(&mut tries, now);
        }
        if stopping && clients.iter().all(Client::is_done) {
            return tries;
        }
        for (index, flags) in wait(&clients, now) {
            let client = &mut clients[index];
            client.ready(&mut tries, flags, Instant::now());
            shared.answered.fetch_add(std::mem::take(&mut client.answered), Ordering::Relaxed);
        }
    }
}

/// Until a socket is ready or somebody's time has come: which clients, and what for.
fn wait(clients: &[Client], now: Instant) -> Vec<(usize, PollFlags)> {
    let mut waiting = Vec::with_capacity(clients.len());
    let mut wake = now + TICK;
    for (index, client) in clients.iter().enumerate() {
        match client.interest(now) {
            Some((stream, flags)) => waiting.push((index, PollFd::new(stream, flags))),
            None if client.wake > now => wake = wake.min(client.wake),
            None => {}
        }
    }
    let (indices, mut polled): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    let timeout = wake.duration_since(now).try_into().expect("20 ms is not too long");
    // A failure is for a signal or want of memory: look again.
    let _ = poll(&mut polled, Some(&timeout));
    let ready = indices.into_iter().zip(polled.iter().map(PollFd::revents));
    ready.filter(|(_, flags)| !flags.is_empty()).collect()
}

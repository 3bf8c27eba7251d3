//! Shutdowns that are built and dropped while running. In each, one part owns a token: a reference cycle, unless the drop of the last
//! handle breaks it.

use std::fs;
use std::future::pending;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Wake, Waker};
use std::thread;

use winddown::{Connection, Notice, Shutdown, Stage, Token};
use winddown_tests::sys::{Counting, signals};

use crate::Anything;

/// How many bytes more than after the first hundred rounds may be held.
const SLACK: usize = 4096;

/// The parts by their names. Each function builds and drops one shutdown.
const KINDS: [(&str, fn()); 10] = [
    ("hook", || own(|shutdown, token| shutdown.hook("close", move || drop(token)).expect("it is there"))),
    ("async hook", || {
        own(|shutdown, token| shutdown.async_hook("close", async move { drop(token) }).expect("it is there"));
    }),
    ("kicker", || own(|shutdown, token| shutdown.kicker(move || drop(token)).keep())),
    ("last-call kicker", || own(|shutdown, token| shutdown.kicker_at_last_call(move || drop(token)).keep())),
    ("goodbye", || {
        own(|shutdown, token| {
            let (ours, _theirs) = UnixStream::pair().expect("a pair");
            let connection = Connection::new(ours, shutdown);
            drop(connection.upgrade(move |_| drop(token)));
        });
    }),
    ("waker", || {
        own(|_, token| {
            let futures = [token.cancelled(), token.child().cancelled()];
            let waker = Waker::from(Arc::new(Owns(token)));
            futures.map(|mut future| {
                assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
                future
            })
        });
    }),
    ("task", || own(|_, token| detach(token.cancelled()))),
    ("tracked task", || {
        own(|shutdown, token| {
            let future = async move {
                pending::<()>().await;
                drop(token);
            };
            detach(shutdown.work().label("task").track(future).expect("running"));
        });
    }),
    ("observer", observer),
    ("signals", signals_behind_a_handler),
];

/// What is returned is dropped after the last handle.
fn own<T>(what: impl FnOnce(&Shutdown, Token) -> T) {
    let shutdown = Shutdown::builder().stage(Stage::new("close")).build().expect("a shutdown");
    let token = shutdown.token();
    let kept = what(&shutdown, token);
    drop(shutdown);
    drop(kept);
}

/// An observer has no token before there is a shutdown.
fn observer() {
    let place = Arc::new(Mutex::new(None::<Token>));
    let theirs = place.clone();
    let observer = move |_: &Notice| drop(theirs.lock().expect("no panic").take());
    let shutdown = Shutdown::builder().observer(observer).build().expect("a shutdown");
    *place.lock().expect("no panic") = Some(shutdown.token());
}

/// Other code has replaced the library's handler of the first round.
fn signals_behind_a_handler() {
    static FIRST: Once = Once::new();
    let build = || Shutdown::builder().signal(libc::SIGUSR1).build().expect("a shutdown");
    FIRST.call_once(|| {
        drop(build());
        signals::handle(libc::SIGUSR1).expect("it can be handled");
    });
    drop(build());
}

/// A waker that does nothing.
struct Owns(#[expect(dead_code, reason = "it is owned")] Token);

impl Wake for Owns {
    fn wake(self: Arc<Self>) {}
}

/// A detached task: only its waker keeps it alive.
struct Task<F>(Mutex<Option<F>>);

impl<F: Future + Unpin + Send + 'static> Wake for Task<F> {
    fn wake(self: Arc<Self>) {
        poll(&self);
    }
}

fn poll<F: Future + Unpin + Send + 'static>(task: &Arc<Task<F>>) {
    let waker = Waker::from(task.clone());
    let mut future = task.0.lock().expect("no panic");
    if let Some(running) = &mut *future
        && Pin::new(running).poll(&mut Context::from_waker(&waker)).is_ready()
    {
        *future = None;
    }
}

fn detach<F: Future + Unpin + Send + 'static>(future: F) {
    poll(&Arc::new(Task(Mutex::new(Some(future)))));
}

/// `leaks ROUNDS [KIND]`.
pub(crate) fn run(options: &[String]) -> Result<ExitCode, Anything> {
    let rounds: usize = options.first().ok_or("how many rounds?")?.parse()?;
    let kind = options.get(1);
    println!("| owned by | bytes held after 100 | after {rounds} |\n|---|--:|--:|");
    let mut leaks = false;
    for (name, one) in KINDS.into_iter().filter(|(name, _)| kind.is_none_or(|kind| kind == name)) {
        let before = held_after(100, one)?;
        let after = held_after(rounds.saturating_sub(100), one)?;
        println!("| {name} | {before} | {after} |");
        leaks |= after > before + SLACK;
    }
    println!("{}", if leaks { "leaks" } else { "leaks nothing" });
    Ok(ExitCode::from(u8::from(leaks)))
}

/// Returns how many bytes are held after so many rounds more, when every thread but this one has ended.
fn held_after(rounds: usize, one: fn()) -> Result<usize, Anything> {
    let is_alone = || fs::read_dir("/proc/self/task").map(|tasks| tasks.count() == 1);
    for round in 0..rounds {
        one();
        // Not too many drivers at a time.
        if round % 64 == 63 {
            while !is_alone()? {
                thread::yield_now();
            }
        }
    }
    while !is_alone()? {
        thread::yield_now();
    }
    Ok(Counting::bytes())
}

//! A program that can start no thread any more when it is told to stop.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::pin::pin;
use std::process::{self, ExitCode, Termination};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use winddown::{Acceptor, Budget, Shutdown, Stage};
use winddown_tests::{lines, sys};

use crate::Anything;

struct Says(&'static str);

impl Wake for Says {
    fn wake(self: Arc<Self>) {
        println!("{}", self.0);
    }
}

/// `nproc` and `as` say how the process limits itself; without either, its parent limits it before it says a line. `stuck` adds a stage
/// that hangs.
pub(crate) fn run(options: &[String]) -> Result<ExitCode, Anything> {
    let has = |name: &str| options.iter().any(|option| option == name);
    let says = |what: &'static str| move || println!("{what}");
    let mut builder = Shutdown::builder()
        .budget(Budget::new(Duration::from_secs(12)))
        .signals()
        .stage(Stage::new("lease").hook(says("lease released")));
    if has("stuck") {
        let hang = || -> () {
            loop {
                thread::park();
            }
        };
        builder = builder.stage(Stage::new("stuck").limit(Duration::from_millis(100)).hook(hang));
    }
    let shutdown = builder
        .stage(Stage::new("flush").async_hook(async {
            // Ready when it has been woken once.
            let mut is_first = true;
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            println!("flushed");
        }))
        .stage(Stage::new("workers").hook(says("hook 1")).hook(says("hook 2")).hook(says("hook 3")))
        .build()?;
    // A worker that only a kicker reaches.
    let (job, jobs) = mpsc::channel::<()>();
    let pass = shutdown.work().label("worker").enter_owned()?;
    thread::spawn(move || {
        let _ = jobs.recv();
        drop(pass);
        // A new thread would take its stack.
        park();
    });
    let kicked = move || {
        println!("kicked");
        drop(job);
    };
    let _kickers = (shutdown.kicker(kicked), shutdown.kicker_at_refusal(says("kicked at the refusal")));
    let mut cancelled = pin!(shutdown.token().cancelled());
    let waker = Waker::from(Arc::new(Says("woken")));
    assert!(cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    // A server of one client at a time; others wait in its queue. Not of TCP: some kernels refuse a filter to users other than root.
    let name = format!("winddown-threadless-{}", process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    println!("at {name}");
    let acceptor = Acceptor::new(listener, &shutdown)?;
    thread::spawn(move || {
        for connection in acceptor.incoming().map_while(Result::ok) {
            lines::serve(&connection);
        }
        park();
    });
    io::stdin().read_line(&mut String::new())?;
    if has("nproc") {
        sys::no_more_threads()?;
    } else if has("as") {
        sys::no_more_memory(1 << 20)?;
    }
    println!("threads: {}", if thread::Builder::new().spawn(|| ()).is_ok() { "available" } else { "none" });
    let exit = shutdown.run();
    println!("{}\n{:?}", exit.report, exit.report.notes);
    Ok(Termination::report(exit))
}

fn park() {
    loop {
        thread::park();
    }
}

//! Programs that fork after `build()`: what the child's wind-down does to the parent, and to what is the child's own. Not here: a
//! parent under load (`forked_at`).

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use winddown::{Acceptor, Budget, Connection, Listener, Reason, Shutdown, UnixSocket};
use winddown_tests::lines::serve_all;
use winddown_tests::steps::ms;
use winddown_tests::sys;

use crate::Anything;

/// A listener that counts how often its loop has looked for a client.
pub(crate) struct Counted(pub(crate) TcpListener);

static LOOKS: AtomicUsize = AtomicUsize::new(0);
static ACCEPTED: AtomicUsize = AtomicUsize::new(0);

/// How often this process has looked for a client, and how many it has found.
pub(crate) fn looks() -> (usize, usize) {
    (LOOKS.load(Ordering::SeqCst), ACCEPTED.load(Ordering::SeqCst))
}

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener for Counted {
    type Stream = TcpStream;
    type Address = SocketAddr;

    fn accept_one(&self) -> std::io::Result<TcpStream> {
        LOOKS.fetch_add(1, Ordering::SeqCst);
        let accepted = self.0.accept_one()?;
        ACCEPTED.fetch_add(1, Ordering::SeqCst);
        Ok(accepted)
    }

    fn never_block(&self) -> std::io::Result<()> {
        self.0.never_block()
    }

    fn bound_to(&self) -> std::io::Result<SocketAddr> {
        self.0.bound_to()
    }

    fn address(&self) -> String {
        self.0.address()
    }

    fn shut_the_door(&self) -> std::io::Result<Duration> {
        self.0.shut_the_door()
    }

    fn member(&self) -> std::io::Result<Option<u64>> {
        self.0.member()
    }
}

/// Forks, and runs `child` in the child, whose exit code it returns here.
pub(crate) fn in_child(child: impl FnOnce() -> Result<u8, Anything>) -> Result<i32, Anything> {
    // SAFETY: the threads that these programs have sleep, without a lock. (Those of `forked_at` do not: it says more.) The alarm is set.
    #[expect(unsafe_code, reason = "a fork is what is tested")]
    let pid = unsafe { sys::fork() }?;
    if pid == 0 {
        sys::alarm(60);
        let code = child().unwrap_or_else(|error| {
            eprintln!("child: {error}");
            99
        });
        sys::exit_now(code);
    }
    Ok(sys::wait_for(pid)?)
}

/// Parent and child each have an accept loop on the same listener. The child winds down to the end of its own.
pub(crate) fn accepting() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().budget(Budget::new(ms(5_000))).build()?;
    let acceptor = Acceptor::new(Counted(TcpListener::bind("127.0.0.1:0")?), &shutdown)?;
    let address = acceptor.local_addr()?;
    let mut acceptor = Some(acceptor);
    let code = in_child(|| {
        let incoming = acceptor.take().expect("not taken").incoming();
        let accept = thread::spawn(move || incoming.count());
        // It waits for clients, or is about to.
        while looks().0 == 0 {
            thread::yield_now();
        }
        shutdown.trigger(Reason::Requested);
        let exit = shutdown.run();
        accept.join().expect("no panic");
        Ok(exit.code())
    })?;
    assert_eq!(code, 0, "the child's loop ended with its wind-down");
    let acceptor = acceptor.take().expect("the child's is another");
    thread::spawn(move || serve_all(acceptor));
    for _ in 0..100 {
        TcpStream::connect(address)?;
    }
    let before = sys::processor_time();
    thread::sleep(Duration::from_secs(1));
    let (spent, (looks, accepted)) = (sys::processor_time().saturating_sub(before), looks());
    println!("{spent:?}, {looks} looks for {accepted} clients");
    assert!(spent < ms(100), "the parent's loop spins: {spent:?} of a second");
    assert_eq!(accepted, 100);
    assert!(looks <= 2 * accepted + 2, "the parent's loop was woken for nothing: {looks} looks for {accepted} clients");
    shutdown.trigger(Reason::Requested);
    Ok(shutdown.run().code().into())
}

/// Parent and child both are process 1, each in its PID namespace. Wants to be process 1 itself.
pub(crate) fn with_the_same_id() -> Result<ExitCode, Anything> {
    assert_eq!(process::id(), 1);
    let path = std::env::temp_dir().join("winddown-forked-with-the-same-id");
    let _ = fs::remove_file(&path);
    let shutdown = Shutdown::builder().budget(Budget::new(ms(3_000))).signals().build()?;
    let acceptor = Acceptor::new(UnixSocket::bind(&path)?, &shutdown)?;
    let told = shutdown.token().descriptor()?;
    let mut owned = Some(acceptor);
    sys::leave_process_ids()?;
    let code = in_child(|| {
        assert_eq!(process::id(), 1);
        shutdown.trigger(Reason::Requested);
        drop(owned.take());
        Ok(shutdown.run().code())
    })?;
    assert_eq!(code, 0);
    assert!(path.exists(), "the child removed the parent's socket file");
    assert!(!is_readable(&told)?, "the child told the parent's descriptor");
    UnixStream::connect(&path)?;
    drop(owned);
    assert!(!path.exists());
    Ok(ExitCode::SUCCESS)
}

/// A child that only one of the two ways to notice a fork notices: `clone`, which runs no handler, or `handler`, where the kernel
/// empties no page.
pub(crate) fn undetected(options: &[String]) -> Result<ExitCode, Anything> {
    if options == ["handler"] {
        sys::refuse_madvise()?;
    }
    let shutdown = Shutdown::builder().budget(Budget::new(ms(3_000))).build()?;
    // SAFETY: the only other thread is the driver's, which sleeps without a lock.
    #[expect(unsafe_code, reason = "a fork is what is tested")]
    let pid = unsafe { if options == ["handler"] { sys::fork() } else { sys::fork_without_handlers() } }?;
    if pid == 0 {
        sys::alarm(20);
        shutdown.trigger(Reason::Requested);
        let code = shutdown.run().code();
        // A child of the child is a third process.
        let grandchild = in_child(|| Ok(u8::from(Shutdown::builder().build().is_err())))?;
        process::exit(i32::from(code) + grandchild);
    }
    assert_eq!(sys::wait_for(pid)?, 0);
    assert!(shutdown.reason().is_none());
    Ok(ExitCode::SUCCESS)
}

/// The child has a connection and a socket file of its own, which its wind-down ends, and copies of its parent's.
pub(crate) fn serving() -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().budget(Budget::new(ms(5_000)).linger(ms(50)).drain(ms(300))).build()?;
    let (parents, mut peer) = UnixStream::pair()?;
    let parents = Connection::new(parents, &shutdown);
    // What it says goodbye with, and the lingering close, are the parent's to do.
    let upgraded = parents.upgrade(|mut stream| drop(stream.write_all(b"goodbye")))?;
    let mut answered = Some(parents.busy_owned()?);
    let code = in_child(|| {
        let path = std::env::temp_dir().join(format!("winddown-forked-serving-{}", process::id()));
        let acceptor = Acceptor::new(UnixSocket::bind(&path)?, &shutdown)?;
        thread::spawn(move || serve_all(acceptor));
        let (own, _peer) = UnixStream::pair()?;
        let own = Connection::new(own, &shutdown);
        let idle = thread::spawn(move || own.stream().read(&mut [0]));
        answered.take().expect("not taken").lingering_close(ms(50))?;
        shutdown.trigger(Reason::Requested);
        let exit = shutdown.run();
        // The linger ended it.
        assert_eq!(idle.join().expect("no panic")?, 0);
        assert!(!path.exists());
        // What the parent's other guard has, the child waited for in vain.
        Ok(exit.code())
    })?;
    assert_eq!(code, 11, "the parent's upgraded connection is late in the child");
    peer.set_nonblocking(true)?;
    let untouched = peer.read(&mut [0]).expect_err("nothing to read, nor an end");
    assert_eq!(untouched.kind(), ErrorKind::WouldBlock);
    peer.write_all(b"?")?;
    assert_eq!(parents.stream().read(&mut [0])?, 1);
    drop(upgraded);
    drop(answered);
    shutdown.trigger(Reason::Requested);
    Ok(shutdown.run().code().into())
}

/// Whether a descriptor has something to read.
pub(crate) fn is_readable(descriptor: &impl AsFd) -> Result<bool, Anything> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    Ok(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}

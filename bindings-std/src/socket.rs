//! What listeners have in common, TCP and Unix: accepting, and shutting the door. Not here: when that is done (`listener`).

use std::fmt;
use std::io;
use std::net::Shutdown as Half;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::time::Duration;

use rustix::io::Errno;
use socket2::SockRef;

use crate::UnixSocket;
use crate::reuse_port;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::sockopt;
use crate::stream::Stream;
use crate::sync::Arc;

/// A listener that an [`Acceptor`](crate::Acceptor) can wrap: [`TcpListener`], `UnixListener` and [`UnixSocket`]. Not to be
/// implemented elsewhere: its methods are not part of the public interface.
pub trait Listener: AsFd + Send + Sync + 'static {
    /// What it accepts.
    type Stream: Stream;
    /// What it is bound to.
    type Address: fmt::Debug;
    #[doc(hidden)]
    fn accept_one(&self) -> io::Result<Self::Stream>;
    #[doc(hidden)]
    fn never_block(&self) -> io::Result<()>;
    #[doc(hidden)]
    fn bound_to(&self) -> io::Result<Self::Address>;
    #[doc(hidden)]
    fn address(&self) -> String;
    /// Keeps newcomers out and those in the queue in. Returns how long clients that have connected may still take to come into
    /// the queue, beside a round trip.
    #[doc(hidden)]
    fn shut_the_door(&self) -> io::Result<Duration>;
    /// The socket's number, if it may be in a group.
    #[doc(hidden)]
    fn member(&self) -> io::Result<Option<u64>>;
}

/// This system has no way to shut a door.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// An error of `accept(2)`, by what to do about it.
pub(crate) enum AcceptError {
    /// The queue is empty.
    Empty,
    /// This client is gone; the next may be there.
    Next,
    /// Descriptors or memory are short, or something else that passes.
    Shortage,
    /// The listener itself is out of order, or shut down.
    Broken,
}

impl AcceptError {
    pub(crate) fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::AGAIN) => Self::Empty,
            Some(Errno::INTR | Errno::CONNABORTED) => Self::Next,
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP | Errno::FAULT) => Self::Broken,
            // EMFILE and its kin (A8), and whatever else there is that may pass: errors of the network, of a policy.
            _ => Self::Shortage,
        }
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Address = SocketAddr;

    fn accept_one(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept()?;
        block(&stream);
        Ok(stream)
    }

    fn never_block(&self) -> io::Result<()> {
        self.set_nonblocking(true)
    }

    fn bound_to(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn address(&self) -> String {
        self.local_addr().map_or_else(|_| "a TCP listener".to_owned(), |address| address.to_string())
    }

    fn member(&self) -> io::Result<Option<u64>> {
        if cfg!(target_os = "linux") { reuse_port::member(self) } else { Ok(None) }
    }

    /// A classic BPF program on the listening socket that drops segments with SYN set (A5). Handshakes under way
    /// complete; a new one is silence, and its retry finds the port closed.
    ///
    /// A client of a listener with `TCP_DEFER_ACCEPT` is not in the queue before it has sent something, and would be reset. So
    /// that option is switched off: the kernel then repeats its part of such a handshake a second after the first (measured:
    /// all of 20 clients in the queue 1.02 s after they had connected), and the client's answer completes it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn shut_the_door(&self) -> io::Result<Duration> {
        const FLAGS: u32 = 13;
        const SYN: u32 = 0x02;
        const REPEATED: Duration = Duration::from_millis(1_100);
        let socket = SockRef::from(self);
        if socket.protocol()? != Some(socket2::Protocol::TCP) {
            // A filter on a socket of MPTCP's sees nothing.
            return Err(io::Error::other("a filter works on TCP only"));
        }
        let [load, jump, answer] = [
            libc::BPF_LD | libc::BPF_B | libc::BPF_ABS,
            libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K,
            libc::BPF_RET | libc::BPF_K,
        ]
        .map(|code| u16::try_from(code).expect("codes have 16 bits"));
        let step = socket2::SockFilter::new;
        // Load the flags; SYN: keep 0 bytes of the segment; else: keep all.
        let program =
            [step(load, 0, 0, FLAGS), step(jump, 0, 1, SYN), step(answer, 0, 0, 0), step(answer, 0, 0, u32::MAX)];
        let defers = sockopt::tcp_option(self, libc::TCP_DEFER_ACCEPT)? != [0];
        socket.attach_filter(&program)?;
        if !defers {
            return Ok(Duration::ZERO);
        }
        // If this fails, clients that send something come into the queue all the same.
        let _ = sockopt::set_tcp_option(self, libc::TCP_DEFER_ACCEPT, 0);
        Ok(REPEATED)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn shut_the_door(&self) -> io::Result<Duration> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Address = UnixAddr;

    fn accept_one(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.accept()?;
        block(&stream);
        Ok(stream)
    }

    fn never_block(&self) -> io::Result<()> {
        self.set_nonblocking(true)
    }

    fn bound_to(&self) -> io::Result<UnixAddr> {
        self.local_addr()
    }

    fn member(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn address(&self) -> String {
        let path = self.local_addr().ok().and_then(|address| Some(address.as_pathname()?.display().to_string()));
        path.unwrap_or_else(|| "a Unix listener".to_owned())
    }

    /// New connects are refused, and everything queued is still served (A7, measured on Linux only).
    fn shut_the_door(&self) -> io::Result<Duration> {
        if cfg!(not(any(target_os = "linux", target_os = "android"))) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        SockRef::from(self).shutdown(Half::Read).map(|()| Duration::ZERO)
    }
}

impl Listener for UnixSocket {
    type Stream = UnixStream;
    type Address = UnixAddr;

    fn accept_one(&self) -> io::Result<Self::Stream> {
        self.listener().accept_one()
    }

    fn never_block(&self) -> io::Result<()> {
        self.listener().never_block()
    }

    fn bound_to(&self) -> io::Result<Self::Address> {
        self.listener().bound_to()
    }

    fn address(&self) -> String {
        self.listener().address()
    }

    fn shut_the_door(&self) -> io::Result<Duration> {
        self.listener().shut_the_door()
    }

    fn member(&self) -> io::Result<Option<u64>> {
        self.listener().member()
    }
}

/// For two who share a listener, as an event loop and its acceptor do.
impl<L: Listener> Listener for Arc<L> {
    type Stream = L::Stream;
    type Address = L::Address;

    fn accept_one(&self) -> io::Result<Self::Stream> {
        (**self).accept_one()
    }

    fn never_block(&self) -> io::Result<()> {
        (**self).never_block()
    }

    fn bound_to(&self) -> io::Result<Self::Address> {
        (**self).bound_to()
    }

    fn address(&self) -> String {
        (**self).address()
    }

    fn shut_the_door(&self) -> io::Result<Duration> {
        (**self).shut_the_door()
    }

    fn member(&self) -> io::Result<Option<u64>> {
        (**self).member()
    }
}

/// On the BSDs a stream has inherited its listener's mode.
fn block(stream: &impl AsFd) {
    if cfg!(not(any(target_os = "linux", target_os = "android"))) {
        let _ = SockRef::from(stream).set_nonblocking(false);
    }
}

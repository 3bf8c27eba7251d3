//! What listeners have in common, TCP and Unix: accepting, and shutting the door. Not here: when that is done (`listener`).

use std::io;
use std::net::Shutdown as Half;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::io::Errno;
use socket2::SockRef;

use crate::stream::Stream;
use crate::sync::Arc;

/// A listener that an [`Acceptor`](crate::Acceptor) can wrap: [`TcpListener`] and `UnixListener`.
pub trait Listener: private::Sealed + AsFd + Send + Sync + 'static {
    /// What it accepts.
    type Stream: Stream;
    #[doc(hidden)]
    fn accept_one(&self) -> io::Result<Self::Stream>;
    #[doc(hidden)]
    fn never_block(&self) -> io::Result<()>;
    #[doc(hidden)]
    fn address(&self) -> String;
    /// Keeps newcomers out and those in the queue in. Says whether it could.
    #[doc(hidden)]
    fn shut_the_door(&self) -> bool;
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

mod private {
    use super::{Arc, TcpListener, UnixListener};

    pub trait Sealed {}
    impl Sealed for TcpListener {}
    impl Sealed for UnixListener {}
    impl<L: Sealed> Sealed for Arc<L> {}
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn accept_one(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept()?;
        block(&stream);
        Ok(stream)
    }

    fn never_block(&self) -> io::Result<()> {
        self.set_nonblocking(true)
    }

    fn address(&self) -> String {
        self.local_addr().map_or_else(|_| "a TCP listener".to_owned(), |address| address.to_string())
    }

    /// A classic BPF program on the listening socket that drops segments with SYN set (A5). Handshakes under way
    /// complete; a new one is silence, and its retry finds the port closed.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn shut_the_door(&self) -> bool {
        const FLAGS: u32 = 13;
        const SYN: u32 = 0x02;
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
        SockRef::from(self).attach_filter(&program).is_ok()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn shut_the_door(&self) -> bool {
        false
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    fn accept_one(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.accept()?;
        block(&stream);
        Ok(stream)
    }

    fn never_block(&self) -> io::Result<()> {
        self.set_nonblocking(true)
    }

    fn address(&self) -> String {
        let path = self.local_addr().ok().and_then(|address| Some(address.as_pathname()?.display().to_string()));
        path.unwrap_or_else(|| "a Unix listener".to_owned())
    }

    /// New connects are refused, and everything queued is still served (A7, measured on Linux only).
    fn shut_the_door(&self) -> bool {
        let linux = cfg!(any(target_os = "linux", target_os = "android"));
        linux && SockRef::from(self).shutdown(Half::Read).is_ok()
    }
}

/// For two who share a listener, as an event loop and its acceptor do.
impl<L: Listener> Listener for Arc<L> {
    type Stream = L::Stream;

    fn accept_one(&self) -> io::Result<L::Stream> {
        (**self).accept_one()
    }

    fn never_block(&self) -> io::Result<()> {
        (**self).never_block()
    }

    fn address(&self) -> String {
        (**self).address()
    }

    fn shut_the_door(&self) -> bool {
        (**self).shut_the_door()
    }
}

/// On the BSDs a stream has inherited its listener's mode.
fn block(stream: &impl AsFd) {
    if cfg!(not(any(target_os = "linux", target_os = "android"))) {
        let _ = SockRef::from(stream).set_nonblocking(false);
    }
}

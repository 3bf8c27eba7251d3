//! What a connection's streams have in common, and the lingering close. Not here: when any of it is told or cut (`open`), and
//! listeners (`socket`).

use std::io::{self, Read};
use std::net::Shutdown as Half;
use std::time::{Duration, Instant};

#[cfg(unix)]
use socket2::SockRef;

/// A socket that a [`Connection`](crate::Connection) can be made of: [`TcpStream`](std::net::TcpStream), and on Unix `UnixStream` and
/// `OwnedFd`, for sockets of other crates (`OwnedFd::from(socket)`).
///
/// A connection reads and writes the socket itself. So a type around a socket, which encrypts for example, is no `Stream`: its code
/// would be bypassed. Put it around the [`Connection`](crate::Connection) instead, which implements `Read` and `Write`.
///
/// ```compile_fail,E0277
/// use std::net::TcpStream;
/// use std::os::fd::{AsFd, BorrowedFd};
/// use winddown::{Connection, Shutdown};
///
/// struct Encrypted(TcpStream);
///
/// impl AsFd for Encrypted {
///     fn as_fd(&self) -> BorrowedFd<'_> {
///         self.0.as_fd()
///     }
/// }
///
/// fn register(stream: Encrypted, shutdown: &Shutdown) {
///     let _ = Connection::new(stream, shutdown); // refused: what is written to it would go out in clear
/// }
/// ```
pub trait Stream: private::Sealed + Send + Sync + 'static {
    #[doc(hidden)]
    fn half_close(&self, half: Half) -> io::Result<()>;
    #[doc(hidden)]
    fn peer(&self) -> String;
    #[doc(hidden)]
    fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize>;
    #[doc(hidden)]
    fn write_some(&self, bytes: &[u8]) -> io::Result<usize>;
    #[doc(hidden)]
    fn limit_reads(&self, to: Duration) -> io::Result<()>;
    /// How many bytes have arrived that the program has not read. The end of the stream is none.
    #[doc(hidden)]
    fn unread(&self) -> io::Result<u64>;
}

mod private {
    #[cfg(not(any(winddown_loom, winddown_shuttle)))]
    use std::net::TcpStream;
    #[cfg(unix)]
    use std::os::fd;
    #[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
    use std::os::unix::net::UnixStream;

    /// What [`Stream`](super::Stream) is implemented for.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a socket that a `winddown::Connection` can be made of",
        label = "not a `TcpStream`, `UnixStream` or `OwnedFd`",
        note = "a `Connection` reads and writes the socket itself, so the code of a type around it would be bypassed",
        note = "register the socket, and put the type around the `Connection`, which implements `Read` and `Write`; for TLS with hyper \
                see `winddown_smol::http::serve_over`",
        note = "of another crate's socket make an `OwnedFd` first: `Connection::new(OwnedFd::from(socket), &shutdown)`"
    )]
    #[cfg(unix)]
    pub trait Sealed: fd::AsFd {}
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a socket that a `winddown::Connection` can be made of",
        label = "not a `TcpStream`",
        note = "register the socket, and put the type around the `Connection`, which implements `Read` and `Write`"
    )]
    #[cfg(not(unix))]
    pub trait Sealed {}

    #[cfg(not(any(winddown_loom, winddown_shuttle)))]
    impl Sealed for TcpStream {}
    #[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
    impl Sealed for UnixStream {}
    #[cfg(all(unix, not(any(winddown_loom, winddown_shuttle))))]
    impl Sealed for fd::OwnedFd {}

    /// The models count the descriptors of their streams.
    #[cfg(any(winddown_loom, winddown_shuttle))]
    impl<T: fd::AsFd> Sealed for T {}
}

#[cfg(unix)]
impl<T: private::Sealed + Send + Sync + 'static> Stream for T {
    fn half_close(&self, half: Half) -> io::Result<()> {
        SockRef::from(self).shutdown(half)
    }

    fn peer(&self) -> String {
        match SockRef::from(self).peer_addr() {
            Ok(address) => address.as_socket().map_or_else(|| "a local peer".to_owned(), |address| address.to_string()),
            Err(_) => "a peer that is gone".to_owned(),
        }
    }

    fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(self)).read(buffer)
    }

    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        // A peer that is gone is an error, whatever the program has made of SIGPIPE. (Elsewhere that is an option of the
        // socket, which the standard library sets.)
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return SockRef::from(self).send_with_flags(bytes, libc::MSG_NOSIGNAL);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        io::Write::write(&mut &*SockRef::from(self), bytes)
    }

    fn limit_reads(&self, to: Duration) -> io::Result<()> {
        SockRef::from(self).set_read_timeout(Some(to))
    }

    fn unread(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(self)?)
    }
}

#[cfg(not(unix))]
impl Stream for std::net::TcpStream {
    fn half_close(&self, half: Half) -> io::Result<()> {
        self.shutdown(half)
    }

    fn peer(&self) -> String {
        self.peer_addr().map_or_else(|_| "a peer that is gone".to_owned(), |address| address.to_string())
    }

    fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, bytes)
    }

    fn limit_reads(&self, to: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(to))
    }

    fn unread(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Closes a stream on which the last answer has just been written, so that the answer arrives.
///
/// To close a socket with unread bytes in its buffer turns the close into a reset, which can overtake the answer (A6).
/// So this says that nothing more comes, and reads what the peer still sends until it closes, too, at most for `at_most`
/// and at most a mebibyte. Then drop the stream. It has to be one that blocks, and has a read timeout of its own afterwards.
///
/// This is for streams that are no [`Connection`](crate::Connection). For one that is, call
/// [`Busy::lingering_close`](crate::Busy::lingering_close): while its guard is held the connection is at work, and late at the drain's
/// deadline; without a guard it is ended with the linger.
///
/// # Errors
///
/// What the system says; a peer that has gone already is none.
pub fn lingering_close<S: Stream>(stream: &S, at_most: Duration) -> io::Result<()> {
    let mut lingering = Lingering::begin(stream)?;
    let until = Instant::now().checked_add(at_most);
    loop {
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(());
        }
        // The system counts in ticks of some milliseconds, and takes 0 for "no limit".
        stream.limit_reads(left.max(Duration::from_millis(1)))?;
        match lingering.read(stream) {
            Ok(false) => {}
            Ok(true) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// [`lingering_close`] step by step, for event loops: with a limit of time of their own.
#[derive(Debug)]
pub struct Lingering {
    /// How much is read at most.
    left: usize,
}

impl Lingering {
    /// Says to the peer that nothing more comes.
    ///
    /// # Errors
    ///
    /// What the system says; a peer that has gone already is none.
    pub fn begin<S: Stream>(stream: &S) -> io::Result<Self> {
        const MEBIBYTE: usize = 1 << 20;
        match stream.half_close(Half::Write) {
            Err(error) if is_gone(&error) => Ok(Self { left: 0 }),
            other => other.map(|()| Self { left: MEBIBYTE }),
        }
    }

    /// Reads once. Whether it is time to drop the stream.
    ///
    /// # Errors
    ///
    /// What the system says, [`WouldBlock`](io::ErrorKind::WouldBlock) for one; a peer that has gone is none.
    pub fn read<S: Stream>(&mut self, stream: &S) -> io::Result<bool> {
        if self.left == 0 {
            return Ok(true);
        }
        match stream.read_some(&mut [0; 8192]) {
            Err(error) if is_gone(&error) => Ok(true),
            Err(error) => Err(error),
            Ok(read) => {
                self.left = self.left.saturating_sub(read);
                Ok(read == 0)
            }
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionReset)
}

//! A stream whose blocked read a token interrupts. Not here: the descriptor that it waits for (`token/descriptor`), and futures
//! (winddown-smol's `Until`).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use crate::{Token, TokenDescriptor};

/// A stream whose blocked read ends when a token tells, and which can still be written to and read from after that: to say
/// goodbye, and to hear the peer's answer.
///
/// The first read after the token has told, once the bytes are read that had arrived by then, fails with
/// [`WouldBlock`](io::ErrorKind::WouldBlock). That happens once. Every later read waits for bytes as the stream itself does.
///
/// It stands around the socket, or around a pipe: below TLS, a WebSocket or a buffer, not around them (std's `Stdin` has a
/// buffer). Libraries that can be used on sockets that do not
/// block (tungstenite, rustls) take the error as "no more bytes yet", keep what they have read, and stay usable.
/// [`BufRead::fill_buf`](io::BufRead::fill_buf) and [`read_until`](io::BufRead::read_until) lose nothing either.
/// [`read_exact`](Read::read_exact) does, as it does with every error: if a message has begun to arrive, call it again only for a
/// reader that has kept the beginning.
///
/// The stream has to be one that blocks. Its read timeout (`SO_RCVTIMEO`) holds, and ends a read with the same kind of error: ask
/// the [token](Token::should_stop) which of the two it was.
///
/// ```
/// use std::io::{ErrorKind, Read, Write};
/// use std::os::unix::net::UnixStream;
/// use winddown::{Interruptible, Milestone, Reason, Shutdown};
///
/// let shutdown = Shutdown::builder().build()?;
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let mut line = Interruptible::new(&shutdown.token_at(Milestone::Refusing), ours)?;
/// let reader = std::thread::spawn(move || {
///     let interrupted = line.read(&mut [0; 16]).unwrap_err();
///     assert_eq!(interrupted.kind(), ErrorKind::WouldBlock);
///     line.write_all(b"goodbye").unwrap();
///     let mut answer = [0; 16];
///     let read = line.read(&mut answer).unwrap(); // waits for it
///     assert_eq!(&answer[..read], b"bye");
/// });
/// shutdown.trigger(Reason::Requested);
/// let mut said = [0; 7];
/// theirs.read_exact(&mut said)?;
/// theirs.write_all(b"bye")?;
/// reader.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A WebSocket with tungstenite, on a [`Connection`](crate::Connection); the example `websocket` in `tests/third-party` is the whole
/// of it:
///
/// ```text
/// let _upgraded = connection.busy()?.upgraded();
/// let mut socket = tungstenite::accept(Interruptible::new(&refusing, &connection)?)?;
/// while let Ok(message) = socket.read() { /* answer it */ } // the token tells: Err(Io(WouldBlock))
/// socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "".into() }))?;
/// while socket.read().is_ok() {} // until the client's Close
/// ```
#[derive(Debug)]
pub struct Interruptible<T> {
    stream: T,
    told: TokenDescriptor,
    progress: Progress,
}

/// How far the interruption has come.
#[derive(Clone, Copy, Debug)]
enum Progress {
    /// The token has not told.
    Waiting,
    /// It has told. So many bytes had arrived by then that were not read yet.
    Told(u64),
    /// The reader has heard of it.
    Done,
}

impl<T: AsFd> Interruptible<T> {
    /// Makes the reads of a stream end when this token tells.
    ///
    /// # Errors
    ///
    /// As for [`Token::descriptor`].
    pub fn new(token: &Token, stream: T) -> io::Result<Self> {
        Ok(Self { stream, told: token.descriptor()?, progress: Progress::Waiting })
    }

    /// Returns whether a read of this stream has been interrupted.
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        matches!(self.progress, Progress::Done)
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// Returns the stream, to be changed.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.stream
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> T {
        self.stream
    }

    /// Waits until a read returns at once, or has to be interrupted.
    fn wait(&mut self) -> io::Result<()> {
        let arrived = match self.progress {
            Progress::Done => return Ok(()),
            Progress::Told(left) => left > 0 && self.look(Some(Duration::ZERO))?.0,
            Progress::Waiting => {
                let (readable, told) = self.sleep()?;
                if told && readable {
                    let left = rustix::io::ioctl_fionread(&self.stream).unwrap_or(0);
                    // No byte, and yet readable: the end of the stream, or an error, which the read returns.
                    if left > 0 {
                        self.progress = Progress::Told(left);
                    }
                }
                readable
            }
        };
        if arrived {
            return Ok(());
        }
        self.progress = Progress::Done;
        Err(io::Error::new(io::ErrorKind::WouldBlock, "the read was interrupted: it is time to stop"))
    }

    /// Sleeps until the stream is readable or the token tells. Returns which of the two.
    fn sleep(&self) -> io::Result<(bool, bool)> {
        let at_once = self.look(Some(Duration::ZERO))?;
        if at_once != (false, false) {
            return Ok(at_once);
        }
        // A descriptor that is no socket has no timeout.
        let timeout = SockRef::from(&self.stream).read_timeout().unwrap_or(None);
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match self.look(left)? {
                (false, false) if left.is_some_and(|left| left.is_zero()) => {
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, "the stream's read timeout is over"));
                }
                (false, false) => {}
                either => return Ok(either),
            }
        }
    }

    /// Polls once, at most for this time. Returns whether the stream is readable, and whether the token tells.
    fn look(&self, at_most: Option<Duration>) -> io::Result<(bool, bool)> {
        let mut both = [PollFd::new(&self.stream, PollFlags::IN), PollFd::new(&self.told, PollFlags::IN)];
        // A time that the system has no room for is none.
        let at_most = at_most.and_then(|at_most| Timespec::try_from(at_most).ok());
        match poll(&mut both, at_most.as_ref()) {
            Err(rustix::io::Errno::INTR) => Ok((false, false)),
            Err(error) => Err(error.into()),
            Ok(_) => Ok((!both[0].revents().is_empty(), !both[1].revents().is_empty())),
        }
    }
}

impl<T: Read + AsFd> Read for Interruptible<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.wait()?;
        let read = self.stream.read(buffer)?;
        if let Progress::Told(left) = &mut self.progress {
            *left = left.saturating_sub(read as u64);
        }
        Ok(read)
    }
}

/// As the stream: a token interrupts no write.
impl<T: Write> Write for Interruptible<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<T: AsFd> AsFd for Interruptible<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

//! Waiting with a descriptor, in an event loop. Not here: the pipe behind it (`wait/pipe`).

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use super::Token;
use crate::sync::Arc;

/// A descriptor that is readable when it is time to stop, and for good after that. From [`Token::descriptor`]; for `poll`, `epoll`,
/// `kqueue`, and event loops such as mio's.
///
/// It is level-triggered: a loop that polls it late still finds it readable. Reading from it is not needed; after it has told,
/// a read returns 0.
///
/// # Cost
///
/// All descriptors of one shutdown and one [`Milestone`](crate::Milestone) are the same open file. A thousand of them cost the system
/// one pipe and the wind-down one system call. So their number is the same, too: an `epoll` instance takes it once. A
/// [`Child`](crate::Child) has a pipe of its own, which is told along with its tasks.
///
/// # Forked children
///
/// A descriptor belongs to the process that made it. In a child made by `fork` it still tells when the parent's wind-down does;
/// a descriptor that the child makes itself tells for the child.
///
/// ```
/// use rustix::event::{PollFd, PollFlags, poll};
/// use winddown::{Milestone, Reason, Shutdown};
///
/// let shutdown = Shutdown::builder().build()?;
/// let told = shutdown.token_at(Milestone::Refusing).descriptor()?;
/// let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
/// shutdown.trigger(Reason::Requested);
/// let mut both = [PollFd::new(&ours, PollFlags::IN), PollFd::new(&told, PollFlags::IN)];
/// poll(&mut both, None)?;
/// assert!(both[0].revents().is_empty() && both[1].revents().contains(PollFlags::IN));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenDescriptor {
    reader: Arc<UnixStream>,
    /// Keeps the writing end open, which tells by being closed, too.
    token: Token,
}

impl Token {
    /// Returns a descriptor that becomes readable when it is time to stop: for a thread that waits for other descriptors.
    ///
    /// # Errors
    ///
    /// The program has no descriptor left for the pipe, which the first call makes.
    pub fn descriptor(&self) -> io::Result<TokenDescriptor> {
        let (waiters, milestone) = self.list();
        Ok(TokenDescriptor { reader: waiters.pipe(milestone)?, token: self.clone() })
    }
}

impl TokenDescriptor {
    /// Returns its token.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }
}

impl AsFd for TokenDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl AsRawFd for TokenDescriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

impl fmt::Debug for TokenDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenDescriptor")
            .field("fd", &self.as_raw_fd())
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

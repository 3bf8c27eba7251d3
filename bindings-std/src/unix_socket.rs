//! A Unix listener whose socket file goes with it. Not here: accepting (`listener`).

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::fork::Process;

/// A Unix listener that has bound its socket file itself, and removes it when it is dropped: in an
/// [`Acceptor`](crate::Acceptor), once its queue is empty.
///
/// A `UnixListener` leaves its file behind, and the next `bind` to the path fails until the program removes it.
///
/// The file is left alone if another one has taken its place (a successor has bound the path), and in a forked child. A file
/// that a killed process has left behind is not removed: [`bind`](Self::bind) fails with
/// [`AddrInUse`](io::ErrorKind::AddrInUse).
///
/// ```
/// use winddown::{Acceptor, Reason, Shutdown, UnixSocket};
///
/// let path = std::env::temp_dir().join(format!("winddown-doc-{}", std::process::id()));
/// let shutdown = Shutdown::builder().build()?;
/// let acceptor = Acceptor::new(UnixSocket::bind(&path)?, &shutdown)?;
/// shutdown.trigger(Reason::Requested);
/// assert_eq!(acceptor.incoming().count(), 0);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The file's device and number.
    file: (u64, u64),
    process: Process,
}

impl UnixSocket {
    /// Binds a listener to a path, with a backlog of 128 (4,096 on some systems) as std's `UnixListener`: see
    /// [`Acceptor::backlog`](crate::Acceptor::backlog).
    ///
    /// # Errors
    ///
    /// As for [`UnixListener::bind`], and if the file or the current directory cannot be examined.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        // A later change of directory does not change what is removed.
        let path = std::path::absolute(path)?;
        let listener = UnixListener::bind(&path)?;
        let file = identity(&path)?;
        Ok(Self { listener, path, file, process: Process::current() })
    }

    /// Returns the listener.
    #[must_use]
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

/// Two files are the same if these are.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener().as_fd()
    }
}

impl Drop for UnixSocket {
    /// Removes the file before the listener is closed, so that no client finds a file to which no program listens.
    fn drop(&mut self) {
        if self.process.is_current() && identity(&self.path).is_ok_and(|file| file == self.file) {
            // It was there a moment ago; if it is gone now, that is what was wanted.
            let _ = fs::remove_file(&self.path);
        }
    }
}

//! Wakes the driver from a handler, on systems without a system call that does so and is legal there: through a pipe and a thread.
//! Not here: what the handler does besides (`slot`).

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use super::slot::Slot;
use crate::hook::thread_name;
use crate::inner::Inner;
use crate::sync::of_process::{AtomicBool, AtomicI32};
use crate::sync::{Arc, Ordering, thread};

/// The handler's end of the pipe.
pub(super) struct WakePipe {
    /// -1: there is no pipe.
    pipe: AtomicI32,
    /// The thread has not yet seen the last byte. So there is never more than one in the pipe, and writing never blocks or fails.
    written: AtomicBool,
}

impl WakePipe {
    pub(super) const fn new() -> Self {
        Self { pipe: AtomicI32::new(-1), written: AtomicBool::new(false) }
    }

    /// Has the thread wake the driver. Async-signal-safe.
    pub(super) fn write(&self) {
        // Relaxed: the pipe is opened before a handler is installed, and closed when none runs (`Slot::stop_listening`).
        let pipe = self.pipe.load(Ordering::Relaxed);
        // Acquire and release pair with the swap in `WakeThread::new`: the thread wakes the driver after what the handler did before.
        if pipe >= 0 && !self.written.swap(true, Ordering::AcqRel) {
            // SAFETY: the descriptor is open, and the buffer is one byte long.
            unsafe { libc::write(pipe, b"!".as_ptr().cast(), 1) };
        }
    }

    fn set(&self, pipe: RawFd) {
        self.written.store(false, Ordering::Release); // see `write`
        self.pipe.store(pipe, Ordering::Relaxed); // see `write`
    }
}

/// A thread that wakes the driver when a handler has written into its pipe. Ends when dropped.
///
/// A forked child has no such thread: a signal is heard there, and its driver sees it when it wakes for another reason.
pub(super) struct WakeThread {
    slot: &'static Slot,
    _pipe: UnixStream,
}

impl WakeThread {
    pub(super) fn new(slot: &'static Slot, inner: &Arc<Inner>) -> io::Result<Self> {
        let (pipe, mut reader) = UnixStream::pair()?;
        let driver = inner.trigger.driver.clone();
        slot.wake_pipe.set(pipe.as_raw_fd());
        let listen = move || {
            loop {
                match reader.read(&mut [0]) {
                    Ok(1) => {
                        // A handler that finds the word set writes nothing. So this has to see it, and acquire what that did before.
                        slot.wake_pipe.written.swap(false, Ordering::AcqRel); // see `write`
                        driver.notify();
                    }
                    // Another part's handler, without `SA_RESTART`, ran on this thread.
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // The other end is closed.
                    _ => break,
                }
            }
        };
        let thread = Self { slot, _pipe: pipe };
        thread::Builder::new().name(thread_name("signal")).spawn(listen)?;
        Ok(thread)
    }
}

impl Drop for WakeThread {
    fn drop(&mut self) {
        self.slot.wake_pipe.set(-1);
    }
}

//! Wake pipes for descriptors: one for each milestone, shared by all descriptors of it. Not here: the descriptors
//! (`token/descriptor`), and the lock.

use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown as Half;
use std::os::unix::net::UnixStream;

use winddown_core::{Milestone, Milestones};

use crate::fork::Process;
use crate::sync::Arc;

/// The pipes that were made.
#[derive(Default)]
pub(super) struct Pipes(BTreeMap<Milestone, Pipe>);

/// A pipe that tells by its end: once its writer has shut it down, a reader finds it readable, for good.
///
/// A forked child shares both ends with its parent. So only the process that made a pipe shuts it down, and a child that asks for a
/// descriptor gets a pipe of its own.
pub(super) struct Pipe {
    reader: Arc<UnixStream>,
    /// `None`: it has told.
    writer: Option<Writer>,
    process: Process,
}

/// The end that tells.
pub(super) struct Writer {
    end: UnixStream,
    process: Process,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Self> {
        let (end, reader) = UnixStream::pair()?;
        let process = Process::current();
        Ok(Self { reader: Arc::new(reader), writer: Some(Writer { end, process }), process })
    }

    pub(super) fn reader(&self) -> Arc<UnixStream> {
        self.reader.clone()
    }
}

impl Writer {
    pub(super) fn tell(self) {
        if self.process.is_current() {
            // Fails only if it has been shut down already.
            let _ = self.end.shutdown(Half::Write);
        }
    }
}

impl Pipes {
    /// Returns the reading end of this milestone's pipe, if this process has made one.
    pub(super) fn find(&self, milestone: Milestone) -> Option<Arc<UnixStream>> {
        let pipe = self.0.get(&milestone).filter(|pipe| pipe.process.is_current())?;
        Some(pipe.reader())
    }

    /// Puts a pipe in its place. Returns the one that was there, for the caller to drop.
    pub(super) fn put(&mut self, milestone: Milestone, pipe: Pipe) -> Option<Pipe> {
        self.0.insert(milestone, pipe)
    }

    /// Takes the writing ends of these milestones.
    pub(super) fn take_writers(&mut self, milestones: Milestones) -> Vec<Writer> {
        let told = self.0.iter_mut().filter(|&(&milestone, _)| milestones.contains(milestone));
        told.filter_map(|(_, pipe)| pipe.writer.take()).collect()
    }

    /// Takes the writing end of this milestone, which has been reached already.
    pub(super) fn take_writer(&mut self, milestone: Milestone) -> Option<Writer> {
        self.0.get_mut(&milestone)?.writer.take()
    }
}

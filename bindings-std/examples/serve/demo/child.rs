//! The server as a child process: its files, its lines, what its report counts, its end.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

use crate::args::Part;

/// The server's first line, before its address.
const GREETING: &str = "listening on ";

pub(super) struct Child {
    id: u32,
    address: SocketAddr,
    folder: Folder,
    gone: Receiver<io::Result<Gone>>,
}

/// How and when it ended, as seen by who waited for it.
pub(super) struct Gone {
    status: ExitStatus,
    pub(super) at: Instant,
    pub(super) time: SystemTime,
    pub(super) unserved: Unserved,
}

/// The clients without an answer that the server's report counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unserved {
    pub(super) lost: usize,
    /// The report says that there may be more lost clients.
    pub(super) unknown: bool,
    pub(super) incomplete: usize,
    pub(super) unused: usize,
}

impl Unserved {
    /// Reads a line of the report, if it is one that counts clients.
    fn read(&mut self, line: &str) {
        let Some((name, rest)) = line.trim_start().split_once(": ") else { return };
        let count = rest.split(' ').next().and_then(|count| count.parse().ok());
        match (name, count) {
            ("lost", Some(count)) => self.lost = count,
            ("lost", None) => self.unknown = true,
            ("incomplete", Some(count)) => self.incomplete = count,
            ("unused", Some(count)) => self.unused = count,
            _ => {}
        }
    }
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, unknown, incomplete, unused } = self;
        let more = if *unknown { " or more" } else { "" };
        write!(f, "{lost}{more} lost, {incomplete} incomplete, {unused} unused")
    }
}

impl Gone {
    /// A signal's name, where it was one.
    pub(super) fn code(&self) -> String {
        self.status.code().map_or_else(|| self.status.to_string(), |code| code.to_string())
    }
}

/// Removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("winddown-serve-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Child {
    /// Returns when it says that it listens. What it says after that is printed.
    pub(super) fn start(without: Option<Part>, lame_duck: Duration) -> Result<Self, Box<dyn Error>> {
        let folder = Folder::new()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--listen", "127.0.0.1:0", "--grace", "12", "--lame-duck", &lame_duck.as_secs_f64().to_string()]);
        command.arg("--database").arg(folder.0.join("orders.redb")).arg("--log").arg(folder.0.join("access.log"));
        if let Some(part) = without.and_then(|part| part.to_possible_value()) {
            command.args(["--without", part.get_name()]);
        }
        // A variable for the server would be one for this server, too.
        for variable in winddown::Budget::VARIABLES {
            command.env_remove(variable);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let id = child.id();
        let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let address = first.strip_prefix(GREETING).and_then(|rest| rest.split(',').next()).map(str::parse);
        let Some(Ok(address)) = address else {
            let _ = child.kill();
            return Err(format!("the server did not say where it listens, but {first:?}: {}", child.wait()?).into());
        };
        let printer = thread::spawn(move || {
            let mut unserved = Unserved::default();
            for line in lines.map_while(Result::ok) {
                println!("  | {line}");
                unserved.read(&line);
            }
            unserved
        });
        let (sender, gone) = mpsc::channel();
        thread::spawn(move || {
            let ended = child.wait().map(|status| (status, Instant::now(), SystemTime::now()));
            let unserved = printer.join().unwrap_or_default();
            let _ = sender.send(ended.map(|(status, at, time)| Gone { status, at, time, unserved }));
        });
        Ok(Self { id, address, folder, gone })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.0.join("access.log")
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.0.join("orders.redb")
    }

    pub(super) fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Until it is gone and all its lines are printed. One that takes longer is killed.
    pub(super) fn wait(&self, at_most: Duration) -> Result<Gone, Box<dyn Error>> {
        let gone = self.gone.recv_timeout(at_most).or_else(|_| {
            println!("  it does not end: killed");
            let _ = self.signal(Signal::KILL);
            self.gone.recv()
        });
        Ok(gone??)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.id).ok().and_then(Pid::from_raw).expect("process ids are positive");
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.gone.try_recv(), Err(mpsc::TryRecvError::Empty)) {
            let _ = self.signal(Signal::KILL);
        }
    }
}

/// For this process and the child: the usual 1,024 are too few.
pub(super) fn allow_descriptors(count: u64) -> Result<(), Box<dyn Error>> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        if limit.maximum.is_some_and(|maximum| maximum < count) {
            return Err(format!("{count} descriptors are needed: `ulimit -Hn` is too low").into());
        }
        limit.current = Some(count);
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

//! The servers: where each is, how it is started, and what it is asked for. Not here: what is measured.

use std::cell::Cell;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use winddown_tests::child::Child;

/// Who serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// winddown's example `minimal`.
    Minimal,
    /// winddown's example `serve`.
    Serve,
    /// Go's `net/http`.
    Go,
    /// axum.
    Axum,
}

/// Where the programs are.
pub(crate) struct Servers {
    examples: PathBuf,
    go: PathBuf,
    axum: PathBuf,
    started: Cell<u32>,
}

/// One that runs.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    _database: Scrap,
}

/// A file that goes when this is dropped, if it has come to be.
struct Scrap(PathBuf);

impl Which {
    /// What to ask for to be answered after so many milliseconds.
    pub(crate) fn path(self, millis: u64) -> String {
        if self == Self::Serve { format!("/slow?ms={millis}") } else { format!("/{millis}") }
    }
}

impl Servers {
    /// winddown's examples are beside this program.
    pub(crate) fn new(go: PathBuf, axum: PathBuf) -> io::Result<Self> {
        let examples = env::current_exe()?.with_file_name("");
        Ok(Self { examples, go, axum, started: Cell::new(0) })
    }

    /// Starts one and waits until it listens. `options` are more of its own, `variables` for its environment.
    pub(crate) fn start(&self, which: Which, options: &[&str], variables: &[(&str, &str)]) -> Server {
        let program = match which {
            Which::Minimal => self.examples.join("minimal"),
            Which::Serve => self.examples.join("serve"),
            Which::Go => self.go.clone(),
            Which::Axum => self.axum.clone(),
        };
        self.started.set(self.started.get() + 1);
        let name = format!("winddown-servers-{}-{}.redb", std::process::id(), self.started.get());
        let database = env::temp_dir().join(name);
        let file = text(&database);
        // A log on a disk would measure the disk.
        let serve = ["--listen", "127.0.0.1:0", "--lame-duck", "0", "--log", "/dev/null", "--database", &file];
        let usual: &[&str] = if which == Which::Serve { &serve } else { &[] };
        let mut child = Child::start_with(&text(&program), &[usual, options].concat(), variables);
        let line = child.wait_for("127.0.0.1:");
        let port = line.split("127.0.0.1:").nth(1).expect("it said so");
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        Server { child, address: format!("127.0.0.1:{port}"), _database: Scrap(database) }
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

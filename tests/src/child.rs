//! A program of its own process: started, listened to, signalled, and seen off.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use crate::sys;

/// A child process. Killed when dropped before its [`end`](Self::end).
#[derive(Debug)]
pub struct Child {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    heard: String,
}

/// How a child ended.
#[derive(Debug)]
pub struct End {
    status: ExitStatus,
    /// All that it said.
    pub output: String,
}

impl Child {
    /// Starts the program, with default actions for its signals.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        Self::start_with(program, arguments, &[])
    }

    /// As [`start`](Self::start), with environment variables.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = sys::with_default_signals(&mut command).spawn().expect("the program starts");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, input, output, heard: String::new() }
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Reads on until a line has `part` in it, and returns that line.
    ///
    /// # Panics
    ///
    /// When the output ends before, with all of it.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("text");
            self.heard += &line;
            assert!(read > 0, "it ended without saying {part:?}, but:\n{}", self.heard);
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// When there is no such process any more.
    pub fn signal(&self, signal: i32) {
        sys::kill(self.id(), signal).expect("the child is there");
    }

    /// Says a line to it.
    ///
    /// # Panics
    ///
    /// When it does not listen any more.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the child listens");
    }

    /// Waits until the kernel shows it in this state (`T`: stopped).
    ///
    /// # Panics
    ///
    /// When there is no such process any more.
    pub fn wait_for_state(&self, state: char) {
        loop {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("the child is there");
            let shown = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
            if shown == Some(state) {
                return;
            }
            thread::yield_now();
        }
    }

    /// Waits until it is gone, and says when that was. Nobody reads meanwhile: what it says has to fit into a pipe.
    ///
    /// # Panics
    ///
    /// When the system does not say.
    pub fn gone(&mut self) -> Instant {
        self.process.wait().expect("it is ours");
        Instant::now()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When its output is no text.
    #[must_use]
    pub fn end(mut self) -> End {
        for line in self.output.by_ref().lines() {
            writeln!(self.heard, "{}", line.expect("text")).expect("a string takes it");
        }
        let status = self.process.wait().expect("it is ours");
        End { status, output: std::mem::take(&mut self.heard) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl End {
    /// Its exit code; `None` if it died of a signal.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that it died of.
    #[must_use]
    pub fn died_of(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Asserts the exit code.
    ///
    /// # Panics
    ///
    /// With all that the child said, if it is another.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it asserts")]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert!(self.code() == Some(code), "expected exit code {code}, got {}:\n{}", self.status, self.output);
        self
    }

    /// Asserts that it said this.
    ///
    /// # Panics
    ///
    /// With all that the child said, if it did not.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it asserts")]
    pub fn assert_said(&self, part: &str) -> &Self {
        assert!(self.output.contains(part), "expected {part:?} in:\n{}", self.output);
        self
    }
}

/// Runs the calling test again, alone in a child process. Returns `None` in that process.
///
/// `test` is the test's full name.
///
/// # Panics
///
/// When the child process does not start.
#[must_use]
pub fn own_process(test: &str) -> Option<Child> {
    const MARK: &str = "WINDDOWN_OWN_PROCESS";
    if std::env::var_os(MARK).is_some() {
        return None;
    }
    let program = std::env::current_exe().expect("a path").into_os_string().into_string().expect("text");
    Some(Child::start_with(&program, &["--exact", test, "--nocapture"], &[(MARK, "")]))
}

/// Builds an example of winddown's, as `cargo run --example NAME` does, and says where it is. A program of the same build
/// says where that may be.
///
/// # Panics
///
/// When it does not build.
#[must_use]
pub fn example(beside: &str, name: &str) -> String {
    example_of(beside, "winddown", name)
}

/// As [`example`], of another package.
///
/// # Panics
///
/// As [`example`].
#[must_use]
pub fn example_of(beside: &str, package: &str, name: &str) -> String {
    build_example(beside, package, name).join(name).into_os_string().into_string().expect("text")
}

/// Builds an example of a package, and says in which folder it is.
///
/// # Panics
///
/// When it does not build.
#[must_use]
pub fn build_example(beside: &str, package: &str, name: &str) -> PathBuf {
    // target/PROFILE/PROGRAM, target/PROFILE/examples/NAME.
    let folder = Path::new(beside).parent().expect("a program is in a folder");
    let profile = folder.file_name().and_then(|name| name.to_str()).expect("the profile's").replace("debug", "dev");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--example", name, "--profile", &profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.expect("cargo runs").success());
    folder.join("examples")
}

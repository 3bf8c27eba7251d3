//! Plants bugs in copies of the checkout, one at a time in each, and runs the exploration that has to notice.
//!
//! `cargo run -p winddown-explore --example planted` plants all of them, and fails when one is not noticed; with an
//! argument, those that have it in their description or their file's name. `-- --table` prints the table in CONTRIBUTING.md instead.

mod in_binding;
mod in_core;
mod in_hand_over;
mod in_linger;
mod in_striped;
mod in_tasks;

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::slice;
use std::sync::Mutex;
use std::thread;

use self::in_binding::IN_BINDING;
use self::in_core::IN_CORE;
use self::in_hand_over::IN_HAND_OVER;
use self::in_linger::IN_LINGER;
use self::in_striped::IN_STRIPED;
use self::in_tasks::IN_TASKS;

/// A small change to the library that breaks a promise.
struct Bug {
    /// What is wrong then.
    what: &'static str,
    /// The file, from the checkout's root.
    file: &'static str,
    /// A text that is in that file once.
    from: &'static str,
    /// What takes its place.
    to: &'static str,
    /// Who has to notice.
    by: Explorer,
    /// What it says then: who fails for another reason has not noticed.
    says: &'static str,
}

impl Bug {
    /// The file that it is planted in.
    fn original(&self, root: &Path) -> io::Result<String> {
        let original = fs::read_to_string(root.join(self.file))?;
        if original.matches(self.from).count() == 1 {
            return Ok(original);
        }
        Err(io::Error::other(format!("{} does not have this once:\n{}", self.file, self.from)))
    }
}

/// The checkout's root.
fn root() -> io::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()
}

/// An exploration that has to fail.
enum Explorer {
    /// The model of this name.
    Loom(&'static str),
    /// The same, with one preemption more.
    LoomFurther(&'static str),
    /// The races.
    Races,
}

impl Explorer {
    /// What it is called by, after `cargo`.
    fn arguments(&self) -> Vec<&'static str> {
        match self {
            Self::Loom(model) | Self::LoomFurther(model) => vec!["loom", "--exact", model],
            Self::Races => vec!["races"],
        }
    }
}

impl Explorer {
    /// How many preemptions more a model is to have.
    fn more_preemptions(&self) -> &'static str {
        if matches!(self, Self::LoomFurther(_)) { "1" } else { "0" }
    }
}

impl fmt::Display for Explorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loom(model) => write!(f, "`{model}`"),
            Self::LoomFurther(model) => write!(f, "`{model}`, one preemption more"),
            Self::Races => f.write_str("races"),
        }
    }
}

fn main() -> io::Result<ExitCode> {
    let argument = env::args().nth(1).unwrap_or_default();
    let bugs =
        || IN_CORE.iter().chain(IN_STRIPED).chain(IN_BINDING).chain(IN_TASKS).chain(IN_HAND_OVER).chain(IN_LINGER);
    if argument == "--table" {
        println!("| in | the bug | caught by |\n|---|---|---|");
        for Bug { what, file, by, .. } in bugs() {
            println!("| `{}` | {what} | {by} |", file.rsplit('/').next().unwrap_or(file));
        }
        // Checked here, too, where it costs nothing: whether each can still be planted.
        let root = root()?;
        let stale: Vec<_> = bugs().filter_map(|bug| bug.original(&root).err()).collect();
        for error in &stale {
            eprintln!("{error}");
        }
        return Ok(if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let wanted: Vec<&Bug> = bugs().filter(|bug| bug.what.contains(&argument) || bug.file.contains(&argument)).collect();
    let gardeners = thread::available_parallelism().map_or(1, NonZero::get).min(wanted.len());
    let left = &Mutex::new(wanted.iter());
    let missed = thread::scope(|scope| {
        let gardeners: Vec<_> = (0..gardeners).map(|number| scope.spawn(move || plant_all(number, left))).collect();
        gardeners.into_iter().map(|gardener| gardener.join().expect("it reports")).sum::<io::Result<usize>>()
    })?;
    println!("{} planted, {missed} missed", wanted.len());
    Ok(if !wanted.is_empty() && missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plants what is left, one after the other, in a copy of its own. How many were missed.
fn plant_all(number: usize, left: &Mutex<slice::Iter<'_, &Bug>>) -> io::Result<usize> {
    let checkout = Checkout::new(number)?;
    let mut missed = 0;
    loop {
        let next = left.lock().expect("nobody panics with it").next();
        let Some(bug) = next else { return Ok(missed) };
        match checkout.plant(bug)? {
            Ok(said) => println!("caught  {}: by {}\n        {said}", bug.what, bug.by),
            Err(said) => {
                missed += 1;
                println!("MISSED  {}: by {}\n{said}", bug.what, bug.by);
            }
        }
    }
}

struct Checkout {
    root: PathBuf,
    copy: PathBuf,
}

impl Checkout {
    /// A copy of the files that git knows or would know, within the build folder. cargo's settings are the checkout's. Its
    /// own build folder is another: cargo takes the two for the same packages, and what is built here has bugs.
    fn new(number: usize) -> io::Result<Self> {
        let root = root()?;
        let copy = root.join(format!("target/planted/{number}"));
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".", ":!.cargo"])
            .current_dir(&root)
            .output()?;
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        for file in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            let to = copy.join(file);
            fs::create_dir_all(to.parent().expect("below the root"))?;
            fs::copy(root.join(file), to)?;
        }
        let built = root.join(format!("target/planted-builds/{number}"));
        fs::create_dir_all(&built)?;
        symlink(built, copy.join("target"))?;
        Ok(Self { root, copy })
    }

    /// Runs the exploration with the bug in place: the line that notices, or `Err` with all it said.
    fn plant(&self, bug: &Bug) -> io::Result<Result<String, String>> {
        let original = match bug.original(&self.root) {
            Ok(original) => original,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let planted = self.copy.join(bug.file);
        fs::write(&planted, original.replace(bug.from, bug.to))?;
        // An exploration that goes on for ever has not noticed.
        let mut cargo = Command::new("timeout");
        cargo.args(["300", "cargo"]).args(bug.by.arguments()).current_dir(&self.copy).env("RUST_BACKTRACE", "0");
        cargo.env("WINDDOWN_PREEMPTIONS", bug.by.more_preemptions());
        let Output { status, stdout, stderr } = cargo.output()?;
        fs::write(planted, original)?;
        let said = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        let mut complaints = said.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
        let noticed = complaints.find(|line| line.contains(bug.says)).filter(|_| !status.success());
        Ok(noticed.map(str::to_owned).ok_or(said))
    }
}

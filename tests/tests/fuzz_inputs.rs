//! What the fuzzer has found, replayed; and some thousands of inputs that nobody has chosen.
//!
//! `fuzz/seeds/TARGET` has what the fuzzer begins with, `fuzz/regressions/TARGET` every input that a target once failed
//! with. (A loop of the fuzzer's own is `fuzz/run TARGET`.)

use std::path::{Path, PathBuf};
use std::{fs, io};

use winddown_explore::pseudo_random;
use winddown_tests::fuzz::{self, env, ops, sequence};

/// P1, P2, P4, P9.
#[test]
fn ops_does_what_its_models_do() {
    replay_all("ops", 20_000, |bytes| fuzz::replay(bytes, ops::run));
}

/// P1, where the counts end.
#[test]
fn ops_does_what_its_models_do_after_many_triggers() {
    let run = |program: &ops::Program| ops::run_asked_before(program, 509);
    pseudo_random(0, 50, 256, |bytes| fuzz::replay(bytes, run));
}

/// P1, P3, P5, P6, P7: whatever stages, clocks and passes do.
#[test]
fn sequence_takes_only_right_steps() {
    replay_all("sequence", 20_000, |bytes| fuzz::replay(bytes, sequence::run));
}

#[test]
fn env_reads_what_is_written() {
    replay_all("env", 20_000, |bytes| fuzz::replay(bytes, env::run));
}

/// A target that is not replayed above would rot.
#[test]
fn every_target_is_replayed() {
    let mut targets: Vec<_> = files(&fuzz_dir().join("fuzz_targets")).unwrap();
    targets.sort();
    let names: Vec<_> = targets.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    // `schedule` is replayed where its scheduler is: in `tests/explore`.
    assert_eq!(names, ["env", "ops", "schedule", "sequence"]);
}

fn replay_all(target: &str, unchosen: usize, replay: impl Fn(&[u8])) {
    let seeds = files(&fuzz_dir().join("seeds").join(target)).unwrap();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    // Nothing was found yet: no folder.
    let regressions = files(&fuzz_dir().join("regressions").join(target)).unwrap_or_default();
    for path in regressions.iter().chain(&seeds) {
        let running = Running(path);
        replay(&fs::read(running.0).unwrap());
    }
    pseudo_random(0, unchosen, 256, replay);
}

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// Names the file if it fails.
struct Running<'p>(&'p Path);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed by {}", self.0.display());
        }
    }
}

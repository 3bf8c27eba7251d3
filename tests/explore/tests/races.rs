//! Races of all kinds: see `winddown_explore`. On real threads; under `cargo races` in the order that bytes say.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use winddown_explore::{pseudo_random, run};

/// P1, P2, P3, P4, P9: whatever a few threads do at once. With `WINDDOWN_STRESS_SECONDS` set, others and others for so long;
/// with `WINDDOWN_RACE_SEED`, others from the first on.
#[test]
fn many_races() {
    let programs = if cfg!(winddown_shuttle) { 20_000 } else { 1_000 };
    let number = |name| env::var(name).map_or(0, |value| value.parse().expect("a whole number"));
    let (seconds, first) = (number("WINDDOWN_STRESS_SECONDS"), number("WINDDOWN_RACE_SEED"));
    let began = Instant::now();
    let mut all = 0;
    for seed in first.. {
        let (mut ran, mut races) = (0, 0);
        // Bytes too few for a program are none.
        pseudo_random(seed, programs, 2_000, |bytes| {
            if let Ok(schedules) = run(bytes) {
                ran += 1;
                races += schedules;
            }
        });
        assert!(ran > programs / 2, "of {programs} only {ran}");
        all += races;
        if began.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    println!("{all} races {}", if cfg!(winddown_shuttle) { "under a scheduler" } else { "on real threads" });
}

/// What the fuzzer has found: its seeds, and what once failed.
#[test]
fn kept_races() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let files = |folder: &str| -> io::Result<Vec<PathBuf>> {
        fs::read_dir(fuzz.join(folder).join("schedule"))?.map(|file| Ok(file?.path())).collect()
    };
    let seeds = files("seeds").unwrap();
    assert!(!seeds.is_empty(), "there are no seeds");
    // Nothing was found yet: no folder.
    for file in seeds.into_iter().chain(files("regressions").unwrap_or_default()) {
        println!("{}", file.display());
        run(&fs::read(file).unwrap()).expect("bytes enough");
    }
}

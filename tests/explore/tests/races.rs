//! Races of all kinds: see `winddown_explore`. On real threads; under `cargo races` in the order that bytes say.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use winddown_explore::{pseudo_random, run};

/// P1, P2, P3, P4, P9: whatever a few threads do at once. With `WINDDOWN_STRESS_SECONDS` set, others and others for so long.
#[test]
fn many_races() {
    let programs = if cfg!(winddown_shuttle) { 20_000 } else { 1_000 };
    let seconds = env::var("WINDDOWN_STRESS_SECONDS").map_or(0, |value| value.parse().expect("whole seconds"));
    let began = Instant::now();
    let mut all = 0;
    for seed in 0.. {
        let mut races = 0;
        // Bytes too few for a program are none.
        pseudo_random(seed, programs, 600, |bytes| races += run(bytes).unwrap_or(0));
        assert!(races > programs / 2, "of {programs} only {races}");
        all += races;
        if began.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    println!("{all} races");
}

/// What the fuzzer has found worth keeping.
#[test]
fn kept_races() {
    for folder in ["seeds", "regressions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder).join("schedule");
        // Nothing was found yet: no folder.
        let files = fs::read_dir(&folder).map(|files| files.map(|file| file.unwrap().path()).collect::<Vec<_>>());
        let files = if folder.ends_with("seeds/schedule") { files.unwrap() } else { files.unwrap_or_default() };
        for file in files {
            println!("{}", file.display());
            run(&fs::read(file).unwrap()).expect("bytes enough");
        }
    }
}

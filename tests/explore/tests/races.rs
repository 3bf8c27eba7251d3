//! Races of all kinds: see `winddown_explore`. On real threads; under `cargo races` in the order that bytes say.

use std::fs;
use std::path::Path;

use winddown_explore::run;

/// xorshift64.
struct Random(u64);

impl Random {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            u8::try_from(self.0 >> 56).expect("eight bits")
        };
        (0..count).map(|_| next()).collect()
    }
}

/// P1, P2, P3, P4, P9: whatever a few threads do at once.
#[test]
fn many_races() {
    let races = if cfg!(winddown_shuttle) { 100_000 } else { 1_000 };
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..races {
        run(&random.bytes(512)).expect("bytes enough");
    }
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

#![no_main]

use winddown_tests::fuzz::env::{Program, run};

libfuzzer_sys::fuzz_target!(|program: Program<'_>| run(&program));

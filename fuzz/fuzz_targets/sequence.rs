#![no_main]

use winddown_tests::fuzz::sequence::{Program, run};

libfuzzer_sys::fuzz_target!(|program: Program| run(&program));

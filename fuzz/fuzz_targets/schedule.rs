#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match winddown_explore::run(bytes) {
        Ok(_) => Corpus::Keep,
        Err(_) => Corpus::Reject,
    }
});

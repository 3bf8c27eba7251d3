//! The fuzz targets' bodies, so that the tests replay what the fuzzer has found: `fuzz/` only feeds them.
//!
//! A target is a module with a `Program`, which is made from bytes and prints as what it does, and a `run` that panics
//! when the core does something else than its [`oracle`](crate::oracle). Programs are decoded by hand and not by derive:
//! one byte a choice instead of four, so that a byte that changes changes one thing.

use std::fmt::Debug;

use arbitrary::{Arbitrary, Result, Unstructured};

pub mod env;
pub mod ops;
mod parts;
pub mod sequence;

/// Runs a target on bytes, decoded as the fuzzer decodes them, and shows the program if it fails.
pub fn replay<'a, P: Arbitrary<'a> + Debug>(bytes: &'a [u8], run: impl Fn(&P)) {
    if let Ok(program) = P::arbitrary_take_rest(Unstructured::new(bytes)) {
        let shown = ShownOnPanic(&program);
        run(shown.0);
    }
}

/// Hands out so many inputs, of up to so many bytes, that look random and are the same every time.
pub fn pseudo_random(inputs: usize, longest: usize, mut replay: impl FnMut(&[u8])) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut bytes = Vec::with_capacity(longest);
    for _ in 0..inputs {
        let length = random.below(longest + 1);
        bytes.clear();
        bytes.extend((0..length).map(|_| random.next().to_le_bytes()[7]));
        replay(&bytes);
    }
}

struct ShownOnPanic<'p, P: Debug>(&'p P);

impl<P: Debug> Drop for ShownOnPanic<'_, P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with {:#?}", self.0);
        }
    }
}

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % end
    }
}

/// Items until the bytes are used up, at most this many.
fn list<'a, T>(
    bytes: &mut Unstructured<'a>,
    at_most: usize,
    mut next: impl FnMut(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::with_capacity(at_most.min(bytes.len()));
    while items.len() < at_most && !bytes.is_empty() {
        items.push(next(bytes)?);
    }
    Ok(items)
}

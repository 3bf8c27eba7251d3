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

struct ShownOnPanic<'p, P: Debug>(&'p P);

impl<P: Debug> Drop for ShownOnPanic<'_, P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with {:#?}", self.0);
        }
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

//! What the two worlds' programs have in common: a few threads with a few steps each.

use std::ops::RangeInclusive;

use arbitrary::{Arbitrary, Result, Unstructured};

/// How many threads a program has, besides the one that begins and ends it.
pub(super) const THREADS: RangeInclusive<usize> = 2..=5;

/// How many steps a thread takes at most.
const STEPS: usize = 8;

/// The steps of each thread.
#[derive(Debug)]
pub(super) struct Threads<Step>(pub(super) Vec<Vec<Step>>);

impl<'a, Step: Arbitrary<'a>> Arbitrary<'a> for Threads<Step> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let threads = bytes.int_in_range(THREADS)?;
        let steps = |bytes: &mut Unstructured<'a>| {
            let steps = bytes.int_in_range(0..=STEPS)?;
            (0..steps).map(|_| bytes.arbitrary()).collect::<Result<_>>()
        };
        Ok(Self((0..threads).map(|_| steps(bytes)).collect::<Result<_>>()?))
    }
}

/// A thread of the program, by any number.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Whom(u8);

impl Whom {
    /// Its index among so many.
    pub(super) fn among(self, threads: usize) -> usize {
        usize::from(self.0) % threads
    }
}

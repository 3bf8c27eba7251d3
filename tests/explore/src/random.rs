//! Bytes that nobody has chosen.

/// Hands out so many inputs, of up to so many bytes, that look random and are the same every time for the same seed.
pub fn pseudo_random(seed: u64, inputs: usize, longest: usize, mut take: impl FnMut(&[u8])) {
    // Never 0, of which only zeros would come: the factor is odd.
    let mut random = Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(2 * seed + 1));
    let mut bytes = Vec::with_capacity(longest);
    for _ in 0..inputs {
        let length = random.below(longest + 1);
        bytes.clear();
        bytes.extend((0..length).map(|_| random.next().to_le_bytes()[7]));
        take(&bytes);
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

//! Chance that can be repeated: the same seed gives the same campaign.

/// A generator (xorshift64*).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// From `SCM_CONNECT_SEED`, else from the seed given. Prints it, so that a failure can be repeated.
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        let asked = std::env::var("SCM_CONNECT_SEED").ok().and_then(|text| text.parse().ok());
        let seed = asked.unwrap_or(seed).max(1);
        println!("{name}: SCM_CONNECT_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end.max(1)
    }

    /// Bytes that do not compress.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32).to_le_bytes().first().copied().unwrap_or(0)).collect()
    }
}

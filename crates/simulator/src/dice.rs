//! Chance, from one seed.

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A generator that says the same for the same seed, on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A generator of its own for somebody else.
    pub(crate) fn spawn(&mut self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0.next_u64())
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0.random_range(0..end)
    }

    /// A number of the range, both ends included.
    pub(crate) fn between(&mut self, from: u32, to: u32) -> u32 {
        self.0.random_range(from..=to)
    }

    /// An index into something of this length, which is not empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.0.random_range(0..length)
    }

    /// True so often in a thousand.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.index(things.len())]
    }
}

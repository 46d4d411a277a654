//! Chance, seeded: every draw is made from whole words of ChaCha8 by integer arithmetic, so that a seed means the same
//! bytes on every machine and under every version of a random-number library.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// 2^32 as a float: what a 32-bit word is compared with.
const WORDS: f64 = 4_294_967_296.0;

/// A source of chance.
#[derive(Clone, Debug)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// True in `rate` of all cases; `rate` lies between 0 and 1.
    pub(crate) fn chance(&mut self, rate: f64) -> bool {
        f64::from(self.0.next_u32()) < rate * WORDS
    }

    /// A number from 0 up to but not including `bound`; 0 where the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the upper half of a product of two words is a word")
    }

    /// A number between two instants or durations, the upper one not included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).max(0).cast_unsigned()).cast_signed()
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// The place of one of `count` things.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).expect("smaller than a usize")
    }

    /// How often something with this rate happens in a row before it fails, at most `limit` times.
    pub(crate) fn run(&mut self, rate: f64, limit: u32) -> u32 {
        let mut length = 0;
        while length < limit && self.chance(rate) {
            length += 1;
        }
        length
    }
}

/// A fixed fact about a thing: 64 bits that depend on nothing but the seed, the thing's number and what is asked.
/// The finaliser is that of `splitmix64`.
pub(crate) fn fact(seed: u64, number: u64, question: u64) -> u64 {
    let mut bits = seed
        .wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(question.wrapping_mul(0xd1b5_4a32_d192_ed03));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Whether a fixed fact holds, for `rate` of all things.
pub(crate) fn holds(seed: u64, number: u64, question: u64, rate: f64) -> bool {
    let high = u32::try_from(fact(seed, number, question) >> 32).expect("the upper half of a word");
    f64::from(high) < rate * WORDS
}

//! Chance that can be had again: what a test leaves to it follows from a seed that it prints.

use std::io::Write as _;
use std::time::Duration;

/// Chance from a seed (SplitMix64): the same seed, the same choices.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From the seed in `MUSUBI_SEED`, or from 1.
    pub fn new() -> Self {
        Self(dose("MUSUBI_SEED", 1))
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// A time below so many milliseconds.
    pub fn milliseconds(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}

/// How much of something a test is to do: the number in the variable, or `small`, which is the dose of every commit.
pub fn dose(variable: &str, small: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(small)
}

/// Says what was done and seen, where whoever runs a dose by hand reads it (`--success-output immediate`).
pub fn tell(what: &str) {
    // Nobody listens where stdout is closed, which is as well.
    let _ = writeln!(std::io::stdout(), "{what}");
}

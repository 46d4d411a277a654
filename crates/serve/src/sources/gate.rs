//! How much a source may send, and how much of what strangers send in its name is kept.
//!
//! The two are apart, so that a stranger who knows the address can neither use up the rate of the source nor fill the
//! log: what shows neither key nor signature is kept within a small budget, and beyond it only counted.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use musubi_channels::RateLimit;

/// What is kept of strangers, in KiB: 16 MiB at once, so that the events of a day with a wrong key are there to be taken
/// again, and then 2 KiB a second, which is at most 173 MB a day.
const STRANGERS_AT_ONCE: u32 = 16 * 1_024;
const STRANGERS_A_SECOND: u32 = 2;

/// How long whoever was told to come again is to wait where nothing better is known.
const A_MINUTE: u64 = 60;

/// What a request meets before it is written.
pub(super) struct Gate {
    rate: Option<DefaultDirectRateLimiter>,
    strangers: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Gate {
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        let strangers = quota(STRANGERS_A_SECOND, STRANGERS_AT_ONCE);
        Self {
            rate: limit.map(|limit| DefaultDirectRateLimiter::direct(quota(limit.per_second, limit.burst))),
            strangers: DefaultDirectRateLimiter::direct(strangers),
            clock: DefaultClock::default(),
        }
    }

    /// Lets a request of the source through, or says in how many seconds it may come again.
    pub(super) fn pass(&self) -> Result<(), u64> {
        let Some(rate) = &self.rate else { return Ok(()) };
        rate.check().map_err(|wait| seconds(wait.wait_time_from(self.clock.now())))
    }

    /// Whether there is room for so many bytes of a stranger; else in how many seconds there may be.
    pub(super) fn keep(&self, bytes: usize) -> Result<(), u64> {
        let kibibytes = u32::try_from(bytes.div_ceil(1_024).max(1)).unwrap_or(u32::MAX);
        let kibibytes = NonZeroU32::new(kibibytes).unwrap_or(NonZeroU32::MIN);
        match self.strangers.check_n(kibibytes) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(wait)) => Err(seconds(wait.wait_time_from(self.clock.now()))),
            Err(_) => Err(A_MINUTE),
        }
    }
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst))
}

/// Rounded up: who comes too early is only sent away once more.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_burst_and_then_waits() {
        let gate = Gate::new(Some(RateLimit { per_second: 1, burst: 3 }));
        for _ in 0..3 {
            assert_eq!(gate.pass(), Ok(()));
        }
        assert_eq!(gate.pass(), Err(1));
        assert_eq!(Gate::new(None).pass(), Ok(()));
    }

    #[test]
    fn strangers_do_not_use_up_the_rate_of_the_source_and_are_kept_within_bounds() {
        let gate = Gate::new(Some(RateLimit { per_second: 1, burst: 1 }));
        let mebibyte = 1 << 20;
        let kept = (0..100).filter(|_| gate.keep(mebibyte).is_ok()).count();
        assert_eq!(kept, 16);
        assert!(gate.keep(mebibyte).is_err_and(|wait| wait > 60), "a mebibyte takes minutes to come back");
        assert!(gate.keep(usize::MAX).is_err(), "more than ever fits");
        assert_eq!(gate.pass(), Ok(()));
    }
}

//! Bugs planted on purpose: every one of them is found, and without one nothing is.

#![cfg(feature = "sabotage")]

use musubi_simulator::{Bug, Options, simulate};

/// Within how many seeds a bug must be found.
const fn within(bug: Bug) -> u64 {
    match bug {
        Bug::LostMessage => 60,
        Bug::ForgottenCompression | Bug::StaleRedirect | Bug::HashOrder => 30,
        Bug::DoubleAbsorb | Bug::CommitBeforeWrite | Bug::LimitIgnored | Bug::ClockForEventTime => 10,
    }
}

fn options(bug: Option<Bug>) -> Options {
    Options { rocks: 0, bug, ..Options::default() }
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let found = (1..=within(bug)).find_map(|seed| simulate(seed, &options(Some(bug))).err());
        let failure = found.unwrap_or_else(|| panic!("{bug:?} is not found within {} seeds", within(bug)));
        assert!(failure.replay.ends_with(bug.as_str()), "{}", failure.replay);
    }
}

#[test]
fn without_a_planted_bug_none_is_found() {
    for seed in 1..=60 {
        if let Err(failure) = simulate(seed, &options(None)) {
            panic!("{failure}");
        }
    }
}

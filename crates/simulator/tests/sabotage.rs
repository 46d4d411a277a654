//! Bugs planted on purpose: every one of them is found, and without one nothing is.

#![cfg(feature = "sabotage")]

use musubi_core::sabotage::Bug as Core;
use musubi_log::sabotage::Bug as Log;
use musubi_simulator::{Bug, Options, World, run_seeds, simulate};

/// Within how many seeds a bug must be found.
const fn within(bug: Bug) -> u64 {
    match bug {
        Bug::Core(Core::ForgottenCompression) => 100,
        Bug::Core(Core::LostMessage) => 60,
        Bug::Core(Core::StaleRedirect | Core::HashOrder) => 30,
        Bug::Core(Core::DoubleAbsorb | Core::CommitBeforeWrite | Core::LimitIgnored | Core::ClockForEventTime) => 10,
        Bug::Core(Core::WriteBeforeCommit | Core::ReusedOverlay | Core::FlushInParts) => 60,
        // Both want a misfortune in the very moment of another.
        Bug::Log(Log::IgnoredFencing) => 2_000,
        Bug::Log(Log::SkippedFooter | Log::StableForEnd) => 400,
        Bug::Log(
            Log::CachedWord
            | Log::DroppedRecord
            | Log::ReplayedBatch
            | Log::SwallowedDelivery
            | Log::WrongPartition
            | Log::KeptLost,
        ) => 60,
    }
}

fn options(bug: Option<Bug>) -> Options {
    Options { world: bug.map(Bug::world), rocks: 0, again: 0, bug }
}

#[track_caller]
fn is_found(bug: Bug) {
    let found = (1..=within(bug)).find_map(|seed| simulate(seed, &options(Some(bug))).err());
    let failure = found.unwrap_or_else(|| panic!("{bug:?} is not found within {} seeds", within(bug)));
    assert!(failure.replay.ends_with(bug.as_str()), "{}", failure.replay);
}

#[test]
fn every_bug_planted_in_who_is_who_is_found() {
    Bug::all().filter(|bug| bug.world() == World::Gentle).for_each(is_found);
}

macro_rules! found {
    ($($name:ident: $bug:expr;)*) => {
        $(
            #[test]
            fn $name() {
                is_found($bug);
            }
        )*

        #[test]
        fn every_bug_planted_in_the_log_has_a_test() {
            let tested = [$($bug),*];
            let missing: Vec<Bug> =
                Bug::all().filter(|bug| bug.world() == World::Kafka && !tested.contains(bug)).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    };
}

found! {
    a_state_that_is_written_before_its_commit_is_found: Bug::Core(Core::WriteBeforeCommit);
    an_overlay_that_is_used_after_an_abort_is_found: Bug::Core(Core::ReusedOverlay);
    a_flush_that_is_not_atomic_over_tables_is_found: Bug::Core(Core::FlushInParts);
    a_footer_that_nobody_checks_is_found: Bug::Log(Log::SkippedFooter);
    fencing_that_is_ignored_is_found: Bug::Log(Log::IgnoredFencing);
    a_word_of_the_group_that_is_kept_is_found: Bug::Log(Log::CachedWord);
    a_stable_offset_that_is_taken_for_the_end_is_found: Bug::Log(Log::StableForEnd);
    a_record_that_is_left_out_of_a_batch_is_found: Bug::Log(Log::DroppedRecord);
    a_batch_that_is_replayed_is_found: Bug::Log(Log::ReplayedBatch);
    a_delivery_error_that_is_swallowed_is_found: Bug::Log(Log::SwallowedDelivery);
    a_record_in_the_wrong_partition_is_found: Bug::Log(Log::WrongPartition);
    an_assignment_that_is_lost_and_kept_is_found: Bug::Log(Log::KeptLost);
}

#[test]
fn without_a_planted_bug_none_is_found() {
    let summary = run_seeds(1, 60, 1, &options(None), |_| ());
    assert!(summary.failures.is_empty(), "{}", summary.failures[0]);
}

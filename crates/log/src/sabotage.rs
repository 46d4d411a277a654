//! Bugs planted on purpose in the log on Kafka, so that the simulation can prove that it would see them. Never in a
//! shipped binary. Those of the crates above are in `musubi_core::sabotage`; the two crates do not know each other.

use std::cell::Cell;

/// One planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A batch of the changelog is believed whatever its footer says.
    SkippedFooter,
    /// It is not asked whether the partitions are still the worker's when it commits.
    IgnoredFencing,
    /// What the group says of a member is asked once and kept.
    CachedWord,
    /// The end that a reader of committed records sees is taken for the end of the changelog.
    StableForEnd,
    /// The last state write of a batch is not sent.
    DroppedRecord,
    /// What a footer covers is read once more after a restore.
    ReplayedBatch,
    /// A record that was not delivered is not missed.
    SwallowedDelivery,
    /// A record goes to the partition beside its own.
    WrongPartition,
    /// Partitions that were lost are kept.
    KeptLost,
}

impl Bug {
    /// Every planted bug.
    pub const ALL: [Self; 9] = [
        Self::SkippedFooter,
        Self::IgnoredFencing,
        Self::CachedWord,
        Self::StableForEnd,
        Self::DroppedRecord,
        Self::ReplayedBatch,
        Self::SwallowedDelivery,
        Self::WrongPartition,
        Self::KeptLost,
    ];

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SkippedFooter => "skipped-footer",
            Self::IgnoredFencing => "ignored-fencing",
            Self::CachedWord => "cached-word",
            Self::StableForEnd => "stable-for-end",
            Self::DroppedRecord => "dropped-record",
            Self::ReplayedBatch => "replayed-batch",
            Self::SwallowedDelivery => "swallowed-delivery",
            Self::WrongPartition => "wrong-partition",
            Self::KeptLost => "kept-lost",
        }
    }
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    static TICKS: Cell<u64> = const { Cell::new(0) };
}

/// Plants a bug in this thread, or takes it out.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
    TICKS.set(0);
}

/// Whether this bug is planted in this thread.
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this bug is planted and strikes now: every `nth` time it is asked.
pub(crate) fn strikes(bug: Bug, nth: u64) -> bool {
    is(bug) && {
        TICKS.set(TICKS.get() + 1);
        TICKS.get().is_multiple_of(nth)
    }
}

/// Runs without the bug that is planted in this thread: for oracles.
pub fn suspended<T>(run: impl FnOnce() -> T) -> T {
    let planted = PLANTED.take();
    let result = run();
    PLANTED.set(planted);
    result
}

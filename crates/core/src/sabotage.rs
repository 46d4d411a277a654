//! Bugs planted on purpose, so that the simulation can prove that it would see them. Never in a shipped binary.

use std::cell::Cell;

/// One planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A mesh message is lost on its way.
    LostMessage,
    /// An absorbed cluster is absorbed twice.
    DoubleAbsorb,
    /// Positions are committed although the state was not written.
    CommitBeforeWrite,
    /// An absorbed cluster keeps no pointer to where it went. (A stale `Reparent` that overwrites a newer one was planted
    /// first, and is harmless: pointers only ever lead on to more senior roots, so it costs a hop.)
    ForgottenCompression,
    /// A limit is ignored on one path of resolution.
    LimitIgnored,
    /// A message to an absorbed cluster stays with its old home.
    StaleRedirect,
    /// The time of processing is taken for the time of the event.
    ClockForEventTime,
    /// A set is iterated in hash order.
    HashOrder,
    /// The state is written before the log has committed it.
    WriteBeforeCommit,
    /// What was decided in memory is kept after a commit that failed.
    ReusedOverlay,
    /// The tables of the store are flushed one by one, so that a crash leaves them as of different batches.
    FlushInParts,
}

impl Bug {
    /// Every planted bug.
    pub const ALL: [Self; 11] = [
        Self::LostMessage,
        Self::DoubleAbsorb,
        Self::CommitBeforeWrite,
        Self::ForgottenCompression,
        Self::LimitIgnored,
        Self::StaleRedirect,
        Self::ClockForEventTime,
        Self::HashOrder,
        Self::WriteBeforeCommit,
        Self::ReusedOverlay,
        Self::FlushInParts,
    ];

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LostMessage => "lost-message",
            Self::DoubleAbsorb => "double-absorb",
            Self::CommitBeforeWrite => "commit-before-write",
            Self::ForgottenCompression => "forgotten-compression",
            Self::LimitIgnored => "limit-ignored",
            Self::StaleRedirect => "stale-redirect",
            Self::ClockForEventTime => "clock-for-event-time",
            Self::HashOrder => "hash-order",
            Self::WriteBeforeCommit => "write-before-commit",
            Self::ReusedOverlay => "reused-overlay",
            Self::FlushInParts => "flush-in-parts",
        }
    }

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| bug.as_str() == name)
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
pub fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this bug is planted and strikes now: every `nth` time it is asked.
pub fn strikes(bug: Bug, nth: u64) -> bool {
    is(bug) && {
        TICKS.set(TICKS.get() + 1);
        TICKS.get().is_multiple_of(nth)
    }
}

/// Runs without the bug that is planted in this thread: for oracles, which must not be fooled by what they are to find.
pub fn suspended<T>(run: impl FnOnce() -> T) -> T {
    let planted = PLANTED.take();
    let result = run();
    PLANTED.set(planted);
    result
}

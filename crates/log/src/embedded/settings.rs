//! How an embedded log is set up: its topics, what is deleted when, and what a commit survives.

use crate::{Table, Topic};

/// What a worker's commit, and an append at the edge, survive once they have returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power failure: every commit is followed by an fsync.
    Sync,
    /// The end of the process (kill -9). After a power failure the last commits may be gone, together with everything
    /// that followed from them, and their inputs are read again. Appends at the edge survive even that: they have their
    /// fsync.
    #[default]
    Wal,
    /// Nothing, until [`super::Embedded::flush`] has returned: for bulk runs that start again after a crash. Appends at
    /// the edge are no exception. The database must have been opened with [`super::configure`].
    None,
}

/// A topic and how it is kept.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// Its name.
    pub topic: Topic,
    /// How many partitions it has, forever.
    pub partitions: u32,
    /// What is deleted when.
    pub cleanup: Cleanup,
}

/// What [`super::Embedded::maintain`] deletes of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cleanup {
    /// Nothing.
    #[default]
    Keep,
    /// The oldest records.
    Delete(Retention),
    /// Records superseded by a later one of their key.
    Compact(Compaction),
    /// Both.
    CompactAndDelete(Compaction, Retention),
}

impl Cleanup {
    pub(crate) fn retention(&self) -> Option<&Retention> {
        match self {
            Cleanup::Delete(retention) | Cleanup::CompactAndDelete(_, retention) => Some(retention),
            Cleanup::Keep | Cleanup::Compact(_) => None,
        }
    }

    pub(crate) fn compaction(&self) -> Option<&Compaction> {
        match self {
            Cleanup::Compact(compaction) | Cleanup::CompactAndDelete(compaction, _) => Some(compaction),
            Cleanup::Keep | Cleanup::Delete(_) => None,
        }
    }
}

/// When the oldest records of a partition may go: as soon as one of the limits allows it, a chunk at a time, so
/// somewhat more than the limit may stay and never less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Records older than so many milliseconds go.
    pub max_age_ms: Option<i64>,
    /// The oldest go while the newer ones alone have so many bytes.
    pub max_bytes: Option<u64>,
    /// The oldest go while there are so many newer ones. 0 with `spare_unread` is a queue.
    pub max_records: Option<u64>,
    /// Records that a consumer group of this topic has not committed yet stay, whatever the limits say.
    pub spare_unread: bool,
}

impl Default for Retention {
    /// Nothing goes.
    fn default() -> Self {
        Self { max_age_ms: None, max_bytes: None, max_records: None, spare_unread: true }
    }
}

/// How a partition is compacted by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// A pass starts when so many percent of the records have come since the last one. 50 reads and writes each record
    /// about twice over its life, and keeps at most about as many superseded records as live ones.
    pub dirty_percent: u64,
    /// A pass starts as well when records have come and the last one is so many milliseconds ago: the longest that what
    /// was overwritten or erased can be read.
    pub max_lag_ms: Option<u64>,
    /// A tombstone stays so many milliseconds after the pass that first met it, so that a reader who is on its way
    /// learns of the deletion. Then a pass starts to remove it.
    pub tombstone_delay_ms: u64,
    /// About how many bytes a pass may use for its map of keys. What does not fit is left to the next pass.
    pub memory_bytes: usize,
}

impl Default for Compaction {
    /// Half dirty or a day old, a day for tombstones, 64 MiB.
    fn default() -> Self {
        let day = 24 * 60 * 60 * 1_000;
        Self { dirty_percent: 50, max_lag_ms: Some(day), tombstone_delay_ms: day, memory_bytes: 64 * 1024 * 1024 }
    }
}

/// An embedded log's settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The topics wanted. Those that are not there are made; of those that are, the partition count must agree.
    pub topics: Vec<TopicSettings>,
    /// The state's tables: column families of the same database that transactions may write to.
    pub tables: Vec<Table>,
    /// What a commit survives.
    pub durability: Durability,
}

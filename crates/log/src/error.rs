//! What can go wrong, sorted by what the caller does next.

use std::sync::Arc;

use crate::{Offset, Partition, Topic};

/// Why the log did not do as it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The program or its configuration is wrong: doing it again will not help.
    #[error("no topic `{topic}` in this log")]
    UnknownTopic {
        /// The topic asked for.
        topic: Topic,
    },
    /// The program or its configuration is wrong: the topic has fewer partitions.
    #[error("no partition `{partition}` in topic `{topic}`: it has {partitions}")]
    UnknownPartition {
        /// The topic.
        topic: Topic,
        /// The partition asked for.
        partition: Partition,
        /// How many there are.
        partitions: u32,
    },
    /// The program is wrong: a compacted topic keeps the last record of each key, so each record must have one.
    #[error("a record without a key cannot be kept in topic `{topic}`, which is compacted by key")]
    KeyWanted {
        /// The topic.
        topic: Topic,
    },
    /// The program is wrong in the way that is said.
    #[error("{0}")]
    Misuse(String),
    /// The log on disk is not the log that was configured: change the configuration, or point at another directory.
    #[error("{what}: wanted {wanted}, found {found}")]
    Mismatch {
        /// What differs.
        what: String,
        /// What the configuration says.
        wanted: String,
        /// What the disk says.
        found: String,
    },
    /// Records that were to be read are gone. Never skipped in silence: the caller decides where to go on.
    #[error("offset `{wanted}` of `{topic}/{partition}` is out of range: it holds {start}..{end}")]
    OutOfRange {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
        /// The offset asked for.
        wanted: Offset,
        /// The first offset still there.
        start: Offset,
        /// The offset that the next record will get.
        end: Offset,
    },
    /// Bytes on disk are not what was written: stop this partition.
    #[error("corrupt record batch that ends at `{topic}/{partition}/{offset}`: {reason}")]
    Corrupt {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
        /// The last offset of the batch.
        offset: Offset,
        /// What was wanted and what was found.
        reason: &'static str,
    },
    /// The cluster, or the way to it: try again, and where that does not help, look at what it says.
    #[error("kafka failed at {doing}: {source}")]
    Broker {
        /// What was being done.
        doing: String,
        /// What librdkafka says.
        source: rdkafka::error::KafkaError,
    },
    /// Nothing happened for too long: try again.
    #[error("{what}")]
    Stalled {
        /// What was waited for.
        what: String,
    },
    /// The state beside the log failed: stop this partition.
    #[error("the state beside the log failed: {0}")]
    State(Arc<dyn std::error::Error + Send + Sync>),
    /// The disk failed: restart, and read what is there.
    #[error("storage failed")]
    Storage(#[source] Arc<rocksdb::Error>),
}

impl Error {
    pub(crate) fn broker(doing: impl Into<String>, source: rdkafka::error::KafkaError) -> Self {
        Self::Broker { doing: doing.into(), source }
    }
}

impl From<rocksdb::Error> for Error {
    fn from(error: rocksdb::Error) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// Why a transaction was not committed, or may not have been. Whichever it is, [`crate::Log::rewind`] comes next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing of it happened. These partitions are someone else's by now: give up their state. The others may go on.
    #[error("partitions {partitions:?} belong to another worker now")]
    Fenced {
        /// The partitions that were lost.
        partitions: Vec<Partition>,
    },
    /// All of it happened or nothing did, and nobody can say which: after the rewind, read the changelog to find out.
    #[error("the outcome of the transaction is unknown: {reason}")]
    Unknown {
        /// What was lost on the way.
        reason: String,
    },
    /// Nothing of it happened.
    #[error(transparent)]
    Failed(#[from] Error),
}

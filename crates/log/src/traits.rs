//! What a worker, a producer at the edge and a reader ask of any log.

use std::time::Duration;

use crate::{Append, CommitError, Delivery, Error, Mutations, Offset, Partition, Topic};

/// How much a read may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// At most so many records.
    pub records: usize,
    /// At most so many bytes of keys, values and headers; a single larger record still comes, alone.
    pub bytes: usize,
    /// How long to wait for the first record where there is none yet. Simulated logs never wait.
    pub patience: Duration,
}

impl Budget {
    /// At most so many records of any size, without waiting.
    pub const fn records(records: usize) -> Self {
        Self { records, bytes: usize::MAX, patience: Duration::ZERO }
    }

    /// The same budget, waiting so long for the first record.
    pub const fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// A partition held by a worker, and which time it was given away. A partition that leaves and comes back is another
/// lease, so that a late word about the first cannot be taken for one about the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// The partition, of every topic the worker subscribes to.
    pub partition: Partition,
    /// Rises whenever the partition is given to someone.
    pub generation: u64,
}

/// What a poll brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Records, in order of offset within a topic and partition. Empty where nothing came in time.
    Records(Vec<Delivery>),
    /// The worker's partitions changed. It drops what it holds of those lost and restores those gained from their
    /// changelog ([`Log::changelog`]); reading goes on from their committed positions.
    Assignment {
        /// Partitions it no longer holds.
        lost: Vec<Lease>,
        /// Partitions it holds from now on.
        gained: Vec<Lease>,
    },
}

/// How far a partition of a topic has been consumed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The offset to be read next.
    pub next: Offset,
}

/// What a worker did, as one thing that happens or does not.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// How far the inputs are consumed by it. Kafka fences a zombie by these, so they are never left out: a transaction
    /// that wrote nothing still says what it read.
    pub inputs: Vec<Position>,
    /// Records to append, to any topic and partition. Those of one topic and partition keep their order.
    pub outputs: Vec<Append>,
    /// State writes. Their keys name their partitions, which the worker must hold.
    pub state: Mutations,
}

/// What is left to do after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Nothing: the state was written to the database together with everything else.
    Applied,
    /// The state is in the changelog. The caller now writes it to its store, together with the changelog positions, in
    /// one batch. If it dies before that, the changelog gives the same writes again.
    Unapplied {
        /// The state writes of the transaction, handed back.
        state: Mutations,
        /// For each partition they touch: where its changelog goes on after them.
        changelog: Vec<(Partition, Offset)>,
    },
}

/// The state writes of one transaction in one partition, as its changelog holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The writes.
    pub state: Mutations,
    /// Where the changelog goes on: to be stored in the same batch as the writes.
    pub next: Offset,
}

/// The log as one worker sees it: it reads the worker's partitions of its subscribed topics and commits what the worker
/// made of them.
///
/// A worker begins with no partitions: the first [`Log::poll`] brings them as [`Polled::Assignment`]. After a failed
/// commit it calls [`Log::rewind`], brings its state up to date with [`Log::changelog`], and polls again.
///
/// **Outcomes.** A transaction becomes visible to every reader whole, at or after its commit, and its inputs count as
/// consumed exactly then. Records of one topic and partition are seen in order of their offsets; between partitions
/// nothing is promised, and the priority of topics is a matter of latency, never of correctness.
pub trait Log {
    /// The partitions this worker holds, as far as it has been told.
    fn assignment(&self) -> &[Lease];

    /// The records after the last polled position, fair across partitions and with the topics that come first in the
    /// subscription first; or a change of assignment.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] where retention overtook the worker, [`Error::Corrupt`], [`Error::Storage`], and
    /// [`Error::Misuse`] between a failed commit and its rewind.
    fn poll(&mut self, budget: Budget) -> Result<Polled, Error>;

    /// Makes the transaction happen, whole.
    ///
    /// # Errors
    ///
    /// See [`CommitError`]; the log must be rewound after any.
    fn commit(&mut self, transaction: Transaction) -> Result<Committed, CommitError>;

    /// Forgets what was polled and not committed, settles a transaction of unknown outcome, and goes back to the
    /// committed positions.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`].
    fn rewind(&mut self) -> Result<(), Error>;

    /// The next changes of a partition's state at `from` or after; None where there are no more, and always where
    /// commits say [`Committed::Applied`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Corrupt`], [`Error::Storage`].
    fn changelog(&mut self, partition: Partition, from: Offset) -> Result<Option<Changes>, Error>;
}

/// The log as the edge sees it: records from outside come in here. Many threads may call it at once.
pub trait Producer: Send + Sync {
    /// Appends the records, all or none, and returns their offsets in the same order once they are durable. Those of
    /// one topic and partition keep their order and follow one another.
    ///
    /// A caller that hears an error other than a misuse cannot know whether the records are there, and sends them
    /// again: at least once.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`], [`Error::KeyWanted`], [`Error::Storage`].
    fn append(&self, appends: Vec<Append>) -> Result<Vec<Offset>, Error>;
}

/// A stretch of a topic's partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The committed records found, in order of offset.
    pub records: Vec<Delivery>,
    /// Where to go on reading. It can lie beyond the last record: what was compacted away is passed over.
    pub next: Offset,
}

/// The log as an onlooker sees it: committed records only, and no position kept.
pub trait Reader: Send + Sync {
    /// How many partitions the topic has.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`].
    fn partitions(&self, topic: &Topic) -> Result<u32, Error>;

    /// The first offset that retention has left.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`].
    fn start_offset(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error>;

    /// The offset after the last record that can be read now.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`].
    fn end_offset(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error>;

    /// The records at `from` and after, within the budget, waiting out its patience where there is none yet.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] where `from` is before the start or after the end, [`Error::Corrupt`], [`Error::Storage`].
    fn read(&self, topic: &Topic, partition: Partition, from: Offset, budget: Budget) -> Result<Stretch, Error>;
}

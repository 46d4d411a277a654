//! A log in memory for simulations: seeded, single-threaded in effect, without a clock, and as unkind as the rules of
//! [`crate::Log`] allow.
//!
//! A [`Cluster`] is the broker. The driver makes workers, gives partitions to them, appends, and lets time pass by
//! [`Cluster::tick`]. It crashes a worker by dropping it: a transaction that was not committed is then gone. It makes a
//! zombie by giving a worker's partitions away between the worker's poll and its commit. Everything else that happens
//! is drawn from the generator handed in ([`Faults`]), so a seed tells the whole story again.
//!
//! What it keeps to, as Kafka does: a transaction is whole or absent, its records are never seen before its commit,
//! records of one partition are seen in order, and a lease that has passed to another commits nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha8Rng;

use broker::Broker;

use crate::{Append, Budget, Error, Offset, Partition, Producer, Reader, Stretch, Topic};

mod broker;
#[cfg(test)]
mod tests;

mod worker;

pub use worker::Worker;

/// What may go wrong, and how often in a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Appends at the edge that arrive a second time, later: a producer that did not hear the answer.
    pub duplicate: u32,
    /// The most ticks that pass until a record can be seen; drawn for each write and partition, so partitions overtake
    /// each other.
    pub delay_ticks: u64,
    /// Commits that answer [`crate::CommitError::Unknown`]. A third of them happened, a third did not, and a third are
    /// still on their way.
    pub unknown: u32,
    /// Polls of a worker that has not yet heard that its partitions changed.
    pub stale: u32,
    /// Polls that take partitions and topics in any order, and as little as they like. The others keep to the order of
    /// the subscription.
    pub disorder: u32,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self { duplicate: 0, delay_ticks: 0, unknown: 0, stale: 0, disorder: 0 };

    /// Everything goes wrong, often enough that a short run meets all of it.
    pub const HOSTILE: Self = Self { duplicate: 100, delay_ticks: 6, unknown: 50, stale: 300, disorder: 700 };
}

/// Names a worker within its cluster. No two workers ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub(crate) u64);

/// The simulated broker. Clones are the same broker.
#[derive(Clone, Debug)]
pub struct Cluster {
    broker: Arc<Mutex<Broker>>,
}

impl Cluster {
    /// A cluster with these topics and partition counts, whose workers subscribe to these of them, the first first.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`] where the subscription names a topic that is not among the topics.
    pub fn new(
        topics: &[(Topic, u32)],
        subscription: &[Topic],
        faults: Faults,
        random: ChaCha8Rng,
    ) -> Result<Self, Error> {
        let broker = Broker::new(topics, subscription, faults, random)?;
        Ok(Self { broker: Arc::new(Mutex::new(broker)) })
    }

    fn broker(&self) -> MutexGuard<'_, Broker> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new worker, which holds nothing until it is given partitions.
    pub fn worker(&self) -> Worker {
        let id = self.broker().admit();
        Worker::new(self.clone(), id)
    }

    /// Gives the partitions to the worker, whoever holds them. It hears of it when it polls; so does the one who lost
    /// them, or when it commits. A partition that it holds already stays as it is.
    pub fn assign(&self, worker: WorkerId, partitions: &[Partition]) {
        self.broker().assign(worker, partitions);
    }

    /// Lets time pass: delayed records come into view, duplicates arrive, commits on their way may land.
    pub fn tick(&self) {
        self.broker().tick();
    }

    /// Lets so much time pass that nothing is on its way any more.
    pub fn settle(&self) {
        self.broker().settle();
    }

    /// How many records of the subscription the workers have yet to consume, those not in view yet included.
    pub fn unread(&self) -> u64 {
        self.broker().unread()
    }

    /// How far the workers have consumed a partition.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`].
    pub fn committed(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error> {
        let broker = self.broker();
        broker.lane(topic, partition)?;
        Ok(broker.committed(topic, partition))
    }
}

impl Producer for Cluster {
    fn append(&self, appends: Vec<Append>) -> Result<Vec<Offset>, Error> {
        self.broker().append_at_the_edge(appends)
    }
}

impl Reader for Cluster {
    fn partitions(&self, topic: &Topic) -> Result<u32, Error> {
        self.broker().partitions(topic)
    }

    fn start_offset(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error> {
        self.broker().lane(topic, partition).map(|_| 0)
    }

    fn end_offset(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error> {
        Ok(self.broker().lane(topic, partition)?.visible())
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, budget: Budget) -> Result<Stretch, Error> {
        self.broker().read(topic, partition, from, budget)
    }
}

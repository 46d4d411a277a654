//! A worker's handle on the simulated log.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use super::broker::Broker;
use super::{Cluster, WorkerId};
use crate::{
    Budget, Changes, CommitError, Committed, Delivery, Error, Lease, Log, Offset, Partition, Polled, Topic, Transaction,
};

/// One simulated worker. Dropping it is a crash.
#[derive(Debug)]
pub struct Worker {
    cluster: Cluster,
    id: WorkerId,
    leases: Vec<Lease>,
    /// The next offset to poll, by place in the subscription and partition.
    cursors: BTreeMap<(usize, Partition), Offset>,
    broken: bool,
}

impl Worker {
    pub(crate) fn new(cluster: Cluster, id: WorkerId) -> Self {
        Self { cluster, id, leases: Vec::new(), cursors: BTreeMap::new(), broken: false }
    }

    /// Its name in the cluster, to give partitions to.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    fn hear(&mut self, broker: &mut Broker) -> Option<Polled> {
        let current = broker.leases(self.id);
        let stale = !self.leases.is_empty() && broker.happens(broker.faults().stale);
        if current == self.leases || stale {
            return None;
        }
        let without = |leases: &[Lease], others: &[Lease]| {
            leases.iter().copied().filter(|lease| !others.contains(lease)).collect::<Vec<_>>()
        };
        let (lost, gained) = (without(&self.leases, &current), without(&current, &self.leases));
        self.leases = current;
        let changed: BTreeSet<_> = lost.iter().chain(&gained).map(|lease| lease.partition).collect();
        self.cursors.retain(|(_, partition), _| !changed.contains(partition));
        gained.iter().for_each(|lease| self.seek(broker, lease.partition));
        Some(Polled::Assignment { lost, gained })
    }

    fn seek(&mut self, broker: &Broker, partition: Partition) {
        for (place, topic) in broker.subscription().iter().enumerate() {
            if broker.lane(topic, partition).is_ok() {
                self.cursors.insert((place, partition), broker.committed(topic, partition));
            }
        }
    }

    fn gather(&mut self, broker: &mut Broker, budget: Budget) -> Result<Vec<Delivery>, Error> {
        let disorder = broker.happens(broker.faults().disorder);
        let topics = broker.subscription().to_vec();
        let mut gathered = Vec::new();
        let mut left = budget;
        let mut open: Vec<_> = self.cursors.keys().copied().collect();
        if disorder && left.records > 1 {
            left.records = broker.random.random_range(1..=left.records);
        }
        while left.records > 0 && left.bytes > 0 && !open.is_empty() {
            let choice = if disorder { broker.random.random_range(0..open.len()) } else { 0 };
            let cursor = open[choice];
            let share = if disorder { broker.random.random_range(1..=left.records) } else { left.records };
            let taken = self.take(broker, &topics, cursor, Budget { records: share, ..left })?;
            left.records -= taken.len();
            left.bytes = left.bytes.saturating_sub(taken.iter().map(|delivery| delivery.record.size()).sum());
            if taken.len() < share {
                open.remove(choice);
            }
            gathered.extend(taken);
        }
        Ok(gathered)
    }

    fn take(
        &mut self,
        broker: &Broker,
        topics: &[Topic],
        cursor: (usize, Partition),
        budget: Budget,
    ) -> Result<Vec<Delivery>, Error> {
        let (place, partition) = cursor;
        let from = self.cursors.get(&cursor).copied().unwrap_or_default();
        let stretch = broker.read(&topics[place], partition, from, budget)?;
        self.cursors.insert(cursor, stretch.next);
        Ok(stretch.records)
    }

    fn check_whole(&self) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Misuse("after a failed commit the log is rewound before it is used".into()));
        }
        Ok(())
    }
}

impl Log for Worker {
    fn assignment(&self) -> &[Lease] {
        &self.leases
    }

    fn poll(&mut self, budget: Budget) -> Result<Polled, Error> {
        self.check_whole()?;
        let cluster = self.cluster.clone();
        let mut broker = cluster.broker();
        if let Some(change) = self.hear(&mut broker) {
            return Ok(change);
        }
        Ok(Polled::Records(self.gather(&mut broker, budget)?))
    }

    fn commit(&mut self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.check_whole()?;
        let outcome = self.cluster.broker().commit(self.id, &self.leases, transaction);
        self.broken = outcome.is_err();
        outcome
    }

    fn rewind(&mut self) -> Result<(), Error> {
        let cluster = self.cluster.clone();
        let mut broker = cluster.broker();
        broker.conclude(self.id);
        for lease in self.leases.clone() {
            self.seek(&broker, lease.partition);
        }
        self.broken = false;
        Ok(())
    }

    fn changelog(&mut self, partition: Partition, from: Offset) -> Result<Option<Changes>, Error> {
        self.cluster.broker().changelog(partition, from)
    }
}

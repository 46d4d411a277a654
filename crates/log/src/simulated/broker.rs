//! What a broker knows: records, who holds which partition, positions, changelogs, and what is still on its way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Faults, WorkerId};
use crate::{
    Append, Budget, Changes, CommitError, Committed, Delivery, Error, Lease, Mutations, Offset, Partition, Position,
    Record, Stretch, Topic, Transaction,
};

/// How many ticks later than others a duplicate may arrive.
const DUPLICATE_TICKS: u64 = 20;

/// A partition of a topic: all its records, and how many of them can be seen.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    records: Vec<Record>,
    visible: usize,
    /// Ends of writes that are not in view yet, and the tick at which each comes into view. Ticks never fall, so that
    /// no write is seen before an earlier one.
    hidden: VecDeque<(usize, u64)>,
}

impl Lane {
    /// The offset after the last record that can be seen.
    pub(crate) fn visible(&self) -> Offset {
        self.visible as Offset
    }

    fn hide_until(&mut self, tick: u64) {
        let tick = self.hidden.back().map_or(tick, |(_, earlier)| tick.max(*earlier));
        self.hidden.push_back((self.records.len(), tick));
    }

    fn reveal(&mut self, now: u64) {
        while let Some((end, _)) = self.hidden.front().filter(|(_, tick)| *tick <= now) {
            self.visible = *end;
            self.hidden.pop_front();
        }
    }
}

/// A commit whose worker was told nothing, and which may yet land.
#[derive(Debug)]
struct OnItsWay {
    leases: Vec<Lease>,
    transaction: Transaction,
}

#[derive(Debug)]
pub(crate) struct Broker {
    topics: BTreeMap<Topic, Vec<Lane>>,
    subscription: Vec<Topic>,
    owners: BTreeMap<Partition, (WorkerId, u64)>,
    positions: BTreeMap<(Topic, Partition), Offset>,
    changelogs: BTreeMap<Partition, Vec<Mutations>>,
    duplicates: Vec<(u64, Vec<Append>)>,
    on_their_way: BTreeMap<WorkerId, OnItsWay>,
    workers: u64,
    now: u64,
    faults: Faults,
    pub(crate) random: ChaCha8Rng,
}

impl Broker {
    pub(crate) fn new(
        topics: &[(Topic, u32)],
        subscription: &[Topic],
        faults: Faults,
        random: ChaCha8Rng,
    ) -> Result<Self, Error> {
        let lanes = |count: u32| (0..count).map(|_| Lane::default()).collect();
        let broker = Self {
            topics: topics.iter().map(|(topic, partitions)| (topic.clone(), lanes(*partitions))).collect(),
            subscription: subscription.to_vec(),
            owners: BTreeMap::new(),
            positions: BTreeMap::new(),
            changelogs: BTreeMap::new(),
            duplicates: Vec::new(),
            on_their_way: BTreeMap::new(),
            workers: 0,
            now: 0,
            faults,
            random,
        };
        subscription.iter().try_for_each(|topic| broker.partitions(topic).map(drop))?;
        Ok(broker)
    }

    pub(crate) fn subscription(&self) -> &[Topic] {
        &self.subscription
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults
    }

    /// True so often in a thousand.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random.random_range(0..1_000) < per_mille
    }

    pub(crate) fn admit(&mut self) -> WorkerId {
        self.workers += 1;
        WorkerId(self.workers)
    }

    // Topics.

    pub(crate) fn partitions(&self, topic: &Topic) -> Result<u32, Error> {
        let lanes = self.topics.get(topic).ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })?;
        Ok(lanes.len() as u32)
    }

    pub(crate) fn lane(&self, topic: &Topic, partition: Partition) -> Result<&Lane, Error> {
        let lanes = self.topics.get(topic).ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })?;
        let partitions = lanes.len() as u32;
        let unknown = || Error::UnknownPartition { topic: topic.clone(), partition, partitions };
        lanes.get(partition as usize).ok_or_else(unknown)
    }

    pub(crate) fn read(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        budget: Budget,
    ) -> Result<Stretch, Error> {
        let lane = self.lane(topic, partition)?;
        if from > lane.visible() {
            let (topic, end) = (topic.clone(), lane.visible());
            return Err(Error::OutOfRange { topic, partition, wanted: from, start: 0, end });
        }
        let (mut records, mut bytes) = (Vec::new(), 0_usize);
        for (offset, record) in (from..).zip(&lane.records[from as usize..lane.visible]) {
            bytes = bytes.saturating_add(record.size());
            if records.len() == budget.records || (bytes > budget.bytes && !records.is_empty()) {
                break;
            }
            records.push(Delivery { topic: topic.clone(), partition, offset, record: record.clone() });
        }
        let next = from + records.len() as u64;
        Ok(Stretch { records, next })
    }

    pub(crate) fn append_at_the_edge(&mut self, appends: Vec<Append>) -> Result<Vec<Offset>, Error> {
        self.check_places(&appends)?;
        if self.happens(self.faults.duplicate) {
            let at = self.now + self.random.random_range(1..=DUPLICATE_TICKS);
            self.duplicates.push((at, appends.clone()));
        }
        Ok(self.append(appends))
    }

    fn check_places(&self, appends: &[Append]) -> Result<(), Error> {
        appends.iter().try_for_each(|append| self.lane(&append.topic, append.partition).map(drop))
    }

    /// Appends records whose places were checked, and hides those of each partition for as long as chance says.
    fn append(&mut self, appends: Vec<Append>) -> Vec<Offset> {
        let mut offsets = Vec::with_capacity(appends.len());
        let mut touched = BTreeSet::new();
        for Append { topic, partition, record } in appends {
            let Some(lane) = self.topics.get_mut(&topic).and_then(|lanes| lanes.get_mut(partition as usize)) else {
                continue;
            };
            offsets.push(lane.records.len() as u64);
            lane.records.push(record);
            touched.insert((topic, partition));
        }
        for (topic, partition) in touched {
            let tick = self.now + self.random.random_range(0..=self.faults.delay_ticks);
            if let Some(lane) = self.topics.get_mut(&topic).and_then(|lanes| lanes.get_mut(partition as usize)) {
                lane.hide_until(tick);
                lane.reveal(self.now);
            }
        }
        offsets
    }

    // Time.

    pub(crate) fn tick(&mut self) {
        self.now += 1;
        let workers: Vec<_> = self.on_their_way.keys().copied().collect();
        for worker in workers {
            if self.happens(250) {
                self.land(worker);
            }
        }
        let due = self.duplicates.extract_if(.., |(at, _)| *at <= self.now).collect::<Vec<_>>();
        due.into_iter().for_each(|(_, appends)| drop(self.append(appends)));
        self.topics.values_mut().flatten().for_each(|lane| lane.reveal(self.now));
    }

    pub(crate) fn settle(&mut self) {
        while !self.duplicates.is_empty()
            || !self.on_their_way.is_empty()
            || self.lanes().any(|lane| !lane.hidden.is_empty())
        {
            self.tick();
        }
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.topics.values().flatten()
    }

    pub(crate) fn unread(&self) -> u64 {
        let unread = |topic: &Topic| {
            let lanes = self.topics.get(topic).into_iter().flatten().zip(0..);
            lanes.map(|(lane, partition)| lane.records.len() as u64 - self.committed(topic, partition)).sum::<u64>()
        };
        self.subscription.iter().map(unread).sum()
    }

    // Who holds what.

    pub(crate) fn assign(&mut self, worker: WorkerId, partitions: &[Partition]) {
        for partition in partitions {
            let (owner, generation) = self.owners.get(partition).copied().unwrap_or((WorkerId(0), 0));
            if owner == worker {
                continue;
            }
            // Whoever comes after must find the matter settled, as a reader of committed offsets does in Kafka.
            self.conclude(owner);
            self.owners.insert(*partition, (worker, generation + 1));
        }
    }

    /// The leases the broker has the worker down for.
    pub(crate) fn leases(&self, worker: WorkerId) -> Vec<Lease> {
        let held = self.owners.iter().filter(|(_, (owner, _))| *owner == worker);
        held.map(|(partition, (_, generation))| Lease { partition: *partition, generation: *generation }).collect()
    }

    pub(crate) fn committed(&self, topic: &Topic, partition: Partition) -> Offset {
        self.positions.get(&(topic.clone(), partition)).copied().unwrap_or_default()
    }

    // Commits.

    pub(crate) fn commit(
        &mut self,
        worker: WorkerId,
        leases: &[Lease],
        transaction: Transaction,
    ) -> Result<Committed, CommitError> {
        self.check(worker, leases, &transaction)?;
        if self.happens(self.faults.unknown) {
            return Err(self.lose_the_answer(worker, leases, transaction));
        }
        let state = transaction.state.clone();
        let changelog = self.apply(transaction)?;
        Ok(Committed::Unapplied { state, changelog })
    }

    fn lose_the_answer(&mut self, worker: WorkerId, leases: &[Lease], transaction: Transaction) -> CommitError {
        match self.random.random_range(0..3) {
            0 => drop(self.apply(transaction)),
            1 => {}
            _ => drop(self.on_their_way.insert(worker, OnItsWay { leases: leases.to_vec(), transaction })),
        }
        CommitError::Unknown { reason: "the broker's answer was lost".into() }
    }

    /// Decides about the worker's commit on its way: it lands or it never will.
    pub(crate) fn conclude(&mut self, worker: WorkerId) {
        if self.on_their_way.contains_key(&worker) && self.happens(500) {
            self.land(worker);
        }
        self.on_their_way.remove(&worker);
    }

    fn land(&mut self, worker: WorkerId) {
        if let Some(OnItsWay { leases, transaction }) = self.on_their_way.remove(&worker)
            && self.check(worker, &leases, &transaction).is_ok()
        {
            drop(self.apply(transaction));
        }
    }

    fn check(&self, worker: WorkerId, leases: &[Lease], transaction: &Transaction) -> Result<(), CommitError> {
        let parts = partitions_of(transaction)?;
        let held = |partition: &Partition| {
            let lease = leases.iter().find(|lease| lease.partition == *partition);
            lease.is_some_and(|lease| self.owners.get(partition) == Some(&(worker, lease.generation)))
        };
        let partitions: Vec<_> = parts.into_iter().filter(|partition| !held(partition)).collect();
        if !partitions.is_empty() {
            return Err(CommitError::Fenced { partitions });
        }
        transaction.inputs.iter().try_for_each(|input| self.check_position(input))?;
        Ok(self.check_places(&transaction.outputs)?)
    }

    fn check_position(&self, input: &Position) -> Result<(), Error> {
        let Position { topic, partition, next } = input;
        let (committed, end) = (self.committed(topic, *partition), self.lane(topic, *partition)?.visible());
        if (committed..=end).contains(next) {
            return Ok(());
        }
        Err(Error::Misuse(format!("position `{next}` of `{topic}/{partition}` is not within {committed}..={end}")))
    }

    fn apply(&mut self, transaction: Transaction) -> Result<Vec<(Partition, Offset)>, Error> {
        let parts = transaction.state.by_partition().map_err(|key| partition_wanted(&key))?;
        let mut ends = Vec::with_capacity(parts.len());
        for (partition, state) in parts {
            let changelog = self.changelogs.entry(partition).or_default();
            changelog.push(state);
            ends.push((partition, changelog.len() as u64));
        }
        for Position { topic, partition, next } in transaction.inputs {
            self.positions.insert((topic, partition), next);
        }
        self.append(transaction.outputs);
        Ok(ends)
    }

    pub(crate) fn changelog(&self, partition: Partition, from: Offset) -> Result<Option<Changes>, Error> {
        let changelog = self.changelogs.get(&partition).map_or(&[][..], Vec::as_slice);
        let end = changelog.len() as u64;
        if from > end {
            let topic = Topic::constant("changelog");
            return Err(Error::OutOfRange { topic, partition, wanted: from, start: 0, end });
        }
        Ok(changelog.get(from as usize).map(|state| Changes { state: state.clone(), next: from + 1 }))
    }
}

fn partitions_of(transaction: &Transaction) -> Result<BTreeSet<Partition>, Error> {
    let mut partitions: BTreeSet<_> = transaction.inputs.iter().map(|input| input.partition).collect();
    for mutation in transaction.state.iter() {
        let key = mutation.key();
        partitions.insert(Mutations::partition_of(key).ok_or_else(|| partition_wanted(key))?);
    }
    Ok(partitions)
}

fn partition_wanted(key: &[u8]) -> Error {
    Error::Misuse(format!("a state key begins with its partition in two bytes: found `{}`", key.escape_ascii()))
}

//! A worker's handle on the embedded log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use rocksdb::WriteBatch;

use super::keys::BOOK;
use super::ledger::{Bounds, Pages};
use super::read::Gathered;
use super::settings::Durability;
use super::{Shared, family};
use crate::{
    Budget, Changes, CommitError, Committed, Delivery, Error, Lease, Log, Offset, Partition, Polled, Position, Topic,
    Transaction,
};

/// One worker of a consumer group. Its partitions are fixed when it is made; it loses them when another worker of the
/// group is made for them, and its commits are fenced from then on.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    group: Arc<str>,
    /// Subscribed topics by priority, with a cursor for each partition held.
    inputs: Vec<Vec<Cursor>>,
    leases: Vec<Lease>,
    /// Leases that the owner has not been told of yet.
    untold: Vec<Lease>,
    polls: usize,
    broken: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cursor {
    lane: usize,
    partition: Partition,
    next: Offset,
}

impl Worker {
    pub(crate) fn open(
        shared: Arc<Shared>,
        group: &str,
        topics: &[Topic],
        partitions: &[Partition],
    ) -> Result<Self, Error> {
        if group.contains('\0') {
            return Err(Error::Misuse("a consumer group's name holds no zero byte".into()));
        }
        let distinct = BTreeSet::from_iter(partitions.iter().copied());
        let cursors = |topic| {
            let cursor = |partition: &Partition| {
                let lane = shared.catalogue.lane_index(topic, *partition)?;
                Ok(Cursor { lane, partition: *partition, next: 0 })
            };
            distinct.iter().map(cursor).collect::<Result<Vec<_>, Error>>()
        };
        let inputs = topics.iter().map(cursors).collect::<Result<Vec<_>, Error>>()?;
        let group = Arc::from(group);
        let leases = shared.ledger.lease(&group, &Vec::from_iter(distinct));
        let mut worker = Self { shared, group, inputs, leases: Vec::new(), untold: leases, polls: 0, broken: false };
        worker.enrol()?;
        worker.rewind()?;
        Ok(worker)
    }

    /// Writes the group's first positions down, so that retention spares what it has yet to read.
    fn enrol(&self) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        let mut pages = self.shared.ledger.pages();
        let missing = self.inputs.iter().flatten().map(|cursor| cursor.lane);
        let missing = missing.filter(|lane| !pages.positions.contains_key(&(self.group.clone(), *lane)));
        for lane in Vec::from_iter(missing) {
            let start = pages.bounds[lane].start;
            self.add_position(&mut batch, lane, start)?;
            pages.positions.insert((self.group.clone(), lane), start);
        }
        drop(pages);
        Ok(self.shared.write(batch)?)
    }

    fn add_position(&self, batch: &mut WriteBatch, lane: usize, next: Offset) -> Result<(), Error> {
        let (on_disk, _) = self.shared.catalogue.lane(lane);
        batch.put_cf(family(&self.shared.db, BOOK)?, on_disk.position(&self.group), next.to_be_bytes());
        Ok(())
    }

    fn change_of_assignment(&mut self) -> Option<Polled> {
        let pages = self.shared.ledger.pages();
        let (kept, lost): (Vec<_>, Vec<_>) = self.leases.iter().partition(|lease| pages.holds(&self.group, **lease));
        let gained: Vec<_> = self.untold.drain(..).filter(|lease| pages.holds(&self.group, *lease)).collect();
        drop(pages);
        if lost.is_empty() && gained.is_empty() {
            return None;
        }
        self.leases = [kept, gained.clone()].concat();
        let held: BTreeSet<_> = self.leases.iter().map(|lease| lease.partition).collect();
        self.inputs.iter_mut().for_each(|cursors| cursors.retain(|cursor| held.contains(&cursor.partition)));
        Some(Polled::Assignment { lost, gained })
    }

    fn gather(&mut self, budget: Budget) -> Result<Vec<Delivery>, Error> {
        let bounds = self.shared.ledger.pages().bounds.clone();
        let mut gathered = Gathered::new(budget);
        self.polls = self.polls.wrapping_add(1);
        for cursors in &mut self.inputs {
            while gather_topic(&self.shared, cursors, self.polls, &bounds, &mut gathered)? {}
        }
        Ok(gathered.deliveries)
    }

    fn try_commit(&self, transaction: &Transaction) -> Result<Committed, CommitError> {
        let shared = &self.shared;
        let mut batch = WriteBatch::default();
        let mut partitions = shared.add_state(&mut batch, &transaction.state)?;
        partitions.extend(transaction.inputs.iter().map(|input| input.partition));
        let mut positions = Vec::with_capacity(transaction.inputs.len());
        for input in &transaction.inputs {
            let lane = shared.catalogue.lane_index(&input.topic, input.partition)?;
            self.add_position(&mut batch, lane, input.next)?;
            positions.push(((self.group.clone(), lane), input.next));
        }
        let encoded = shared.encode(transaction.outputs.iter())?;
        let reservation = shared.ledger.reserve(encoded.wanted(), |pages| {
            self.check_leases(pages, &partitions)?;
            Ok::<_, CommitError>(check_positions(pages, &positions, &transaction.inputs)?)
        })?;
        shared.add_chunks(&mut batch, encoded, &reservation)?;
        shared.write(batch).map_err(unknown)?;
        reservation.publish(positions);
        if shared.durability == Durability::Sync {
            shared.db.flush_wal(true).map_err(unknown)?;
        }
        Ok(Committed::Applied)
    }

    fn check_leases(&self, pages: &Pages, partitions: &BTreeSet<Partition>) -> Result<(), CommitError> {
        let lease = |partition: &Partition| self.leases.iter().find(|lease| lease.partition == *partition);
        let held = |partition: &Partition| lease(partition).is_some_and(|lease| pages.holds(&self.group, *lease));
        let lost: Vec<_> = partitions.iter().copied().filter(|partition| !held(partition)).collect();
        if lost.is_empty() { Ok(()) } else { Err(CommitError::Fenced { partitions: lost }) }
    }
}

/// Lets each partition that has something take its fair part of the room that is left. False where nothing was taken.
fn gather_topic(
    shared: &Shared,
    cursors: &mut [Cursor],
    turn: usize,
    bounds: &[Bounds],
    gathered: &mut Gathered,
) -> Result<bool, Error> {
    let count = cursors.len();
    let order = (0..count).map(|step| (turn % count + step) % count);
    let waiting = Vec::from_iter(order.filter(|index| cursors[*index].next != bounds[cursors[*index].lane].end));
    let before = gathered.deliveries.len();
    let mut passed_a_gap = false;
    for (served, index) in waiting.iter().enumerate() {
        if gathered.room() == 0 {
            break;
        }
        let cursor = &mut cursors[*index];
        let end = bounds[cursor.lane].end;
        let share = gathered.room().div_ceil(waiting.len() - served);
        let next = shared.gather(cursor.lane, cursor.next, end, share, gathered)?;
        passed_a_gap |= next != cursor.next;
        cursor.next = next;
    }
    Ok(gathered.room() > 0 && gathered.deliveries.len() > before && passed_a_gap)
}

fn check_positions(pages: &Pages, positions: &[((Arc<str>, usize), Offset)], inputs: &[Position]) -> Result<(), Error> {
    for ((position, next), input) in positions.iter().zip(inputs) {
        let committed = pages.positions.get(position).copied().unwrap_or_default();
        let end = pages.bounds[position.1].end;
        if !(committed..=end).contains(next) {
            let (topic, partition) = (&input.topic, input.partition);
            let found = format!("position `{next}` of `{topic}/{partition}` is not within {committed}..={end}");
            return Err(Error::Misuse(found));
        }
    }
    Ok(())
}

/// A failed write may have reached the write-ahead log, where the next start finds it.
fn unknown(error: rocksdb::Error) -> CommitError {
    CommitError::Unknown { reason: error.into_string() }
}

impl Log for Worker {
    fn assignment(&self) -> &[Lease] {
        &self.leases
    }

    fn poll(&mut self, budget: Budget) -> Result<Polled, Error> {
        if self.broken {
            return Err(Error::Misuse("after a failed commit the log is rewound before it is polled".into()));
        }
        let deadline = Instant::now() + budget.patience;
        loop {
            let mark = self.shared.ledger.mark();
            if let Some(change) = self.change_of_assignment() {
                return Ok(change);
            }
            let records = self.gather(budget)?;
            if !records.is_empty() || !self.shared.ledger.wait_past(mark, deadline) {
                return Ok(Polled::Records(records));
            }
        }
    }

    fn commit(&mut self, transaction: Transaction) -> Result<Committed, CommitError> {
        if self.broken {
            let reason = "after a failed commit the log is rewound before another";
            return Err(Error::Misuse(reason.into()).into());
        }
        let outcome = self.try_commit(&transaction);
        self.broken = outcome.is_err();
        outcome
    }

    fn rewind(&mut self) -> Result<(), Error> {
        let shared = &self.shared;
        let book = family(&shared.db, BOOK)?;
        for cursor in self.inputs.iter_mut().flatten() {
            let (on_disk, _) = shared.catalogue.lane(cursor.lane);
            let stored = shared.db.get_cf(book, on_disk.position(&self.group))?;
            let stored = stored.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            cursor.next =
                stored.ok_or_else(|| shared.corrupt(cursor.lane, 0, "wanted a group's position of 8 bytes"))?;
        }
        self.broken = false;
        Ok(())
    }

    /// Always None: commits write the state itself.
    fn changelog(&mut self, _partition: Partition, _from: Offset) -> Result<Option<Changes>, Error> {
        Ok(None)
    }
}

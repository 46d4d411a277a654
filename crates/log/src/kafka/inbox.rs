//! What waits for a worker: changes of its partitions, and records.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::footer::Footer;
use crate::{Budget, Delivery, Error, Lease, Offset, Partition};

/// How far a partition's state has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The last footer; numbered 0 where there has been no batch yet.
    pub(super) footer: Footer,
    /// Where its changelog goes on.
    pub(super) next: Offset,
}

/// A change of a worker's partitions.
#[derive(Debug)]
pub(super) enum Change {
    Gained(Lease, Standing),
    Lost(Lease),
}

/// What a worker finds in its inbox.
pub(super) enum Found {
    Changes(Vec<Change>),
    Records(Vec<Delivery>),
}

/// What waits for one worker. The fetch and member threads fill it, the worker empties it.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    filled: Condvar,
    released: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    changes: VecDeque<Change>,
    /// A lane for each input, those first that are to be read first.
    lanes: Vec<VecDeque<Delivery>>,
    records: usize,
    /// Since when some of them have been waiting.
    since: Option<Instant>,
    /// Which time each partition is being read from some position. What was fetched before the last time is dropped.
    epochs: BTreeMap<Partition, u64>,
    failure: Option<Error>,
    /// Partitions whose loss the worker has not taken note of yet.
    leaving: usize,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(lanes: usize) -> Self {
        let queue = Queue { lanes: vec![VecDeque::new(); lanes], ..Queue::default() };
        Self { queue: Mutex::new(queue), ..Self::default() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A partition is the worker's, with its state in place. Returns the epoch of what is fetched for it.
    pub(super) fn gain(&self, lease: Lease, standing: Standing) -> u64 {
        let mut queue = self.queue();
        queue.changes.push_back(Change::Gained(lease, standing));
        let epoch = queue.next_epoch(lease.partition);
        self.filled.notify_all();
        epoch
    }

    /// A partition is no longer the worker's.
    pub(super) fn lose(&self, lease: Lease) {
        let mut queue = self.queue();
        queue.forget(lease.partition);
        let waiting = queue.changes.len();
        queue.changes.retain(|change| !matches!(change, Change::Gained(gained, _) if *gained == lease));
        if queue.changes.len() == waiting && !queue.closed {
            queue.changes.push_back(Change::Lost(lease));
            queue.leaving += 1;
        }
        self.filled.notify_all();
    }

    /// Waits until the worker took note of all its losses: it has nothing of them in its hands any more.
    pub(super) fn await_release(&self, deadline: Instant) -> bool {
        let mut queue = self.queue();
        while queue.leaving > 0 && !queue.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            queue = self.released.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Whether the worker took note of all its losses.
    pub(super) fn is_released(&self) -> bool {
        let queue = self.queue();
        queue.leaving == 0 || queue.closed
    }

    /// The worker reads a partition anew: what was fetched for it is dropped.
    pub(super) fn reread(&self, partition: Partition) -> u64 {
        let mut queue = self.queue();
        queue.forget(partition);
        queue.next_epoch(partition)
    }

    /// Records of one lane each, in order. Those of an epoch that is over are dropped.
    pub(super) fn push(&self, fetched: impl IntoIterator<Item = (usize, u64, Delivery)>) {
        let mut queue = self.queue();
        for (lane, epoch, delivery) in fetched {
            if queue.epochs.get(&delivery.partition) == Some(&epoch) {
                queue.lanes[lane].push_back(delivery);
                queue.records += 1;
            }
        }
        if queue.records > 0 {
            queue.since.get_or_insert_with(Instant::now);
        }
        self.filled.notify_all();
    }

    /// How many records wait.
    pub(super) fn len(&self) -> usize {
        self.queue().records
    }

    /// Something happened that the worker cannot go on after.
    pub(super) fn fail(&self, error: Error) {
        self.queue().failure.get_or_insert(error);
        self.filled.notify_all();
    }

    /// The worker is gone.
    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.released.notify_all();
    }

    /// Changes before records. Waits out the budget's patience for something to come, and until that has waited for
    /// `linger` for more to join it: what came while the batch before was worked at has waited already.
    pub(super) fn take(&self, budget: Budget, linger: Duration) -> Result<Found, Error> {
        let mut queue = self.wait(self.queue(), budget.patience, |queue| queue.records == 0);
        if queue.changes.is_empty() && queue.records > 0 && queue.records < budget.records {
            let waited = queue.since.map_or(Duration::ZERO, |since| since.elapsed());
            queue = self.wait(queue, linger.saturating_sub(waited), |queue| queue.records < budget.records);
        }
        if let Some(failure) = queue.failure.take() {
            return Err(failure);
        }
        if !queue.changes.is_empty() {
            queue.leaving = 0;
            self.released.notify_all();
            return Ok(Found::Changes(queue.changes.drain(..).collect()));
        }
        Ok(Found::Records(queue.records(budget)))
    }

    fn wait<'a>(
        &self,
        queue: MutexGuard<'a, Queue>,
        patience: Duration,
        idle: impl Fn(&Queue) -> bool,
    ) -> MutexGuard<'a, Queue> {
        if patience.is_zero() {
            return queue;
        }
        let quiet = |queue: &mut Queue| queue.failure.is_none() && queue.changes.is_empty() && idle(queue);
        self.filled.wait_timeout_while(queue, patience, quiet).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Queue {
    fn next_epoch(&mut self, partition: Partition) -> u64 {
        let epoch = self.epochs.entry(partition).or_default();
        *epoch += 1;
        *epoch
    }

    /// What was fetched for a partition is dropped, and what is on its way will be.
    fn forget(&mut self, partition: Partition) {
        self.next_epoch(partition);
        for lane in &mut self.lanes {
            lane.retain(|delivery| delivery.partition != partition);
        }
        self.records = self.lanes.iter().map(VecDeque::len).sum();
        if self.records == 0 {
            self.since = None;
        }
    }

    fn records(&mut self, budget: Budget) -> Vec<Delivery> {
        let mut taken = Vec::with_capacity(budget.records.min(self.records));
        let mut bytes = 0;
        for lane in &mut self.lanes {
            while taken.len() < budget.records && bytes < budget.bytes {
                let Some(delivery) = lane.pop_front() else { break };
                bytes += delivery.record.size();
                taken.push(delivery);
            }
        }
        self.records -= taken.len();
        self.since = self.since.filter(|_| self.records > 0);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, Topic};

    const LEASE: Lease = Lease { partition: 3, generation: 1 };

    fn standing() -> Standing {
        Standing { footer: Footer::default(), next: 0 }
    }

    fn delivery(offset: Offset) -> Delivery {
        let record = Record::new("key", "value", 0);
        Delivery { topic: Topic::constant("mesh"), partition: LEASE.partition, offset, record }
    }

    fn records(inbox: &Inbox) -> Vec<Offset> {
        match inbox.take(Budget::records(10), Duration::ZERO) {
            Ok(Found::Records(records)) => records.iter().map(|delivery| delivery.offset).collect(),
            _ => panic!("records were wanted"),
        }
    }

    fn changes(inbox: &Inbox) -> usize {
        match inbox.take(Budget::records(10), Duration::ZERO) {
            Ok(Found::Changes(changes)) => changes.len(),
            _ => panic!("changes were wanted"),
        }
    }

    #[test]
    fn the_first_lane_is_read_first() {
        let inbox = Inbox::new(2);
        let epoch = inbox.gain(LEASE, standing());
        inbox.push([(1, epoch, delivery(1)), (0, epoch, delivery(2)), (1, epoch, delivery(3))]);
        assert_eq!(changes(&inbox), 1);
        assert_eq!(records(&inbox), [2, 1, 3]);
        assert_eq!(inbox.len(), 0);
    }

    #[test]
    fn what_was_fetched_before_a_reread_or_a_loss_is_dropped() {
        let inbox = Inbox::new(1);
        let first = inbox.gain(LEASE, standing());
        assert_eq!(changes(&inbox), 1);
        inbox.push([(0, first, delivery(1))]);
        let second = inbox.reread(LEASE.partition);
        inbox.push([(0, first, delivery(2)), (0, second, delivery(1))]);
        assert_eq!(records(&inbox), [1]);
        inbox.push([(0, second, delivery(3))]);
        inbox.lose(LEASE);
        inbox.push([(0, second, delivery(4))]);
        assert_eq!(changes(&inbox), 1);
        assert_eq!(records(&inbox), [0; 0]);
    }

    #[test]
    fn a_partition_that_comes_and_goes_unseen_never_was_there() {
        let inbox = Inbox::new(1);
        inbox.gain(LEASE, standing());
        inbox.lose(LEASE);
        assert!(inbox.await_release(Instant::now()), "nobody holds it");
        assert_eq!(records(&inbox), [0; 0]);
    }

    #[test]
    fn a_loss_is_released_when_the_worker_takes_note_of_it_or_is_gone() {
        let inbox = Inbox::new(1);
        inbox.gain(LEASE, standing());
        changes(&inbox);
        inbox.lose(LEASE);
        assert!(!inbox.await_release(Instant::now()));
        changes(&inbox);
        assert!(inbox.await_release(Instant::now()));
        inbox.lose(LEASE);
        inbox.close();
        assert!(inbox.await_release(Instant::now()));
    }
}

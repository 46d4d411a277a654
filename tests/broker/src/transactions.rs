//! The transaction coordinator: who may write under a transactional id, and how a transaction ends (Kafka 4.0 as it
//! serves clients without KIP-890 part 2, which librdkafka and kafkajs are).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::journal::Fact;
use crate::log::Answer;
use crate::node::{Node, lock, now};

/// Kafka's `transaction.max.timeout.ms`.
const MAX_TIMEOUT_MS: i32 = 900_000;
/// An epoch that no producer has yet.
const NO_EPOCH: i16 = -1;

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}

/// What is known of a transactional id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Txn {
    pub(crate) id: String,
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    /// The epoch before the last bump that its own producer asked for; lets it ask again (KIP-360).
    last_epoch: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    pub(crate) partitions: BTreeMap<String, BTreeSet<i32>>,
    groups: BTreeSet<String>,
    /// When the transaction began, in ms since 1970.
    pub(crate) started: i64,
}

/// All transactional ids.
#[derive(Debug, Default)]
pub(crate) struct Txns {
    pub(crate) by_id: HashMap<String, Txn>,
}

/// A producer, as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
}

impl Txns {
    /// Those that a journal knows.
    pub(crate) fn load(facts: &[Fact]) -> Self {
        let txns = facts.iter().filter_map(|fact| match fact {
            Fact::Txn(txn) => Some((txn.id.clone(), txn.clone())),
            _ => None,
        });
        Self { by_id: txns.collect() }
    }

    /// The transaction of a writer who may still write.
    fn of(&mut self, id: &str, writer: Writer) -> Answer<&mut Txn> {
        let txn = self.by_id.get_mut(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        match () {
            () if txn.producer != writer.producer => Err(ResponseError::InvalidProducerIdMapping),
            () if txn.epoch != writer.epoch => Err(ResponseError::ProducerFenced),
            () => Ok(txn),
        }
    }

    /// The ids whose transaction has taken longer than it may.
    fn overdue(&self, now: i64) -> Vec<String> {
        let late = |txn: &&Txn| txn.state == State::Ongoing && txn.started + i64::from(txn.timeout_ms) <= now;
        self.by_id.values().filter(late).map(|txn| txn.id.clone()).collect()
    }

    /// Those whose end is decided and not carried out.
    fn unfinished(&self) -> Vec<String> {
        let open = |txn: &&Txn| matches!(txn.state, State::PrepareCommit | State::PrepareAbort);
        self.by_id.values().filter(open).map(|txn| txn.id.clone()).collect()
    }

    /// Whether a transactional write to the partition belongs to the ongoing transaction (KIP-890, part 1).
    pub(crate) fn verify(&mut self, id: &str, writer: Writer, topic: &str, partition: i32) -> Answer<()> {
        let txn = self.of(id, writer).map_err(|error| match error {
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            other => other,
        })?;
        let known = txn.partitions.get(topic).is_some_and(|known| known.contains(&partition));
        (txn.state == State::Ongoing && known).then_some(()).ok_or(ResponseError::InvalidTxnState)
    }

    /// The same for offsets.
    pub(crate) fn verify_group(&mut self, id: &str, writer: Writer, group: &str) -> Answer<()> {
        let txn = self.of(id, writer).map_err(|error| match error {
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            other => other,
        })?;
        let open = txn.state == State::Ongoing && txn.groups.contains(group);
        open.then_some(()).ok_or(ResponseError::InvalidTxnState)
    }
}

impl Txn {
    /// The next epoch for a producer that starts. `expected` is the one it believes to have, if it says so.
    fn bump(&mut self, node: &Node, expected: Option<i16>) -> Answer<()> {
        match expected {
            Some(epoch) if self.epoch != NO_EPOCH && epoch != self.epoch => {
                // The answer to its first request was lost: it has been given this epoch already.
                return (epoch == self.last_epoch).then_some(()).ok_or(ResponseError::ProducerFenced);
            }
            Some(_) => self.last_epoch = self.epoch,
            None => self.last_epoch = NO_EPOCH,
        }
        if self.epoch >= i16::MAX - 1 {
            (self.producer, self.epoch, self.last_epoch) = (node.new_producer(), 0, NO_EPOCH);
        } else {
            self.epoch += 1;
        }
        Ok(())
    }

    /// Whether more may be added to the transaction.
    fn may_grow(&self) -> Answer<()> {
        let ending = matches!(self.state, State::PrepareCommit | State::PrepareAbort);
        (!ending).then_some(()).ok_or(ResponseError::ConcurrentTransactions)
    }

    fn begin(&mut self) {
        if self.state != State::Ongoing {
            (self.state, self.started) = (State::Ongoing, now());
        }
    }

    fn prepare(&mut self, commit: bool) {
        self.state = if commit { State::PrepareCommit } else { State::PrepareAbort };
    }
}

/// `InitProducerId`: gives a producer its id and an epoch that fences everybody before it.
pub(crate) fn init_producer(
    node: &Arc<Node>,
    id: Option<&str>,
    timeout_ms: i32,
    expected: Option<Writer>,
) -> Answer<Writer> {
    let Some(id) = id else { return Ok(Writer { producer: node.new_producer(), epoch: 0 }) };
    match () {
        () if id.is_empty() => return Err(ResponseError::InvalidRequest),
        () if !(1..=MAX_TIMEOUT_MS).contains(&timeout_ms) => return Err(ResponseError::InvalidTransactionTimeout),
        () => {}
    }
    let mut txns = lock(&node.txns);
    let txn = txns.by_id.entry(id.to_owned()).or_insert_with(|| Txn {
        id: id.to_owned(),
        producer: node.new_producer(),
        epoch: NO_EPOCH,
        last_epoch: NO_EPOCH,
        timeout_ms,
        state: State::Empty,
        partitions: BTreeMap::new(),
        groups: BTreeSet::new(),
        started: 0,
    });
    if expected.is_some_and(|expected| txn.epoch != NO_EPOCH && expected.producer != txn.producer) {
        return Err(ResponseError::ProducerFenced);
    }
    match txn.state {
        State::PrepareCommit | State::PrepareAbort => Err(ResponseError::ConcurrentTransactions),
        State::Ongoing if expected.is_some_and(|expected| expected.epoch != txn.epoch) => {
            Err(ResponseError::ProducerFenced)
        }
        State::Ongoing => {
            // The one before is fenced and its transaction aborted; the new one asks again and gets the epoch after.
            fence_and_abort(node, txn);
            Err(ResponseError::ConcurrentTransactions)
        }
        State::Empty | State::CompleteCommit | State::CompleteAbort => {
            txn.bump(node, expected.map(|expected| expected.epoch))?;
            (txn.timeout_ms, txn.state) = (timeout_ms, State::Empty);
            txn.partitions.clear();
            txn.groups.clear();
            node.record(Fact::Txn(txn.clone()));
            Ok(Writer { producer: txn.producer, epoch: txn.epoch })
        }
    }
}

fn fence_and_abort(node: &Arc<Node>, txn: &mut Txn) {
    txn.epoch = txn.epoch.saturating_add(1);
    txn.last_epoch = NO_EPOCH;
    txn.prepare(false);
    node.record(Fact::Txn(txn.clone()));
    spawn_markers(node, txn.id.clone(), Duration::ZERO);
}

/// `AddPartitionsToTxn`, with partitions that exist.
pub(crate) fn add_partitions(node: &Node, id: &str, writer: Writer, partitions: &[(String, i32)]) -> Answer<()> {
    let mut txns = lock(&node.txns);
    let txn = txns.of(id, writer)?;
    txn.may_grow()?;
    txn.begin();
    for (topic, partition) in partitions {
        txn.partitions.entry(topic.clone()).or_default().insert(*partition);
    }
    node.record(Fact::Txn(txn.clone()));
    Ok(())
}

/// `AddOffsetsToTxn`.
pub(crate) fn add_offsets(node: &Node, id: &str, writer: Writer, group: &str) -> Answer<()> {
    let mut txns = lock(&node.txns);
    let txn = txns.of(id, writer)?;
    txn.may_grow()?;
    txn.begin();
    txn.groups.insert(group.to_owned());
    node.record(Fact::Txn(txn.clone()));
    Ok(())
}

/// `EndTxn`: decides the end; the markers follow. An end that was decided so before is answered alike.
pub(crate) fn end(node: &Arc<Node>, id: &str, writer: Writer, commit: bool) -> Answer<()> {
    let mut txns = lock(&node.txns);
    let txn = txns.of(id, writer)?;
    match (txn.state, commit) {
        (State::Ongoing, _) => {
            txn.prepare(commit);
            node.record(Fact::Txn(txn.clone()));
            spawn_markers(node, id.to_owned(), lock(&node.plan).marker_lag());
            Ok(())
        }
        (State::CompleteCommit, true) | (State::CompleteAbort, false) => Ok(()),
        (State::PrepareCommit, true) | (State::PrepareAbort, false) => Err(ResponseError::ConcurrentTransactions),
        _ => Err(ResponseError::InvalidTxnState),
    }
}

/// Writes the markers from a task of its own, as Kafka's coordinator does after it has answered.
fn spawn_markers(node: &Arc<Node>, id: String, lag: Duration) {
    let node = Arc::clone(node);
    tokio::spawn(async move {
        if !lag.is_zero() {
            tokio::time::sleep(lag).await;
        }
        write_markers(&node, &id);
    });
}

/// Ends the transaction in every partition and group that it touched.
pub(crate) fn write_markers(node: &Node, id: &str) {
    let mut txns = lock(&node.txns);
    let Some(txn) = txns.by_id.get_mut(id) else { return };
    let commit = match txn.state {
        State::PrepareCommit => true,
        State::PrepareAbort => false,
        _ => return,
    };
    for (topic, partitions) in std::mem::take(&mut txn.partitions) {
        for partition in partitions {
            // A topic may be gone by now; then there is nothing to end in it.
            let Ok(partition) = node.partition(&topic, partition) else { continue };
            let marker = Batch::marker(txn.producer, txn.epoch, commit, now());
            if let Err(error) = lock(&partition.log).mark(marker, node.leader_epoch(), node.stamp(), now()) {
                tracing::warn!(%error, topic, "a marker was not written");
            }
        }
    }
    let groups = std::mem::take(&mut txn.groups);
    lock(&node.groups).end_transaction(node, &groups, txn.producer, commit);
    txn.state = if commit { State::CompleteCommit } else { State::CompleteAbort };
    node.record(Fact::Txn(txn.clone()));
}

/// Aborts what is overdue, and carries out what was decided before a restart. Called by the timer.
pub(crate) fn tick(node: &Arc<Node>) {
    let mut txns = lock(&node.txns);
    for id in txns.overdue(now()) {
        if let Some(txn) = txns.by_id.get_mut(&id) {
            tracing::info!(id, "a transaction timed out");
            fence_and_abort(node, txn);
        }
    }
}

/// Carries out the ends that were decided before a restart.
pub(crate) fn resume(node: &Arc<Node>) {
    let unfinished = lock(&node.txns).unfinished();
    unfinished.iter().for_each(|id| write_markers(node, id));
}

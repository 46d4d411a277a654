//! Compaction and retention: what Kafka does to old records by and by, and a test on command.

use std::collections::HashMap;

use bytes::Bytes;

use crate::batch::Batch;
use crate::journal::Fact;
use crate::log::{Answer, Log};
use crate::node::{Node, lock, now};
use crate::topics::Topic;

/// How far housekeeping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As the topic's settings allow: closed segments only, and no more often than is worth it.
    AsSet,
    /// Everything up to the last stable offset.
    All,
}

/// Compacts and cuts every topic, as its settings say. Called by the timer.
pub(crate) fn tick(node: &Node) {
    for topic in node.topics() {
        if let Err(error) = clean(node, &topic, Reach::AsSet) {
            tracing::warn!(%error, topic = topic.name, "could not be compacted");
        }
        expire(node, &topic);
    }
}

/// Compacts a topic if its policy says so.
pub(crate) fn clean(node: &Node, topic: &Topic, reach: Reach) -> Answer<()> {
    if !topic.is_compacted() {
        return Ok(());
    }
    // Only what is safe is compacted: a closed segment is flushed.
    if reach == Reach::All {
        node.sync();
    }
    for partition in &topic.partitions {
        let mut log = lock(&partition.log);
        let until = horizon(&log, topic, reach, node.synced());
        if reach == Reach::All || is_worth_it(&log, topic, until) {
            compact(&mut log, until, topic.number("delete.retention.ms"))?;
        }
    }
    Ok(())
}

/// Index of the first batch that is left as it is. The last batch always is: it is the active segment.
fn horizon(log: &Log, topic: &Topic, reach: Reach, synced: u64) -> usize {
    let stable = log.stable();
    let age = topic.number("segment.ms").max(topic.number("min.compaction.lag.ms"));
    let old = now().saturating_sub(age);
    let safe = |batch: &Batch| batch.base < stable && batch.stamp < synced;
    let closed = |batch: &Batch| safe(batch) && (reach == Reach::All || batch.appended <= old);
    log.batches.iter().take_while(|batch| closed(batch)).count().min(log.batches.len().saturating_sub(1))
}

fn is_worth_it(log: &Log, topic: &Topic, until: usize) -> bool {
    let ratio: f64 = topic.config("min.cleanable.dirty.ratio").parse().unwrap_or(0.5);
    let size = |clean: bool| {
        let batches = log.batches.iter().take(until).filter(|batch| !clean || batch.cleaned.is_some());
        batches.map(|batch| u32::try_from(batch.size()).unwrap_or(u32::MAX)).map(f64::from).sum::<f64>()
    };
    let (all, clean) = (size(false), size(true));
    let late = now().saturating_sub(topic.number("delete.retention.ms"));
    let expired = log.batches.iter().take(until).any(|batch| batch.cleaned.is_some_and(|at| at <= late));
    all > 0.0 && ((all - clean) / all > ratio || expired)
}

/// Keeps, of the batches before that index, the last record of each key. Offsets stay, with gaps.
fn compact(log: &mut Log, until: usize, tombstones_live: i64) -> Answer<()> {
    let mut latest: HashMap<Bytes, i64> = HashMap::new();
    for (index, batch) in log.batches.iter().enumerate() {
        if batch.is_control() || log.is_aborted(batch) || index >= until {
            continue;
        }
        for entry in batch.entries()? {
            if let Some(key) = entry.key {
                latest.insert(key, batch.base + entry.offset_delta);
            }
        }
    }
    let now = now();
    let mut kept = std::collections::VecDeque::with_capacity(log.batches.len());
    for (index, batch) in log.batches.iter().enumerate() {
        if index >= until || batch.is_control() {
            kept.push_back(batch.clone());
        } else if !log.is_aborted(batch) {
            kept.extend(keep(batch, &latest, now, tombstones_live)?);
        }
    }
    log.batches = kept;
    let _ = log.rewrite();
    Ok(())
}

/// What is left of a batch.
fn keep(batch: &Batch, latest: &HashMap<Bytes, i64>, now: i64, tombstones_live: i64) -> Answer<Option<Batch>> {
    let expired = batch.cleaned.is_some_and(|at| at.saturating_add(tombstones_live) <= now);
    let entries = batch.entries()?;
    let count = entries.len();
    let stays = |entry: &crate::batch::Entry| {
        let newest = entry.key.as_ref().is_none_or(|key| latest.get(key) == Some(&(batch.base + entry.offset_delta)));
        newest && !(entry.tombstone && expired)
    };
    let left: Vec<_> = entries.into_iter().filter(stays).map(|entry| entry.raw).collect();
    let mut kept = match left.len() {
        0 => return Ok(None),
        all if all == count => batch.clone(),
        _ => batch.keeping(&left).ok_or(kafka_protocol::ResponseError::CorruptMessage)?,
    };
    kept.cleaned = kept.cleaned.or(Some(now));
    Ok(Some(kept))
}

/// Drops what is older or more than the topic keeps, batch by batch, and nothing of an open transaction.
pub(crate) fn expire(node: &Node, topic: &Topic) {
    if !topic.is_deleted_from() {
        return;
    }
    let old = now().saturating_sub(topic.number("retention.ms"));
    let room = usize::try_from(topic.number("retention.bytes")).unwrap_or(usize::MAX);
    for (index, partition) in (0..).zip(&topic.partitions) {
        let mut log = lock(&partition.log);
        let (stable, mut size) = (log.stable(), log.batches.iter().map(Batch::size).sum::<usize>());
        let mut start = log.start;
        for batch in &log.batches {
            if batch.base >= stable || (batch.max_timestamp() > old && size <= room) {
                break;
            }
            (start, size) = (batch.last() + 1, size - batch.size());
        }
        if start > log.start {
            log.drop_below(start);
            node.record(Fact::Start { topic: topic.name.clone(), partition: index, offset: start });
        }
    }
}

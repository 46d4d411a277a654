//! `Fetch`, `ListOffsets` and `OffsetForLeaderEpoch`: what consumers read.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, ProducerId,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::log::{Answer, Found, Isolation};
use crate::node::{Node, lock};
use crate::topics::Topic;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

/// What a partition has for a reader.
struct Read {
    index: i32,
    found: Answer<Found>,
    start: i64,
    end: i64,
    stable: i64,
}

fn isolation(level: i8) -> Isolation {
    if level == 1 { Isolation::Committed } else { Isolation::Uncommitted }
}

/// Reads, and waits until there is enough, the time is up, or an error has to be told. Sessions are declined.
pub(crate) async fn fetch(
    node: &Node,
    version: i16,
    request: FetchRequest,
    refused: Option<ResponseError>,
    bell: &Arc<Notify>,
) -> FetchResponse {
    let declined = request.session_id != 0 && request.session_epoch > 0;
    if let Some(error) = refused.or(declined.then_some(ResponseError::FetchSessionIdNotFound)) {
        return FetchResponse::default().with_error_code(error.code());
    }
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait;
    let wanted = usize::try_from(request.min_bytes).unwrap_or(0);
    loop {
        let reads = read_all(node, version, &request, bell);
        let bytes: usize = reads.iter().flatten().filter_map(|read| Some(read.found.as_ref().ok()?.bytes)).sum();
        let failed = reads.iter().flatten().any(|read| read.found.is_err());
        let done = bytes >= wanted || failed || Instant::now() >= deadline;
        if done || tokio::time::timeout_at(deadline, bell.notified()).await.is_err() {
            return respond(&request, reads);
        }
    }
}

/// By topic and partition, as the request has them. The bell rings when one of them changes.
fn read_all(node: &Node, version: i16, request: &FetchRequest, bell: &Arc<Notify>) -> Vec<Vec<Read>> {
    let mut room = usize::try_from(request.max_bytes).unwrap_or(usize::MAX);
    let mut nothing_yet = true;
    let mut topics = Vec::with_capacity(request.topics.len());
    for wanted in &request.topics {
        let topic = if version >= 13 { node.topic_by_id(wanted.topic_id) } else { node.topic(&wanted.topic) };
        let mut reads = Vec::with_capacity(wanted.partitions.len());
        for partition in &wanted.partitions {
            // The first batch goes out whatever its size, so that a reader always gets on.
            let limit = if room == 0 && !nothing_yet { None } else { Some(room) };
            let read = read_one(node, &topic, partition, limit, isolation(request.isolation_level), bell);
            let bytes = read.found.as_ref().map_or(0, |found| found.bytes);
            nothing_yet &= bytes == 0;
            room = room.saturating_sub(bytes);
            reads.push(read);
        }
        topics.push(reads);
    }
    topics
}

fn read_one(
    node: &Node,
    topic: &Answer<Arc<Topic>>,
    wanted: &FetchPartition,
    room: Option<usize>,
    isolation: Isolation,
    bell: &Arc<Notify>,
) -> Read {
    let nowhere = |error| Read { index: wanted.partition, found: Err(error), start: -1, end: -1, stable: -1 };
    let partition = match topic.as_ref().map_err(|error| *error).and_then(|topic| topic.partition(wanted.partition)) {
        Ok(partition) => partition,
        Err(error) => return nowhere(error),
    };
    if let Err(error) = check_epoch(node, wanted.current_leader_epoch) {
        return nowhere(error);
    }
    let mut log = lock(&partition.log);
    let room = room.map(|room| room.min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0)));
    let found = match room {
        Some(room) => log.read(wanted.fetch_offset, room, isolation),
        None => Ok(Found::default()),
    };
    log.wait(bell);
    Read { index: wanted.partition, found, start: log.start, end: log.end, stable: log.stable() }
}

/// Whether the client knows the leader's epoch, if it says which it knows.
fn check_epoch(node: &Node, epoch: i32) -> Answer<()> {
    match epoch {
        epoch if epoch < 0 || epoch == node.leader_epoch() => Ok(()),
        epoch if epoch < node.leader_epoch() => Err(ResponseError::FencedLeaderEpoch),
        _ => Err(ResponseError::UnknownLeaderEpoch),
    }
}

fn respond(request: &FetchRequest, reads: Vec<Vec<Read>>) -> FetchResponse {
    let committed = isolation(request.isolation_level) == Isolation::Committed;
    let topics = request.topics.iter().zip(reads).map(|(topic, reads)| {
        FetchableTopicResponse::default()
            .with_topic(topic.topic.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(reads.into_iter().map(|read| data(read, committed)).collect())
    });
    FetchResponse::default().with_responses(topics.collect())
}

fn data(read: Read, committed: bool) -> PartitionData {
    let data = PartitionData::default()
        .with_partition_index(read.index)
        .with_high_watermark(read.end)
        .with_last_stable_offset(read.stable)
        .with_log_start_offset(read.start)
        .with_preferred_read_replica((-1).into())
        .with_records(Some(Bytes::new()));
    match read.found {
        Err(error) => data.with_error_code(error.code()).with_aborted_transactions(None),
        Ok(found) => {
            let mut records = BytesMut::with_capacity(found.bytes);
            found.batches.iter().for_each(|batch| batch.write(&mut records));
            let aborted = found.aborted.iter().map(|gone| {
                let producer = ProducerId(gone.producer);
                AbortedTransaction::default().with_producer_id(producer).with_first_offset(gone.first)
            });
            data.with_records(Some(records.freeze())).with_aborted_transactions(committed.then(|| aborted.collect()))
        }
    }
}

/// Earliest, latest, or by time.
pub(crate) fn list_offsets(
    node: &Node,
    version: i16,
    request: ListOffsetsRequest,
    refused: Option<ResponseError>,
) -> ListOffsetsResponse {
    let level = isolation(request.isolation_level);
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let found = refused.map_or(Ok(()), Err).and_then(|()| check_epoch(node, wanted.current_leader_epoch));
            let found = found.and_then(|()| find(node, &topic.name, wanted.partition_index, wanted.timestamp, level));
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
            match found {
                Err(error) => answer.with_error_code(error.code()).with_offset(-1).with_timestamp(-1),
                Ok((offset, time, epoch)) => {
                    // Before version 4 there was no place for the epoch.
                    let epoch = if version < 4 { -1 } else { epoch };
                    answer.with_offset(offset).with_timestamp(time).with_leader_epoch(epoch)
                }
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// Offset, time and leader epoch; -1 where there is none.
fn find(node: &Node, topic: &str, partition: i32, time: i64, level: Isolation) -> Answer<(i64, i64, i32)> {
    let partition = node.partition(topic, partition)?;
    let log = lock(&partition.log);
    Ok(match time {
        LATEST => (log.limit(level), -1, node.leader_epoch()),
        EARLIEST => (log.start, -1, log.epoch_at(log.start)),
        MAX_TIMESTAMP => {
            let latest = log.batches.iter().map(crate::batch::Batch::max_timestamp).max();
            let found = latest.map_or(Ok(None), |latest| log.at_time(latest, Isolation::Uncommitted))?;
            found.map_or((-1, -1, -1), |(offset, at)| (offset, at, log.epoch_at(offset)))
        }
        time if time >= 0 => {
            log.at_time(time, level)?.map_or((-1, -1, -1), |(offset, at)| (offset, at, log.epoch_at(offset)))
        }
        _ => return Err(ResponseError::UnsupportedVersion),
    })
}

/// Where a leader epoch ended: how a client finds out that records it has seen are lost.
pub(crate) fn epoch_ends(
    node: &Node,
    request: OffsetForLeaderEpochRequest,
    refused: Option<ResponseError>,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let end = refused.map_or(Ok(()), Err).and_then(|()| check_epoch(node, wanted.current_leader_epoch));
            let end = end.and_then(|()| node.partition(&topic.topic, wanted.partition));
            let end = end.map(|partition| lock(&partition.log).epoch_end(wanted.leader_epoch, node.leader_epoch()));
            let answer = EpochEndOffset::default().with_partition(wanted.partition);
            match end {
                Err(error) => answer.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1),
                Ok((epoch, end)) => answer.with_leader_epoch(epoch).with_end_offset(end),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

//! `OffsetCommit`, `OffsetFetch` and `TxnOffsetCommit`: where groups stand.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::groups::{Group, Groups, Who};
use crate::log::Answer;
use crate::node::{Node, lock};
use crate::offsets::Offset;
use crate::transactions::Writer;
use crate::wire::{code, text};

/// The group that offsets are committed to. One without members comes into being by it.
fn group_for<'a>(groups: &'a mut Groups, name: &str, generation: i32) -> Answer<&'a mut Group> {
    if generation >= 0 && !groups.by_name.contains_key(name) {
        return Err(ResponseError::IllegalGeneration);
    }
    Ok(groups.get(name))
}

/// `OffsetCommit`.
pub(crate) fn commit(
    node: &Node,
    request: OffsetCommitRequest,
    refused: Option<ResponseError>,
) -> OffsetCommitResponse {
    let generation = request.generation_id_or_member_epoch;
    let who = Who { member: &request.member_id, instance: request.group_instance_id.as_deref(), generation };
    let mut groups = lock(&node.groups);
    let mut group = refused.map_or(Ok(()), Err).and_then(|()| {
        let group = group_for(&mut groups, &request.group_id, generation)?;
        group.check_commit(who, false)?;
        Ok(group)
    });
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let index = partition.partition_index;
            let metadata = partition.committed_metadata.unwrap_or_default().to_string();
            let offset =
                Offset { at: partition.committed_offset, leader_epoch: partition.committed_leader_epoch, metadata };
            let done = match &mut group {
                Err(error) => Err(*error),
                Ok(group) => node.partition(&topic.name, index).map(|_| {
                    group.offsets.commit(node, &request.group_id, &topic.name, index, offset);
                }),
            };
            OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code(done))
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// `TxnOffsetCommit`: the offsets count when the transaction does. This is where a zombie of the group is stopped.
pub(crate) fn commit_in_transaction(
    node: &Node,
    request: TxnOffsetCommitRequest,
    refused: Option<ResponseError>,
) -> TxnOffsetCommitResponse {
    let held = match refused {
        Some(error) => Err(error),
        None => hold(node, &request),
    };
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let known = node.partition(&topic.name, partition.partition_index).map(|_| ());
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(held.and(known)))
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

fn hold(node: &Node, request: &TxnOffsetCommitRequest) -> Answer<()> {
    let writer = Writer { producer: request.producer_id.0, epoch: request.producer_epoch };
    let (member, generation) = (&*request.member_id, request.generation_id);
    let who = Who { member, instance: request.group_instance_id.as_deref(), generation };
    let mut txns = lock(&node.txns);
    txns.verify_group(&request.transactional_id, writer, &request.group_id)?;
    let mut groups = lock(&node.groups);
    let group = group_for(&mut groups, &request.group_id, generation)?;
    group.check_commit(who, true)?;
    let positions = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let metadata = partition.committed_metadata.as_deref().unwrap_or_default().to_owned();
            let (at, leader_epoch) = (partition.committed_offset, partition.committed_leader_epoch);
            (topic.name.to_string(), partition.partition_index, Offset { at, leader_epoch, metadata })
        })
    });
    let known = positions.filter(|(topic, partition, _)| node.partition(topic, *partition).is_ok());
    group.offsets.hold(node, &request.group_id, writer.producer, known.collect());
    Ok(())
}

/// `OffsetFetch`: of one group before version 8, of several after.
pub(crate) fn fetch(
    node: &Node,
    version: i16,
    request: OffsetFetchRequest,
    refused: Option<ResponseError>,
) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if version >= 8 {
        let groups = request.groups.into_iter().map(|group| fetch_group(node, group, stable, refused));
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let topics = request.topics.map(|topics| topics.into_iter().map(widen).collect());
    let asked = OffsetFetchRequestGroup::default().with_group_id(request.group_id).with_topics(topics);
    let found = fetch_group(node, asked, stable, refused);
    // In version 1 the error had no place of its own.
    let topics = found.topics.into_iter().map(narrow).collect();
    OffsetFetchResponse::default().with_topics(topics).with_error_code(found.error_code)
}

fn widen(topic: OffsetFetchRequestTopic) -> OffsetFetchRequestTopics {
    OffsetFetchRequestTopics::default().with_name(topic.name).with_partition_indexes(topic.partition_indexes)
}

fn narrow(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    });
    OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions.collect())
}

fn fetch_group(
    node: &Node,
    asked: OffsetFetchRequestGroup,
    stable: bool,
    refused: Option<ResponseError>,
) -> OffsetFetchResponseGroup {
    let groups = lock(&node.groups);
    let group = groups.by_name.get(&**asked.group_id);
    let topics = asked.topics.unwrap_or_else(|| everything(group)).into_iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&index| match refused {
            Some(error) => nothing(index, Some(error)),
            None => fetch_one(group, &topic.name, index, stable),
        });
        let partitions = partitions.collect();
        OffsetFetchResponseTopics::default().with_name(topic.name).with_partitions(partitions)
    });
    OffsetFetchResponseGroup::default()
        .with_topics(topics.collect())
        .with_group_id(asked.group_id)
        .with_error_code(refused.map_or(0, |error| error.code()))
}

fn everything(group: Option<&Group>) -> Vec<OffsetFetchRequestTopics> {
    let committed = group.into_iter().flat_map(|group| &group.offsets.committed);
    let topics = committed.map(|(topic, offsets)| {
        let partitions = offsets.keys().copied().collect();
        OffsetFetchRequestTopics::default().with_name(text(topic.clone()).into()).with_partition_indexes(partitions)
    });
    topics.collect()
}

fn fetch_one(group: Option<&Group>, topic: &str, index: i32, stable: bool) -> OffsetFetchResponsePartitions {
    let Some(offsets) = group.map(|group| &group.offsets) else { return nothing(index, None) };
    if stable && offsets.is_unstable(topic, index) {
        return nothing(index, Some(ResponseError::UnstableOffsetCommit));
    }
    let Some(offset) = offsets.committed.get(topic).and_then(|known| known.get(&index)) else {
        return nothing(index, None);
    };
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(offset.at)
        .with_committed_leader_epoch(offset.leader_epoch)
        .with_metadata(Some(text(offset.metadata.clone())))
}

fn nothing(index: i32, error: Option<ResponseError>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(-1)
        .with_metadata(Some(StrBytes::new()))
        .with_error_code(error.map_or(0, |error| error.code()))
}

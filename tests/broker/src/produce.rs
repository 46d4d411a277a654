//! `Produce` and `InitProducerId`'s counterpart on the log: what producers write.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use crate::batch::Batch;
use crate::log::Answer;
use crate::node::{Node, lock, now};
use crate::topics::{Partition, Topic};
use crate::transactions::Writer;

/// Appends what a producer sends.
pub(crate) fn produce(node: &Node, request: ProduceRequest, refused: Option<ResponseError>) -> ProduceResponse {
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for data in request.topic_data {
        let topic = node.topic(&data.name);
        let id = request.transactional_id.as_deref();
        let answers = data.partition_data.into_iter().map(|partition| {
            let index = partition.index;
            let appended = match (refused, &topic) {
                (Some(error), _) => Err(error),
                (None, Err(error)) => Err(*error),
                (None, Ok(topic)) => append(node, topic, id.map(|id| &**id), request.acks, partition),
            };
            answer(index, appended)
        });
        let answers = answers.collect();
        responses.push(TopicProduceResponse::default().with_name(data.name).with_partition_responses(answers));
    }
    ProduceResponse::default().with_responses(responses)
}

/// The offset of the first record, and where the log starts.
fn answer(index: i32, appended: Answer<(i64, i64)>) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(index).with_log_append_time_ms(-1);
    match appended {
        Ok((offset, start)) => answer.with_base_offset(offset).with_log_start_offset(start),
        Err(error) => answer.with_error_code(error.code()).with_base_offset(-1).with_log_start_offset(-1),
    }
}

fn append(
    node: &Node,
    topic: &Arc<Topic>,
    id: Option<&str>,
    acks: i16,
    data: PartitionProduceData,
) -> Answer<(i64, i64)> {
    let partition = topic.partition(data.index)?;
    if !(-1..=1).contains(&acks) {
        return Err(ResponseError::InvalidRequiredAcks);
    }
    if acks == -1 && topic.number("min.insync.replicas") > 1 {
        return Err(ResponseError::NotEnoughReplicas);
    }
    let batches = check(topic, data.records.unwrap_or_default())?;
    let (epoch, at) = (node.leader_epoch(), now());
    let write = |partition: &Partition| {
        let mut log = lock(&partition.log);
        Ok((log.append(batches.clone(), epoch, node.stamp(), at)?, log.start))
    };
    let Some(writer) = transactional_writer(&batches) else { return write(partition) };
    if lock(&partition.log).has_open(writer.producer, writer.epoch) {
        return write(partition);
    }
    // The first write of a transaction in this partition: the coordinator must know of it, and go on knowing meanwhile.
    let mut txns = lock(&node.txns);
    txns.verify(id.ok_or(ResponseError::InvalidTxnState)?, writer, &topic.name, data.index)?;
    write(partition)
}

fn transactional_writer(batches: &[Batch]) -> Option<Writer> {
    let batch = batches.iter().find(|batch| batch.is_transactional())?;
    Some(Writer { producer: batch.producer(), epoch: batch.producer_epoch() })
}

/// What Kafka checks of batches before it appends them.
fn check(topic: &Topic, records: Bytes) -> Answer<Vec<Batch>> {
    let batches = Batch::split(records)?;
    let room = usize::try_from(topic.number("max.message.bytes")).unwrap_or(usize::MAX);
    for batch in &batches {
        if batch.size() > room {
            return Err(ResponseError::MessageTooLarge);
        }
        if batch.is_control() || batch.count() < 1 || batch.last_delta() != batch.count() - 1 {
            return Err(ResponseError::InvalidRecord);
        }
        if topic.is_compacted() && batch.entries()?.iter().any(|entry| entry.key.is_none()) {
            return Err(ResponseError::InvalidRecord);
        }
    }
    Ok(batches)
}

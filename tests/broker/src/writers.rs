//! The requests of transactional producers, put to the transaction coordinator.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState as Described};
use kafka_protocol::messages::list_transactions_response::TransactionState as Listed;
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse, ListTransactionsRequest, ListTransactionsResponse, ProducerId,
};
use kafka_protocol::protocol::StrBytes;

use crate::log::Answer;
use crate::node::{Node, lock, now};
use crate::transactions::{Writer, add_offsets, add_partitions, end, init_producer};
use crate::wire::{code, text};

/// Clients that do not know `PRODUCER_FENCED` are told what they know.
fn as_known(error: ResponseError, version: i16, since: i16) -> ResponseError {
    match error {
        ResponseError::ProducerFenced if version < since => ResponseError::InvalidProducerEpoch,
        other => other,
    }
}

/// `InitProducerId`.
pub(crate) fn init(
    node: &Arc<Node>,
    version: i16,
    request: &InitProducerIdRequest,
    refused: Option<ResponseError>,
) -> InitProducerIdResponse {
    let producer = request.producer_id.0;
    let expected = (producer >= 0).then_some(Writer { producer, epoch: request.producer_epoch });
    let id = request.transactional_id.as_deref().map(|id| &**id);
    let given = refused.map_or(Ok(()), Err);
    let answer = InitProducerIdResponse::default();
    match given.and_then(|()| init_producer(node, id, request.transaction_timeout_ms, expected)) {
        Ok(writer) => answer.with_producer_id(ProducerId(writer.producer)).with_producer_epoch(writer.epoch),
        Err(error) => answer
            .with_error_code(as_known(error, version, 4).code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

/// `AddPartitionsToTxn`, as clients send it (up to version 3).
pub(crate) fn partitions(
    node: &Node,
    version: i16,
    request: AddPartitionsToTxnRequest,
    refused: Option<ResponseError>,
) -> AddPartitionsToTxnResponse {
    let writer = Writer { producer: request.v3_and_below_producer_id.0, epoch: request.v3_and_below_producer_epoch };
    let topics = request.v3_and_below_topics;
    let wanted: Vec<_> = topics.iter().flat_map(each_partition).collect();
    let unknown = |topic: &str, index: i32| node.partition(topic, index).is_err();
    let any_unknown = wanted.iter().any(|(topic, index)| unknown(topic, *index));
    let added = match refused {
        Some(error) => Err(error),
        None if any_unknown => Err(ResponseError::OperationNotAttempted),
        None => add_partitions(node, &request.v3_and_below_transactional_id, writer, &wanted),
    };
    let added = added.map_err(|error| as_known(error, version, 2));
    let results = topics.into_iter().map(|topic| {
        let results = topic.partitions.iter().map(|&index| {
            let missing = refused.is_none() && unknown(&topic.name, index);
            let error = if missing { Err(ResponseError::UnknownTopicOrPartition) } else { added };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(index)
                .with_partition_error_code(code(error))
        });
        let results = results.collect();
        AddPartitionsToTxnTopicResult::default().with_name(topic.name).with_results_by_partition(results)
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

fn each_partition(topic: &AddPartitionsToTxnTopic) -> impl Iterator<Item = (String, i32)> + '_ {
    topic.partitions.iter().map(|&index| (topic.name.to_string(), index))
}

/// `AddOffsetsToTxn`.
pub(crate) fn offsets(
    node: &Node,
    version: i16,
    request: &AddOffsetsToTxnRequest,
    refused: Option<ResponseError>,
) -> AddOffsetsToTxnResponse {
    let writer = Writer { producer: request.producer_id.0, epoch: request.producer_epoch };
    let added = refused.map_or(Ok(()), Err);
    let added = added.and_then(|()| add_offsets(node, &request.transactional_id, writer, &request.group_id));
    let added = added.map_err(|error| as_known(error, version, 2));
    AddOffsetsToTxnResponse::default().with_error_code(code(added))
}

/// `EndTxn`, late or twice where a fault asks for it.
pub(crate) async fn finish(
    node: &Arc<Node>,
    version: i16,
    request: EndTxnRequest,
    refused: Option<ResponseError>,
) -> EndTxnResponse {
    let answer = |ended: Answer<()>| {
        let ended = ended.map_err(|error| as_known(error, version, 2));
        let nobody = EndTxnResponse::default().with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
        nobody.with_error_code(code(ended))
    };
    if let Some(error) = refused {
        return answer(Err(error));
    }
    let (delay, copy) = lock(&node.plan).end_of_transaction();
    let writer = Writer { producer: request.producer_id.0, epoch: request.producer_epoch };
    let (id, commit) = (request.transactional_id.to_string(), request.committed);
    if let Some(after) = copy {
        end_later(node, after, id.clone(), writer, commit);
    }
    match delay {
        None => answer(end(node, &id, writer, commit)),
        // A task of its own: a request under way is carried out even if its sender is gone.
        Some(delay) => answer(end_later(node, delay, id, writer, commit).await.unwrap_or(Ok(()))),
    }
}

fn end_later(
    node: &Arc<Node>,
    after: Duration,
    id: String,
    writer: Writer,
    commit: bool,
) -> tokio::task::JoinHandle<Answer<()>> {
    let node = Arc::clone(node);
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        let ended = end(&node, &id, writer, commit);
        tracing::info!(id, commit, ?ended, "a late end of a transaction was applied");
        ended
    })
}

/// `DescribeTransactions`.
pub(crate) fn describe(node: &Node, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
    let txns = lock(&node.txns);
    let states = request.transactional_ids.into_iter().map(|id| {
        let answer = Described::default().with_transactional_id(id.clone());
        let Some(txn) = txns.by_id.get(&**id) else {
            return answer.with_error_code(ResponseError::TransactionalIdNotFound.code());
        };
        let topics = txn.partitions.iter().map(|(topic, partitions)| {
            let partitions = partitions.iter().copied().collect();
            TopicData::default().with_topic(text(topic.clone()).into()).with_partitions(partitions)
        });
        answer
            .with_transaction_state(StrBytes::from_static_str(txn.state.name()))
            .with_transaction_timeout_ms(txn.timeout_ms)
            .with_transaction_start_time_ms(txn.started)
            .with_producer_id(ProducerId(txn.producer))
            .with_producer_epoch(txn.epoch)
            .with_topics(topics.collect())
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

/// `ListTransactions`.
pub(crate) fn list(node: &Node, request: &ListTransactionsRequest) -> ListTransactionsResponse {
    let txns = lock(&node.txns);
    let listed = txns.by_id.values().filter(|txn| {
        let state = |wanted: &StrBytes| **wanted == *txn.state.name();
        (request.state_filters.is_empty() || request.state_filters.iter().any(state))
            && (request.producer_id_filters.is_empty()
                || request.producer_id_filters.iter().any(|wanted| wanted.0 == txn.producer))
            && (request.duration_filter < 0 || now() - txn.started > request.duration_filter)
    });
    let states = listed.map(|txn| {
        Listed::default()
            .with_transactional_id(text(txn.id.clone()).into())
            .with_producer_id(ProducerId(txn.producer))
            .with_transaction_state(StrBytes::from_static_str(txn.state.name()))
    });
    ListTransactionsResponse::default().with_transaction_states(states.collect())
}

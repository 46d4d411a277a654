//! Who there is: `ApiVersions`, `Metadata`, `DescribeCluster`, `FindCoordinator`. There is one broker, and it is all of it.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::log::Answer;
use crate::node::{BROKER, Node};
use crate::topics::{Configs, Topic, is_name};
use crate::wire::text;

const CLUSTER: &str = "musubi-test-broker";
const HOST: &str = "127.0.0.1";
/// Authorised operations were not asked for.
const UNSAID: i32 = i32::MIN;

/// What is served, and in which versions: those of Kafka 4.0, as far as clients without KIP-890 part 2 need them.
pub(crate) const SERVED: &[(ApiKey, i16, i16)] = &[
    // Versions 0 to 2 are told and not served, as Kafka 4.0 does: librdkafka looks for them before it compresses.
    (ApiKey::Produce, 0, 11),
    (ApiKey::Fetch, 4, 16),
    (ApiKey::ListOffsets, 1, 9),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::FindCoordinator, 0, 5),
    (ApiKey::JoinGroup, 2, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 5),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 5),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::AddPartitionsToTxn, 0, 3),
    (ApiKey::AddOffsetsToTxn, 0, 4),
    (ApiKey::EndTxn, 0, 4),
    (ApiKey::TxnOffsetCommit, 0, 4),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::DescribeCluster, 0, 1),
    (ApiKey::DescribeTransactions, 0, 0),
    (ApiKey::ListTransactions, 0, 1),
];

/// Whether a request of that version is served.
pub(crate) fn serves(api: ApiKey, version: i16) -> bool {
    SERVED.iter().any(|&(known, min, max)| known == api && (min..=max).contains(&version))
}

/// `ApiVersions`. A version that is not known is answered in version 0, with the error and the list.
pub(crate) fn versions(refused: Option<ResponseError>) -> ApiVersionsResponse {
    let keys = SERVED.iter().map(|&(api, min, max)| {
        ApiVersion::default().with_api_key(api as i16).with_min_version(min).with_max_version(max)
    });
    ApiVersionsResponse::default()
        .with_api_keys(keys.collect())
        .with_finalized_features_epoch(-1)
        .with_error_code(refused.map_or(0, |error| error.code()))
}

/// `Metadata`. A topic asked for by name may come into being by it.
pub(crate) fn metadata(
    node: &Node,
    version: i16,
    request: MetadataRequest,
    refused: Option<ResponseError>,
) -> MetadataResponse {
    let create = node.settings.auto_create && (version < 4 || request.allow_auto_topic_creation);
    // In version 0 an empty list meant all.
    let wanted = request.topics.filter(|topics| version > 0 || !topics.is_empty());
    let topics = match wanted {
        None => node.topics().iter().map(|topic| describe(node, topic)).collect(),
        Some(wanted) => wanted.into_iter().map(|wanted| find(node, wanted, create, refused)).collect(),
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(BROKER))
        .with_host(StrBytes::from_static_str(HOST))
        .with_port(i32::from(node.port));
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_static_str(CLUSTER)))
        .with_controller_id(BrokerId(BROKER))
        .with_topics(topics)
        .with_cluster_authorized_operations(UNSAID)
}

fn find(
    node: &Node,
    wanted: MetadataRequestTopic,
    create: bool,
    refused: Option<ResponseError>,
) -> MetadataResponseTopic {
    let found = refused.map_or(Ok(()), Err).and_then(|()| match &wanted.name {
        None => node.topic_by_id(wanted.topic_id),
        Some(name) => find_or_create(node, name, create),
    });
    match found {
        Ok(topic) => describe(node, &topic),
        Err(error) => MetadataResponseTopic::default()
            .with_name(wanted.name)
            .with_topic_id(wanted.topic_id)
            .with_topic_authorized_operations(UNSAID)
            .with_error_code(error.code()),
    }
}

fn find_or_create(node: &Node, name: &TopicName, create: bool) -> Answer<Arc<Topic>> {
    match node.shown(name) {
        Err(_) if !is_name(name) => Err(ResponseError::InvalidTopicException),
        Err(_) if create && node.topic(name).is_err() => {
            node.put_topic(name, node.settings.default_partitions, Configs::new())
        }
        found => found,
    }
}

fn describe(node: &Node, topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(index, _)| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(BROKER))
            .with_leader_epoch(node.leader_epoch())
            .with_replica_nodes(vec![BrokerId(BROKER)])
            .with_isr_nodes(vec![BrokerId(BROKER)])
    });
    MetadataResponseTopic::default()
        .with_name(Some(text(topic.name.clone()).into()))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(UNSAID)
}

/// `DescribeCluster`.
pub(crate) fn describe_cluster(node: &Node) -> DescribeClusterResponse {
    let broker = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(BROKER))
        .with_host(StrBytes::from_static_str(HOST))
        .with_port(i32::from(node.port));
    DescribeClusterResponse::default()
        .with_cluster_id(StrBytes::from_static_str(CLUSTER))
        .with_controller_id(BrokerId(BROKER))
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(UNSAID)
}

/// `FindCoordinator`: always here. Several keys from version 4 on.
pub(crate) fn coordinator(
    node: &Node,
    version: i16,
    request: FindCoordinatorRequest,
    refused: Option<ResponseError>,
) -> FindCoordinatorResponse {
    let unknown = !matches!(request.key_type, 0 | 1);
    let error = refused.or(unknown.then_some(ResponseError::InvalidRequest));
    let (id, host, port) = match error {
        None => (BROKER, HOST, i32::from(node.port)),
        Some(_) => (-1, "", -1),
    };
    let (id, host, error) = (BrokerId(id), StrBytes::from_static_str(host), error.map_or(0, |error| error.code()));
    if version < 4 {
        let answer = FindCoordinatorResponse::default().with_error_code(error);
        return answer.with_node_id(id).with_host(host).with_port(port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        let answer = Coordinator::default().with_key(key).with_error_code(error);
        answer.with_node_id(id).with_host(host.clone()).with_port(port)
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}

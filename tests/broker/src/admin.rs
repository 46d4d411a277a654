//! What an administrator asks: topics, their settings, and records to be deleted.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as Replaced;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest,
    CreateTopicsResponse, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::journal::Fact;
use crate::log::Answer;
use crate::node::{BROKER, Node, lock};
use crate::topics::{Configs, KNOWN, Topic, fault_in, is_name};
use crate::wire::{code, text};

const TOPIC: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
/// Where a setting comes from, in the codes of `DescribeConfigs`.
const FROM_TOPIC: i8 = 1;
const FROM_DEFAULT: i8 = 5;

/// An error, and a sentence about it.
type Told<T> = Result<T, (ResponseError, String)>;

fn told<T>(answer: Answer<T>) -> Told<T> {
    answer.map_err(|error| (error, error.to_string()))
}

/// The two fields in which an answer tells its error.
fn error_fields(done: Told<()>) -> (i16, Option<StrBytes>) {
    done.map_or_else(|(error, message)| (error.code(), Some(text(message))), |()| (0, None))
}

/// `CreateTopics`.
pub(crate) fn create(
    node: &Node,
    request: CreateTopicsRequest,
    refused: Option<ResponseError>,
) -> CreateTopicsResponse {
    let topics = request.topics.into_iter().map(|wanted| {
        let name = wanted.name.clone();
        let made = match refused {
            Some(error) => told(Err(error)),
            None => create_one(node, &wanted, request.validate_only),
        };
        let answer = CreatableTopicResult::default().with_name(name);
        match made {
            Err(_) => {
                let (code, message) = error_fields(made.map(|_| ()));
                answer.with_error_code(code).with_error_message(message)
            }
            Ok(topic) => answer
                .with_topic_id(topic.id)
                .with_num_partitions(i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
                .with_replication_factor(1)
                .with_configs(Some(created_configs(&topic))),
        }
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn create_one(node: &Node, wanted: &CreatableTopic, only_check: bool) -> Told<Topic> {
    let named = |error, message: &str| Err((error, format!("topic `{}`: {message}", wanted.name.as_str())));
    let assigned = i32::try_from(wanted.assignments.len()).unwrap_or(i32::MAX);
    let partitions = match wanted.num_partitions {
        _ if assigned > 0 => assigned,
        -1 => node.settings.default_partitions,
        count => count,
    };
    match () {
        () if !is_name(&wanted.name) => return named(ResponseError::InvalidTopicException, "not a topic's name"),
        () if node.topic(&wanted.name).is_ok() => return named(ResponseError::TopicAlreadyExists, "already exists"),
        () if partitions < 1 => return named(ResponseError::InvalidPartitions, "wanted at least one partition"),
        () if assigned == 0 && !matches!(wanted.replication_factor, -1 | 1) => {
            return named(ResponseError::InvalidReplicationFactor, "wanted 1 replica, there is one broker");
        }
        () => {}
    }
    let mut configs = Configs::new();
    for config in &wanted.configs {
        let value = config.value.as_deref().unwrap_or_default();
        if let Some(fault) = fault_in(&config.name, value) {
            return Err((ResponseError::InvalidConfig, fault));
        }
        configs.insert(config.name.to_string(), value.to_owned());
    }
    if only_check {
        let (name, id) = (wanted.name.to_string(), uuid::Uuid::nil());
        let partitions = vec![std::sync::Arc::default(); usize::try_from(partitions).unwrap_or(0)];
        return Ok(Topic { name, id, partitions, configs });
    }
    told(node.put_topic(&wanted.name, partitions, configs)).map(|topic| Topic::clone(&topic))
}

fn created_configs(topic: &Topic) -> Vec<CreatableTopicConfigs> {
    let configs = KNOWN.iter().map(|(name, ..)| {
        let own = topic.configs.contains_key(*name);
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(text(topic.config(name))))
            .with_config_source(if own { FROM_TOPIC } else { FROM_DEFAULT })
    });
    configs.collect()
}

/// `CreatePartitions`.
pub(crate) fn grow(
    node: &Node,
    request: CreatePartitionsRequest,
    refused: Option<ResponseError>,
) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|wanted| {
        let grown = refused.map_or(Ok(()), |error| told(Err(error))).and_then(|()| {
            let topic = told(node.topic(&wanted.name))?;
            let there = topic.partitions.len();
            if usize::try_from(wanted.count).is_ok_and(|count| count > there) {
                let only_check = request.validate_only;
                let put = || node.put_topic(&wanted.name, wanted.count, topic.configs.clone());
                return if only_check { Ok(()) } else { told(put()).map(|_| ()) };
            }
            let message = format!("topic has {there} partitions, wanted more, found {}", wanted.count);
            Err((ResponseError::InvalidPartitions, message))
        });
        let (code, message) = error_fields(grown);
        CreatePartitionsTopicResult::default().with_name(wanted.name).with_error_code(code).with_error_message(message)
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

/// `DeleteTopics`: by name before version 6, by name or id after.
pub(crate) fn delete(
    node: &Node,
    request: DeleteTopicsRequest,
    refused: Option<ResponseError>,
) -> DeleteTopicsResponse {
    let by_name = request.topic_names.into_iter().map(|name| (Some(name), uuid::Uuid::nil()));
    let by_state = request.topics.into_iter().map(|state| (state.name, state.topic_id));
    let responses = by_name.chain(by_state).map(|(name, id)| {
        let found = match &name {
            Some(name) => Ok(name.to_string()),
            None => node.topic_by_id(id).map(|topic| topic.name.clone()),
        };
        let gone =
            refused.map_or(Ok(()), Err).and_then(|()| node.delete_topic(found.as_deref().map_err(|error| *error)?));
        let name = name.or_else(|| found.ok().map(|name| text(name).into()));
        DeletableTopicResult::default().with_name(name).with_topic_id(id).with_error_code(code(gone))
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

/// `DeleteRecords`.
pub(crate) fn delete_records(
    node: &Node,
    request: DeleteRecordsRequest,
    refused: Option<ResponseError>,
) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let index = wanted.partition_index;
            let low = refused.map_or(Ok(()), Err).and_then(|()| delete_before(node, &topic.name, index, wanted.offset));
            let answer = DeleteRecordsPartitionResult::default().with_partition_index(index);
            match low {
                Ok(low) => answer.with_low_watermark(low),
                Err(error) => answer.with_low_watermark(-1).with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

/// Drops what is before the offset, -1 being the end. Returns where the log starts now.
pub(crate) fn delete_before(node: &Node, topic: &str, index: i32, offset: i64) -> Answer<i64> {
    let partition = node.partition(topic, index)?;
    let mut log = lock(&partition.log);
    let offset = if offset == -1 { log.end } else { offset };
    if offset < 0 || offset > log.end {
        return Err(ResponseError::OffsetOutOfRange);
    }
    log.drop_below(offset);
    node.record(Fact::Start { topic: topic.to_owned(), partition: index, offset: log.start });
    Ok(log.start)
}

/// `DescribeConfigs`, of topics, and a little of the broker.
pub(crate) fn describe_configs(
    node: &Node,
    request: DescribeConfigsRequest,
    refused: Option<ResponseError>,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let configs = match refused {
            Some(error) => told(Err(error)),
            None => configs_of(node, &resource),
        };
        let answer = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match configs {
            Ok(configs) => answer.with_configs(configs),
            Err(_) => {
                let (code, message) = error_fields(configs.map(|_| ()));
                answer.with_error_code(code).with_error_message(message)
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn configs_of(node: &Node, resource: &DescribeConfigsResource) -> Told<Vec<DescribeConfigsResourceResult>> {
    let wanted = |name: &str| {
        let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
        keys.is_none_or(|keys| keys.iter().any(|key| **key == *name))
    };
    match resource.resource_type {
        TOPIC => {
            let topic = told(node.shown(&resource.resource_name))?;
            let known = KNOWN.iter().filter(|(name, ..)| wanted(name));
            Ok(known
                .map(|&(name, _, kind)| described(name, topic.config(name), kind, topic.configs.contains_key(name)))
                .collect())
        }
        BROKER_RESOURCE if *resource.resource_name == *BROKER.to_string() => {
            let known = broker_configs(node);
            let known = known.iter().filter(|(name, ..)| wanted(name));
            Ok(known.map(|(name, value, kind)| described(name, value, *kind, false).with_read_only(true)).collect())
        }
        other => Err((
            ResponseError::InvalidRequest,
            format!("no resource `{}` of type {other}", resource.resource_name.as_str()),
        )),
    }
}

fn broker_configs(node: &Node) -> [(&'static str, String, i8); 4] {
    [
        ("auto.create.topics.enable", node.settings.auto_create.to_string(), 1),
        ("default.replication.factor", "1".to_owned(), 3),
        ("num.partitions", node.settings.default_partitions.to_string(), 3),
        ("group.min.session.timeout.ms", node.settings.min_session_timeout.as_millis().to_string(), 3),
    ]
}

fn described(name: &'static str, value: &str, kind: i8, own: bool) -> DescribeConfigsResourceResult {
    let source = if own { FROM_TOPIC } else { FROM_DEFAULT };
    let synonym = DescribeConfigsSynonym::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(text(value)))
        .with_source(source);
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(text(value)))
        .with_config_source(source)
        .with_config_type(kind)
        .with_synonyms(vec![synonym])
}

/// `IncrementalAlterConfigs`, of topics.
pub(crate) fn alter_configs(
    node: &Node,
    request: IncrementalAlterConfigsRequest,
    refused: Option<ResponseError>,
) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let altered = match refused {
            Some(error) => told(Err(error)),
            None => alter(node, &resource, request.validate_only),
        };
        let (code, message) = error_fields(altered);
        AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code)
            .with_error_message(message)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn alter(node: &Node, resource: &AlterConfigsResource, only_check: bool) -> Told<()> {
    let topic = told(topic_of(node, resource.resource_type, &resource.resource_name))?;
    let mut configs = topic.configs.clone();
    for config in &resource.configs {
        let (name, value) = (&*config.name, config.value.as_deref().unwrap_or_default());
        let old = topic.config(name).split(',').filter(|part| !part.is_empty());
        let value = match config.config_operation {
            0 => value.to_owned(),
            2 => old.chain(value.split(',')).collect::<Vec<_>>().join(","),
            3 => old.filter(|part| !value.split(',').any(|gone| gone == *part)).collect::<Vec<_>>().join(","),
            _ => {
                configs.remove(name);
                continue;
            }
        };
        if let Some(fault) = fault_in(name, &value) {
            return Err((ResponseError::InvalidConfig, fault));
        }
        configs.insert(name.to_owned(), value);
    }
    replace_configs(node, &topic, configs, only_check)
}

/// `AlterConfigs`: what is not named goes back to its default.
pub(crate) fn put_configs(
    node: &Node,
    request: AlterConfigsRequest,
    refused: Option<ResponseError>,
) -> AlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let altered = refused.map_or(Ok(()), |error| told(Err(error))).and_then(|()| {
            let topic = told(topic_of(node, resource.resource_type, &resource.resource_name))?;
            let named = resource.configs.iter();
            let configs: Configs = named
                .map(|config| (config.name.to_string(), config.value.as_deref().unwrap_or_default().to_owned()))
                .collect();
            match configs.iter().find_map(|(name, value)| fault_in(name, value)) {
                Some(fault) => Err((ResponseError::InvalidConfig, fault)),
                None => replace_configs(node, &topic, configs, request.validate_only),
            }
        });
        let (code, message) = error_fields(altered);
        Replaced::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code)
            .with_error_message(message)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn topic_of(node: &Node, kind: i8, name: &str) -> Answer<std::sync::Arc<Topic>> {
    if kind == TOPIC { node.topic(name) } else { Err(ResponseError::InvalidRequest) }
}

fn replace_configs(node: &Node, topic: &Topic, configs: Configs, only_check: bool) -> Told<()> {
    if only_check {
        return Ok(());
    }
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    told(node.put_topic(&topic.name, partitions, configs)).map(|_| ())
}

//! The topics on the cluster: what they should be, what they are, and making the one the other.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode;

use super::client::{self, ASK, LARGEST, Quiet};
use super::librdkafka::{add, number};
use super::{Settings, lag::lag};
use crate::{Error, Partition, Topic};

/// How a topic is kept in bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// The last record of each key.
    Compact,
    /// The last record of each key, and every record for a while after it was written: the state.
    Changelog,
    /// Records for so many milliseconds; None for ever.
    Delete(Option<u64>),
}

/// What a topic should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The topic, without the deployment's prefix.
    pub topic: Topic,
    /// How many partitions.
    pub partitions: Partition,
    /// How many copies of each; 0 for what the cluster does by itself.
    pub replication: u16,
    /// Its configuration, as the cluster spells it.
    pub configuration: BTreeMap<&'static str, String>,
}

impl Planned {
    /// A topic kept in bounds as `cleanup` says, on a cluster where `replication` copies are kept.
    pub fn new(settings: &Settings, topic: Topic, cleanup: Cleanup, replication: u16) -> Self {
        let mut configuration = BTreeMap::from([
            ("max.message.bytes", LARGEST.to_string()),
            ("min.insync.replicas", if replication > 2 { "2" } else { "1" }.to_owned()),
        ]);
        match cleanup {
            Cleanup::Compact => drop(configuration.insert("cleanup.policy", "compact".to_owned())),
            Cleanup::Changelog => {
                configuration.insert("cleanup.policy", "compact".to_owned());
                configuration.insert("min.compaction.lag.ms", settings.uncompacted.as_millis().to_string());
                configuration.insert("delete.retention.ms", settings.tombstones.as_millis().to_string());
            }
            Cleanup::Delete(kept) => {
                let kept = kept.map_or_else(|| "-1".to_owned(), |milliseconds| milliseconds.to_string());
                configuration.insert("cleanup.policy", "delete".to_owned());
                configuration.insert("retention.ms", kept);
                configuration.insert("retention.bytes", "-1".to_owned());
            }
        }
        Self { topic, partitions: settings.partitions, replication, configuration }
    }
}

/// In what a topic is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The topic's name on the cluster.
    pub topic: String,
    /// What differs: `topic`, `partitions`, or a key of its configuration.
    pub what: String,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, what, wanted, found } = self;
        write!(formatter, "`{what}` of topic `{topic}`: wanted {wanted}, found {found}")
    }
}

/// How long a cluster may take to show what it has made.
const SHOWN: Duration = Duration::from_secs(30);

/// In what the cluster's topics differ from the plan.
///
/// # Errors
/// [`Error::Broker`].
pub fn check(settings: &Settings, plan: &[Planned]) -> Result<Vec<Difference>, Error> {
    let admin = Admin::open(settings)?;
    let mut differences = Vec::new();
    for planned in plan {
        differences.extend(admin.differences(&settings.name(&planned.topic), planned)?);
    }
    Ok(differences)
}

/// Makes the topics that are missing, and returns their names. Those that are there are left as they are.
///
/// The controller answers before the brokers know of it, so this waits until what was made is shown as it was planned.
/// Where that takes too long, [`check`] says what is not.
///
/// # Errors
/// [`Error::Broker`], [`Error::Mismatch`] where the cluster refuses a topic.
pub fn apply(settings: &Settings, plan: &[Planned]) -> Result<Vec<String>, Error> {
    let admin = Admin::open(settings)?;
    let mut made = Vec::new();
    for planned in plan {
        let name = settings.name(&planned.topic);
        if admin.partitions(&name)?.is_none() && admin.create(&name, planned)? {
            made.push((name, planned));
        }
    }
    let deadline = Instant::now() + SHOWN;
    for (name, planned) in &made {
        while !admin.differences(name, planned)?.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(made.into_iter().map(|(name, _)| name).collect())
}

/// Deletes what the group has committed of an input. The marks of transactions behind it stay, and with them the offset
/// where a footer says that reading goes on: were it gone, nobody could begin there.
///
/// # Errors
/// [`Error::Broker`].
pub fn purge(settings: &Settings, topic: &Topic) -> Result<(), Error> {
    let name = settings.name(topic);
    let mut list = TopicPartitionList::new();
    for lag in lag(settings)?.iter().filter(|lag| lag.topic == *topic) {
        if let Some(committed) = lag.committed.filter(|committed| *committed > lag.start) {
            add(&mut list, &name, lag.partition, committed)?;
        }
    }
    if list.count() == 0 {
        return Ok(());
    }
    let admin = Admin::open(settings)?;
    let deleted = pollster::block_on(admin.client.delete_records(&list, &admin.options));
    deleted.map(drop).map_err(|why| Error::broker(format!("deleting what was read of `{name}`"), why))
}

fn difference(topic: &str, what: &str, wanted: impl fmt::Display, found: impl fmt::Display) -> Difference {
    Difference { topic: topic.to_owned(), what: what.to_owned(), wanted: wanted.to_string(), found: found.to_string() }
}

/// Asks and tells the cluster about topics, and waits for the answer.
struct Admin {
    client: AdminClient<Quiet>,
    options: AdminOptions,
}

impl Admin {
    fn open(settings: &Settings) -> Result<Self, Error> {
        let config = client::asking(settings);
        let client = AdminClient::from_config_and_context(&config, Quiet);
        let client = client.map_err(|why| Error::broker("a client that administers topics", why))?;
        let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(Duration::from_secs(30)));
        Ok(Self { client, options })
    }

    /// In what one topic differs from what it should be.
    fn differences(&self, name: &str, planned: &Planned) -> Result<Vec<Difference>, Error> {
        match self.partitions(name)? {
            None => Ok(vec![difference(name, "topic", "one", "none")]),
            Some(found) if found != planned.partitions => {
                Ok(vec![difference(name, "partitions", planned.partitions, found)])
            }
            Some(_) => self.configuration(name, &planned.configuration),
        }
    }

    /// How many partitions a topic has; None where it is not there.
    fn partitions(&self, name: &str) -> Result<Option<Partition>, Error> {
        let asked = self.client.inner().fetch_metadata(Some(name), ASK);
        let metadata = match asked {
            Ok(metadata) => metadata,
            Err(why) => return Err(Error::broker(format!("asking about topic `{name}`"), why)),
        };
        let found = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none());
        Ok(found
            .map(|topic| topic.partitions().len())
            .filter(|count| *count > 0)
            .and_then(|count| count.try_into().ok()))
    }

    fn configuration(&self, name: &str, wanted: &BTreeMap<&'static str, String>) -> Result<Vec<Difference>, Error> {
        let resource = ResourceSpecifier::Topic(name);
        let described = pollster::block_on(self.client.describe_configs([&resource], &self.options));
        let described =
            described.map_err(|why| Error::broker(format!("asking how topic `{name}` is configured"), why))?;
        let Some(Ok(found)) = described.into_iter().next() else {
            return Ok(vec![difference(name, "configuration", "one that can be read", "none")]);
        };
        let differ = wanted.iter().filter_map(|(key, wanted)| {
            let value = found.get(key).and_then(|entry| entry.value.clone()).unwrap_or_else(|| "nothing".to_owned());
            (value != *wanted).then(|| difference(name, key, wanted, value))
        });
        Ok(differ.collect())
    }

    /// Whether the topic was made, and not by somebody else in the meantime.
    fn create(&self, name: &str, planned: &Planned) -> Result<bool, Error> {
        let replication = if planned.replication == 0 { -1 } else { i32::from(planned.replication) };
        let topic = NewTopic::new(name, number(planned.partitions), TopicReplication::Fixed(replication));
        let topic = planned.configuration.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let created = pollster::block_on(self.client.create_topics([&topic], &self.options));
        let created = created.map_err(|why| Error::broker(format!("making topic `{name}`"), why))?;
        match created.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, why))) => Err(Error::Mismatch {
                what: format!("topic `{name}` cannot be made"),
                wanted: format!("{} partitions, {} copies", planned.partitions, planned.replication),
                found: why.to_string(),
            }),
            Some(Ok(_)) | None => Ok(true),
        }
    }
}

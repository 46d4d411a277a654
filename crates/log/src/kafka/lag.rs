//! How far a group is behind.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};

use super::Settings;
use super::changelog::{number, watermarks};
use super::client::{self, ASK, Consumer, Quiet};
use crate::{Error, Offset, Partition, Topic};

/// How far the group is behind in one partition of one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The first offset that is there.
    pub start: Offset,
    /// What the group has committed; None where it has not yet.
    pub committed: Option<Offset>,
    /// The end of what is committed to the topic.
    pub end: Offset,
}

impl Lag {
    /// How many offsets are still to be read. Marks of transactions count among them.
    pub fn behind(&self) -> u64 {
        self.end.saturating_sub(self.committed.unwrap_or(self.start))
    }
}

/// How far the group is behind, in each partition of each of its inputs.
///
/// # Errors
/// [`Error::Broker`].
pub fn lag(settings: &Settings) -> Result<Vec<Lag>, Error> {
    let mut config = client::reading(settings);
    config.set("group.id", &settings.group);
    let client: Consumer = client::open(&config, Quiet, "a client that asks")?;
    let mut list = TopicPartitionList::new();
    for topic in &settings.inputs {
        for partition in 0..settings.partitions {
            list.add_partition(&settings.name(topic), number(partition));
        }
    }
    let committed = client.committed_offsets(list, ASK.max(Duration::from_secs(15)));
    let committed = committed.map_err(|why| Error::broker("asking what the group has read", why))?;
    let mut all = Vec::new();
    for topic in &settings.inputs {
        let name = settings.name(topic);
        for partition in 0..settings.partitions {
            let (start, end) = watermarks(&client, &name, partition)?;
            let found = committed.find_partition(&name, number(partition)).map(|found| found.offset());
            let committed = match found {
                Some(At::Offset(offset)) => Some(offset.max(0).cast_unsigned()),
                _ => None,
            };
            all.push(Lag { topic: topic.clone(), partition, start, committed, end });
        }
    }
    Ok(all)
}

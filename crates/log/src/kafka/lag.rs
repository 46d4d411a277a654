//! How far a group is behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};

use super::Settings;
use super::changelog::{add, number, watermarks};
use super::client::{self, ASK, Consumer, Quiet};
use crate::{Error, Offset, Partition, Topic};

/// How far the group is behind in one partition of one input.
///
/// Behind the last record of a transaction stands its mark, which nobody reads. Where only marks are left, the group has
/// read everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The first offset that is there.
    pub start: Offset,
    /// What the group has committed, and the end where only marks are left; None where it has not yet.
    pub committed: Option<Offset>,
    /// The end of what is committed to the topic.
    pub end: Offset,
}

impl Lag {
    /// How many offsets are still to be read. Marks between records count among them.
    pub fn behind(&self) -> u64 {
        self.end.saturating_sub(self.committed.unwrap_or(self.start))
    }
}

/// How far the group is behind, in each partition of each of its inputs.
///
/// # Errors
/// [`Error::Broker`].
pub fn lag(settings: &Settings) -> Result<Vec<Lag>, Error> {
    let client: Consumer = client::open(&client::reading(settings), Quiet, "a client that asks")?;
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
    for topic in &settings.inputs {
        pass_marks(&client, &settings.name(topic), all.iter_mut().filter(|lag| lag.topic == *topic))?;
    }
    Ok(all)
}

/// Passes over what is left of a topic where it is nothing but marks of transactions: whatever comes first of a partition,
/// a record or its end, tells.
fn pass_marks<'a>(client: &Consumer, name: &str, lags: impl Iterator<Item = &'a mut Lag>) -> Result<(), Error> {
    let looking = |why| Error::broker(format!("looking what is left of `{name}`"), why);
    let mut list = TopicPartitionList::new();
    let mut open = BTreeMap::new();
    for lag in lags.filter(|lag| lag.behind() > 0) {
        add(&mut list, name, lag.partition, lag.committed.unwrap_or(lag.start))?;
        open.insert(number(lag.partition), lag);
    }
    client.assign(&list).map_err(looking)?;
    let deadline = Instant::now() + ASK;
    while !open.is_empty() && Instant::now() < deadline {
        match client.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => drop(open.remove(&message.partition())),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(lag) = open.remove(&partition) {
                    lag.committed = Some(lag.end);
                }
            }
            Some(Err(why)) => return Err(looking(why)),
            None => {}
        }
    }
    client.unassign().map_err(looking)
}

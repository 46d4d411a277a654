//! How far a group is behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};

use super::Settings;
use super::client::{self, ASK, Consumer, Quiet};
use super::librdkafka::{add, number, watermarks};
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
    /// What the group has committed; None where it has not yet.
    pub committed: Option<Offset>,
    /// Up to where the group has read: what it has committed, and the end where only marks are left.
    pub read: Offset,
    /// The end of what is committed to the topic.
    pub end: Offset,
}

impl Lag {
    /// How many offsets are still to be read. Marks between records count among them.
    pub fn behind(&self) -> u64 {
        self.end.saturating_sub(self.read)
    }
}

/// Where a partition of a topic begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The first offset that is there.
    pub start: Offset,
    /// The end for those who read what is committed: before the first record of the oldest open transaction.
    pub stable: Offset,
    /// The end of all that was written.
    pub end: Offset,
}

/// How far the group is behind, in each partition of each of its inputs.
///
/// # Errors
/// [`Error::Broker`].
pub fn lag(settings: &Settings) -> Result<Vec<Lag>, Error> {
    Gauge::open(settings)?.lag()
}

/// Where each partition of each of these topics begins and ends.
///
/// # Errors
/// [`Error::Broker`].
pub fn ends(settings: &Settings, topics: &[Topic]) -> Result<Vec<Ends>, Error> {
    Gauge::open(settings)?.ends(topics)
}

/// Whoever asks again and again. A new client takes half a second to find the group's coordinator, this one does not.
pub struct Gauge {
    settings: Settings,
    reader: Consumer,
    asker: Consumer,
}

impl Gauge {
    /// Clients that ask.
    ///
    /// # Errors
    /// [`Error::Broker`] where they cannot be made of the settings.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let reader = client::open(&client::reading(settings), Quiet, "a client that asks")?;
        let asker = client::open(&client::asking(settings), Quiet, "a client that asks")?;
        Ok(Self { settings: settings.clone(), reader, asker })
    }

    /// As [`lag`].
    ///
    /// # Errors
    /// [`Error::Broker`].
    pub fn lag(&self) -> Result<Vec<Lag>, Error> {
        let (settings, client) = (&self.settings, &self.reader);
        let mut list = TopicPartitionList::new();
        for topic in &settings.inputs {
            for partition in 0..settings.partitions {
                list.add_partition(&settings.name(topic), number(partition));
            }
        }
        let committed = client::patiently(ASK, || client.committed_offsets(list.clone(), ASK));
        let committed = committed.map_err(|why| Error::broker("asking what the group has read", why))?;
        let mut all = Vec::new();
        for topic in &settings.inputs {
            let name = settings.name(topic);
            for partition in 0..settings.partitions {
                let (start, end) = watermarks(client, &name, partition)?;
                let found = committed.find_partition(&name, number(partition)).map(|found| found.offset());
                let committed = match found {
                    Some(At::Offset(offset)) => Some(offset.max(0).cast_unsigned()),
                    _ => None,
                };
                let read = committed.unwrap_or(start);
                all.push(Lag { topic: topic.clone(), partition, start, committed, read, end });
            }
        }
        for topic in &settings.inputs {
            pass_marks(client, &settings.name(topic), all.iter_mut().filter(|lag| lag.topic == *topic))?;
        }
        Ok(all)
    }

    /// As [`ends`].
    ///
    /// # Errors
    /// [`Error::Broker`].
    pub fn ends(&self, topics: &[Topic]) -> Result<Vec<Ends>, Error> {
        let mut all = Vec::new();
        for topic in topics {
            let name = self.settings.name(topic);
            for partition in 0..self.settings.partitions {
                let (start, stable) = watermarks(&self.reader, &name, partition)?;
                let (_, end) = watermarks(&self.asker, &name, partition)?;
                all.push(Ends { topic: topic.clone(), partition, start, stable, end });
            }
        }
        Ok(all)
    }
}

/// Passes over what is left of a topic where it is nothing but marks of transactions: whatever comes first of a partition,
/// a record or its end, tells.
fn pass_marks<'a>(client: &Consumer, name: &str, lags: impl Iterator<Item = &'a mut Lag>) -> Result<(), Error> {
    let looking = |why| Error::broker(format!("looking what is left of `{name}`"), why);
    let mut list = TopicPartitionList::new();
    let mut open = BTreeMap::new();
    for lag in lags.filter(|lag| lag.behind() > 0) {
        add(&mut list, name, lag.partition, lag.read)?;
        open.insert(number(lag.partition), lag);
    }
    if open.is_empty() {
        return Ok(());
    }
    client.assign(&list).map_err(looking)?;
    let deadline = Instant::now() + ASK;
    while !open.is_empty() && Instant::now() < deadline {
        match client.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => drop(open.remove(&message.partition())),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(lag) = open.remove(&partition) {
                    lag.read = lag.end;
                }
            }
            Some(Err(why)) if !client::passes(&why) => return Err(looking(why)),
            None | Some(Err(_)) => {}
        }
    }
    client.unassign().map_err(looking)
}

//! The cluster as an onlooker sees it: committed records, and no position kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::Settings;
use super::client::{self, ASK, Consumer, Quiet};
use super::fetch::delivery;
use super::librdkafka::{add, seen, watermarks};
use crate::{Budget, Error, Offset, Partition, Reader, Stretch, Topic};

/// How long the end of what is committed may take to be told where the budget has no patience.
const LEAST: Duration = Duration::from_secs(10);

/// Reads any topic, committed records only.
pub struct Onlooker {
    settings: Settings,
    asker: Consumer,
    /// A client for each partition that is being read, with where it stands.
    readers: Mutex<HashMap<(Topic, Partition), (Consumer, Offset)>>,
}

impl Onlooker {
    /// A reader of the cluster.
    ///
    /// # Errors
    /// [`Error::Broker`] where a client cannot be made of the settings.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let asker = client::open(&client::reading(settings), Quiet, "a reader")?;
        Ok(Self { settings: settings.clone(), asker, readers: Mutex::default() })
    }

    fn reader(&self, topic: &Topic, partition: Partition, from: Offset) -> Result<Consumer, Error> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reader, at)) = readers.remove(&(topic.clone(), partition))
            && at == from
        {
            return Ok(reader);
        }
        drop(readers);
        let reader: Consumer = client::open(&client::reading(&self.settings), Quiet, "a reader")?;
        let mut list = TopicPartitionList::new();
        add(&mut list, &self.settings.name(topic), partition, from)?;
        reader.assign(&list).map_err(|why| Error::broker(format!("reading `{topic}/{partition}`"), why))?;
        Ok(reader)
    }

    fn known(&self, topic: &Topic, partition: Partition) -> Result<(), Error> {
        let partitions = self.partitions(topic)?;
        if partition < partitions {
            return Ok(());
        }
        Err(Error::UnknownPartition { topic: topic.clone(), partition, partitions })
    }
}

impl Reader for Onlooker {
    fn partitions(&self, topic: &Topic) -> Result<u32, Error> {
        let name = self.settings.name(topic);
        let asked = self.asker.fetch_metadata(Some(&name), ASK);
        let metadata = asked.map_err(|why| Error::broker(format!("asking about `{name}`"), why))?;
        let found = metadata.topics().iter().find(|found| found.name() == name && found.error().is_none());
        let partitions = found.map(|found| found.partitions().len()).filter(|count| *count > 0);
        let partitions = partitions.ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })?;
        Ok(u32::try_from(partitions).unwrap_or(u32::MAX))
    }

    fn start_offset(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error> {
        self.known(topic, partition)?;
        watermarks(&self.asker, &self.settings.name(topic), partition).map(|(start, _)| start)
    }

    fn end_offset(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error> {
        self.known(topic, partition)?;
        watermarks(&self.asker, &self.settings.name(topic), partition).map(|(_, end)| end)
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, budget: Budget) -> Result<Stretch, Error> {
        let (start, end) = watermarks(&self.asker, &self.settings.name(topic), partition)?;
        if from < start || from > end {
            return Err(Error::OutOfRange { topic: topic.clone(), partition, wanted: from, start, end });
        }
        let reader = self.reader(topic, partition, from)?;
        let deadline = Instant::now() + if from < end { budget.patience.max(LEAST) } else { budget.patience };
        let mut stretch = Stretch { records: Vec::new(), next: from };
        let mut bytes = 0;
        while stretch.records.len() < budget.records && bytes < budget.bytes {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if stretch.records.is_empty() { left } else { Duration::ZERO };
            match reader.poll(patience) {
                Some(Ok(message)) => {
                    let delivery = delivery(topic.clone(), seen(&message));
                    bytes += delivery.record.size();
                    stretch.next = delivery.offset + 1;
                    stretch.records.push(delivery);
                }
                // The end of what is committed: what stands between the last record and there are marks of transactions.
                Some(Err(KafkaError::PartitionEOF(_))) if stretch.next < end => {
                    stretch.next = end;
                    break;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(why)) if client::passes(&why) && Instant::now() < deadline => {}
                Some(Err(why)) => return Err(Error::broker(format!("reading `{topic}/{partition}`"), why)),
                None => break,
            }
        }
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.insert((topic.clone(), partition), (reader, stretch.next));
        Ok(stretch)
    }
}

//! The calls of the log as librdkafka answers them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::Message as _;
use rdkafka::consumer::{Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};

use super::Settings;
use super::calls::{self, Cluster, Heard, Message, Place, Reads, View};
use super::client::{self, ASK, Consumer, Quiet};
use super::member::Member;
use super::transactor::Transacting;
use crate::{Bytes, Error, Header, Offset, Partition};

/// A cluster behind librdkafka.
pub struct Librdkafka {
    settings: Arc<Settings>,
    begun: Instant,
}

impl Librdkafka {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, begun: Instant::now() }
    }
}

impl Cluster for Librdkafka {
    type Transactions = Transacting;
    type Reads = Consumer;
    type Member = Member;

    fn transactions(&self, id: &str) -> Result<Transacting, Error> {
        Transacting::open(&self.settings, id)
    }

    fn reads(&self, view: View) -> Result<Consumer, Error> {
        let (config, what) = match view {
            View::Inputs => {
                let mut config = client::reading(&self.settings);
                config.set("enable.partition.eof", "false");
                (config, "a reader of inputs")
            }
            View::Committed => (client::reading(&self.settings), "a reader of changelogs"),
            View::Written => (client::asking(&self.settings), "a client that asks"),
        };
        client::open(&config, Quiet, what)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn wall_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl Reads for Consumer {
    fn assign(&self, places: &[Place]) -> KafkaResult<()> {
        rdkafka::consumer::Consumer::assign(self, &list(places)?)
    }

    fn join(&self, places: &[Place]) -> KafkaResult<()> {
        self.incremental_assign(&list(places)?)
    }

    fn leave(&self, places: &[Place]) -> KafkaResult<()> {
        self.incremental_unassign(&partitions(places))
    }

    fn hold(&self, places: &[Place]) -> KafkaResult<()> {
        self.pause(&partitions(places))
    }

    fn go_on(&self, places: &[Place]) -> KafkaResult<()> {
        self.resume(&partitions(places))
    }

    fn poll<T>(&self, patience: Duration, visit: impl FnOnce(Message<'_>) -> T) -> Heard<T> {
        match Consumer::poll(self, patience) {
            None => Heard::Nothing,
            Some(Ok(message)) => Heard::Message(visit(seen(&message))),
            Some(Err(KafkaError::PartitionEOF(_))) => Heard::End,
            Some(Err(why)) => Heard::Failed(why),
        }
    }

    fn watermarks(&self, topic: &str, partition: Partition) -> KafkaResult<(Offset, Offset)> {
        let (low, high) = client::patiently(ASK, || self.fetch_watermarks(topic, number(partition), ASK))?;
        Ok((low.max(0).cast_unsigned(), high.max(0).cast_unsigned()))
    }

    fn committed(&self, places: &[Place]) -> KafkaResult<Vec<Option<Offset>>> {
        let list = partitions(places);
        let committed = client::patiently(ASK, || self.committed_offsets(list.clone(), ASK))?;
        let of = |place: &Place| match committed.find_partition(&place.topic, number(place.partition))?.offset() {
            At::Offset(offset) => Some(offset.max(0).cast_unsigned()),
            _ => None,
        };
        Ok(places.iter().map(of).collect())
    }
}

impl calls::Member for Member {
    type Word = ConsumerGroupMetadata;

    fn word(&self) -> Option<ConsumerGroupMetadata> {
        self.group_metadata()
    }
}

/// A message of librdkafka's as one of ours.
pub(super) fn seen<'a>(message: &'a BorrowedMessage<'_>) -> Message<'a> {
    Message {
        topic: message.topic(),
        partition: Partition::try_from(message.partition()).unwrap_or_default(),
        offset: message.offset().max(0).cast_unsigned(),
        key: message.key(),
        value: message.payload(),
        headers: headers(message),
        timestamp_ms: message.timestamp().to_millis(),
    }
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let header = |header: rdkafka::message::Header<'_, &[u8]>| {
        (header.key.to_owned().into(), Bytes::copy_from_slice(header.value.unwrap_or_default()))
    };
    headers.iter().map(header).collect()
}

/// The places as librdkafka lists them.
pub(super) fn list(places: &[Place]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for Place { topic, partition, at } in places {
        let at = At::Offset(i64::try_from(*at).unwrap_or(i64::MAX));
        list.add_partition_offset(topic, number(*partition), at)?;
    }
    Ok(list)
}

fn partitions(places: &[Place]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for Place { topic, partition, .. } in places {
        list.add_partition(topic, number(*partition));
    }
    list
}

/// A partition as librdkafka counts them.
pub(super) fn number(partition: Partition) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// The watermarks as the client's isolation sees them.
pub(super) fn watermarks(client: &Consumer, name: &str, partition: Partition) -> Result<(Offset, Offset), Error> {
    let asked = Reads::watermarks(client, name, partition);
    asked.map_err(|why| Error::broker(format!("asking where `{name}/{partition}` begins and ends"), why))
}

pub(super) fn add(list: &mut TopicPartitionList, name: &str, partition: Partition, at: Offset) -> Result<(), Error> {
    let at = At::Offset(i64::try_from(at).unwrap_or(i64::MAX));
    list.add_partition_offset(name, number(partition), at).map_err(|why| Error::broker("naming an offset", why))
}

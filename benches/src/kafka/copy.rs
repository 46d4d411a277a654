//! The baseline: librdkafka reads a topic and writes it to another exactly once, and does nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Copies `count` records, with a transaction for each `batch`.
pub(crate) fn copy(bootstrap: &str, from: &str, to: &str, count: usize, batch: usize) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let consumer: BaseConsumer = config
        .clone()
        .set("group.id", to)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.queue.backoff.ms", "10")
        .create()?;
    let producer: BaseProducer = config
        .set("transactional.id", to)
        .set("compression.type", "lz4")
        .set("linger.ms", "1")
        .set("retry.backoff.ms", "5")
        .set("queue.buffering.max.messages", "1000000")
        .create()?;
    producer.init_transactions(PATIENCE)?;
    consumer.subscribe(&[from])?;
    let mut done = 0;
    let deadline = Instant::now() + PATIENCE * 10;
    while done < count {
        producer.begin_transaction()?;
        let mut next = BTreeMap::new();
        let end = count.min(done + batch);
        while done < end {
            // Nothing comes, too, where partitions are given or taken.
            let Some(message) = consumer.poll(Duration::from_millis(100)) else {
                ensure!(Instant::now() < deadline, "{done} of {count} records came");
                continue;
            };
            let message = message?;
            next.insert(message.partition(), message.offset() + 1);
            let record = BaseRecord::<[u8], [u8]>::to(to)
                .partition(message.partition())
                .key(message.key().unwrap_or_default())
                .payload(message.payload().unwrap_or_default());
            send(&producer, record)?;
            done += 1;
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_micros(500));
        }
        let word = consumer.group_metadata();
        ensure!(word.is_some(), "the consumer is in no group");
        if let Some(word) = word {
            producer.send_offsets_to_transaction(&positions(from, &next)?, &word, PATIENCE)?;
        }
        producer.commit_transaction(PATIENCE)?;
    }
    Ok(())
}

fn send(producer: &BaseProducer, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<()> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(1));
                record = back;
            }
            Err((why, _)) => return Err(why.into()),
        }
    }
}

fn positions(topic: &str, next: &BTreeMap<i32, i64>) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in next {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}

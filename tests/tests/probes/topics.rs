//! Topics: made as asked, described as made, and compacted by key.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, PATIENCE, Seeing, flush, send, until, wait, within};

/// A real cluster cleans by timer, with 15 s between looks, and drops a tombstone when it cleans once more.
const CLEANING: Duration = Duration::from_secs(120);

#[test]
fn a_topic_is_described_as_it_was_made() {
    let cluster = Cluster::up();
    let made = [("cleanup.policy", "compact"), ("retention.ms", "1234567"), ("max.message.bytes", "77777")];
    let topic = cluster.topic("described", 3, &made);
    let describe = || {
        let asked = [ResourceSpecifier::Topic(&topic)];
        let found = wait(cluster.admin().describe_configs(&asked, &AdminOptions::new())).expect("an answer");
        let found = found.into_iter().next().expect("one resource").expect("it is there");
        let values =
            found.entries.into_iter().map(|entry| (entry.name, (entry.value.unwrap_or_default(), entry.is_default)));
        values.collect::<BTreeMap<_, _>>()
    };
    for (name, value) in made {
        assert_eq!(describe()[name], (value.to_owned(), false));
    }
    assert_eq!(describe()["min.insync.replicas"].0, "1");
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("cleanup.policy", "compact,delete");
    wait(cluster.admin().alter_configs([&change], &AdminOptions::new())).expect("an answer")[0]
        .as_ref()
        .expect("altered");
    until("the change is seen", || (describe()["cleanup.policy"].0 == "compact,delete").then_some(()));
}

#[test]
fn a_topic_is_refused_for_what_is_wrong_with_it() {
    let cluster = Cluster::up();
    let there = cluster.topic("there", 1, &[]);
    let fresh = cluster.name("fresh");
    let one = |name| NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let refused = |topic: NewTopic<'_>| {
        let made = wait(cluster.admin().create_topics([&topic], &AdminOptions::new())).expect("an answer");
        made.into_iter().next().expect("one answer").expect_err("it is refused").1
    };
    assert_eq!(refused(one(there.as_str())), RDKafkaErrorCode::TopicAlreadyExists);
    assert_eq!(refused(one("no such/name")), RDKafkaErrorCode::InvalidTopic);
    assert_eq!(refused(one(fresh.as_str()).set("no.such", "1")), RDKafkaErrorCode::InvalidConfig);
    assert_eq!(refused(one(fresh.as_str()).set("retention.ms", "soon")), RDKafkaErrorCode::InvalidConfig);
    let many = TopicReplication::Fixed(99);
    assert_eq!(refused(NewTopic::new(&fresh, 1, many)), RDKafkaErrorCode::InvalidReplicationFactor);
}

#[test]
fn a_topic_grows_and_goes() {
    let cluster = Cluster::up();
    let topic = cluster.topic("grows", 2, &[]);
    let partitions = || {
        let reader = cluster.reader(Seeing::Everything, &[("allow.auto.create.topics", "false")]);
        let known = rdkafka::consumer::Consumer::fetch_metadata(&reader, Some(&topic), PATIENCE);
        known.expect("an answer").topics().first().map_or(0, |topic| topic.partitions().len())
    };
    let more = NewPartitions::new(&topic, 5);
    wait(cluster.admin().create_partitions([&more], &AdminOptions::new())).expect("an answer")[0]
        .as_ref()
        .expect("more");
    until("there are five", || (partitions() == 5).then_some(()));
    wait(cluster.admin().delete_topics(&[&topic], &AdminOptions::new())).expect("an answer")[0].as_ref().expect("gone");
    until("it is gone", || (partitions() == 0).then_some(()));
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    let cluster = Cluster::up();
    let topic = cluster.topic("cut", 1, &[]);
    let sender = cluster.sender(&[("linger.ms", "100")]);
    (0..10).for_each(|nr| send(&sender, &topic, "k", &nr.to_string()));
    flush(&sender);
    let mut until_four = TopicPartitionList::new();
    until_four.add_partition_offset(&topic, 0, Offset::Offset(4)).expect("an offset");
    wait(cluster.admin().delete_records(&until_four, &AdminOptions::new())).expect("an answer");
    assert_eq!(cluster.ends(&topic, Seeing::Committed), (4, 10));
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["4", "5", "6", "7", "8", "9"]);
}

#[test]
fn compaction_keeps_the_last_of_each_key_and_drops_tombstones_and_aborted_records() {
    let cluster = Cluster::up();
    let topic = cluster.topic(
        "compacted",
        1,
        &[
            ("cleanup.policy", "compact"),
            ("segment.ms", "100"),
            ("min.cleanable.dirty.ratio", "0.001"),
            ("delete.retention.ms", "100"),
        ],
    );
    let sender = cluster.transactional(&cluster.name("compacted"), &[("compression.type", "lz4")]);
    let round = |records: &[(&str, Option<&str>)], commit: bool| {
        sender.begin_transaction().expect("a transaction");
        for (key, value) in records {
            let mut record = BaseRecord::<str, str>::to(&topic).partition(0).key(key);
            record.payload = *value;
            sender.send(record).map_err(|(error, _)| error).expect("room");
        }
        flush(&sender);
        let ended = if commit { sender.commit_transaction(PATIENCE) } else { sender.abort_transaction(PATIENCE) };
        ended.expect("the transaction ends");
    };
    round(&[("a", Some("a1")), ("b", Some("b1")), ("c", Some("c1"))], true);
    round(&[("a", Some("a2")), ("a", Some("a3"))], true);
    round(&[("c", Some("aborted"))], false);
    round(&[("b", None)], true);
    // The newest record is never cleaned: it stands in the segment that is written.
    let mut filler = 0;
    let seen = within(CLEANING, "only the last of each key is left", || {
        filler += 1;
        round(&[("filler", Some(&filler.to_string()))], true);
        let seen = cluster.read(&topic, 1, Seeing::Committed);
        let texts = seen.iter().filter(|record| record.key.as_deref() != Some(b"filler"));
        let texts: Vec<_> = texts.map(|record| (record.text(), record.offset)).collect();
        let is_clean = texts.iter().map(|(text, _)| text.as_str()).eq(["c1", "a3"]);
        is_clean.then_some(texts)
    });
    // Offsets are as they were: what is left has gaps around it.
    assert_eq!(seen, [("c1".to_owned(), 2), ("a3".to_owned(), 5)]);
    let everything = cluster.values(&topic, Seeing::Everything);
    assert!(!everything.iter().any(|value| value == "aborted"), "found {everything:?}");
}

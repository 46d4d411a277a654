//! Records: what goes in comes out, from any offset, in any codec.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, Seeing, Seen, flush, next, send, until, within};

#[test]
fn headers_and_null_keys_and_null_values_survive() {
    let cluster = Cluster::up();
    let topic = cluster.topic("nulls", 1, &[]);
    let sender = cluster.sender(&[]);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "src", value: Some("in/0/7") })
        .insert(Header { key: "none", value: None::<&str> })
        .insert(Header { key: "src", value: Some("again") });
    sender
        .send(BaseRecord::to(&topic).key("k").payload("v").headers(headers))
        .map_err(|(error, _)| error)
        .expect("room");
    sender.send(BaseRecord::<(), str>::to(&topic).payload("no key")).map_err(|(error, _)| error).expect("room");
    sender.send(BaseRecord::<str, ()>::to(&topic).key("no value")).map_err(|(error, _)| error).expect("room");
    flush(&sender);
    let header = |key: &str, value: Option<&str>| (key.to_owned(), value.map(|value| value.as_bytes().to_vec()));
    let record = |offset, key: Option<&str>, value: Option<&str>, headers| Seen {
        partition: 0,
        offset,
        key: key.map(|key| key.as_bytes().to_vec()),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers,
    };
    let all = vec![header("src", Some("in/0/7")), header("none", None), header("src", Some("again"))];
    let wanted = vec![
        record(0, Some("k"), Some("v"), all),
        record(1, None, Some("no key"), vec![]),
        record(2, Some("no value"), None, vec![]),
    ];
    assert_eq!(cluster.read(&topic, 1, Seeing::Committed), wanted);
}

#[test]
fn a_batch_in_any_codec_comes_out_as_it_went_in() {
    let cluster = Cluster::up();
    let topic = cluster.topic("codecs", 1, &[]);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let values = |codec: &str| (0..200).map(|nr| format!("{codec} {nr} {}", "x".repeat(50))).collect::<Vec<_>>();
    for codec in codecs {
        let sender = cluster.sender(&[("compression.type", codec), ("linger.ms", "50")]);
        values(codec).iter().for_each(|value| send(&sender, &topic, "k", value));
        flush(&sender);
    }
    let wanted: Vec<_> = codecs.iter().flat_map(|codec| values(codec)).collect();
    assert_eq!(cluster.values(&topic, Seeing::Committed), wanted);
}

#[test]
fn a_reader_may_begin_in_the_middle_of_a_batch() {
    let cluster = Cluster::up();
    let topic = cluster.topic("middle", 1, &[]);
    let sender = cluster.sender(&[("linger.ms", "200"), ("compression.type", "lz4")]);
    (0..100).for_each(|nr| send(&sender, &topic, "k", &nr.to_string()));
    flush(&sender);
    let reader = cluster.reader(Seeing::Committed, &[]);
    for start in [57, 0, 99, 98] {
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&topic, 0, Offset::Offset(start)).expect("an offset");
        reader.assign(&from).expect("an assignment");
        let first = next(&reader);
        assert_eq!((first.offset, first.text()), (start, start.to_string()));
    }
}

#[test]
fn offsets_are_found_by_time() {
    let cluster = Cluster::up();
    let topic = cluster.topic("times", 1, &[]);
    let sender = cluster.sender(&[("linger.ms", "200")]);
    // Far enough in the past to be no clock's business, near enough not to be deleted.
    let start = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let start = i64::try_from(start.as_millis()).expect("before 2500") - 60_000;
    for nr in 0..10 {
        let record = BaseRecord::to(&topic).partition(0).key("k").payload("v").timestamp(start + nr * 100);
        sender.send(record).map_err(|(error, _)| error).expect("room");
    }
    flush(&sender);
    let reader = cluster.reader(Seeing::Committed, &[]);
    for (time, wanted) in [(start - 1, 0), (start, 0), (start + 401, 5), (start + 900, 9)] {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&topic, 0, Offset::Offset(time)).expect("a time");
        let found = reader.offsets_for_times(asked, crate::cluster::PATIENCE).expect("offsets");
        assert_eq!(found.elements()[0].offset(), Offset::Offset(wanted), "at {}", time - start);
    }
}

#[test]
fn a_message_above_the_topics_limit_is_refused_and_the_next_is_not() {
    let cluster = Cluster::up();
    let topic = cluster.topic("large", 1, &[("max.message.bytes", "2000")]);
    let sender = cluster.sender(&[("linger.ms", "0")]);
    send(&sender, &topic, "k", &"x".repeat(5000));
    flush(&sender);
    send(&sender, &topic, "k", "small");
    flush(&sender);
    let reports = rdkafka::producer::Producer::context(&sender).0.lock().expect("no panic").clone();
    let refused = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(reports, [Err(refused), Ok((0, 0))]);
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["small"]);
}

#[test]
fn a_waiting_fetch_is_answered_when_a_record_comes() {
    let cluster = Cluster::up();
    let topic = cluster.topic("waiting", 1, &[]);
    let reader = cluster.reader(Seeing::Committed, &[("fetch.wait.max.ms", "8000"), ("fetch.error.backoff.ms", "1")]);
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(&topic, 0, Offset::Beginning).expect("an offset");
    reader.assign(&from).expect("an assignment");
    until("the reader is at the end", || match reader.poll(Duration::from_millis(100))? {
        Err(KafkaError::PartitionEOF(_)) => Some(()),
        other => panic!("an empty topic had {other:?}"),
    });
    let sender = cluster.sender(&[("linger.ms", "0")]);
    send(&sender, &topic, "k", "news");
    let seen = within(Duration::from_secs(6), "the fetch is answered", || {
        rdkafka::producer::BaseProducer::poll(&sender, Duration::ZERO);
        reader.poll(Duration::from_millis(10))?.ok().map(|message| Seen::of(&message))
    });
    assert_eq!(seen.text(), "news");
}

#[test]
fn an_unknown_topic_is_an_error_when_nothing_may_be_created() {
    let cluster = Cluster::up();
    let topic = cluster.name("nowhere");
    let reader = cluster.reader(Seeing::Committed, &[("allow.auto.create.topics", "false")]);
    reader.subscribe(&[&topic]).expect("a subscription");
    let error = until("the consumer is told", || reader.poll(Duration::from_millis(100))?.err());
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::UnknownTopicOrPartition));
}

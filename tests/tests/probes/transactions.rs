//! Transactions: all or nothing, and one writer an id.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, PATIENCE, Seeing, flush, send, transact, until};

#[test]
fn what_is_committed_is_seen_and_what_is_aborted_only_by_readers_of_everything() {
    let cluster = Cluster::up();
    let topic = cluster.topic("atomic", 1, &[]);
    let sender = cluster.transactional(&cluster.name("atomic"), &[]);
    transact(&sender, &topic, &["a", "b"], true);
    transact(&sender, &topic, &["c", "d"], false);
    transact(&sender, &topic, &["e"], true);
    cluster.settled(&topic);
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["a", "b", "e"]);
    assert_eq!(cluster.values(&topic, Seeing::Everything), ["a", "b", "c", "d", "e"]);
    // Each of the three ends takes an offset.
    assert_eq!(cluster.ends(&topic, Seeing::Committed), (0, 8));
}

#[test]
fn a_transaction_over_two_topics_is_one() {
    let cluster = Cluster::up();
    let topics = [cluster.topic("left", 1, &[]), cluster.topic("right", 1, &[])];
    let sender = cluster.transactional(&cluster.name("two"), &[]);
    for (value, commit) in [("gone", false), ("stays", true)] {
        sender.begin_transaction().expect("a transaction");
        topics.iter().for_each(|topic| send(&sender, topic, "k", value));
        flush(&sender);
        let ended = if commit { sender.commit_transaction(PATIENCE) } else { sender.abort_transaction(PATIENCE) };
        ended.expect("the transaction ends");
    }
    for topic in &topics {
        cluster.settled(topic);
        assert_eq!(cluster.values(topic, Seeing::Committed), ["stays"]);
    }
}

#[test]
fn an_open_transaction_pins_the_last_stable_offset() {
    let cluster = Cluster::up();
    let topic = cluster.topic("pinned", 1, &[]);
    let plain = cluster.sender(&[]);
    send(&plain, &topic, "k", "before");
    flush(&plain);
    let sender = cluster.transactional(&cluster.name("pinned"), &[]);
    sender.begin_transaction().expect("a transaction");
    send(&sender, &topic, "k", "inside");
    flush(&sender);
    send(&plain, &topic, "k", "after");
    flush(&plain);
    // `ListOffsets` says so for both kinds of reader, and so does reading.
    assert_eq!(cluster.ends(&topic, Seeing::Committed), (0, 1));
    assert_eq!(cluster.ends(&topic, Seeing::Everything), (0, 3));
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["before"]);
    assert_eq!(cluster.values(&topic, Seeing::Everything), ["before", "inside", "after"]);
    sender.commit_transaction(PATIENCE).expect("a commit");
    until("the offset moves on", || (cluster.ends(&topic, Seeing::Committed) == (0, 4)).then_some(()));
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["before", "inside", "after"]);
}

#[test]
fn aborts_and_commits_of_two_writers_that_interleave_are_told_apart() {
    let cluster = Cluster::up();
    let topic = cluster.topic("interleaved", 1, &[]);
    let good = cluster.transactional(&cluster.name("good"), &[]);
    let bad = cluster.transactional(&cluster.name("bad"), &[]);
    for round in 0..3 {
        good.begin_transaction().expect("a transaction");
        bad.begin_transaction().expect("a transaction");
        for nr in 0..3 {
            send(&good, &topic, "k", &format!("good {round} {nr}"));
            flush(&good);
            send(&bad, &topic, "k", &format!("bad {round} {nr}"));
            flush(&bad);
        }
        bad.abort_transaction(PATIENCE).expect("an abort");
        good.commit_transaction(PATIENCE).expect("a commit");
    }
    let wanted: Vec<_> = (0..9).map(|nr| format!("good {} {}", nr / 3, nr % 3)).collect();
    until("the last end is written", || (cluster.values(&topic, Seeing::Committed) == wanted).then_some(()));
    assert_eq!(cluster.values(&topic, Seeing::Everything).len(), 18);
}

#[test]
fn a_second_producer_of_an_id_fences_the_first_and_aborts_what_it_left() {
    let cluster = Cluster::up();
    let topic = cluster.topic("fenced", 1, &[]);
    let id = cluster.name("fenced");
    let first = cluster.transactional(&id, &[]);
    first.begin_transaction().expect("a transaction");
    send(&first, &topic, "k", "zombie");
    flush(&first);
    let second = cluster.transactional(&id, &[]);
    let error = first.commit_transaction(PATIENCE).expect_err("the first is fenced");
    assert!(matches!(&error, KafkaError::Transaction(error) if error.is_fatal()), "fenced for good, found {error:?}");
    transact(&second, &topic, &["heir"], true);
    cluster.settled(&topic);
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["heir"]);
    assert_eq!(cluster.values(&topic, Seeing::Everything), ["zombie", "heir"]);
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_writer_fenced() {
    let cluster = Cluster::up();
    let topic = cluster.topic("late", 1, &[]);
    let sender = cluster.transactional(&cluster.name("late"), &[("transaction.timeout.ms", "1000")]);
    sender.begin_transaction().expect("a transaction");
    send(&sender, &topic, "k", "late");
    flush(&sender);
    assert_eq!(cluster.ends(&topic, Seeing::Committed), (0, 0));
    // A real cluster looks every ten seconds.
    until("the coordinator aborts", || (cluster.ends(&topic, Seeing::Committed) == (0, 2)).then_some(()));
    sender.commit_transaction(PATIENCE).expect_err("it is too late");
    assert!(cluster.values(&topic, Seeing::Committed).is_empty());
}

/// A position in partition 0.
fn position(topic: &str, offset: i64) -> TopicPartitionList {
    let mut position = TopicPartitionList::new();
    position.add_partition_offset(topic, 0, Offset::Offset(offset)).expect("an offset");
    position
}

/// What the group has committed in partition 0, if that can be had in the time.
fn committed(consumer: &BaseConsumer, topic: &str, patience: Duration) -> Result<Offset, KafkaError> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, 0);
    consumer.committed_offsets(asked, patience).map(|found| found.elements()[0].offset())
}

#[test]
fn offsets_in_a_transaction_count_after_its_commit_and_a_committed_reader_waits_for_it() {
    let cluster = Cluster::up();
    let (topic, group) = (cluster.topic("offsets", 1, &[]), cluster.name("group"));
    let waits = cluster.reader(Seeing::Committed, &[("group.id", &group)]);
    let looks = cluster.reader(Seeing::Everything, &[("group.id", &group)]);
    looks.commit(&position(&topic, 3), CommitMode::Sync).expect("a commit");
    let sender = cluster.transactional(&cluster.name("offsets"), &[]);
    let metadata = waits.group_metadata().expect("a group");
    for (offset, commit, after) in [(5, true, 5), (9, false, 5), (7, true, 7)] {
        let before = committed(&looks, &topic, PATIENCE).expect("an answer");
        sender.begin_transaction().expect("a transaction");
        sender.send_offsets_to_transaction(&position(&topic, offset), &metadata, PATIENCE).expect("offsets are taken");
        assert_eq!(committed(&looks, &topic, PATIENCE).expect("an answer"), before);
        let unstable = committed(&waits, &topic, Duration::from_millis(700)).expect_err("it waits for the end");
        assert_eq!(unstable.rdkafka_error_code(), Some(RDKafkaErrorCode::OperationTimedOut), "{unstable}");
        let ended = if commit { sender.commit_transaction(PATIENCE) } else { sender.abort_transaction(PATIENCE) };
        ended.expect("the transaction ends");
        until("the end is carried out", || committed(&waits, &topic, PATIENCE).ok());
        assert_eq!(committed(&waits, &topic, PATIENCE).expect("an answer"), Offset::Offset(after));
        assert_eq!(committed(&looks, &topic, PATIENCE).expect("an answer"), Offset::Offset(after));
    }
}

#[test]
fn a_zombie_of_an_earlier_generation_cannot_send_its_offsets() {
    let cluster = Cluster::up();
    let (topic, group) = (cluster.topic("zombie", 2, &[]), cluster.name("zombies"));
    let join = || {
        let own = [("group.id", &*group), ("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "500")];
        let member = cluster.reader(Seeing::Committed, &own);
        member.subscribe(&[&topic]).expect("a subscription");
        member
    };
    let first = join();
    until("the first has partitions", || {
        let _ = first.poll(Duration::from_millis(20));
        first.assignment().ok().filter(|own| own.count() == 2)
    });
    let stale = first.group_metadata().expect("a group");
    let second = join();
    until("both have partitions", || {
        let _ = (first.poll(Duration::from_millis(20)), second.poll(Duration::from_millis(20)));
        let both = [&first, &second].map(|member| member.assignment().map_or(0, |own| own.count()));
        (both == [1, 1]).then_some(())
    });
    let sender = cluster.transactional(&cluster.name("zombie"), &[]);
    sender.begin_transaction().expect("a transaction");
    send(&sender, &topic, "k", "zombie");
    flush(&sender);
    let refused = sender.send_offsets_to_transaction(&position(&topic, 1), &stale, PATIENCE);
    let Err(KafkaError::Transaction(error)) = refused else { panic!("wanted a refusal, found {refused:?}") };
    assert_eq!((error.code(), error.txn_requires_abort()), (RDKafkaErrorCode::IllegalGeneration, true));
    sender.abort_transaction(PATIENCE).expect("an abort");
    // The one of today may.
    let current = second.group_metadata().expect("a group");
    sender.begin_transaction().expect("a transaction");
    sender.send_offsets_to_transaction(&position(&topic, 1), &current, PATIENCE).expect("offsets are taken");
    sender.commit_transaction(PATIENCE).expect("a commit");
}

//! The model against what Kafka is documented to do.

use rand::SeedableRng;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::*;
use crate::kafka::calls::{
    Cluster as _, Heard, Member as _, Outgoing, Place, Reads as _, Sort, Transactions as _, View,
};
use crate::{Record, Topic};

const EVENTS: Topic = Topic::constant("events");
const TIMES: Times = Times { transaction_ms: 10_000, session_ms: 6_000 };

fn model(faults: Faults) -> Model {
    Model::new(&[EVENTS], 2, faults, TIMES, ChaCha8Rng::seed_from_u64(7))
}

fn outgoing(value: &str) -> Outgoing<'_> {
    let value = Some(value.as_bytes());
    Outgoing { topic: "events", partition: 0, key: Some(b"key"), value, headers: &[], timestamp_ms: None, asked: 1 }
}

/// A producer of a process with this name, which has begun.
fn writer(model: &Model, instance: &str) -> (Link, Writer) {
    let link = model.process(instance);
    let writer = link.transactions("id").expect("a producer");
    writer.init().expect("it begins");
    (link, writer)
}

fn values(model: &Model) -> Vec<String> {
    let text = |delivery: Delivery| String::from_utf8(delivery.record.value.expect("a value").to_vec()).expect("text");
    model.records(&EVENTS, 0).into_iter().map(text).collect()
}

/// A member of the group with everything, and its process.
fn member(model: &Model, link: &Link) -> Membership {
    let member = link.member();
    for _ in 0..1_000 {
        let told = member.poll();
        model.pass(10);
        if told.is_some() {
            return member;
        }
    }
    panic!("it is told nothing");
}

#[test]
fn what_is_not_committed_is_not_read_and_what_is_aborted_never() {
    let model = model(Faults::NONE);
    let (link, writer) = writer(&model, "a");
    let reads = link.reads(View::Committed).expect("a consumer");
    let written = link.reads(View::Written).expect("a consumer");
    writer.begin().expect("it begins");
    writer.send(&outgoing("one")).expect("it is sent");
    writer.deliver().expect("it is delivered");
    assert_eq!(reads.watermarks("events", 0).expect("ends"), (0, 0), "the last stable offset");
    assert_eq!(written.watermarks("events", 0).expect("ends"), (0, 1));
    writer.abort().expect("it is aborted");
    writer.begin().expect("it begins");
    writer.send(&outgoing("two")).expect("it is sent");
    writer.deliver().expect("it is delivered");
    writer.commit().expect("it is committed");
    assert_eq!(writer.places(), [(0, 2)], "a mark stands between them");
    assert_eq!(reads.watermarks("events", 0).expect("ends"), (0, 4));
    reads.assign(&[Place { topic: "events".to_owned(), partition: 0, at: 0 }]).expect("it is assigned");
    let heard = reads.poll(std::time::Duration::ZERO, |message| message.offset);
    assert!(matches!(heard, Heard::Message(2)), "{heard:?}");
    assert!(matches!(reads.poll(std::time::Duration::ZERO, |_| ()), Heard::End));
    assert_eq!(values(&model), ["two"]);
}

#[test]
fn a_later_producer_of_the_same_id_aborts_and_fences_the_earlier() {
    let model = model(Faults::NONE);
    let (_, first) = writer(&model, "a");
    first.begin().expect("it begins");
    first.send(&outgoing("lost")).expect("it is sent");
    first.deliver().expect("it is delivered");
    let (_, second) = writer(&model, "a");
    assert_eq!(model.ends()[0].stable, model.ends()[0].end, "nothing is left open");
    let refused = first.commit().expect_err("it is fenced");
    assert_eq!((refused.code(), refused.sort), (Some(Code::InvalidProducerEpoch), Sort::Fatal));
    second.begin().expect("it begins");
    second.send(&outgoing("kept")).expect("it is sent");
    second.deliver().expect("it is delivered");
    second.commit().expect("it is committed");
    assert_eq!(values(&model), ["kept"]);
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted_and_its_producer_fenced() {
    let model = model(Faults::NONE);
    let (_, writer) = writer(&model, "a");
    writer.begin().expect("it begins");
    writer.send(&outgoing("late")).expect("it is sent");
    writer.deliver().expect("it is delivered");
    model.pass(TIMES.transaction_ms + 1);
    assert_eq!(model.ends()[0].stable, model.ends()[0].end);
    assert_eq!(writer.commit().expect_err("it is fenced").sort, Sort::Fatal);
    assert_eq!(values(&model), [""; 0]);
}

#[test]
fn a_late_request_ends_a_later_transaction_unless_a_new_producer_fences_it() {
    for renewed in [false, true] {
        let model = model(Faults { unseen_ends: 1_000, ..Faults::NONE });
        let (link, writer) = writer(&model, "a");
        let other = if renewed { Some(link.transactions("id").expect("a producer")) } else { None };
        writer.begin().expect("it begins");
        writer.send(&outgoing("one")).expect("it is sent");
        writer.deliver().expect("it is delivered");
        writer.commit().expect("it is committed");
        let later = other.as_ref().inspect(|other| other.init().expect("it begins")).unwrap_or(&writer);
        later.begin().expect("it begins");
        later.send(&outgoing("two")).expect("it is sent");
        later.deliver().expect("it is delivered");
        model.pass(5_000);
        let torn = if renewed { vec!["one"] } else { vec!["one", "two"] };
        assert_eq!(values(&model), torn);
        assert_eq!(model.counts().strikes, u64::from(!renewed));
    }
}

#[test]
fn marks_that_lag_keep_readers_and_the_next_transaction_waiting() {
    let model = model(Faults { mark_lag_ms: 3_000, ..Faults::NONE });
    let (_, writer) = writer(&model, "a");
    let mut waited = false;
    for _ in 0..20 {
        writer.begin().expect("it begins");
        writer.send(&outgoing("value")).expect("it is sent");
        writer.deliver().expect("it waits for the marks of the one before");
        writer.commit().expect("it is committed");
        waited |= model.ends()[0].stable < model.ends()[0].end;
    }
    assert!(waited, "committed, and not yet to be read");
    model.pass(3_001);
    assert_eq!(values(&model).len(), 20);
}

#[test]
fn offsets_in_a_transaction_count_with_it_and_under_the_word_of_a_member() {
    let model = model(Faults::NONE);
    let (link, writer) = writer(&model, "a");
    let its = member(&model, &link);
    let word = its.word().expect("it is in the group");
    let inputs = [Place { topic: "events".to_owned(), partition: 1, at: 5 }];
    writer.begin().expect("it begins");
    writer.offsets(&inputs, &word).expect("its word counts");
    assert_eq!(model.committed(&EVENTS, 1), None);
    writer.commit().expect("it is committed");
    assert_eq!(model.committed(&EVENTS, 1), Some(5));
    let stale = Word { generation: word.generation - 1, ..word.clone() };
    writer.begin().expect("it begins");
    let refused = writer.offsets(&inputs, &stale).expect_err("another generation");
    assert_eq!((refused.code(), refused.sort), (Some(Code::IllegalGeneration), Sort::Abortable));
    writer.abort().expect("it is aborted");
    // Another process of the same name takes its place.
    let successor = model.process("a");
    member(&model, &successor);
    writer.begin().expect("it begins");
    let refused = writer.offsets(&inputs, &word).expect_err("its name is another's");
    assert_eq!(refused.code(), Some(Code::FencedInstanceId));
    writer.abort().expect("it is aborted");
    // Silence for longer than a session, and nobody has the name any more.
    successor.fate().silence(true);
    model.pass(TIMES.session_ms + 1);
    writer.begin().expect("it begins");
    assert_eq!(writer.offsets(&inputs, &word).expect_err("nobody").code(), Some(Code::UnknownMemberId));
}

#[test]
fn compaction_keeps_the_last_of_each_key_and_deletes_for_a_while() {
    let model = model(Faults::NONE);
    let wall = BEGINNING_MS;
    let append = |key: &'static str, value: Option<&'static str>, at| {
        let record = match value {
            Some(value) => Record::new(key, value, at),
            None => Record::tombstone(key, at),
        };
        model.append(vec![Append { topic: EVENTS, partition: 0, record }]);
    };
    append("a", Some("old"), wall);
    append("b", Some("gone"), wall);
    append("a", Some("new"), wall + 1);
    append("b", None, wall + 1);
    append("a", Some("recent"), wall + 90);
    model.pass(100);
    let offsets = || model.records(&EVENTS, 0).iter().map(|delivery| delivery.offset).collect::<Vec<_>>();
    model.compact(&EVENTS, 50, 1_000);
    assert_eq!(offsets(), [2, 3, 4], "what is recent is not compacted");
    model.compact(&EVENTS, 50, 60);
    assert_eq!(offsets(), [2, 4]);
}

#[test]
fn a_partition_is_revoked_before_it_is_given_away() {
    let model = model(Faults::NONE);
    let (first, second) = (model.process("a"), model.process("b"));
    let (holder, other) = (member(&model, &first), second.member());
    let mut held = 2_i32;
    for _ in 0..3_000 {
        for member in [&holder, &other] {
            match member.poll() {
                Some(crate::kafka::calls::Rebalance::Gained(gained)) => held += gained.len() as i32,
                Some(crate::kafka::calls::Rebalance::Given { partitions, lost }) => {
                    assert!(!lost);
                    held -= partitions.len() as i32;
                    member.gave();
                }
                None => {}
            }
            assert!(held <= 2, "a partition is held twice");
        }
        model.pass(5);
        model.unsettle();
    }
    assert_eq!(values(&model), [""; 0]);
}

#[test]
fn a_process_dies_in_the_call_that_it_is_told_to() {
    let model = model(Faults::NONE);
    let (link, writer) = writer(&model, "a");
    link.fate().doom(2);
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        writer.begin().expect("that is no call");
        (0..10).for_each(|_| drop(writer.send(&outgoing("value"))));
    }));
    assert!(died.is_err_and(|why| why.is::<Died>()));
    assert!(link.fate().is_dead());
}

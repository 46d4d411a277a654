//! The embedded log from outside, each test on a database of its own.

use std::sync::mpsc;
use std::time::Duration;

use rocksdb::Options;
use tempfile::TempDir;

use super::*;
use crate::{CommitError, Committed, Delivery, Log, Mutations, Polled, Position, Record, Transaction};

const EVENTS: Topic = Topic::constant("events");
const MESH: Topic = Topic::constant("mesh");
const PROFILES: Topic = Topic::constant("profiles");
const NAMES: Table = Table("names");

/// A directory, and what is to be opened in it.
pub(super) struct Fixture {
    directory: TempDir,
    settings: Settings,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(Cleanup::Keep, Cleanup::Compact(eager()))
    }

    fn with(events: Cleanup, profiles: Cleanup) -> Self {
        let topic = |topic, cleanup| TopicSettings { topic, partitions: 3, cleanup };
        let topics = vec![topic(EVENTS, events), topic(MESH, Cleanup::Keep), topic(PROFILES, profiles)];
        let settings = Settings { topics, tables: vec![NAMES], durability: Durability::Wal };
        Self { directory: tempfile::tempdir().expect("a directory"), settings }
    }

    fn database(&self) -> Arc<DB> {
        let mut options = Options::default();
        configure(&mut options, self.settings.durability);
        let state = rocksdb::ColumnFamilyDescriptor::new(NAMES.0, Options::default());
        let all = families().into_iter().chain([state]);
        Arc::new(DB::open_cf_descriptors(&options, self.directory.path(), all).expect("a database"))
    }

    pub(super) fn open(&self) -> Embedded {
        Embedded::open(self.database(), self.settings.clone()).expect("a log")
    }
}

/// Cleans whenever there is anything to clean; tombstones stay for 1,000 ms.
fn eager() -> Compaction {
    Compaction { dirty_percent: 0, tombstone_delay_ms: 1_000, ..Compaction::default() }
}

pub(super) fn append(topic: &Topic, partition: Partition, key: &str, value: &str) -> Append {
    let record = Record::new(key.to_owned(), value.to_owned(), 0);
    Append { topic: topic.clone(), partition, record }
}

fn tombstone(topic: &Topic, key: &str) -> Append {
    Append { topic: topic.clone(), partition: 0, record: Record::tombstone(key.to_owned(), 0) }
}

fn at(mut append: Append, timestamp_ms: i64) -> Append {
    append.record.timestamp_ms = timestamp_ms;
    append
}

fn position(topic: &Topic, partition: Partition, next: Offset) -> Position {
    Position { topic: topic.clone(), partition, next }
}

fn read_all(log: &Embedded, topic: &Topic, partition: Partition) -> Vec<Delivery> {
    let start = log.start_offset(topic, partition).expect("a start");
    let stretch = log.read(topic, partition, start, Budget::records(usize::MAX)).expect("a stretch");
    assert_eq!(stretch.next, log.end_offset(topic, partition).expect("an end"));
    stretch.records
}

/// Offset, key and value (`-` for a tombstone) of everything in partition 0.
fn contents(log: &Embedded, topic: &Topic) -> Vec<(Offset, String)> {
    let text = |bytes: Option<&bytes::Bytes>| {
        bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let show = |delivery: Delivery| {
        (delivery.offset, format!("{}={}", text(delivery.record.key.as_ref()), text(delivery.record.value.as_ref())))
    };
    read_all(log, topic, 0).into_iter().map(show).collect()
}

fn listed(wanted: &[(Offset, &str)]) -> Vec<(Offset, String)> {
    wanted.iter().map(|(offset, text)| (*offset, (*text).to_owned())).collect()
}

/// A worker that has been told of its partitions.
fn worker(log: &Embedded, group: &str, topics: &[Topic], partitions: &[Partition]) -> Worker {
    let mut worker = log.worker(group, topics, partitions).expect("a worker");
    let first = worker.poll(Budget::records(1)).expect("a poll");
    assert!(
        matches!(first, Polled::Assignment { lost, gained } if lost.is_empty() && gained.len() == partitions.len())
    );
    worker
}

fn poll(worker: &mut Worker, records: usize) -> Vec<Delivery> {
    match worker.poll(Budget::records(records)).expect("a poll") {
        Polled::Records(records) => records,
        Polled::Assignment { .. } => panic!("an assignment nobody made"),
    }
}

fn places(records: &[Delivery]) -> Vec<(&str, Partition, Offset)> {
    records.iter().map(|record| (record.topic.as_str(), record.partition, record.offset)).collect()
}

#[test]
fn what_is_committed_is_there_after_reopening() {
    let fixture = Fixture::new();
    {
        let log = fixture.open();
        assert_eq!(
            log.append(vec![append(&EVENTS, 1, "a", "1"), append(&EVENTS, 1, "b", "2")]).expect("written"),
            [0, 1]
        );
        let mut worker = worker(&log, "stitch", &[EVENTS], &[1]);
        assert_eq!(poll(&mut worker, 10).len(), 2);
        let mut state = Mutations::new();
        state.put(NAMES, b"\0\x01k", b"v");
        let outputs = vec![append(&PROFILES, 2, "p", "x")];
        let done = worker.commit(Transaction { inputs: vec![position(&EVENTS, 1, 2)], outputs, state });
        assert_eq!(done.expect("committed"), Committed::Applied);
    }
    let log = fixture.open();
    assert_eq!(log.end_offset(&EVENTS, 1).expect("a topic"), 2);
    assert_eq!(log.committed("stitch", &EVENTS, 1).expect("a topic"), Some(2));
    assert_eq!(read_all(&log, &PROFILES, 2).len(), 1);
    let names = log.shared.db.cf_handle(NAMES.0).expect("a table");
    assert_eq!(log.shared.db.get_cf(names, b"\0\x01k").expect("a read").as_deref(), Some(b"v".as_slice()));
    assert_eq!(log.append(vec![append(&EVENTS, 1, "c", "3")]).expect("written"), [2]);
    assert!(poll(&mut worker(&log, "stitch", &[EVENTS], &[1]), 10).iter().all(|record| record.offset == 2));
}

#[test]
fn a_refused_transaction_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let log = fixture.open();
    log.append(vec![append(&EVENTS, 0, "a", "1")]).expect("written");
    let mut worker = worker(&log, "stitch", &[EVENTS], &[0]);
    assert_eq!(poll(&mut worker, 10).len(), 1);
    let mut state = Mutations::new();
    state.put(NAMES, b"\0\0k", b"v");
    let outputs = vec![append(&MESH, 0, "m", "x"), append(&Topic::constant("nowhere"), 0, "m", "x")];
    let refused = worker.commit(Transaction { inputs: vec![position(&EVENTS, 0, 1)], outputs, state });
    assert!(matches!(refused, Err(CommitError::Failed(Error::UnknownTopic { .. }))));
    assert!(worker.poll(Budget::records(1)).is_err(), "a rewind comes first");
    worker.rewind().expect("rewound");
    assert_eq!(poll(&mut worker, 10).len(), 1, "the input is read again");
    assert_eq!(log.end_offset(&MESH, 0).expect("a topic"), 0);
    let names = log.shared.db.cf_handle(NAMES.0).expect("a table");
    assert_eq!(log.shared.db.get_cf(names, b"\0\0k").expect("a read"), None);
}

#[test]
fn state_must_name_a_partition_the_worker_holds() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let mut worker = worker(&log, "stitch", &[EVENTS], &[0]);
    let commit = |worker: &mut Worker, table, key: &[u8]| {
        let mut state = Mutations::new();
        state.put(table, key, b"v");
        let outcome = worker.commit(Transaction { state, ..Transaction::default() });
        worker.rewind().expect("rewound");
        outcome
    };
    assert!(
        matches!(commit(&mut worker, NAMES, b"\0\x01k"), Err(CommitError::Fenced { partitions }) if partitions == [1])
    );
    assert!(matches!(commit(&mut worker, NAMES, b"k"), Err(CommitError::Failed(Error::Misuse(_)))));
    assert!(matches!(commit(&mut worker, Table("log_book"), b"\0\0k"), Err(CommitError::Failed(Error::Misuse(_)))));
    assert!(commit(&mut worker, NAMES, b"\0\0k").is_ok());
}

#[test]
fn a_position_goes_neither_back_nor_past_the_end() {
    let fixture = Fixture::new();
    let log = fixture.open();
    log.append((0..3).map(|_| append(&EVENTS, 0, "a", "1")).collect()).expect("written");
    let mut worker = worker(&log, "stitch", &[EVENTS], &[0]);
    let mut commit = |next| {
        let outcome = worker.commit(Transaction { inputs: vec![position(&EVENTS, 0, next)], ..Transaction::default() });
        worker.rewind().expect("rewound");
        outcome.is_ok()
    };
    assert_eq!([2, 1, 4, 3].map(&mut commit), [true, false, false, true]);
}

#[test]
fn two_groups_read_each_for_itself() {
    let fixture = Fixture::new();
    let log = fixture.open();
    log.append((0..4).map(|_| append(&EVENTS, 0, "a", "1")).collect()).expect("written");
    let (mut stitch, mut serve) = (worker(&log, "stitch", &[EVENTS], &[0]), worker(&log, "serve", &[EVENTS], &[0]));
    assert_eq!(poll(&mut stitch, 10).len(), 4);
    stitch.commit(Transaction { inputs: vec![position(&EVENTS, 0, 4)], ..Transaction::default() }).expect("committed");
    assert_eq!(poll(&mut serve, 1).len(), 1);
    assert_eq!(log.committed("stitch", &EVENTS, 0).expect("a topic"), Some(4));
    assert_eq!(log.committed("serve", &EVENTS, 0).expect("a topic"), Some(0));
    assert_eq!(log.committed("nobody", &EVENTS, 0).expect("a topic"), None);
}

#[test]
fn a_zombie_is_fenced_and_told() {
    let fixture = Fixture::new();
    let log = fixture.open();
    log.append(vec![append(&EVENTS, 0, "a", "1"), append(&EVENTS, 1, "b", "2")]).expect("written");
    let mut zombie = worker(&log, "stitch", &[EVENTS], &[0, 1]);
    assert_eq!(poll(&mut zombie, 10).len(), 2);
    let mut heir = worker(&log, "stitch", &[EVENTS], &[1]);
    let inputs = vec![position(&EVENTS, 0, 1), position(&EVENTS, 1, 1)];
    let outputs = vec![append(&MESH, 0, "m", "x")];
    let late = zombie.commit(Transaction { inputs, outputs, state: Mutations::new() });
    assert!(matches!(late, Err(CommitError::Fenced { partitions }) if partitions == [1]));
    assert_eq!(log.end_offset(&MESH, 0).expect("a topic"), 0);
    zombie.rewind().expect("rewound");
    let told = zombie.poll(Budget::records(10)).expect("a poll");
    assert!(matches!(told, Polled::Assignment { lost, gained } if lost[0].partition == 1 && gained.is_empty()));
    assert_eq!(places(&poll(&mut zombie, 10)), [("events", 0, 0)]);
    assert_eq!(places(&poll(&mut heir, 10)), [("events", 1, 0)]);
}

#[test]
fn polls_are_fair_to_partitions_and_put_the_first_topic_first() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let many = |partition, count| (0..count).map(move |_| append(&EVENTS, partition, "a", "1"));
    log.append(many(0, 100).chain(many(1, 100)).chain(many(2, 2)).collect()).expect("written");
    log.append(vec![append(&MESH, 2, "m", "x")]).expect("written");
    let mut worker = worker(&log, "stitch", &[MESH, EVENTS], &[0, 1, 2]);
    let records = poll(&mut worker, 31);
    assert_eq!(places(&records)[0], ("mesh", 2, 0));
    let of =
        |partition| records.iter().filter(|record| record.topic == EVENTS && record.partition == partition).count();
    assert_eq!((of(0) + of(1), of(2)), (28, 2));
    assert!(of(0).abs_diff(of(1)) <= 10, "{} and {}", of(0), of(1));
    let mut seen = records.len();
    while let more @ 1.. = poll(&mut worker, 31).len() {
        seen += more;
    }
    assert_eq!(seen, 203);
}

#[test]
fn a_poll_in_small_steps_sees_each_record_once_and_in_order() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let long = "x".repeat(3_000);
    log.append((0..100).map(|key| append(&EVENTS, 0, &key.to_string(), &long)).collect()).expect("written");
    let mut worker = worker(&log, "stitch", &[EVENTS], &[0]);
    let mut offsets = Vec::new();
    loop {
        let budget = Budget { records: 7, bytes: 10_000, patience: Duration::ZERO };
        let Polled::Records(records) = worker.poll(budget).expect("a poll") else { panic!("no assignment") };
        assert!(records.len() <= 3);
        if records.is_empty() {
            break;
        }
        offsets.extend(records.iter().map(|record| record.offset));
    }
    assert_eq!(offsets, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_record_larger_than_the_budget_comes_alone() {
    let fixture = Fixture::new();
    let log = fixture.open();
    log.append(vec![append(&EVENTS, 0, "a", &"x".repeat(500)), append(&EVENTS, 0, "b", "y")]).expect("written");
    let budget = Budget { records: 10, bytes: 100, patience: Duration::ZERO };
    let stretch = log.read(&EVENTS, 0, 0, budget).expect("a stretch");
    assert_eq!((stretch.records.len(), stretch.next), (1, 1));
}

#[test]
fn a_waiting_reader_is_woken_by_the_commit() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let hour = Budget::records(10).with_patience(Duration::from_secs(3_600));
    let (ready, go) = mpsc::channel();
    std::thread::scope(|scope| {
        let mut worker = worker(&log, "stitch", &[EVENTS], &[0]);
        let tail = scope.spawn({
            let (log, ready) = (log.clone(), ready.clone());
            move || {
                ready.send(()).expect("the test listens");
                log.read(&EVENTS, 0, 0, hour).expect("a stretch").records.len()
            }
        });
        let polling = scope.spawn(move || {
            ready.send(()).expect("the test listens");
            worker.poll(hour).expect("a poll")
        });
        go.recv().expect("the tail");
        go.recv().expect("the worker");
        log.append(vec![append(&EVENTS, 1, "elsewhere", "1")]).expect("written");
        log.append(vec![append(&EVENTS, 0, "here", "1")]).expect("written");
        assert_eq!(tail.join().expect("no panic"), 1);
        assert!(matches!(polling.join().expect("no panic"), Polled::Records(records) if records.len() == 1));
    });
}

#[test]
fn many_writers_leave_no_gap_and_read_their_own_offsets() {
    let fixture = Fixture::new();
    let log = fixture.open();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let log = &log;
            scope.spawn(move || {
                let mut worker = (thread > 1).then(|| worker(log, &thread.to_string(), &[EVENTS], &[0]));
                for step in 0..50 {
                    let value = format!("{thread}-{step}");
                    let appends = vec![append(&MESH, 0, &value, ""), append(&MESH, 0, &value, "")];
                    match &mut worker {
                        Some(worker) => drop(
                            worker
                                .commit(Transaction { outputs: appends, ..Transaction::default() })
                                .expect("committed"),
                        ),
                        None => {
                            let offsets = log.append(appends).expect("written");
                            let stretch = log.read(&MESH, 0, offsets[0], Budget::records(2)).expect("a stretch");
                            let keys: Vec<_> = stretch.records.into_iter().filter_map(|read| read.record.key).collect();
                            assert_eq!(keys, [value.clone(), value]);
                        }
                    }
                }
            });
        }
    });
    let offsets: Vec<_> = read_all(&log, &MESH, 0).iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..400).collect::<Vec<_>>());
    drop(log);
    assert_eq!(fixture.open().end_offset(&MESH, 0).expect("a topic"), 400);
}

#[test]
fn another_partition_count_or_format_is_refused_with_both_numbers() {
    let mut fixture = Fixture::new();
    drop(fixture.open());
    fixture.settings.topics[0].partitions = 4;
    let refused = Embedded::open(fixture.database(), fixture.settings.clone()).expect_err("four are not three");
    assert_eq!(refused.to_string(), "partitions of topic `events`: wanted 4, found 3");
    fixture.settings.topics[0].partitions = 3;
    {
        let database = fixture.database();
        let book = database.cf_handle(BOOK).expect("a book");
        database.put_cf(book, keys::FORMAT_KEY, 9_u32.to_be_bytes()).expect("written");
    }
    let refused = Embedded::open(fixture.database(), fixture.settings.clone()).expect_err("nine is not one");
    assert_eq!(refused.to_string(), "format of the log: wanted 1, found 9");
}

#[test]
fn a_topic_no_longer_configured_can_still_be_read() {
    let mut fixture = Fixture::new();
    fixture.open().append(vec![append(&EVENTS, 0, "a", "1")]).expect("written");
    fixture.settings.topics.remove(0);
    fixture.settings.topics.push(TopicSettings {
        topic: Topic::constant("another"),
        partitions: 1,
        cleanup: Cleanup::Keep,
    });
    let log = fixture.open();
    assert_eq!(contents(&log, &EVENTS), listed(&[(0, "a=1")]));
    assert!(contents(&log, &Topic::constant("another")).is_empty());
}

#[test]
fn without_a_write_ahead_log_only_what_was_flushed_survives() {
    let mut fixture = Fixture::new();
    fixture.settings.durability = Durability::None;
    let log = fixture.open();
    log.append(vec![append(&EVENTS, 0, "a", "1")]).expect("written");
    log.flush().expect("flushed");
    log.append(vec![append(&EVENTS, 0, "b", "2")]).expect("written");
    // A copy of the files as they are is what a crash would leave.
    let copy = tempfile::tempdir().expect("a directory");
    for file in std::fs::read_dir(fixture.directory.path()).expect("a directory") {
        let file = file.expect("an entry");
        std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("copied");
    }
    let crashed = Fixture { directory: copy, settings: fixture.settings.clone() };
    assert_eq!(contents(&crashed.open(), &EVENTS), listed(&[(0, "a=1")]));
}

#[test]
fn a_crash_in_mid_write_leaves_a_prefix() {
    let fixture = Fixture::new();
    let log = fixture.open();
    for step in 0..20 {
        let mut worker = worker(&log, "stitch", &[EVENTS], &[0]);
        let mut state = Mutations::new();
        state.put(NAMES, b"\0\0count", format!("{}", step + 1).as_bytes());
        let outputs = vec![append(&MESH, 0, "m", "x")];
        worker.commit(Transaction { inputs: Vec::new(), outputs, state }).expect("committed");
    }
    let cut = |bytes: u64| {
        let copy = tempfile::tempdir().expect("a directory");
        for file in std::fs::read_dir(fixture.directory.path()).expect("a directory") {
            let file = file.expect("an entry");
            let target = copy.path().join(file.file_name());
            std::fs::copy(file.path(), &target).expect("copied");
            if target.extension().is_some_and(|extension| extension == "log") {
                let torn = std::fs::OpenOptions::new().write(true).open(&target).expect("a file");
                let length = torn.metadata().expect("a length").len();
                torn.set_len(length.saturating_sub(bytes)).expect("torn");
            }
        }
        Fixture { directory: copy, settings: fixture.settings.clone() }
    };
    for bytes in [0, 1, 100, 500, 1_000, 2_000] {
        let torn = cut(bytes);
        let log = torn.open();
        let names = log.shared.db.cf_handle(NAMES.0).expect("a table");
        let count = log.shared.db.get_cf(names, b"\0\0count").expect("a read").unwrap_or(b"0".to_vec());
        let records = read_all(&log, &MESH, 0).len();
        assert_eq!(String::from_utf8_lossy(&count), records.to_string(), "{bytes} bytes torn off");
        assert!(bytes == 0 || records < 20);
    }
}

#[test]
fn compaction_keeps_the_last_of_each_key_where_it_is() {
    let fixture = Fixture::new();
    let log = fixture.open();
    for round in 0..3 {
        let appends = ["a", "b", "c"].map(|key| append(&PROFILES, 0, key, &format!("{round}")));
        log.append(appends.into()).expect("written");
    }
    log.append(vec![append(&PROFILES, 0, "a", "3")]).expect("written");
    assert_eq!(log.maintain(0).expect("maintained").superseded, 7);
    let kept = listed(&[(7, "b=2"), (8, "c=2"), (9, "a=3")]);
    assert_eq!(contents(&log, &PROFILES), kept);
    assert_eq!(log.maintain(0).expect("maintained").superseded, 0, "there is nothing left to do");
    assert_eq!(log.append(vec![append(&PROFILES, 0, "b", "4")]).expect("written"), [10]);
    drop(log);
    let log = fixture.open();
    assert_eq!(log.maintain(0).expect("maintained").superseded, 1);
    assert_eq!(contents(&log, &PROFILES), listed(&[(8, "c=2"), (9, "a=3"), (10, "b=4")]));
    let read = log.read(&PROFILES, 0, 3, Budget::records(1)).expect("an offset in the gap is no error");
    assert_eq!((read.records[0].offset, read.next), (8, 9));
}

#[test]
fn compaction_in_many_small_passes_over_many_chunks_ends_where_one_would() {
    let small = Compaction { memory_bytes: 2_000, ..eager() };
    let fixture = Fixture::with(Cleanup::Keep, Cleanup::Compact(small));
    let log = fixture.open();
    let value = "x".repeat(1_000);
    for round in 0..10 {
        let appends = (0..100).filter(|key| (key * 7 + round) % 3 != 0);
        log.append(appends.map(|key| append(&PROFILES, 0, &format!("{key}"), &value)).collect()).expect("written");
    }
    let mut wanted = BTreeMap::new();
    for record in read_all(&log, &PROFILES, 0) {
        wanted.insert(record.record.key.expect("a key"), record.offset);
    }
    let mut wanted = Vec::from_iter(wanted.into_values());
    wanted.sort_unstable();
    let lane = log.shared.catalogue.lane_index(&PROFILES, 0).expect("a lane");
    let mut passes = 0;
    while log.shared.sheet(lane).expect("a sheet").clean_to < log.end_offset(&PROFILES, 0).expect("an end") {
        log.maintain(0).expect("maintained");
        passes += 1;
    }
    assert!(passes > 3, "{passes} passes");
    assert_eq!(read_all(&log, &PROFILES, 0).iter().map(|record| record.offset).collect::<Vec<_>>(), wanted);
    drop(log);
    let log = fixture.open();
    assert_eq!(read_all(&log, &PROFILES, 0).iter().map(|record| record.offset).collect::<Vec<_>>(), wanted);
}

#[test]
fn a_tombstone_outlives_what_it_buried_and_then_goes() {
    let fixture = Fixture::new();
    let log = fixture.open();
    log.append(vec![append(&PROFILES, 0, "a", "1"), append(&PROFILES, 0, "b", "1")]).expect("written");
    log.append(vec![tombstone(&PROFILES, "a")]).expect("written");
    log.maintain(5_000).expect("maintained");
    assert_eq!(contents(&log, &PROFILES), listed(&[(1, "b=1"), (2, "a=-")]));
    log.maintain(5_999).expect("maintained");
    assert_eq!(contents(&log, &PROFILES).len(), 2);
    drop(log);
    let log = fixture.open();
    log.maintain(6_000).expect("maintained");
    assert_eq!(contents(&log, &PROFILES), listed(&[(1, "b=1")]));
    assert_eq!(log.maintain(7_000).expect("maintained"), Upkeep::default());
    drop(log);
    assert_eq!(fixture.open().append(vec![append(&PROFILES, 0, "c", "1")]).expect("written"), [3]);
}

#[test]
fn a_poll_passes_over_a_stretch_that_was_compacted_away() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let mut worker = worker(&log, "serve", &[PROFILES], &[0]);
    log.append((0..50).map(|value| append(&PROFILES, 0, "a", &value.to_string())).collect()).expect("written");
    log.append(vec![tombstone(&PROFILES, "a")]).expect("written");
    log.maintain(0).expect("maintained");
    log.maintain(1_000).expect("maintained");
    assert!(poll(&mut worker, 10).is_empty());
    log.append(vec![append(&PROFILES, 0, "b", "1")]).expect("written");
    assert_eq!(places(&poll(&mut worker, 10)), [("profiles", 0, 51)]);
}

#[test]
fn a_compacted_topic_refuses_a_record_without_a_key() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let mut keyless = append(&PROFILES, 0, "", "1");
    keyless.record.key = None;
    let refused = log.append(vec![append(&EVENTS, 0, "a", "1"), keyless]);
    assert!(matches!(refused, Err(Error::KeyWanted { .. })));
    assert_eq!(log.end_offset(&EVENTS, 0).expect("a topic"), 0);
}

#[test]
fn the_oldest_go_by_number_by_age_and_by_bytes() {
    let spare = Retention { spare_unread: false, ..Retention::default() };
    let by_number = Retention { max_records: Some(2), ..spare.clone() };
    let by_age = Retention { max_age_ms: Some(100), ..spare.clone() };
    let by_bytes = Retention { max_bytes: Some(150), ..spare };
    for (retention, kept) in [(by_number, 2), (by_age, 3), (by_bytes, 3)] {
        let fixture = Fixture::with(Cleanup::Delete(retention), Cleanup::Keep);
        let log = fixture.open();
        for step in 0..10 {
            log.append(vec![at(append(&EVENTS, 0, "a", "1234567890"), step * 100)]).expect("written");
        }
        assert_eq!(log.maintain(800).expect("maintained").retired, 10 - kept);
        let offsets = |log: &Embedded| read_all(log, &EVENTS, 0).iter().map(|record| record.offset).collect::<Vec<_>>();
        assert_eq!(offsets(&log), (10 - kept..10).collect::<Vec<_>>());
        drop(log);
        let log = fixture.open();
        assert_eq!(log.start_offset(&EVENTS, 0).expect("a start"), 10 - kept);
        assert_eq!(offsets(&log), (10 - kept..10).collect::<Vec<_>>());
        let gone = log.read(&EVENTS, 0, 0, Budget::records(1));
        assert!(matches!(gone, Err(Error::OutOfRange { wanted: 0, end: 10, .. })));
    }
}

#[test]
fn a_queue_keeps_what_a_group_has_not_read_and_its_end_when_it_is_empty() {
    let queue = Retention { max_records: Some(0), ..Retention::default() };
    let fixture = Fixture::with(Cleanup::Delete(queue), Cleanup::Keep);
    let log = fixture.open();
    let mut worker = worker(&log, "stitch", &[EVENTS], &[0]);
    for _ in 0..5 {
        log.append(vec![append(&EVENTS, 0, "a", "1")]).expect("written");
    }
    assert_eq!(log.maintain(0).expect("maintained").retired, 0);
    worker.commit(Transaction { inputs: vec![position(&EVENTS, 0, 3)], ..Transaction::default() }).expect("committed");
    assert_eq!(log.maintain(0).expect("maintained").retired, 3);
    worker.commit(Transaction { inputs: vec![position(&EVENTS, 0, 5)], ..Transaction::default() }).expect("committed");
    assert_eq!(log.maintain(0).expect("maintained").retired, 2);
    drop((worker, log));
    let log = fixture.open();
    assert_eq!((log.start_offset(&EVENTS, 0).expect("a start"), log.end_offset(&EVENTS, 0).expect("an end")), (5, 5));
    assert_eq!(log.append(vec![append(&EVENTS, 0, "a", "1")]).expect("written"), [5]);
}

#[test]
fn upkeep_beside_writers_and_readers_disturbs_neither() {
    let queue = Retention { max_records: Some(0), ..Retention::default() };
    let fixture = Fixture::with(Cleanup::Delete(queue), Cleanup::Compact(eager()));
    let log = fixture.open();
    let mut stitch = worker(&log, "stitch", &[EVENTS], &[0]);
    let mut serve = worker(&log, "serve", &[PROFILES], &[0]);
    let writer = |topic: Topic| {
        let log = log.clone();
        move || {
            for step in 0..400 {
                log.append(vec![append(&topic, 0, &(step % 7).to_string(), &step.to_string())]).expect("written");
            }
        }
    };
    std::thread::scope(|scope| {
        let writers = [scope.spawn(writer(EVENTS)), scope.spawn(writer(PROFILES))];
        let (mut read, mut last, mut newest) = (0, None, BTreeMap::new());
        while newest.values().max() != Some(&399) || read < 400 {
            for event in poll(&mut stitch, 10) {
                assert_eq!(event.offset, read);
                read += 1;
            }
            let inputs = vec![position(&EVENTS, 0, read)];
            stitch.commit(Transaction { inputs, ..Transaction::default() }).expect("committed");
            for profile in poll(&mut serve, 10) {
                assert!(last < Some(profile.offset));
                last = Some(profile.offset);
                newest.insert(profile.record.key, profile.offset);
            }
            log.maintain(0).expect("maintained");
        }
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
    });
    log.maintain(0).expect("maintained");
    assert_eq!(read_all(&log, &PROFILES, 0).len(), 7);
    assert_eq!(log.start_offset(&EVENTS, 0).expect("a start"), 400);
}

#[test]
fn unknown_places_are_named() {
    let log = Fixture::new();
    let log = log.open();
    let nowhere = log.append(vec![append(&EVENTS, 3, "a", "1")]).expect_err("three partitions");
    assert_eq!(nowhere.to_string(), "no partition `3` in topic `events`: it has 3");
    let nowhere = log.worker("stitch", &[Topic::new("nowhere")], &[0]).expect_err("no such topic");
    assert_eq!(nowhere.to_string(), "no topic `nowhere` in this log");
    let beyond = log.read(&EVENTS, 0, 1, Budget::records(1)).expect_err("nothing was written");
    assert_eq!(beyond.to_string(), "offset `1` of `events/0` is out of range: it holds 0..0");
}

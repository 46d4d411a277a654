//! The simulated log against what the trait promises, and against a worker that counts.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{
    Changes, CommitError, Committed, Delivery, Lease, Log, Mutation, Mutations, Polled, Position, Record, Table,
    Transaction,
};

const EVENTS: Topic = Topic::constant("events");
const MESH: Topic = Topic::constant("mesh");
const COUNTS: Table = Table("counts");
const PARTITIONS: u32 = 3;

fn cluster(seed: u64, faults: Faults) -> Cluster {
    let topics = [(EVENTS, PARTITIONS), (MESH, PARTITIONS)];
    Cluster::new(&topics, &[MESH, EVENTS], faults, ChaCha8Rng::seed_from_u64(seed)).expect("a cluster")
}

fn append(topic: Topic, partition: Partition, value: &str) -> Append {
    Append { topic, partition, record: Record::new("key", value.to_owned(), 0) }
}

fn poll(worker: &mut Worker) -> Vec<Delivery> {
    match worker.poll(Budget::records(100)).expect("a poll") {
        Polled::Records(records) => records,
        Polled::Assignment { .. } => panic!("an assignment nobody made"),
    }
}

fn with_partitions(cluster: &Cluster, partitions: &[Partition]) -> Worker {
    let mut worker = cluster.worker();
    cluster.assign(worker.id(), partitions);
    let told = worker.poll(Budget::records(1)).expect("a poll");
    assert!(matches!(told, Polled::Assignment { lost, gained } if lost.is_empty() && gained.len() == partitions.len()));
    worker
}

fn consumed(partition: Partition, next: Offset) -> Vec<Position> {
    vec![Position { topic: EVENTS, partition, next }]
}

fn end(cluster: &Cluster, topic: &Topic, partition: Partition) -> Offset {
    cluster.end_offset(topic, partition).expect("a topic")
}

#[test]
fn a_worker_reads_its_partitions_in_order_and_nothing_of_others() {
    let cluster = cluster(1, Faults::NONE);
    let appends = [(0, "a"), (1, "b"), (0, "c"), (2, "d")].map(|(partition, value)| append(EVENTS, partition, value));
    assert_eq!(cluster.append(appends.into()).expect("written"), [0, 0, 1, 0]);
    let mut worker = with_partitions(&cluster, &[0, 1]);
    let seen: Vec<_> = poll(&mut worker).into_iter().map(|read| (read.partition, read.offset)).collect();
    assert_eq!(seen, [(0, 0), (0, 1), (1, 0)]);
    assert!(poll(&mut worker).is_empty());
    worker.rewind().expect("rewound");
    assert_eq!(poll(&mut worker).len(), 3, "nothing was committed");
}

#[test]
fn a_transaction_comes_into_view_late_whole_per_partition_and_in_any_order_between_them() {
    let faults = Faults { delay_ticks: 5, ..Faults::NONE };
    let (mut zero_first, mut one_first) = (false, false);
    for seed in 0..50 {
        let cluster = cluster(seed, faults);
        let mut worker = with_partitions(&cluster, &[0]);
        let outputs = (0..4).map(|n| append(MESH, n % 2, "x")).collect();
        worker.commit(Transaction { outputs, ..Transaction::default() }).expect("committed");
        loop {
            let ends = (end(&cluster, &MESH, 0), end(&cluster, &MESH, 1));
            assert!(matches!(ends, (0 | 2, 0 | 2)), "half a transaction in one partition: {ends:?}");
            zero_first |= ends == (2, 0);
            one_first |= ends == (0, 2);
            if ends == (2, 2) {
                break;
            }
            cluster.tick();
        }
    }
    assert!(zero_first && one_first);
}

#[test]
fn a_later_write_is_never_seen_before_an_earlier_one_of_its_partition() {
    for seed in 0..50 {
        let cluster = cluster(seed, Faults { delay_ticks: 9, ..Faults::NONE });
        let mut seen = Vec::new();
        for step in 0..20 {
            cluster.append(vec![append(EVENTS, 0, &step.to_string())]).expect("written");
            cluster.tick();
            seen.push(end(&cluster, &EVENTS, 0));
        }
        cluster.settle();
        assert!(seen.is_sorted());
        assert_eq!(end(&cluster, &EVENTS, 0), 20);
    }
}

#[test]
fn an_append_may_arrive_twice_and_later() {
    let cluster = cluster(1, Faults { duplicate: 1_000, ..Faults::NONE });
    assert_eq!(cluster.append(vec![append(EVENTS, 0, "a"), append(EVENTS, 1, "b")]).expect("written"), [0, 0]);
    assert_eq!((end(&cluster, &EVENTS, 0), end(&cluster, &EVENTS, 1)), (1, 1));
    cluster.settle();
    assert_eq!((end(&cluster, &EVENTS, 0), end(&cluster, &EVENTS, 1)), (2, 2));
    assert_eq!(cluster.unread(), 4);
}

#[test]
fn a_zombie_that_writes_late_is_fenced_and_keeps_the_rest() {
    let cluster = cluster(1, Faults::NONE);
    cluster.append(vec![append(EVENTS, 0, "a"), append(EVENTS, 1, "b")]).expect("written");
    let mut zombie = with_partitions(&cluster, &[0, 1]);
    assert_eq!(poll(&mut zombie).len(), 2);
    let heir = with_partitions(&cluster, &[0]);
    assert_eq!(heir.assignment(), [Lease { partition: 0, generation: 2 }]);
    let outputs = vec![append(MESH, 2, "late")];
    let late = zombie.commit(Transaction { inputs: consumed(0, 1), outputs, state: Mutations::new() });
    assert!(matches!(late, Err(CommitError::Fenced { partitions }) if partitions == [0]));
    cluster.settle();
    assert_eq!(end(&cluster, &MESH, 2), 0);
    assert!(zombie.poll(Budget::records(1)).is_err(), "a rewind comes first");
    zombie.rewind().expect("rewound");
    let told = zombie.poll(Budget::records(1)).expect("a poll");
    assert!(matches!(told, Polled::Assignment { lost, .. } if lost == [Lease { partition: 0, generation: 1 }]));
    zombie.commit(Transaction { inputs: consumed(1, 1), ..Transaction::default() }).expect("its other partition");
    assert_eq!(cluster.committed(&EVENTS, 1).expect("a topic"), 1);
}

#[test]
fn a_partition_that_comes_back_is_another_lease() {
    let cluster = cluster(1, Faults::NONE);
    let mut first = with_partitions(&cluster, &[0]);
    let second = with_partitions(&cluster, &[0]);
    cluster.assign(first.id(), &[0]);
    let late = first.commit(Transaction { inputs: consumed(0, 0), ..Transaction::default() });
    assert!(matches!(late, Err(CommitError::Fenced { .. })));
    first.rewind().expect("rewound");
    let told = first.poll(Budget::records(1)).expect("a poll");
    assert!(
        matches!(told, Polled::Assignment { lost, gained } if lost[0].generation == 1 && gained[0].generation == 3)
    );
    assert_eq!(second.assignment()[0].generation, 2);
}

#[test]
fn the_changelog_gives_a_new_owner_what_was_committed() {
    let cluster = cluster(1, Faults::NONE);
    let mut worker = with_partitions(&cluster, &[0, 1]);
    let mut state = Mutations::new();
    state.put(COUNTS, b"\0\0a", b"1");
    state.put(COUNTS, b"\0\x01b", b"2");
    let done = worker.commit(Transaction { state: state.clone(), ..Transaction::default() }).expect("committed");
    assert_eq!(done, Committed::Unapplied { state, changelog: vec![(0, 1), (1, 1)] });
    let mut heir = with_partitions(&cluster, &[1]);
    let mut expected = Mutations::new();
    expected.put(COUNTS, b"\0\x01b", b"2");
    assert_eq!(heir.changelog(1, 0).expect("a changelog"), Some(Changes { state: expected, next: 1 }));
    assert_eq!(heir.changelog(1, 1).expect("a changelog"), None);
    assert!(
        matches!(heir.changelog(1, 2), Err(Error::OutOfRange { wanted: 2, end: 1, .. })),
        "a store ahead of its log"
    );
}

#[test]
fn an_unknown_commit_happened_or_did_not_and_a_rewind_settles_it() {
    let (mut happened, mut did_not) = (0, 0);
    for seed in 0..100 {
        let cluster = cluster(seed, Faults { unknown: 1_000, ..Faults::NONE });
        cluster.append(vec![append(EVENTS, 0, "a")]).expect("written");
        let mut worker = with_partitions(&cluster, &[0]);
        assert_eq!(poll(&mut worker).len(), 1);
        let outputs = vec![append(MESH, 1, "x")];
        let mut state = Mutations::new();
        state.put(COUNTS, b"\0\0a", b"1");
        let outcome = worker.commit(Transaction { inputs: consumed(0, 1), outputs, state });
        assert!(matches!(outcome, Err(CommitError::Unknown { .. })));
        worker.rewind().expect("rewound");
        let known = cluster.committed(&EVENTS, 0).expect("a topic");
        cluster.settle();
        assert_eq!(cluster.committed(&EVENTS, 0).expect("a topic"), known, "settled is settled");
        assert_eq!(end(&cluster, &MESH, 1), known);
        assert_eq!(worker.changelog(0, 0).expect("a changelog").is_some(), known == 1);
        assert_eq!(poll(&mut worker).len() as u64, 1 - known);
        *(if known == 1 { &mut happened } else { &mut did_not }) += 1;
    }
    assert!(happened > 20 && did_not > 20, "{happened} and {did_not}");
}

/// A worker that counts what it reads, passes on what comes from outside, and keeps its counts in a store that dies
/// with it.
struct Counter {
    log: Worker,
    counts: BTreeMap<Vec<u8>, u64>,
    restored: BTreeMap<Partition, Offset>,
}

impl Counter {
    fn new(cluster: &Cluster) -> Self {
        Self { log: cluster.worker(), counts: BTreeMap::new(), restored: BTreeMap::new() }
    }

    fn apply(&mut self, state: &Mutations) {
        for mutation in state.iter() {
            let Mutation::Put { key, value, .. } = mutation else { continue };
            let count = u64::from_be_bytes(value.try_into().expect("a count"));
            self.counts.insert(key.to_vec(), count);
        }
    }

    fn restore(&mut self) {
        for lease in self.log.assignment().to_vec() {
            let mut from = self.restored.get(&lease.partition).copied().unwrap_or_default();
            while let Some(changes) = self.log.changelog(lease.partition, from).expect("a changelog") {
                self.apply(&changes.state);
                from = changes.next;
            }
            self.restored.insert(lease.partition, from);
        }
    }

    fn step(&mut self, budget: usize, trouble: &mut Trouble, between: impl FnOnce()) {
        match self.log.poll(Budget::records(budget)).expect("a poll") {
            Polled::Assignment { lost, .. } => {
                for lease in lost {
                    self.restored.remove(&lease.partition);
                    self.counts.retain(|key, _| Mutations::partition_of(key) != Some(lease.partition));
                }
                self.restore();
            }
            Polled::Records(records) => {
                let transaction = self.decide(&records);
                between();
                match self.log.commit(transaction) {
                    Ok(Committed::Unapplied { state, changelog }) => {
                        self.apply(&state);
                        self.restored.extend(changelog);
                    }
                    Ok(Committed::Applied) => panic!("the simulated log leaves the state to its caller"),
                    Err(error) => {
                        match error {
                            CommitError::Fenced { .. } => trouble.fenced += 1,
                            CommitError::Unknown { .. } => trouble.unknown += 1,
                            CommitError::Failed(error) => panic!("{error}"),
                        }
                        self.log.rewind().expect("rewound");
                        self.restore();
                    }
                }
            }
        }
    }

    fn decide(&self, records: &[Delivery]) -> Transaction {
        let mut positions = BTreeMap::new();
        let mut counts = BTreeMap::new();
        let mut outputs = Vec::new();
        for read in records {
            positions.insert((read.topic.clone(), read.partition), read.offset + 1);
            let key = [&[0, read.partition as u8], read.topic.as_str().as_bytes()].concat();
            let count = counts.entry(key.clone()).or_insert_with(|| self.counts.get(&key).copied().unwrap_or_default());
            *count += 1;
            if read.topic == EVENTS {
                let partition = (read.partition + 1) % PARTITIONS;
                outputs.push(Append { topic: MESH, partition, record: read.record.clone() });
            }
        }
        let mut state = Mutations::new();
        counts.iter().for_each(|(key, count)| state.put(COUNTS, key, &u64::to_be_bytes(*count)));
        let position = |((topic, partition), next)| Position { topic, partition, next };
        Transaction { inputs: positions.into_iter().map(position).collect(), outputs, state }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Trouble {
    fenced: u64,
    unknown: u64,
    crashed: u64,
    duplicated: u64,
}

/// Workers crash, partitions move between poll and commit, commits are lost: and in the end everything was counted
/// once.
fn run(seed: u64) -> (Trouble, Vec<Delivery>) {
    let cluster = cluster(seed, Faults::HOSTILE);
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
    let mut workers = [Counter::new(&cluster), Counter::new(&cluster)];
    workers
        .iter()
        .zip([&[0, 1][..], &[2]])
        .for_each(|(worker, partitions)| cluster.assign(worker.log.id(), partitions));
    let mut trouble = Trouble::default();
    let mut appended = 0;
    for step in 0..400 {
        if step < 300 {
            let partition = random.random_range(0..PARTITIONS);
            cluster.append(vec![append(EVENTS, partition, &step.to_string())]).expect("written");
            appended += 1;
        }
        let chosen = random.random_range(0..2);
        let other = workers[1 - chosen].log.id();
        let moved = (random.random_range(0..10) == 0).then(|| random.random_range(0..PARTITIONS));
        let between = || moved.iter().for_each(|partition| cluster.assign(other, &[*partition]));
        workers[chosen].step(random.random_range(1..20), &mut trouble, between);
        if random.random_range(0..40) == 0 {
            trouble.crashed += 1;
            let heir = Counter::new(&cluster);
            let held: Vec<_> = workers[chosen].log.assignment().iter().map(|lease| lease.partition).collect();
            cluster.assign(heir.log.id(), &held);
            workers[chosen] = heir;
        }
        cluster.tick();
    }
    cluster.settle();
    workers
        .iter()
        .zip([&[0, 1][..], &[2]])
        .for_each(|(worker, partitions)| cluster.assign(worker.log.id(), partitions));
    while cluster.unread() > 0 {
        workers.iter_mut().for_each(|worker| worker.step(50, &mut trouble, || ()));
        cluster.tick();
    }
    cluster.settle();
    let count = |topic: Topic| -> u64 { (0..PARTITIONS).map(|partition| end(&cluster, &topic, partition)).sum() };
    trouble.duplicated = count(EVENTS) - appended;
    assert_eq!(count(MESH), count(EVENTS), "seed {seed}: each event was passed on once");
    for partition in 0..PARTITIONS {
        let mut fresh = with_partitions_after(&cluster, partition);
        fresh.restore();
        for topic in [EVENTS, MESH] {
            let key = [&[0, partition as u8], topic.as_str().as_bytes()].concat();
            let counted = fresh.counts.get(&key).copied().unwrap_or_default();
            assert_eq!(counted, end(&cluster, &topic, partition), "seed {seed}: {topic}/{partition} was counted once");
        }
    }
    let read = |partition| cluster.read(&MESH, partition, 0, Budget::records(usize::MAX)).expect("a stretch").records;
    (trouble, (0..PARTITIONS).flat_map(read).collect())
}

fn with_partitions_after(cluster: &Cluster, partition: Partition) -> Counter {
    let mut fresh = Counter::new(cluster);
    cluster.assign(fresh.log.id(), &[partition]);
    fresh.log.poll(Budget::records(1)).expect("a poll");
    fresh
}

#[test]
fn whatever_goes_wrong_everything_is_counted_once() {
    let mut total = Trouble::default();
    for seed in 0..200 {
        let (trouble, _) = run(seed);
        total.fenced += trouble.fenced;
        total.unknown += trouble.unknown;
        total.crashed += trouble.crashed;
        total.duplicated += trouble.duplicated;
    }
    let Trouble { fenced, unknown, crashed, duplicated } = total;
    assert!(fenced > 100 && unknown > 100 && crashed > 100 && duplicated > 100, "too little went wrong: {total:?}");
}

#[test]
fn a_seed_tells_the_same_story_again() {
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(0).1, run(1).1);
}

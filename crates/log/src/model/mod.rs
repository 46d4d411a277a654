//! A model of a Kafka cluster in memory, for simulations: seeded, in one thread, in a time of its own, and as unkind as
//! Kafka is allowed to be.
//!
//! It answers the calls of [`crate::kafka::calls`], so that the log which runs on it is the one of [`crate::kafka`], to
//! the last decision. What it has of Kafka:
//!
//! - partitions with records and the marks of transactions, a last stable offset, aborted records that readers of
//!   committed ones never see, compaction and deletion;
//! - transactional ids whose epoch rises when a producer begins and when a transaction is open for too long, which
//!   fences; marks that are written late and one by one, and CONCURRENT_TRANSACTIONS meanwhile;
//! - requests to end a transaction that are lost, delayed or doubled, and then may meet a later one (KIP-890);
//! - a group with generations, static members, sessions, partitions that are revoked before they are given away, offsets
//!   in transactions, and whoever asks for them waiting until they are decided;
//! - coordinators that are away.
//!
//! Where the calls may block, time passes, and others have their turn ([`Model::set_interlude`]): all that can happen
//! between two calls of a process happens there.
//!
//! What it has not: brokers, replicas, leaders, or a disk of theirs. What Kafka has acknowledged is there.

mod fate;
mod group;
mod lane;
mod link;
mod transactions;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::kafka::Ends;
use crate::{Append, Delivery, Offset, Partition, Topic};

pub use fate::{Died, Fate};
pub use group::Word;
pub use link::{Link, Membership, Reading, Writer};

use group::Group;
use lane::Lane;
use transactions::{Ids, Late};

/// 2026-04-01T00:00:00Z in milliseconds: the time of the cluster when it begins.
const BEGINNING_MS: i64 = 1_775_001_600_000;
/// How many milliseconds later a copy of what was appended at the edge may arrive.
const COPY_MS: u64 = 500;

/// What may go wrong, and how often in a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Appends at the edge that arrive twice.
    pub copies: u32,
    /// The most milliseconds until the mark of a transaction is written.
    pub mark_lag_ms: u64,
    /// Requests to end a transaction that are lost, delayed, or whose answer is.
    pub lost_ends: u32,
    /// Requests to end a transaction that arrive twice, the second time late, over a connection that broke.
    pub doubled_ends: u32,
    /// The same, and no client has noticed anything: what KIP-890 mends, and librdkafka does not know of.
    pub unseen_ends: u32,
    /// Records that are not delivered.
    pub undelivered: u32,
    /// Milliseconds at which a coordinator goes away.
    pub losses: u32,
    /// Polls that bring nothing although there is something.
    pub slow_polls: u32,
    /// Calls in which others have their turn.
    pub interludes: u32,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        copies: 0,
        mark_lag_ms: 0,
        lost_ends: 0,
        doubled_ends: 0,
        unseen_ends: 0,
        undelivered: 0,
        losses: 0,
        slow_polls: 0,
        interludes: 0,
    };
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long a transaction may be open.
    pub transaction_ms: u64,
    /// How long a member may be silent.
    pub session_ms: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests to end a transaction that ended a later one.
    pub strikes: u64,
    /// Requests to end a transaction that were lost, delayed or doubled, or whose answer was.
    pub ends: u64,
    /// Times that a coordinator was away.
    pub losses: u64,
    /// Members that were expelled, or took part in another generation.
    pub generations: u64,
}

#[derive(Debug, Default)]
struct Away {
    transactions: u64,
    group: u64,
}

#[derive(Debug)]
struct State {
    now: u64,
    turned: u64,
    random: ChaCha8Rng,
    faults: Faults,
    times: Times,
    topics: BTreeMap<String, Vec<Lane>>,
    ids: Ids,
    late: Vec<Late>,
    group: Group,
    away: Away,
    copies: Vec<(u64, Vec<Append>)>,
    processes: Vec<Arc<Fate>>,
    counts: Counts,
}

/// Who has a turn in the midst of a call, told which process calls.
type Interlude = Rc<dyn Fn(usize)>;

thread_local! {
    static INTERLUDE: RefCell<Option<Interlude>> = const { RefCell::new(None) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// How many calls deep others may have their turn.
const DEEPEST: usize = 3;

/// The cluster. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Model {
    state: Arc<Mutex<State>>,
}

impl Model {
    /// A cluster with these topics, each of so many partitions.
    pub fn new(topics: &[Topic], partitions: Partition, faults: Faults, times: Times, random: ChaCha8Rng) -> Self {
        let lanes = || Vec::from_iter((0..partitions).map(|_| Lane::default()));
        let state = State {
            now: 0,
            turned: 0,
            random,
            faults,
            times,
            topics: topics.iter().map(|topic| (topic.to_string(), lanes())).collect(),
            ids: Ids::new(),
            late: Vec::new(),
            group: Group::new(partitions),
            away: Away::default(),
            copies: Vec::new(),
            processes: Vec::new(),
            counts: Counts::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new process, and its way to the cluster. Processes of one name are one after another.
    pub fn process(&self, instance: &str) -> Link {
        let fate = Arc::new(Fate::default());
        let mut state = self.state();
        state.processes.push(Arc::clone(&fate));
        Link::new(self.clone(), state.processes.len() - 1, instance, fate)
    }

    /// Who has a turn in the midst of a call: it is told which process calls. For this thread, until it is set again.
    pub fn set_interlude(interlude: Option<Interlude>) {
        INTERLUDE.set(interlude);
        DEPTH.set(0);
    }

    /// Whether a call is under way in this thread, in which others have their turn.
    pub fn is_within_a_call() -> bool {
        DEPTH.get() > 0
    }

    /// Lets so many milliseconds pass.
    pub fn pass(&self, ms: u64) {
        self.state().pass(ms);
    }

    /// The group prepares another generation.
    pub fn unsettle(&self) {
        let mut state = self.state();
        let now = state.now;
        state.group.unsettle(now);
    }

    /// From here on nothing goes wrong, and what is under way arrives.
    pub fn calm(&self) {
        let mut state = self.state();
        state.faults = Faults::NONE;
        state.away = Away::default();
        state.pass(COPY_MS);
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Milliseconds since it began.
    pub fn now_ms(&self) -> u64 {
        self.state().now
    }

    /// Whether nothing is under way any more: no transaction, no late request, no copy, no rebalance.
    pub fn is_calm(&self) -> bool {
        let state = self.state();
        let settled = state.undecided() == 0 && state.late.is_empty() && state.copies.is_empty();
        settled && state.group.is_calm()
    }

    /// The process whose member holds a partition.
    pub fn holder(&self, partition: Partition) -> Option<usize> {
        self.state().group.holder(partition)
    }

    /// Compacts a topic: what is older than `old_ms` is cleaned, and deletes older than `deletes_ms` go.
    pub fn compact(&self, topic: &Topic, old_ms: i64, deletes_ms: i64) {
        let mut state = self.state();
        let wall = state.wall_ms();
        for lane in state.topics.get_mut(topic.as_str()).into_iter().flatten() {
            lane.compact(wall - old_ms, wall - deletes_ms);
        }
    }

    /// Deletes what the group has committed of a topic.
    pub fn purge(&self, topic: &Topic) {
        let State { topics, group, .. } = &mut *self.state();
        for (partition, lane) in (0..).zip(topics.get_mut(topic.as_str()).into_iter().flatten()) {
            lane.purge(group.committed(topic.as_str(), partition).unwrap_or_default());
        }
    }

    /// Appends at the edge.
    pub fn append(&self, appends: Vec<Append>) {
        let mut state = self.state();
        let copied = state.faults.copies;
        if state.happens(copied) {
            let at = state.now + state.random.random_range(1..=COPY_MS);
            state.copies.push((at, appends.clone()));
        }
        state.append(appends);
    }

    /// The committed records of a topic's partition, in order of offset.
    pub fn records(&self, topic: &Topic, partition: Partition) -> Vec<Delivery> {
        let mut state = self.state();
        let Some(lane) = state.lane_mut(topic.as_str(), partition) else { return Vec::new() };
        let (mut records, mut from) = (Vec::new(), lane.start());
        while let Some((offset, record)) = lane.committed(from) {
            records.push(Delivery { topic: topic.clone(), partition, offset, record: record.clone() });
            from = offset + 1;
        }
        records
    }

    /// Where each partition of each topic begins and ends.
    pub fn ends(&self) -> Vec<Ends> {
        let state = self.state();
        let of = |(name, lanes): (&String, &Vec<Lane>)| {
            let topic = Topic::new(name);
            let ends = |(partition, lane): (Partition, &Lane)| Ends {
                topic: topic.clone(),
                partition,
                start: lane.start(),
                stable: lane.stable(),
                end: lane.end(),
            };
            (0..).zip(lanes).map(ends).collect::<Vec<_>>()
        };
        state.topics.iter().flat_map(of).collect()
    }

    /// What the group has committed of a topic's partition.
    pub fn committed(&self, topic: &Topic, partition: Partition) -> Option<Offset> {
        self.state().group.committed(topic.as_str(), partition)
    }

    /// How many records of these topics the group has not read.
    pub fn unread(&self, topics: &[Topic]) -> usize {
        let State { topics: all, group, .. } = &*self.state();
        let unread = |topic: &Topic| {
            let lanes = (0..).zip(all.get(topic.as_str()).into_iter().flatten());
            lanes
                .filter(|(partition, lane)| {
                    let from = group.committed(topic.as_str(), *partition).unwrap_or_default();
                    lane.committed(from).is_some()
                })
                .count()
        };
        topics.iter().map(unread).sum()
    }
}

impl State {
    fn wall_ms(&self) -> i64 {
        BEGINNING_MS + i64::try_from(self.now).unwrap_or(i64::MAX / 2)
    }

    fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random.random_range(0..1_000) < per_mille
    }

    /// How long until a mark is written.
    fn lag(&mut self) -> u64 {
        match self.faults.mark_lag_ms {
            0 => 0,
            most => self.random.random_range(0..=most),
        }
    }

    fn lane_mut(&mut self, topic: &str, partition: Partition) -> Option<&mut Lane> {
        self.topics.get_mut(topic)?.get_mut(partition as usize)
    }

    fn append(&mut self, appends: Vec<Append>) {
        for Append { topic, partition, record } in appends {
            if let Some(lane) = self.lane_mut(topic.as_str(), partition) {
                lane.append(record, None);
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        if self.now == self.turned {
            return;
        }
        self.turned = self.now;
        let losses = self.faults.losses;
        if self.happens(losses) {
            self.lose_a_coordinator();
        }
        self.arrive();
        self.write_marks();
        self.expire_transactions();
        let Self { now, group, processes, random, times, away, .. } = self;
        if *now < away.group {
            group.hear(*now, |_| true);
        } else {
            group.hear(*now, |process| processes.get(process).is_some_and(|fate| fate.is_heard()));
            let before = group.generation();
            group.turn(*now, times.session_ms, random);
            self.counts.generations += u64::from(group.generation() - before);
        }
        let due: Vec<_> = self.copies.extract_if(.., |(at, _)| *at <= self.now).collect();
        due.into_iter().for_each(|(_, appends)| self.append(appends));
    }

    fn lose_a_coordinator(&mut self) {
        self.counts.losses += 1;
        let most = [300, 3_000, 30_000][self.random.random_range(0..3_usize)];
        let until = self.now + self.random.random_range(50..=most);
        if self.random.random_range(0..2) == 0 {
            self.away.transactions = until;
        } else {
            self.away.group = until;
        }
    }
}

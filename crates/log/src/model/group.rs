//! The group's coordinator: members, generations, who holds what, and what the group has read.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::{Offset, Partition};

/// A member as the coordinator knows it.
#[derive(Clone, Debug)]
struct Seat {
    instance: String,
    process: usize,
    heard: u64,
    /// Whether it has joined for the generation that is being prepared.
    joined: bool,
    /// What it said to hold when it joined.
    owned: BTreeSet<Partition>,
    assigned: BTreeSet<Partition>,
}

/// What a member shows with the offsets of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub(super) instance: String,
    pub(super) member: u64,
    pub(super) generation: u32,
}

/// What a member finds when it looks at its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is a member no longer.
    Expelled,
    /// A generation is being prepared, for which it has not joined.
    Preparing,
    /// It waits for others.
    Waiting,
    /// This is its part in this generation.
    Assigned(u32, BTreeSet<Partition>),
}

/// Offsets of one transaction.
type Pending = Vec<((String, Partition), Offset)>;

/// The group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    generation: u32,
    seats: BTreeMap<u64, Seat>,
    admitted: u64,
    /// Since when a generation is being prepared.
    preparing: Option<u64>,
    target: BTreeMap<Partition, u64>,
    partitions: Partition,
    offsets: BTreeMap<(String, Partition), Offset>,
    pending: BTreeMap<u64, Pending>,
}

impl Group {
    pub(super) fn new(partitions: Partition) -> Self {
        Self { partitions, ..Self::default() }
    }

    /// Somebody joins. Under a name that is known it takes the place of whoever had it: no rebalance, and the other is
    /// fenced.
    pub(super) fn admit(&mut self, instance: &str, process: usize, now: u64) -> u64 {
        self.admitted += 1;
        let id = self.admitted;
        let known = self.seats.iter().find(|(_, seat)| seat.instance == instance).map(|(id, _)| *id);
        let seat = match known.and_then(|known| self.seats.remove(&known)) {
            Some(seat) => {
                let moved = known.into_iter().flat_map(|known| {
                    self.target.iter().filter(move |(_, at)| **at == known).map(|(partition, _)| *partition)
                });
                let moved: Vec<Partition> = moved.collect();
                self.target.extend(moved.into_iter().map(|partition| (partition, id)));
                // What it was to give up nobody gets until the next generation, which Kafka may leave to chance.
                if seat.owned.iter().any(|owned| !seat.assigned.contains(owned)) {
                    self.unsettle(now);
                }
                Seat { process, heard: now, joined: false, owned: BTreeSet::new(), ..seat }
            }
            None => {
                self.preparing.get_or_insert(now);
                let instance = instance.to_owned();
                let (owned, assigned) = (BTreeSet::new(), BTreeSet::new());
                Seat { instance, process, heard: now, joined: false, owned, assigned }
            }
        };
        self.seats.insert(id, seat);
        id
    }

    /// How often partitions were given away.
    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Another generation is wanted.
    pub(super) fn unsettle(&mut self, now: u64) {
        if self.preparing.is_none() {
            self.preparing = Some(now);
            self.seats.values_mut().for_each(|seat| seat.joined = false);
        }
    }

    /// Processes that were heard now.
    pub(super) fn hear(&mut self, now: u64, heard: impl Fn(usize) -> bool) {
        self.seats.values_mut().filter(|seat| heard(seat.process)).for_each(|seat| seat.heard = now);
    }

    /// Expels who was silent for too long, and completes a generation that all have joined.
    pub(super) fn turn(&mut self, now: u64, session_ms: u64, random: &mut ChaCha8Rng) {
        let before = self.seats.len();
        self.seats.retain(|_, seat| now.saturating_sub(seat.heard) <= session_ms);
        if self.seats.len() < before {
            self.unsettle(now);
        }
        if self.preparing.is_some() && !self.seats.is_empty() && self.seats.values().all(|seat| seat.joined) {
            self.complete(random);
        }
    }

    fn complete(&mut self, random: &mut ChaCha8Rng) {
        self.generation += 1;
        self.preparing = None;
        let members = Vec::from_iter(self.seats.keys().copied());
        for partition in 0..self.partitions {
            let kept = self.target.get(&partition).filter(|at| self.seats.contains_key(at));
            let waits = self.seats.values().all(|seat| !seat.owned.contains(&partition));
            let moves = kept.is_none() || (!waits && random.random_range(0..1_000) < 300);
            if moves {
                self.target.insert(partition, members[random.random_range(0..members.len())]);
            }
        }
        let owners: BTreeMap<Partition, u64> =
            self.seats.iter().flat_map(|(id, seat)| seat.owned.iter().map(|partition| (*partition, *id))).collect();
        for (id, seat) in &mut self.seats {
            let free = |partition: &Partition| owners.get(partition).is_none_or(|owner| owner == id);
            let its = self.target.iter().filter(|(_, at)| *at == id).map(|(partition, _)| *partition);
            seat.assigned = its.filter(free).collect();
            seat.joined = false;
        }
    }

    /// A member looks at its group.
    pub(super) fn look(&self, member: u64) -> Sight {
        match self.seats.get(&member) {
            None => Sight::Expelled,
            Some(seat) if self.preparing.is_some() && !seat.joined => Sight::Preparing,
            Some(_) if self.preparing.is_some() => Sight::Waiting,
            Some(seat) => Sight::Assigned(self.generation, seat.assigned.clone()),
        }
    }

    /// A member joins for the next generation, and says what it holds.
    pub(super) fn join(&mut self, member: u64, owned: &BTreeSet<Partition>, now: u64) {
        self.unsettle(now);
        if let Some(seat) = self.seats.get_mut(&member) {
            seat.joined = true;
            seat.owned.clone_from(owned);
        }
    }

    /// Whether a word counts.
    pub(super) fn check(&self, word: &Word) -> Result<(), Code> {
        let Some(seat) = self.seats.get(&word.member) else {
            let taken = self.seats.values().any(|seat| seat.instance == word.instance);
            return Err(if taken { Code::FencedInstanceId } else { Code::UnknownMemberId });
        };
        if seat.instance != word.instance {
            return Err(Code::FencedInstanceId);
        }
        if word.generation != self.generation { Err(Code::IllegalGeneration) } else { Ok(()) }
    }

    /// Offsets become a part of a transaction.
    pub(super) fn pend(&mut self, writer: u64, offsets: Pending) {
        self.pending.entry(writer).or_default().extend(offsets);
    }

    /// A transaction's mark on the group's own topic.
    pub(super) fn settle(&mut self, writer: u64, commit: bool) {
        let pending = self.pending.remove(&writer).unwrap_or_default();
        if commit {
            self.offsets.extend(pending);
        }
    }

    /// What the group has committed; None while a transaction that says so is undecided.
    pub(super) fn stable(&self, topic: &str, partition: Partition) -> Option<Option<Offset>> {
        let of = |((name, at), _): &((String, Partition), Offset)| name == topic && *at == partition;
        if self.pending.values().flatten().any(of) {
            return None;
        }
        Some(self.committed(topic, partition))
    }

    /// What the group has committed.
    pub(super) fn committed(&self, topic: &str, partition: Partition) -> Option<Offset> {
        self.offsets.get(&(topic.to_owned(), partition)).copied()
    }

    /// Whether every partition is with a member that knows it.
    pub(super) fn is_calm(&self) -> bool {
        let assigned: usize = self.seats.values().map(|seat| seat.assigned.len()).sum();
        self.preparing.is_none() && assigned == self.partitions as usize
    }

    /// The process whose member holds a partition.
    pub(super) fn holder(&self, partition: Partition) -> Option<usize> {
        self.seats.values().find(|seat| seat.assigned.contains(&partition)).map(|seat| seat.process)
    }
}

//! The coordinator of transactions: epochs that fence, and marks that come when they come.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::State;
use crate::Partition;

/// Where a mark is to be written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Lane(String, Partition),
    /// The group's own topic, where its offsets are.
    Offsets,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is open; and how the last transaction ended, where it was one of this epoch.
    #[default]
    Idle,
    Ongoing,
    /// Decided, with the marks that are still to be written.
    Ending {
        commit: bool,
        marks: Vec<(u64, Target)>,
    },
}

/// What is known of a transactional id.
#[derive(Clone, Debug)]
pub(super) struct Id {
    pub(super) writer: u64,
    pub(super) epoch: u32,
    pub(super) phase: Phase,
    /// Rises with every transaction.
    pub(super) serial: u64,
    last: Option<bool>,
    places: BTreeSet<Target>,
    began: u64,
}

/// A request to end a transaction that is still under way.
#[derive(Clone, Debug)]
pub(super) struct Late {
    pub(super) due: u64,
    pub(super) id: String,
    pub(super) epoch: u32,
    pub(super) serial: u64,
    pub(super) commit: bool,
}

impl State {
    /// A producer begins: whatever was open under the id is aborted first.
    pub(super) fn init(&mut self, id: &str) -> Result<u32, Code> {
        let writers = self.ids.len() as u64;
        let entry = self.ids.entry(id.to_owned()).or_insert_with(|| Id {
            writer: writers + 1,
            epoch: 0,
            phase: Phase::Idle,
            serial: 0,
            last: None,
            places: BTreeSet::new(),
            began: 0,
        });
        match entry.phase {
            Phase::Idle => {
                entry.epoch += 1;
                entry.last = None;
                Ok(entry.epoch)
            }
            Phase::Ongoing => {
                entry.epoch += 1;
                self.decide(id, false);
                Err(Code::ConcurrentTransactions)
            }
            Phase::Ending { .. } => Err(Code::ConcurrentTransactions),
        }
    }

    fn current(&mut self, id: &str, epoch: u32) -> Result<&mut Id, Code> {
        let entry = self.ids.get_mut(id).ok_or(Code::InvalidProducerIdMapping)?;
        if entry.epoch == epoch { Ok(entry) } else { Err(Code::InvalidProducerEpoch) }
    }

    /// A place becomes a part of the transaction; the first one begins it.
    pub(super) fn add(&mut self, id: &str, epoch: u32, target: Target) -> Result<(), Code> {
        let now = self.now;
        let entry = self.current(id, epoch)?;
        match entry.phase {
            Phase::Ending { .. } => return Err(Code::ConcurrentTransactions),
            Phase::Idle => {
                entry.phase = Phase::Ongoing;
                entry.serial += 1;
                entry.began = now;
                entry.last = None;
            }
            Phase::Ongoing => {}
        }
        entry.places.insert(target);
        Ok(())
    }

    /// The writer behind an id, if it may write to a place now (brokers verify since 3.6).
    pub(super) fn verified(&mut self, id: &str, epoch: u32, target: &Target) -> Result<u64, Code> {
        let entry = self.current(id, epoch)?;
        let open = entry.phase == Phase::Ongoing && entry.places.contains(target);
        if open { Ok(entry.writer) } else { Err(Code::InvalidTransactionalState) }
    }

    /// A request to end the transaction arrives.
    pub(super) fn end(&mut self, id: &str, epoch: u32, commit: bool) -> Result<(), Code> {
        let entry = self.current(id, epoch)?;
        match &entry.phase {
            Phase::Ongoing => {
                self.decide(id, commit);
                Ok(())
            }
            Phase::Ending { commit: ending, .. } if *ending == commit => Err(Code::ConcurrentTransactions),
            Phase::Idle if entry.last == Some(commit) => Ok(()),
            Phase::Ending { .. } | Phase::Idle => Err(Code::InvalidTransactionalState),
        }
    }

    /// A transaction is decided; its marks are written one by one, each in its time.
    fn decide(&mut self, id: &str, commit: bool) {
        let Some(entry) = self.ids.get(id) else { return };
        let places = Vec::from_iter(entry.places.iter().cloned());
        let marks = places.into_iter().map(|place| (self.now + self.lag(), place)).collect();
        if let Some(entry) = self.ids.get_mut(id) {
            entry.phase = Phase::Ending { commit, marks };
        }
        self.write_marks();
    }

    /// Writes the marks that are due.
    pub(super) fn write_marks(&mut self) {
        if self.now < self.away.transactions {
            return;
        }
        let mut due = Vec::new();
        for entry in self.ids.values_mut() {
            let Phase::Ending { commit, marks } = &mut entry.phase else { continue };
            let commit = *commit;
            due.extend(marks.extract_if(.., |(at, _)| *at <= self.now).map(|(_, place)| (entry.writer, commit, place)));
            if marks.is_empty() {
                entry.phase = Phase::Idle;
                entry.last = Some(commit);
                entry.places.clear();
            }
        }
        for (writer, commit, place) in due {
            match place {
                Target::Lane(topic, partition) => {
                    if let Some(lane) = self.lane_mut(&topic, partition) {
                        lane.mark(writer, commit);
                    }
                }
                Target::Offsets => self.group.settle(writer, commit),
            }
        }
    }

    /// Aborts what has been open for too long, and fences who opened it.
    pub(super) fn expire_transactions(&mut self) {
        if self.now < self.away.transactions {
            return;
        }
        let (now, timeout) = (self.now, self.times.transaction_ms);
        let late = |entry: &Id| entry.phase == Phase::Ongoing && now.saturating_sub(entry.began) > timeout;
        let ids: Vec<String> = self.ids.iter().filter(|(_, entry)| late(entry)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            if let Some(entry) = self.ids.get_mut(&id) {
                entry.epoch += 1;
            }
            self.decide(&id, false);
        }
    }

    /// Requests that were under way arrive. One that meets a later transaction than its own ends that one (KIP-890).
    pub(super) fn arrive(&mut self) {
        if self.late.is_empty() || self.now < self.away.transactions {
            return;
        }
        let now = self.now;
        let due: Vec<Late> = self.late.extract_if(.., |late| late.due <= now).collect();
        for Late { id, epoch, serial, commit, .. } in due {
            let meets = self.ids.get(&id).map(|entry| (entry.epoch, &entry.phase, entry.serial));
            let strikes = meets.is_some_and(|(of, phase, at)| of == epoch && *phase == Phase::Ongoing && at != serial);
            if self.end(&id, epoch, commit).is_ok() && strikes {
                self.counts.strikes += 1;
            }
        }
    }

    /// How many transactions are undecided, or their marks not written.
    pub(super) fn undecided(&self) -> usize {
        self.ids.values().filter(|entry| entry.phase != Phase::Idle).count()
    }
}

/// What is known of all ids.
pub(super) type Ids = BTreeMap<String, Id>;

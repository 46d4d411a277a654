//! A worker's handle on Kafka.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::calls::{Cluster, Member, Outgoing, Place};
use super::changelog::{Batch, Before, Tail, key_into, value_of};
use super::footer::{Footer, Sum};
use super::group::Shared;
use super::inbox::{Change, Found, Inbox, Standing};
use super::librdkafka::Librdkafka;
use super::pack::{Packed, Packs};
use super::transactor::{Failure, Transactor, Word};
use crate::failpoint::failpoint;
use crate::{
    Append, Budget, Changes, CommitError, Committed, Error, Lease, Log, Mutations, Offset, Partition, Polled, Position,
    Topic, Transaction,
};

/// How long a transaction of unknown outcome may stay undecided: its coordinator may be moving.
const UNDECIDED: Duration = Duration::from_secs(60);

/// A worker's handle on Kafka. Polled and committed from one thread.
pub struct Worker<C: Cluster = Librdkafka> {
    cluster: Arc<C>,
    shared: Arc<Shared>,
    member: Arc<C::Member>,
    inbox: Arc<Inbox>,
    leases: Vec<Lease>,
    held: BTreeMap<Partition, Standing>,
    transactor: Transactor<C>,
    /// Reads changelogs after a commit of unknown outcome.
    tail: Option<Tail<C>>,
    /// What those reads found, to be applied.
    found: BTreeMap<Partition, VecDeque<Batch>>,
    names: Names,
    /// A producer was made: nothing is left open under this worker's id.
    begun: bool,
    broken: bool,
    #[cfg(feature = "sabotage")]
    kept: Option<Arc<Word<C>>>,
}

impl<C: Cluster> Worker<C> {
    pub(super) fn new(
        cluster: Arc<C>,
        shared: Arc<Shared>,
        member: Arc<C::Member>,
        inbox: Arc<Inbox>,
        number: usize,
    ) -> Self {
        let transactor = Transactor::new(Arc::clone(&cluster), &shared.settings, number, shared.watchdog.clone());
        let names = Names::new(&shared.settings.prefix);
        Self {
            cluster,
            shared,
            member,
            inbox,
            leases: Vec::new(),
            held: BTreeMap::new(),
            transactor,
            tail: None,
            found: BTreeMap::new(),
            names,
            begun: false,
            broken: false,
            #[cfg(feature = "sabotage")]
            kept: None,
        }
    }

    fn take_note(&mut self, changes: Vec<Change>) -> Polled {
        let (mut lost, mut gained) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Gained(lease, standing) => {
                    self.held.insert(lease.partition, standing);
                    gained.push(lease);
                }
                Change::Lost(lease) => {
                    self.held.remove(&lease.partition);
                    self.found.remove(&lease.partition);
                    lost.push(lease);
                }
            }
        }
        self.leases.retain(|lease| !lost.contains(lease));
        self.leases.extend(&gained);
        gained.retain(|lease| self.leases.contains(lease));
        Polled::Assignment { lost, gained }
    }

    /// Everything between the beginning of a transaction and its commit. Returns the changelog's next offsets.
    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<(Partition, Offset)>, Failure> {
        let word = self.word(&transaction.inputs)?;
        let inputs = self.inputs(&transaction.inputs);
        self.transactor.begin()?;
        failpoint("before-produce");
        for append in &transaction.outputs {
            self.send(append)?;
        }
        let sums = self.send_state(&transaction.state)?;
        let footers = self.send_footers(&transaction.inputs, sums)?;
        failpoint("after-produce");
        #[cfg(feature = "sabotage")]
        let word = match crate::sabotage::is(crate::sabotage::Bug::CachedWord) {
            true => self.kept.get_or_insert(Arc::new(word)).clone(),
            false => Arc::new(word),
        };
        let offsets = self.transactor.commit(&inputs, &word)?;
        failpoint("commit-acked");
        let mut changelog = Vec::with_capacity(offsets.len());
        for ((partition, footer), (_, offset)) in footers.into_iter().zip(sorted(offsets)) {
            self.held.insert(partition, Standing { footer, next: offset + 1 });
            changelog.push((partition, offset + 1));
        }
        Ok(changelog)
    }

    /// The group's word, under which the inputs' partitions are held. It is taken before it is asked whether they still
    /// are: a rebalance takes partitions away before it gives a new word, so a word from after it never comes with
    /// partitions from before it. With that pair a zombie would pass.
    fn word(&self, inputs: &[Position]) -> Result<Word<C>, Failure> {
        let word = self.member.word().ok_or(Failure::Fenced)?;
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is(crate::sabotage::Bug::IgnoredFencing) {
            return Ok(word);
        }
        let ours = |input: &Position| self.lease(input.partition).is_some_and(|lease| self.shared.has(lease));
        if inputs.iter().all(ours) { Ok(word) } else { Err(Failure::Fenced) }
    }

    fn lease(&self, partition: Partition) -> Option<Lease> {
        self.leases.iter().find(|lease| lease.partition == partition).copied()
    }

    fn inputs(&self, inputs: &[Position]) -> Vec<Place> {
        let place = |input: &Position| Place {
            topic: self.shared.settings.name(&input.topic),
            partition: input.partition,
            at: input.next,
        };
        inputs.iter().map(place).collect()
    }

    fn send(&mut self, append: &Append) -> Result<(), Failure> {
        let record = &append.record;
        #[cfg(not(feature = "sabotage"))]
        let partition = append.partition;
        #[cfg(feature = "sabotage")]
        let partition = match crate::sabotage::strikes(crate::sabotage::Bug::WrongPartition, 11) {
            true => (append.partition + 1) % self.shared.settings.partitions,
            false => append.partition,
        };
        self.transactor.send(&Outgoing {
            topic: self.names.of(&append.topic),
            partition,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
            timestamp_ms: Some(record.timestamp_ms),
            asked: 0,
        })
    }

    /// The state writes to their partitions' changelogs, and what their footers are to say of them.
    fn send_state(&mut self, state: &Mutations) -> Result<BTreeMap<Partition, Sum>, Failure> {
        let settings = Arc::clone(&self.shared.settings);
        let mut sums = BTreeMap::<Partition, Sum>::new();
        let mut packs = Packs::default();
        let mut key = Vec::new();
        #[cfg(not(feature = "sabotage"))]
        let sent = state.len();
        #[cfg(feature = "sabotage")]
        let sent = state.len() - usize::from(crate::sabotage::strikes(crate::sabotage::Bug::DroppedRecord, 7));
        for mutation in state.iter().take(sent) {
            let standing = Mutations::partition_of(mutation.key()).and_then(|of| Some((of, self.held.get(&of)?)));
            let (partition, standing) = standing.ok_or_else(|| Failure::Failed(strange(mutation.key())))?;
            let value = value_of(&mutation).map_err(Failure::Failed)?;
            if !settings.packed.contains(&mutation.table()) {
                key_into(&mut key, mutation.table(), mutation.key());
                self.send_change(partition, &key, value, &mut sums)?;
            } else if let Some(packed) = packs.add(partition, standing.footer.batch + 1, &mutation) {
                self.send_pack(&packed, &mut sums)?;
            }
        }
        let numbers = BTreeMap::from_iter(self.held.iter().map(|(of, standing)| (*of, standing.footer.batch + 1)));
        packs.finish(|partition| numbers[&partition]).try_for_each(|packed| self.send_pack(&packed, &mut sums))?;
        Ok(sums)
    }

    fn send_pack(&mut self, packed: &Packed, sums: &mut BTreeMap<Partition, Sum>) -> Result<(), Failure> {
        self.send_change(packed.partition, &packed.key, Some(&packed.value), sums)
    }

    /// A record of a partition's changelog.
    fn send_change(
        &mut self,
        partition: Partition,
        key: &[u8],
        value: Option<&[u8]>,
        sums: &mut BTreeMap<Partition, Sum>,
    ) -> Result<(), Failure> {
        sums.entry(partition).or_default().add(key, value);
        let topic = self.names.of(&self.shared.settings.changelog);
        let (key, headers, timestamp_ms) = (Some(key), [].as_slice(), None);
        self.transactor.send(&Outgoing { topic, partition, key, value, headers, timestamp_ms, asked: 0 })
    }

    /// A footer for each partition that the transaction read or wrote.
    fn send_footers(
        &mut self,
        inputs: &[Position],
        mut sums: BTreeMap<Partition, Sum>,
    ) -> Result<Vec<(Partition, Footer)>, Failure> {
        let read = inputs.iter().map(|input| input.partition);
        let partitions: BTreeSet<Partition> = read.chain(sums.keys().copied()).collect();
        let changelog = self.shared.settings.changelog.clone();
        let mut footers = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let standing = self.held.get(&partition).ok_or_else(|| Failure::Failed(not_held(partition)))?;
            let its = Vec::from_iter(inputs.iter().filter(|input| input.partition == partition));
            let footer = standing.footer.follow(&its, sums.remove(&partition).unwrap_or_default());
            footers.push((partition, footer));
            let footer = &footers[footers.len() - 1].1;
            self.transactor.send(&Outgoing {
                topic: self.names.of(&changelog),
                partition,
                key: Some(&footer.key()),
                value: Some(&footer.encode()),
                headers: &[],
                timestamp_ms: None,
                asked: footers.len(),
            })?;
        }
        Ok(footers)
    }

    /// Reads what a partition's changelog holds beyond what is known, to be handed out, and reads the inputs anew from
    /// where that ends.
    fn reread(&mut self, partition: Partition) -> Result<(), Error> {
        let Some(standing) = self.held.get(&partition).cloned() else { return Ok(()) };
        let tail = match &self.tail {
            Some(tail) => tail,
            None => self.tail.insert(Tail::open(&self.cluster, &self.shared.settings)?),
        };
        let before = if standing.footer.batch == 0 { Before::Nothing } else { Before::Known(standing.footer.clone()) };
        let mut batches = VecDeque::new();
        let mut next = standing.next;
        let footer = tail.read(partition, standing.next, before, UNDECIDED, |batch| {
            next = batch.next;
            batches.push_back(batch);
            Ok(())
        })?;
        let footer = footer.unwrap_or(standing.footer);
        self.found.entry(partition).or_default().extend(batches);
        // What was taken away meanwhile is not read any more: the worker is about to hear of it.
        if let Some(lease) = self.lease(partition) {
            self.shared.reread(lease, footer.clone());
        }
        self.held.insert(partition, Standing { footer, next });
        Ok(())
    }
}

impl<C: Cluster> Log for Worker<C> {
    fn assignment(&self) -> &[Lease] {
        &self.leases
    }

    fn poll(&mut self, budget: Budget) -> Result<Polled, Error> {
        if self.broken {
            return Err(Error::Misuse("after a failed commit the log is rewound before it is used".to_owned()));
        }
        if !self.begun {
            // What a predecessor of the same name left open would keep restoring waiting until its time is out.
            self.transactor.prepare()?;
            self.begun = true;
        }
        match self.inbox.take(budget, self.shared.settings.linger)? {
            Found::Changes(changes) => Ok(self.take_note(changes)),
            Found::Records(records) => Ok(Polled::Records(records)),
        }
    }

    fn commit(&mut self, transaction: Transaction) -> Result<Committed, CommitError> {
        let committed = self.transact(&transaction);
        self.broken = committed.is_err();
        match committed {
            Ok(changelog) => Ok(Committed::Unapplied { state: transaction.state, changelog }),
            Err(Failure::Failed(why)) => Err(CommitError::Failed(why)),
            Err(Failure::Aborted(reason) | Failure::Unknown(reason)) => Err(CommitError::Unknown { reason }),
            Err(Failure::Fenced) => {
                let partitions = BTreeSet::from_iter(transaction.inputs.iter().map(|input| input.partition));
                Err(CommitError::Fenced { partitions: partitions.into_iter().collect() })
            }
        }
    }

    fn rewind(&mut self) -> Result<(), Error> {
        // Whatever was open under this worker's id is over once a producer has begun anew.
        self.transactor.discard();
        self.transactor.prepare()?;
        let deadline = self.cluster.now() + UNDECIDED;
        for partition in Vec::from_iter(self.held.keys().copied()) {
            while let Err(why) = self.reread(partition) {
                if self.cluster.now() > deadline || !matches!(why, Error::Broker { .. } | Error::Stalled { .. }) {
                    return Err(why);
                }
                tracing::warn!(partition, %why, "what became of a transaction cannot be read yet");
                self.tail = None;
            }
        }
        self.broken = false;
        Ok(())
    }

    /// What a rewind found. A partition that is gained was brought up to date before the worker heard of it.
    fn changelog(&mut self, partition: Partition, from: Offset) -> Result<Option<Changes>, Error> {
        let found = self.found.entry(partition).or_default();
        while let Some(batch) = found.pop_front() {
            if batch.next > from {
                return Ok(Some(Changes { state: batch.state, next: batch.next }));
            }
        }
        Ok(None)
    }
}

impl<C: Cluster> Drop for Worker<C> {
    fn drop(&mut self) {
        self.inbox.close();
        self.transactor.discard();
    }
}

fn sorted(mut offsets: Vec<(usize, Offset)>) -> Vec<(usize, Offset)> {
    offsets.sort_unstable();
    offsets
}

fn strange(key: &[u8]) -> Error {
    Error::Misuse(format!("a state write to `{key:02x?}`, which belongs to no partition that this worker holds"))
}

fn not_held(partition: Partition) -> Error {
    Error::Misuse(format!("partition `{partition}` was consumed by a worker that does not hold it"))
}

/// The names of topics on the cluster, each made once.
#[derive(Debug)]
struct Names {
    prefix: String,
    known: Vec<(Topic, String)>,
}

impl Names {
    fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), known: Vec::new() }
    }

    fn of(&mut self, topic: &Topic) -> &str {
        let at = self.known.iter().position(|(known, _)| known == topic).unwrap_or_else(|| {
            self.known.push((topic.clone(), format!("{}{topic}", self.prefix)));
            self.known.len() - 1
        });
        &self.known[at].1
    }
}

//! The loop of a worker, on any log: read, decide, write.

use std::collections::BTreeMap;
use std::sync::Arc;

use musubi_core::change::Output;
use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_core::touchpoint::Rejection;
use musubi_log::{
    Append, Budget, CommitError, Committed, Delivery, Lease, Log, Mutation, Mutations, Offset, Polled, Table, Topic,
    Transaction, failpoint,
};
use musubi_schema::{Unavailable, Writers, avro};
use musubi_store::{self as store, Stored, Tables, Writer, keys};

use crate::account::Accounts;
use crate::contract::{Contract, Letterhead};
use crate::intake::{Intake, Reading, Refused};
use crate::machine::{Alert, Input, Machine, Options, Verdict};
use crate::outbox::Outbox;

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed or is corrupt.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] musubi_log::Error),
    /// A record could not be encoded.
    #[error(transparent)]
    Encode(#[from] avro::Error),
    /// A schema that records were written under could not be had: they wait until it can.
    #[error(transparent)]
    Schema(#[from] Unavailable),
}

/// A store that a worker keeps up to date itself, where its log does not.
pub trait Store: Tables {
    /// Applies state writes, atomically.
    fn apply(&mut self, state: &Mutations) -> Result<(), store::Error>;
}

/// What a turn did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Records read.
    pub records: usize,
    /// Touchpoints that became evidence.
    pub taken: u64,
    /// Copies.
    pub duplicates: u64,
    /// Touchpoints that were forgotten before they came.
    pub forgotten: u64,
    /// Records set aside.
    pub quarantined: u64,
    /// Messages sent to other partitions.
    pub messages: u64,
    /// What was said downstream.
    pub outputs: Vec<Output>,
    /// Clusters above `max_cluster`.
    pub alerts: Vec<Alert>,
    /// Whether the commit was refused or its outcome is unknown: what was done will be done again, or was done.
    pub undone: bool,
}

/// A worker: the partitions that its log assigns to it, and their state.
pub struct Worker<L, T> {
    log: L,
    machine: Machine<Stored<T>>,
    reading: Reading,
    partitions: u32,
    policy: Arc<Policy>,
    letterhead: Letterhead,
}

impl<L: Log, T: Store> Worker<L, T> {
    /// A worker on a log of `partitions` partitions with the state that `tables` hold.
    pub fn new(
        log: L,
        tables: T,
        policy: Arc<Policy>,
        deployment: DeploymentKey,
        partitions: u32,
        options: Options,
    ) -> Self {
        let machine = Machine::new(Arc::clone(&policy), partitions, Stored(tables), options);
        let reading = Reading::new(Arc::clone(&policy), deployment, partitions);
        let letterhead = Letterhead::new(Contract::default());
        Self { log, machine, reading, partitions, policy, letterhead }
    }

    /// The same worker, which writes by this contract and reads what was written under these schemas. Without, it writes
    /// single objects and knows no schema by a number.
    pub fn with_contract(mut self, contract: Contract, mut writers: Writers) -> Self {
        writers.add_ours(&contract.framing);
        self.letterhead = Letterhead::new(contract);
        self.reading = self.reading.with_writers(writers);
        self
    }

    /// The partitions that it holds.
    pub fn assignment(&self) -> &[Lease] {
        self.log.assignment()
    }

    /// The state beneath.
    pub fn tables(&mut self) -> &mut T {
        &mut self.machine.reader_mut().0
    }

    /// Reads one batch, decides, and commits it. No records is no turn.
    pub fn turn(&mut self, budget: Budget) -> Result<Turn, Error> {
        let deliveries = match self.log.poll(budget)? {
            Polled::Records(deliveries) => deliveries,
            Polled::Assignment { lost, gained } => {
                self.reassign(&lost, &gained)?;
                return Ok(Turn::default());
            }
        };
        if deliveries.is_empty() {
            return Ok(Turn::default());
        }
        let decided = self.decide(&deliveries);
        if decided.is_err() {
            self.machine.forget();
            self.log.rewind()?;
        }
        let (transaction, mut turn) = decided?;
        #[cfg(feature = "sabotage")]
        if musubi_core::sabotage::is(musubi_core::sabotage::Bug::WriteBeforeCommit) {
            self.tables().apply(&transaction.state)?;
        }
        match self.log.commit(transaction) {
            Ok(Committed::Applied) => {}
            Ok(Committed::Unapplied { state, changelog }) => self.apply(state, &changelog)?,
            Err(CommitError::Failed(why)) => {
                self.recover()?;
                return Err(why.into());
            }
            Err(CommitError::Fenced { .. } | CommitError::Unknown { .. }) => {
                self.recover()?;
                turn = Turn { undone: true, records: turn.records, ..Turn::default() };
            }
        }
        Ok(turn)
    }

    /// Decides a batch: the state is changed in memory only.
    fn decide(&mut self, deliveries: &[Delivery]) -> Result<(Transaction, Turn), Error> {
        self.reading.prepare(deliveries)?;
        let mut turn = Turn { records: deliveries.len(), ..Turn::default() };
        let newest = deliveries.iter().map(|delivery| delivery.record.timestamp_ms).max().unwrap_or_default();
        let mut out = Outbox::new(&self.letterhead, self.partitions, newest);
        let mut inputs = Vec::with_capacity(deliveries.len());
        let mut touchpoints = Vec::new();
        let mut accounts = Accounts::default();
        for delivery in deliveries {
            match self.reading.record(delivery) {
                Intake::Refused(refused) => {
                    turn.quarantined += 1;
                    accounts.count(delivery.partition, |account| &mut account.quarantined);
                    out.quarantine(&refused, delivery, self.reading.show(delivery).as_deref())?;
                }
                // Keyed otherwise than we would have: one hop more, and right all the same.
                Intake::Input(owner, Input::Touchpoint { .. } | Input::Directive(_)) if owner != delivery.partition => {
                    let (topic, record) = (delivery.topic.clone(), delivery.record.clone());
                    accounts.count(delivery.partition, |account| &mut account.forwarded);
                    out.appends.push(Append { topic, partition: owner, record });
                }
                Intake::Input(owner, input) => {
                    match input {
                        Input::Touchpoint { .. } => touchpoints.push(delivery),
                        Input::Directive(_) => accounts.count(delivery.partition, |account| &mut account.directives),
                        Input::Message(_) => accounts.count(delivery.partition, |account| &mut account.messages),
                    }
                    inputs.push((owner, input));
                }
            }
        }
        let effects = self.machine.step(inputs)?;
        for (verdict, delivery) in effects.verdicts.iter().zip(touchpoints) {
            accounts.count(delivery.partition, |account| match verdict {
                Verdict::Taken => &mut account.taken,
                Verdict::Duplicate => &mut account.duplicates,
                Verdict::Forgotten => &mut account.forgotten,
                Verdict::Rejected(_) => &mut account.quarantined,
            });
            match verdict {
                Verdict::Taken => turn.taken += 1,
                Verdict::Duplicate => turn.duplicates += 1,
                Verdict::Forgotten => turn.forgotten += 1,
                Verdict::Rejected(rejection) => {
                    turn.quarantined += 1;
                    let refused = refuse(&mut self.reading, delivery, *rejection);
                    out.quarantine(&refused, delivery, self.reading.show(delivery).as_deref())?;
                }
            }
        }
        for (partition, message) in &effects.messages {
            turn.messages += 1;
            out.message(*partition, message);
        }
        out.outputs(&effects.outputs, &self.policy.version)?;
        let mut state = State::default();
        self.machine.write(&mut state);
        accounts.write(&self.machine.reader_mut().0, &mut state.0)?;
        turn.outputs = effects.outputs;
        turn.alerts = effects.alerts;
        let transaction = Transaction { inputs: positions(deliveries), outputs: out.appends, state: state.0 };
        Ok((transaction, turn))
    }

    /// After a commit that failed or may have failed: what is in memory is no longer to be believed.
    fn recover(&mut self) -> Result<(), Error> {
        #[cfg(feature = "sabotage")]
        let forgets = !musubi_core::sabotage::is(musubi_core::sabotage::Bug::ReusedOverlay);
        #[cfg(not(feature = "sabotage"))]
        let forgets = true;
        if forgets {
            self.machine.forget();
        }
        self.log.rewind()?;
        let held: Vec<Lease> = self.log.assignment().to_vec();
        self.restore(&held)
    }

    fn reassign(&mut self, _lost: &[Lease], gained: &[Lease]) -> Result<(), Error> {
        self.machine.forget();
        self.restore(gained)
    }

    /// Brings the state of partitions up to date with their changelogs.
    fn restore(&mut self, leases: &[Lease]) -> Result<(), Error> {
        for lease in leases {
            let mut next = self.changelog_position(lease.partition)?;
            while let Some(changes) = self.log.changelog(lease.partition, next)? {
                self.apply(changes.state, &[(lease.partition, changes.next)])?;
                next = changes.next;
            }
        }
        Ok(())
    }

    fn apply(&mut self, mut state: Mutations, changelog: &[(u32, Offset)]) -> Result<(), Error> {
        #[cfg(feature = "sabotage")]
        if musubi_core::sabotage::strikes(musubi_core::sabotage::Bug::CommitBeforeWrite, 13) {
            let mut only_positions = Mutations::new();
            for (partition, next) in changelog {
                only_positions.put(Table(keys::META), &keys::changelog(*partition), &next.to_be_bytes());
            }
            self.machine.forget();
            return Ok(self.tables().apply(&only_positions)?);
        }
        for (partition, next) in changelog {
            state.put(Table(keys::META), &keys::changelog(*partition), &next.to_be_bytes());
        }
        failpoint("before-write");
        self.tables().apply(&state)?;
        failpoint("after-write");
        Ok(())
    }

    fn changelog_position(&mut self, partition: u32) -> Result<Offset, Error> {
        let mut next = 0;
        self.tables().get_many(keys::META, &[keys::changelog(partition)], |_, value| {
            next = value.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
            Ok(())
        })?;
        Ok(next)
    }
}

/// A touchpoint that was refused where it came in. It is read once more: to keep every name at hand would cost more.
fn refuse(reading: &mut Reading, delivery: &Delivery, rejection: Rejection) -> Refused {
    let (source, event_id) = match reading.record(delivery) {
        Intake::Input(_, Input::Touchpoint { observation, .. }) => {
            (Some(observation.effect.source), Some(observation.effect.event_id))
        }
        Intake::Input(..) | Intake::Refused(_) => (None, None),
    };
    Refused { source, event_id, reason: rejection.reason(), detail: String::new() }
}

/// Where each partition of each topic is to be read next.
fn positions(deliveries: &[Delivery]) -> Vec<musubi_log::Position> {
    let mut next: BTreeMap<(&Topic, u32), Offset> = BTreeMap::new();
    let together = |one: &Delivery, other: &Delivery| one.partition == other.partition && one.topic == other.topic;
    // Records come in stretches of one input's partition, each in order: the last of a stretch tells.
    for stretch in deliveries.chunk_by(together) {
        let last = &stretch[stretch.len() - 1];
        next.insert((&last.topic, last.partition), last.offset + 1);
    }
    next.into_iter()
        .map(|((topic, partition), next)| musubi_log::Position { topic: topic.clone(), partition, next })
        .collect()
}

/// State writes on their way into a transaction, or to a [`Store`].
#[derive(Debug, Default)]
pub struct State(pub Mutations);

impl Writer for State {
    fn put(&mut self, table: &'static str, key: &[u8], value: &[u8]) {
        self.0.put(Table(table), key, value);
    }

    fn delete(&mut self, table: &'static str, key: &[u8]) {
        self.0.delete(Table(table), key);
    }

    fn delete_range(&mut self, table: &'static str, from: &[u8], to: &[u8]) {
        self.0.delete_range(Table(table), from, to);
    }
}

/// Applies state writes to any writer.
pub fn replay<'a>(state: impl IntoIterator<Item = Mutation<'a>>, writer: &mut impl Writer) {
    for mutation in state {
        match mutation {
            Mutation::Put { table, key, value } => writer.put(table.0, key, value),
            Mutation::Delete { table, key } => writer.delete(table.0, key),
            Mutation::DeleteRange { table, from, to } => writer.delete_range(table.0, from, to),
        }
    }
}

impl Store for store::InMemory {
    fn apply(&mut self, state: &Mutations) -> Result<(), store::Error> {
        replay(state.iter(), self);
        Ok(())
    }
}

impl Store for store::Rocks {
    fn apply(&mut self, state: &Mutations) -> Result<(), store::Error> {
        self.write(|batch| replay(state.sorted(), batch))
    }
}

//! Brings the state of partitions up to date with their changelogs: of those this process was given, and of those it
//! keeps warm for the day it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Settings;
use super::calls::Cluster;
use super::changelog::{Batch, Before, Stale, Tail};
use super::footer::{Covered, Footer};
use super::group::Shared;
use super::inbox::Standing;
use super::librdkafka::Librdkafka;
use super::replica::Replica;
use crate::failpoint::failpoint;
use crate::{Error, Lease, Mutations, Offset, Partition, Topic};

/// How long what somebody else left open may stay undecided: the broker aborts it after the transaction timeout.
const UNDECIDED: Duration = Duration::from_secs(60);
/// How many partitions are restored at a time: one is bound by the network, and more by two cores.
pub(super) const RESTORERS: usize = 2;
/// How often changelogs of others are looked at.
const GLANCE: Duration = Duration::from_millis(500);
/// How many bytes of writes are gathered before they are brought in, sorted.
const RUN: usize = 256 * 1024 * 1024;

/// How far one partition's restoring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restoring {
    /// Where it began.
    pub from: Offset,
    /// How far it is.
    pub at: Offset,
    /// Where the changelog ended when it began.
    pub end: Offset,
    /// When it began.
    pub since: Instant,
}

/// What is being restored. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<BTreeMap<Partition, Restoring>>>);

impl Progress {
    /// What is being restored now.
    pub fn now(&self) -> BTreeMap<Partition, Restoring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, partition: Partition, restoring: Option<Restoring>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match restoring {
            Some(restoring) => drop(all.insert(partition, restoring)),
            None => drop(all.remove(&partition)),
        }
    }

    fn reach(&self, partition: Partition, at: Offset) {
        if let Some(restoring) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&partition) {
            restoring.at = at;
        }
    }
}

/// Restores what the process is given, one partition after another, until nobody gives any.
pub(super) fn run<C: Cluster>(cluster: Arc<C>, shared: &Shared, leases: &Mutex<Receiver<Lease>>) {
    let mut restoration = Restoration::new(cluster);
    loop {
        let next = leases.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(lease) = next else { return };
        loop {
            let desk = shared.desks[lease.partition as usize].lock().unwrap_or_else(PoisonError::into_inner);
            match restoration.attempt(shared, lease, &desk) {
                Attempt::Done => break,
                Attempt::Again => restoration.cluster.pause(GLANCE),
            }
        }
    }
}

/// How an attempt at a partition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It is restored, or nobody's here any more, or it never will be.
    Done,
    /// Once more, later.
    Again,
}

/// Somebody who restores, with the means to do it.
pub(super) struct Restoration<C: Cluster> {
    cluster: Arc<C>,
    tail: Option<Tail<C>>,
}

impl<C: Cluster> Restoration<C> {
    pub(super) fn new(cluster: Arc<C>) -> Self {
        Self { cluster, tail: None }
    }

    /// Tries to bring a partition up to date, for as long as the process holds it. The desk is the partition's.
    pub(super) fn attempt(&mut self, shared: &Shared, lease: Lease, _desk: &MutexGuard<'_, ()>) -> Attempt {
        if !shared.holds(lease) {
            return Attempt::Done;
        }
        match self.restore(shared, lease) {
            Ok(()) => Attempt::Done,
            Err(why @ (Error::Broker { .. } | Error::Stalled { .. })) => {
                tracing::warn!(partition = lease.partition, %why, "a partition cannot be restored yet");
                self.tail = None;
                Attempt::Again
            }
            Err(why) => {
                shared.fail(&why);
                Attempt::Done
            }
        }
    }

    fn restore(&mut self, shared: &Shared, lease: Lease) -> Result<(), Error> {
        let tail = open(&mut self.tail, &self.cluster, &shared.settings)?;
        // Asked before the changelog is read: what somebody commits meanwhile is then no contradiction.
        let committed = tail.committed(&shared.settings, lease.partition)?;
        let standing = restore(&Restorer::of(shared), tail, lease.partition)?;
        agree(&shared.settings, lease.partition, committed, &standing.footer)?;
        shared.restored(lease, standing);
        Ok(())
    }

    /// Applies what is new in the changelog of a partition that somebody else holds. The desk is the partition's.
    pub(super) fn follow(
        &mut self,
        shared: &Shared,
        partition: Partition,
        _desk: &MutexGuard<'_, ()>,
    ) -> Result<(), Error> {
        let tail = open(&mut self.tail, &self.cluster, &shared.settings)?;
        follow(shared, tail, partition)
    }
}

fn open<'a, C: Cluster>(
    tail: &'a mut Option<Tail<C>>,
    cluster: &Arc<C>,
    settings: &Settings,
) -> Result<&'a Tail<C>, Error> {
    match tail {
        Some(tail) => Ok(tail),
        None => Ok(tail.insert(Tail::open(cluster, settings)?)),
    }
}

/// What restoring takes.
struct Restorer<'a> {
    settings: &'a Settings,
    replica: &'a dyn Replica,
    progress: &'a Progress,
    /// Whether the process is ending.
    leaving: &'a AtomicBool,
}

impl<'a> Restorer<'a> {
    fn of(shared: &'a Shared) -> Self {
        let Shared { settings, replica, progress, leaving, .. } = shared;
        Self { settings, replica: replica.as_ref(), progress, leaving }
    }
}

/// Brings a partition's state to the end of its changelog.
fn restore<C: Cluster>(shared: &Restorer<'_>, tail: &Tail<C>, partition: Partition) -> Result<Standing, Error> {
    let name = shared.settings.name(&shared.settings.changelog);
    let (start, end) = tail.bounds(&name, partition)?;
    let known = shared.replica.position(partition)?;
    let from = known.unwrap_or(start);
    shared.progress.set(partition, Some(Restoring { from, at: from, end, since: Instant::now() }));
    let caught_up = match known {
        _ if start > 0 => Err(Error::Mismatch {
            what: format!(
                "the changelog `{name}/{partition}`, of which the beginning was deleted: a part of the state"
            ),
            wanted: "one that begins at 0".to_owned(),
            found: format!("one that begins at {start}"),
        }),
        Some(next) if next > end => Err(Error::Mismatch {
            what: format!("the changelog `{name}/{partition}`, which the state has read further than it goes"),
            wanted: format!("at least {next} records"),
            found: end.to_string(),
        }),
        Some(next) => follow_on(shared, tail, partition, next, end),
        None => load(shared, tail, partition, start),
    };
    shared.progress.set(partition, None);
    let (footer, next) = caught_up?;
    let footer = match footer {
        Some(footer) => footer,
        None => beginning(shared, tail, partition)?,
    };
    tracing::info!(partition, from, next, batch = footer.batch, "a partition's state is up to date");
    Ok(Standing { footer, next })
}

/// Brings the state of every partition up to date without joining the group: for those who look, and work nothing.
///
/// # Errors
/// As for a worker's restoring.
pub fn recover(settings: &Settings, replica: Arc<dyn Replica>, progress: &Progress) -> Result<(), Error> {
    let cluster = Arc::new(Librdkafka::new(Arc::new(settings.clone())));
    let next = AtomicU32::new(0);
    let work = || -> Result<(), Error> {
        let tail = Tail::open(&cluster, settings)?;
        let restorer = Restorer { settings, replica: replica.as_ref(), progress, leaving: &AtomicBool::new(false) };
        loop {
            let partition = next.fetch_add(1, Ordering::Relaxed);
            if partition >= settings.partitions {
                return Ok(());
            }
            restore(&restorer, &tail, partition)?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..RESTORERS.min(settings.partitions as usize)).map(|_| scope.spawn(work)).collect();
        let mut worked = threads.into_iter().map(|thread| thread.join().expect("restoring answers with its errors"));
        worked.try_for_each(|done| done)
    })
}

/// As [`recover`], from a cluster, one partition after the other.
///
/// # Errors
/// As for a worker's restoring.
pub fn recover_from<C: Cluster>(
    cluster: Arc<C>,
    settings: &Settings,
    replica: Arc<dyn Replica>,
    progress: &Progress,
) -> Result<(), Error> {
    let tail = Tail::open(&cluster, settings)?;
    let restorer = Restorer { settings, replica: replica.as_ref(), progress, leaving: &AtomicBool::new(false) };
    (0..settings.partitions).try_for_each(|partition| restore(&restorer, &tail, partition).map(drop))
}

/// Where inputs begin that nobody has read.
fn beginning<C: Cluster>(shared: &Restorer<'_>, tail: &Tail<C>, partition: Partition) -> Result<Footer, Error> {
    let mut inputs = Vec::new();
    for topic in &shared.settings.inputs {
        let (start, _) = tail.bounds(&shared.settings.name(topic), partition)?;
        inputs.push(Covered { topic: topic.to_string(), from: start, next: start });
    }
    Ok(Footer { inputs, ..Footer::default() })
}

/// From what is here, where that still leads to the end; else from nothing.
fn follow_on<C: Cluster>(
    shared: &Restorer<'_>,
    tail: &Tail<C>,
    partition: Partition,
    next: Offset,
    end: Offset,
) -> Result<(Option<Footer>, Offset), Error> {
    // Behind the last footer stands nothing but its transaction's mark.
    let at_the_end = next + 1 >= end;
    match tail.stale(partition, next.saturating_sub(1))? {
        Some(why) if why == Stale::Gone || !at_the_end => {
            tracing::warn!(partition, next, ?why, "the state here is too old for its changelog: it is restored anew");
            load(shared, tail, partition, 0)
        }
        Some(_) | None => catch_up(shared, tail, partition, next),
    }
}

/// That the changelog knows of everything the group has read. Where it does not, its end was lost, and going on would be
/// to read and say again what was said: nobody does that in silence.
fn agree(
    settings: &Settings,
    partition: Partition,
    committed: Vec<(Topic, Offset)>,
    footer: &Footer,
) -> Result<(), Error> {
    for (topic, committed) in committed {
        let known = footer.next(&topic).unwrap_or_default();
        if committed > known {
            return Err(Error::Mismatch {
                what: format!(
                    "`{}/{partition}`, which the group has read further than the changelog `{}` knows",
                    settings.name(&topic),
                    settings.name(&settings.changelog)
                ),
                wanted: format!("offset {committed}"),
                found: known.to_string(),
            });
        }
    }
    Ok(())
}

/// From what is here: batch by batch. The footer before the position is read once more, for it says where inputs go on.
fn catch_up<C: Cluster>(
    shared: &Restorer<'_>,
    tail: &Tail<C>,
    partition: Partition,
    next: Offset,
) -> Result<(Option<Footer>, Offset), Error> {
    let mut reached = next;
    let footer = tail.read(partition, next.saturating_sub(1), Before::First, UNDECIDED, |batch| {
        failpoint("restore");
        shared.replica.apply(partition, &batch.state, batch.next)?;
        reached = batch.next;
        go_on(shared, partition, reached)
    })?;
    Ok((footer, reached))
}

/// From nothing: the newest value of each key, in sorted runs that the store takes in whole.
fn load<C: Cluster>(
    shared: &Restorer<'_>,
    tail: &Tail<C>,
    partition: Partition,
    start: Offset,
) -> Result<(Option<Footer>, Offset), Error> {
    // A restoring that was cut off has left values and no position.
    shared.replica.clear(partition)?;
    let mut run = Run::default();
    let mut reached = start;
    let footer = tail.read(partition, start, Before::Nothing, UNDECIDED, |batch: Batch| {
        run.0.append(&batch.state);
        reached = batch.next;
        go_on(shared, partition, reached)?;
        if run.bytes() < RUN { Ok(()) } else { run.load(shared.replica) }
    })?;
    failpoint("ingest");
    run.load(shared.replica)?;
    failpoint("ingested");
    if footer.is_some() {
        shared.replica.apply(partition, &Mutations::new(), reached)?;
    }
    Ok((footer, reached))
}

/// Tells how far a partition is; stops where the process is ending.
fn go_on(shared: &Restorer<'_>, partition: Partition, reached: Offset) -> Result<(), Error> {
    shared.progress.reach(partition, reached);
    if shared.leaving.load(Ordering::Acquire) {
        return Err(Error::Stalled { what: "the process is ending".to_owned() });
    }
    Ok(())
}

/// Writes gathered to be brought in at once.
#[derive(Default)]
struct Run(Mutations);

impl Run {
    /// What it takes in memory: the bytes, and what is kept of each write to sort it.
    fn bytes(&self) -> usize {
        const EACH: usize = 128;
        self.0.size() + EACH * self.0.len()
    }

    /// Hands over the newest write of each key, by table and key, and begins anew.
    fn load(&mut self, replica: &dyn Replica) -> Result<(), Error> {
        replica.load(&self.0.sorted())?;
        self.0.clear();
        Ok(())
    }
}

/// Keeps the state of partitions warm that others hold.
pub(super) fn stand_by<C: Cluster>(cluster: Arc<C>, shared: &Shared) {
    let mut restoration = Restoration::new(cluster);
    while !shared.leaving.load(Ordering::Acquire) {
        for partition in 0..shared.settings.partitions {
            let desk = shared.desks[partition as usize].lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(why) = restoration.follow(shared, partition, &desk) {
                tracing::warn!(partition, %why, "a standby fell behind");
            }
        }
        restoration.cluster.pause(GLANCE);
    }
}

fn follow<C: Cluster>(shared: &Shared, tail: &Tail<C>, partition: Partition) -> Result<(), Error> {
    if shared.touches(partition) {
        return Ok(());
    }
    let name = shared.settings.name(&shared.settings.changelog);
    let (start, end) = tail.bounds(&name, partition)?;
    match shared.replica.position(partition)? {
        Some(next) if next < end => follow_on(&Restorer::of(shared), tail, partition, next, end).map(drop),
        None if start < end => load(&Restorer::of(shared), tail, partition, start).map(drop),
        Some(_) | None => Ok(()),
    }
}

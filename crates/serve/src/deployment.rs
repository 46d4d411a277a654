//! A deployment: one directory that holds the log and the state, and the policy and key that rule it.

use std::path::Path;
use std::sync::Arc;

use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_log::embedded::{self, Cleanup, Compaction, Durability, Embedded, Retention, Settings, TopicSettings};
use musubi_log::{Table, Topic};
use musubi_stitcher::Worker;
use musubi_stitcher::topics::{ALL, COMPACTED, DIRECTIVES, INPUTS, MESH, PROFILE_CHANGES, QUARANTINE, TOUCHPOINTS};
use musubi_store::{self as store, Rocks, STATE_FAMILIES, Tables};

use crate::facts::{self, Facts};
use crate::{Error, key};

/// The consumer group of the stitcher.
pub const GROUP: &str = "stitcher";

/// How many partitions a fresh deployment gets where nobody says. One process gains little from more, and a few leave
/// room for a move to Kafka with the same partitioning.
const PARTITIONS: u32 = 4;
/// More than any machine can use; keeps a slip of the finger from making a million lanes.
const MOST_PARTITIONS: u32 = 1_024;
/// How long events and changes can be read again: 30 days.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// How a deployment works. None of it changes who is who.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How the state is cached.
    pub store: store::Options,
    /// What a stitcher's commit survives. Touchpoints that were answered with 200 survive a power failure either way.
    pub durability: Durability,
    /// How the stitcher works.
    pub machine: musubi_stitcher::Options,
    /// With more records than this still to be stitched, the door asks senders to come again later.
    pub max_lag: u64,
}

impl Default for Options {
    /// Commits that survive the end of the process, and half a million records of lag: some ten seconds of work.
    fn default() -> Self {
        Self {
            store: store::Options::default(),
            durability: Durability::Wal,
            machine: musubi_stitcher::Options::default(),
            max_lag: 500_000,
        }
    }
}

/// What is on disk: the state and the log in one database, which one process can have open at a time. Cheap to clone.
#[derive(Clone)]
pub struct Disk {
    /// The state.
    pub rocks: Rocks,
    /// The log.
    pub log: Embedded,
    /// How many partitions every topic has.
    pub partitions: u32,
}

impl Disk {
    /// Opens a directory to look at what is in it, whatever policy and key it was made with.
    ///
    /// # Errors
    /// [`Error::NothingThere`]; [`Error::Store`] where a running process has it open.
    pub fn inspect(directory: &Path) -> Result<Self, Error> {
        // The file that every RocksDB directory has: without it, opening would make one.
        if !directory.join("CURRENT").exists() {
            return Err(Error::NothingThere(directory.to_owned()));
        }
        let options = Options::default();
        let rocks = open_database(directory, options)?;
        let found = facts::read(&rocks, directory)?.ok_or_else(|| Error::NothingThere(directory.to_owned()))?;
        Self::of(rocks, found.partitions, options)
    }

    fn of(rocks: Rocks, partitions: u32, options: Options) -> Result<Self, Error> {
        let settings = Settings {
            topics: ALL.into_iter().map(|topic| settings_of(topic, partitions)).collect(),
            tables: STATE_FAMILIES.map(Table).to_vec(),
            durability: options.durability,
        };
        let log = Embedded::open(Arc::clone(rocks.database()), settings)?;
        Ok(Self { rocks, log, partitions })
    }

    /// How many records of each topic that the stitcher reads are still to be stitched, as of one moment.
    ///
    /// # Errors
    /// None in practice: the topics exist.
    pub fn lag(&self) -> Result<[u64; 3], Error> {
        let lag = self.log.lag(GROUP, &INPUTS)?;
        Ok(lag.try_into().expect("there is one number for each topic"))
    }
}

/// A directory with the policy and the key that rule it. Cheap to clone: clones are the same deployment.
#[derive(Clone)]
pub struct Deployment {
    /// What is on disk.
    pub disk: Disk,
    /// The policy.
    pub policy: Arc<Policy>,
    /// The key.
    pub key: DeploymentKey,
    /// How it works.
    pub options: Options,
}

impl Deployment {
    /// Opens a directory, or makes it. A fresh one gets `partitions`, or 4; one that exists must agree with all that is
    /// said here.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where it does not agree; [`Error::Store`] where a running process has it open.
    pub fn open(
        directory: &Path,
        policy: Arc<Policy>,
        key: DeploymentKey,
        partitions: Option<u32>,
        options: Options,
    ) -> Result<Self, Error> {
        if let Some(found) = partitions.filter(|count| !(1..=MOST_PARTITIONS).contains(count)) {
            return Err(Error::Partitions { most: MOST_PARTITIONS, found });
        }
        std::fs::create_dir_all(directory)?;
        let rocks = open_database(directory, options)?;
        let found = facts::read(&rocks, directory)?;
        let kept = found.as_ref().map(|facts| facts.partitions);
        let wanted = Facts {
            policy: policy.version.to_string(),
            partitions: partitions.or(kept).unwrap_or(PARTITIONS),
            deployment: key::digest(&key),
        };
        match found {
            Some(found) => wanted.agree(&found, directory)?,
            None => claim(&rocks, &wanted, directory)?,
        }
        let disk = Disk::of(rocks, wanted.partitions, options)?;
        disk.log.flush()?;
        Ok(Self { disk, policy, key, options })
    }

    /// The stitcher's worker over every partition. A second one takes the partitions from the first.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn worker(&self) -> Result<Worker<embedded::Worker, Rocks>, Error> {
        let partitions = Vec::from_iter(0..self.disk.partitions);
        let log = self.disk.log.worker(GROUP, &INPUTS, &partitions)?;
        let (policy, key) = (Arc::clone(&self.policy), self.key.clone());
        Ok(Worker::new(log, self.disk.rocks.clone(), policy, key, self.disk.partitions, self.options.machine))
    }
}

fn open_database(directory: &Path, options: Options) -> Result<Rocks, Error> {
    let configure = |database: &mut _| embedded::configure(database, options.durability);
    Ok(Rocks::new(store::open_with(directory, options.store, embedded::families(), configure)?))
}

/// Makes a fresh directory ours. One that holds state and says nothing of itself is somebody else's.
fn claim(rocks: &Rocks, facts: &Facts, directory: &Path) -> Result<(), Error> {
    for table in [store::keys::PARENTS, store::keys::CLUSTERS, store::keys::META] {
        let mut strange = false;
        rocks.scan(table, &[0, 0], |_, _| {
            strange = true;
            Ok(())
        })?;
        if strange {
            return Err(Error::Mismatch {
                directory: directory.to_owned(),
                what: "state by",
                wanted: "musubi up".to_owned(),
                found: "another command".to_owned(),
                advice: "use another directory",
            });
        }
    }
    facts::write(rocks, facts)
}

fn settings_of(topic: Topic, partitions: u32) -> TopicSettings {
    let cleanup = cleanup_of(&topic);
    TopicSettings { topic, partitions, cleanup }
}

fn cleanup_of(topic: &Topic) -> Cleanup {
    let kept_for_a_while = || Cleanup::Delete(Retention { max_age_ms: Some(KEPT_MS), ..Retention::default() });
    match topic {
        // A queue: what was heard is gone.
        topic if *topic == MESH => Cleanup::Delete(Retention { max_records: Some(0), ..Retention::default() }),
        topic if COMPACTED.contains(topic) => Cleanup::Compact(Compaction::default()),
        topic if [TOUCHPOINTS, DIRECTIVES, PROFILE_CHANGES, QUARANTINE].contains(topic) => kept_for_a_while(),
        _ => Cleanup::Keep,
    }
}

//! A deployment on a Kafka cluster: any number of processes that share its topics, each with a part of the state.

mod aside;
mod collect;
mod evidence;
mod rebuild;
mod stitch;

use std::path::Path;
use std::sync::Arc;

use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_log::kafka::{self, Cleanup, Planned, Settings};
use musubi_log::{Table, Topic};
use musubi_schema::Writers;
use musubi_stitcher::topics::{
    ALL, COMPACTED, DIRECTIVES, INPUTS, MESH, PROFILE_IDENTIFIERS, PROFILE_TRAITS, TOUCHPOINTS,
};
use musubi_stitcher::{Contract, Reading};
use musubi_store::{self as store, Rocks, STATE_FAMILIES, keys};

use crate::facts::{self, Facts};
use crate::{Error, key};

pub use aside::quarantine;
pub use collect::{Collecting, collect, collect_only};
pub use rebuild::{Told, live, rebuild, verify};
pub use stitch::{Stitching, stitch};

/// How long changes and what was set aside can be read again: 30 days.
const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// A deployment on a cluster. Cheap enough to clone.
#[derive(Clone)]
pub struct Cluster {
    /// How the cluster is met.
    pub settings: Settings,
    /// How many copies of each partition the cluster keeps; 0 for what it does by itself.
    pub replication: u16,
    /// The policy.
    pub policy: Arc<Policy>,
    /// The key.
    pub key: DeploymentKey,
    /// How the state is cached.
    pub store: store::Options,
    /// How the stitcher works.
    pub machine: musubi_stitcher::Options,
    /// What is promised downstream: how values are framed, and what stands in the headers.
    pub contract: Contract,
    /// The schemas that others wrote under.
    pub writers: Writers,
    /// How many records a batch takes at most.
    pub batch: usize,
}

/// The settings with which a stitcher meets a cluster.
pub fn settings(bootstrap: &str, partitions: u32) -> Settings {
    let mut settings =
        Settings::new(bootstrap, INPUTS.to_vec(), TOUCHPOINTS, STATE_FAMILIES.map(Table).to_vec(), partitions);
    // Hashes and where they lead: written once or nearly so, and nobody can be read off them.
    settings.packed = [keys::SEEN, keys::PARENTS].map(Table).to_vec();
    settings
}

impl Cluster {
    /// Every topic as it should be.
    pub fn plan(&self) -> Vec<Planned> {
        let planned = |topic: Topic, cleanup| Planned::new(&self.settings, topic, cleanup, self.replication);
        let flat = [PROFILE_IDENTIFIERS, PROFILE_TRAITS];
        let said = ALL.into_iter().filter(|topic| self.contract.rows || !flat.contains(topic));
        let topics = said.map(|topic| {
            let cleanup = cleanup_of(&topic);
            planned(topic, cleanup)
        });
        topics.chain([planned(self.settings.changelog.clone(), Cleanup::Changelog)]).collect()
    }

    /// Refuses to begin where the topics are not what they should be.
    ///
    /// # Errors
    /// [`Error::Topics`] with every difference; [`Error::Log`].
    pub fn check(&self) -> Result<(), Error> {
        let differences = kafka::check(&self.settings, &self.plan())?;
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::Topics(differences.iter().map(ToString::to_string).collect()))
    }

    /// As [`Cluster::state`], for a process that can restore it: what is damaged is set aside, and an empty one takes its
    /// place, to be filled from the changelog. Nobody begins twice with the same damaged one.
    fn state_or_aside(&self, directory: &Path) -> Result<Rocks, Error> {
        let noted = store::is_noted_damaged(directory);
        let opened = if noted { None } else { Some(self.state(directory)) };
        match opened {
            None => {}
            Some(Err(Error::Store(why))) if why.is_damage() => {
                tracing::error!(%why, directory = %directory.display(), "the state is damaged");
            }
            Some(opened) => return opened,
        }
        let aside = store::set_aside(directory)?;
        tracing::error!(aside = %aside.display(), "the damaged state is set aside and restored from the changelog");
        self.state(directory)
    }

    /// What reads the records of this deployment.
    fn reading(&self) -> Reading {
        let mut writers = self.writers.clone();
        writers.add_ours(&self.contract.framing);
        Reading::new(Arc::clone(&self.policy), self.key.clone(), self.settings.partitions).with_writers(writers)
    }

    /// Opens the state of this process, or makes it. What is there must have been made under the same policy, key and
    /// number of partitions.
    ///
    /// # Errors
    /// [`Error::Mismatch`]; [`Error::Store`] where another process has it open.
    pub fn state(&self, directory: &Path) -> Result<Rocks, Error> {
        std::fs::create_dir_all(directory)?;
        let rocks = Rocks::new(store::open(directory, self.store, Vec::new())?);
        let wanted = Facts {
            policy: self.policy.version.to_string(),
            partitions: self.settings.partitions,
            deployment: key::digest(&self.key),
        };
        match facts::read(&rocks, directory)? {
            Some(found) => wanted.agree(&found, directory)?,
            None => facts::write(&rocks, &wanted)?,
        }
        Ok(rocks)
    }
}

/// Touchpoints and directives are the evidence: kept for ever, so that a rebuild has them. The mesh is a queue, and what
/// everybody has read of it is deleted.
fn cleanup_of(topic: &Topic) -> Cleanup {
    match topic {
        topic if COMPACTED.contains(topic) => Cleanup::Compact,
        topic if [TOUCHPOINTS, DIRECTIVES, MESH].contains(topic) => Cleanup::Delete(None),
        _ => Cleanup::Delete(Some(KEPT_MS)),
    }
}

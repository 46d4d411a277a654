//! The entrance: what a collector needs to know of a deployment, whatever log is behind it.

use std::sync::Arc;

use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_core::time::Timestamp;
use musubi_log::kafka::Edge;
use musubi_log::{Producer, Record};
use musubi_schema::{Framing, avro};

use crate::cluster::Cluster;
use crate::problem::Problem;
use crate::{Deployment, Disk, Error, clock};

/// What a collector needs to know of a deployment. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub(crate) policy: Arc<Policy>,
    pub(crate) key: DeploymentKey,
    pub(crate) partitions: u32,
    /// How values are written.
    pub(crate) framing: Framing,
    /// Where records go, durably.
    pub(crate) log: Arc<dyn Producer>,
    /// The persons, where they are kept by this process.
    pub(crate) persons: Option<Disk>,
}

impl Entrance {
    /// A record as it stands on its topic.
    pub(crate) fn record(&self, key: &str, value: &avro::Record<'_>, now: Timestamp) -> Result<Record, Problem> {
        let mut bytes = Vec::with_capacity(512);
        self.framing.encode(value, &mut bytes).map_err(|why| Problem::failed(&why))?;
        Ok(Record::new(key.as_bytes().to_vec(), bytes, clock::milliseconds(now)))
    }
}

impl Deployment {
    /// The entrance to this directory's log.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance {
            policy: Arc::clone(&self.policy),
            key: self.key.clone(),
            partitions: self.disk.partitions,
            framing: Framing::default(),
            log: Arc::new(self.disk.log.clone()),
            persons: Some(self.disk.clone()),
        }
    }
}

impl Cluster {
    /// The entrance to the cluster's topics, which are as they should be.
    pub(crate) fn entrance(&self) -> Result<Entrance, Error> {
        self.check()?;
        Ok(Entrance {
            policy: Arc::clone(&self.policy),
            key: self.key.clone(),
            partitions: self.settings.partitions,
            framing: self.contract.framing.clone(),
            log: Arc::new(Edge::open(&self.settings)?),
            persons: None,
        })
    }
}

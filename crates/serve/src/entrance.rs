//! The entrance: what a collector needs to know of a deployment, whatever log is behind it.

use std::sync::Arc;

use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_log::Producer;

use crate::{Deployment, Disk};

/// What a collector needs to know of a deployment. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub(crate) policy: Arc<Policy>,
    pub(crate) key: DeploymentKey,
    pub(crate) partitions: u32,
    /// Where records go, durably.
    pub(crate) log: Arc<dyn Producer>,
    /// The persons, where they are kept by this process.
    pub(crate) persons: Option<Disk>,
}

impl Deployment {
    /// The entrance to this directory's log.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance {
            policy: Arc::clone(&self.policy),
            key: self.key.clone(),
            partitions: self.disk.partitions,
            log: Arc::new(self.disk.log.clone()),
            persons: Some(self.disk.clone()),
        }
    }
}

//! A run that has come to rest, whatever world it ran in: what the oracles are asked about.

use musubi_log::model::Model;
use musubi_log::{Budget, Delivery, Reader as _, Topic, simulated};
use musubi_store::InMemory;

use crate::Failed;
use crate::disk::Disk;
use crate::driver::Totals;
use crate::scenario::Scenario;

/// Topics that can be read.
pub(crate) trait Shelf {
    /// Everything on a topic, partition by partition, in order of offset.
    fn records(&self, topic: &Topic) -> Result<Vec<Delivery>, Failed>;
}

impl Shelf for simulated::Cluster {
    fn records(&self, topic: &Topic) -> Result<Vec<Delivery>, Failed> {
        let mut records = Vec::new();
        for partition in 0..self.partitions(topic)? {
            records.extend(self.read(topic, partition, 0, Budget::records(usize::MAX))?.records);
        }
        Ok(records)
    }
}

impl Shelf for Model {
    fn records(&self, topic: &Topic) -> Result<Vec<Delivery>, Failed> {
        let partitions = self.ends().iter().filter(|ends| ends.topic == *topic).count() as u32;
        Ok((0..partitions).flat_map(|partition| Model::records(self, topic, partition)).collect())
    }
}

/// A run that has come to rest.
pub(crate) struct Rest<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) shelf: &'a dyn Shelf,
    /// The disk of the worker that holds each partition.
    pub(crate) disks: Vec<Disk>,
    /// The state of each partition as its changelog gives it to somebody who starts with nothing.
    pub(crate) rebuilt: Vec<InMemory>,
    pub(crate) totals: Totals,
}

impl Rest<'_> {
    /// The disk of the worker that holds a partition.
    pub(crate) fn disk(&self, partition: u32) -> &Disk {
        &self.disks[partition as usize]
    }
}

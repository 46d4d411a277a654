//! The census: how many there are of everything, and the fingerprint of it all, read from the state in one pass.

use musubi_core::change::Snapshot;
use musubi_core::cluster::Cluster;
use musubi_core::fingerprint::Fingerprint;
use musubi_core::forest::Home;
use musubi_stitcher::topics::partition_of;
use musubi_stitcher::{snapshot, standing_resolution};
use musubi_store::{Rocks, Stored};

use crate::{Disk, Error};

/// What is in the state, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The fingerprint of what has its home in each partition. Which home a cluster has depends on which of its roots
    /// met first, so these compare two copies of one state; the sum over all compares any two builds.
    pub partitions: Vec<Fingerprint>,
    /// The fingerprint of the persons whose profiles stand in each partition of their topic. It is decided by their ids
    /// alone, so these compare any two builds, part by part.
    pub by_person: Vec<Fingerprint>,
    /// Identifiers that belong to a person.
    pub identifiers: u64,
    /// Persons, without the shared identifiers.
    pub persons: u64,
    /// Shared identifiers: marked as such, and nobody.
    pub shared: u64,
    /// Clusters: containers of one or more persons. How many there are may depend on the order of arrival: what was
    /// united through an identifier before it turned out to be shared stays in one.
    pub clusters: u64,
    /// Whether nothing was on its way when it was taken. Two censuses of the same touchpoints can be compared only where
    /// both are settled.
    pub settled: bool,
}

impl Census {
    /// Takes the census. It reads the whole state.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn take(disk: &Disk) -> Result<Self, Error> {
        // Before the snapshot: a commit publishes its positions after its state, so what counts as consumed is in it.
        let settled = disk.lag()? == [0; 3];
        Self::of(&disk.rocks, disk.partitions, settled)
    }

    /// Takes the census of a state, of which somebody else knows whether it is settled.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn of(rocks: &Rocks, partitions: u32, settled: bool) -> Result<Self, Error> {
        Self::gathered(&vec![rocks.clone(); partitions as usize], settled)
    }

    /// Takes the census of a state whose partitions lie in several databases: the one of each partition in order.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn gathered(databases: &[Rocks], settled: bool) -> Result<Self, Error> {
        let by_person = vec![Fingerprint::default(); databases.len()];
        let mut census = Self { settled, by_person, ..Self::default() };
        for (partition, rocks) in (0..).zip(databases) {
            let state = Stored(rocks.freeze());
            let mut fingerprint = Fingerprint::default();
            state.each_cluster(partition, |_, home| {
                if let Home::Live(cluster) = home {
                    census.count(&cluster, &mut fingerprint);
                }
                Ok(())
            })?;
            census.partitions.push(fingerprint);
        }
        Ok(census)
    }

    /// The fingerprint over all partitions.
    pub fn fingerprint(&self) -> Fingerprint {
        self.partitions.iter().fold(Fingerprint::default(), |sum, partition| sum.join(*partition))
    }

    fn count(&mut self, cluster: &Cluster, fingerprint: &mut Fingerprint) {
        let standing = standing_resolution(cluster);
        self.clusters += 1;
        for person in (0..).take(standing.anchors.len()) {
            let snapshot = snapshot(cluster, &standing, person);
            let its = fingerprint_of(&snapshot);
            *fingerprint = fingerprint.join(its);
            let partition = partition_of(&snapshot.person_id.to_string(), self.by_person.len() as u32) as usize;
            self.by_person[partition] = self.by_person[partition].join(its);
            self.identifiers += snapshot.identifiers.len() as u64;
            *(if snapshot.shared { &mut self.shared } else { &mut self.persons }) += 1;
        }
    }
}

/// The fingerprint of one person.
pub(crate) fn fingerprint_of(person: &Snapshot) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    for identifier in &person.identifiers {
        fingerprint.add_identity(identifier, person.person_id);
    }
    fingerprint.add_profile(person.person_id, person.shared, &person.profile);
    fingerprint
}

/// The census as it is answered and printed.
#[derive(serde::Serialize)]
struct Shape<'a> {
    fingerprint: String,
    partitions: Vec<String>,
    settled: bool,
    identifiers: &'a u64,
    persons: &'a u64,
    shared_identifiers: &'a u64,
    clusters: &'a u64,
}

impl Census {
    /// The census as one JSON object: `fingerprint`, `partitions` (the fingerprint of each), `settled`, `identifiers`,
    /// `persons`, `shared_identifiers`, `clusters`.
    pub fn to_json(&self) -> Vec<u8> {
        let shape = Shape {
            fingerprint: self.fingerprint().to_string(),
            partitions: self.partitions.iter().map(ToString::to_string).collect(),
            settled: self.settled,
            identifiers: &self.identifiers,
            persons: &self.persons,
            shared_identifiers: &self.shared,
            clusters: &self.clusters,
        };
        serde_json::to_vec(&shape).expect("texts and numbers are JSON")
    }
}

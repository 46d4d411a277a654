//! All evidence on the cluster, read from the beginning to where it ended when the reading began.

use std::collections::BTreeMap;

use musubi_log::kafka::Onlooker;
use musubi_log::{Budget, Delivery, Offset, Partition, Reader as _, Topic};
use musubi_stitcher::topics::{DIRECTIVES, TOUCHPOINTS};

use super::Cluster;
use crate::Error;

/// How much is read of a partition at a time.
const PIECE: Budget = Budget { records: 10_000, bytes: 16 * 1024 * 1024, patience: std::time::Duration::ZERO };

/// A place in the evidence: where each partition of each of its topics is to be read next.
pub(super) type Places = BTreeMap<(Topic, Partition), Offset>;

/// All evidence on the cluster, up to where it ended when this was opened.
pub(super) struct Evidence {
    onlooker: Onlooker,
    pub(super) next: Places,
    end: Places,
}

impl Evidence {
    /// The evidence from its beginning, or from where an earlier reading came to.
    pub(super) fn open(cluster: &Cluster, earlier: &Places) -> Result<Self, Error> {
        let onlooker = Onlooker::open(&cluster.settings)?;
        let (mut next, mut end) = (Places::new(), Places::new());
        for topic in [DIRECTIVES, TOUCHPOINTS] {
            for partition in 0..cluster.settings.partitions {
                let place = (topic.clone(), partition);
                let start = onlooker.start_offset(&topic, partition)?;
                next.insert(place.clone(), earlier.get(&place).copied().unwrap_or(start));
                end.insert(place, onlooker.end_offset(&topic, partition)?);
            }
        }
        Ok(Self { onlooker, next, end })
    }

    /// How many offsets are still to be read.
    pub(super) fn left(&self) -> u64 {
        self.end.iter().map(|(place, end)| end.saturating_sub(self.next[place])).sum()
    }

    /// A piece of every partition that has one; empty at the end.
    pub(super) fn read(&mut self) -> Result<Vec<Delivery>, Error> {
        let mut records = Vec::new();
        for ((topic, partition), end) in &self.end {
            let next = self.next.entry((topic.clone(), *partition)).or_default();
            if *next < *end {
                let mut stretch = self.onlooker.read(topic, *partition, *next, PIECE)?;
                *next = stretch.next.min(*end);
                // What came after the reading began is not for this one.
                stretch.records.retain(|delivery| delivery.offset < *end);
                records.extend(stretch.records);
            }
        }
        Ok(records)
    }
}

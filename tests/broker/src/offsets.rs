//! Committed offsets of a group, and those that wait for the end of a transaction.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::groups::Groups;
use crate::journal::Fact;
use crate::node::Node;

/// A position that a group committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offset {
    pub(crate) at: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// Offsets by topic and partition.
pub(crate) type ByPartition = BTreeMap<String, BTreeMap<i32, Offset>>;

/// The offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    pub(crate) committed: ByPartition,
    /// By producer id.
    pending: BTreeMap<i64, ByPartition>,
}

impl Offsets {
    /// Commits a position at once.
    pub(crate) fn commit(&mut self, node: &Node, group: &str, topic: &str, partition: i32, offset: Offset) {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        node.record(Fact::Offset { group, topic: topic.clone(), partition, offset: offset.clone() });
        self.take(topic, partition, offset);
    }

    /// Takes up a position that the journal knows.
    pub(crate) fn take(&mut self, topic: String, partition: i32, offset: Offset) {
        self.committed.entry(topic).or_default().insert(partition, offset);
    }

    /// Takes up positions in an open transaction that the journal knows.
    pub(crate) fn take_pending(&mut self, producer: i64, offsets: ByPartition) {
        self.pending.insert(producer, offsets);
    }

    /// Keeps positions until their transaction ends.
    pub(crate) fn hold(&mut self, node: &Node, group: &str, producer: i64, offsets: Vec<(String, i32, Offset)>) {
        let pending = self.pending.entry(producer).or_default();
        for (topic, partition, offset) in offsets {
            pending.entry(topic).or_default().insert(partition, offset);
        }
        node.record(Fact::Pending { group: group.to_owned(), producer, offsets: pending.clone() });
    }

    /// Whether an open transaction holds a position of the partition.
    pub(crate) fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        self.pending.values().any(|held| held.get(topic).is_some_and(|held| held.contains_key(&partition)))
    }

    /// Forgets positions of which that is so.
    pub(crate) fn drop_where(&mut self, node: &Node, group: &str, gone: impl Fn(&str) -> bool) {
        let topics: Vec<_> = self.committed.keys().filter(|topic| gone(topic)).cloned().collect();
        for topic in topics {
            for (partition, offset) in self.committed.remove(&topic).unwrap_or_default() {
                node.forget(&Fact::Offset { group: group.to_owned(), topic: topic.clone(), partition, offset });
            }
        }
    }
}

impl Groups {
    /// A transaction ended: what it held of these groups becomes so, or never was.
    pub(crate) fn end_transaction(&mut self, node: &Node, groups: &BTreeSet<String>, producer: i64, commit: bool) {
        for name in groups {
            let Some(group) = self.by_name.get_mut(name) else { continue };
            let Some(held) = group.offsets.pending.remove(&producer) else { continue };
            let positions = held.into_iter().flat_map(|(topic, held)| {
                held.into_iter().map(move |(partition, offset)| (topic.clone(), partition, offset))
            });
            for (topic, partition, offset) in positions.filter(|_| commit) {
                group.offsets.commit(node, name, &topic, partition, offset);
            }
            node.forget(&Fact::Pending { group: name.clone(), producer, offsets: ByPartition::new() });
        }
    }

    /// A topic was deleted, and with it the positions in it.
    pub(crate) fn forget_topic(&mut self, node: &Node, topic: &str) {
        for (name, group) in &mut self.by_name {
            group.offsets.drop_where(node, name, |known| known == topic);
        }
    }
}

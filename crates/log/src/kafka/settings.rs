//! How this process meets the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Partition, Table, Topic};

/// By which protocol a group agrees on who holds what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The classic protocol with the cooperative-sticky assignor, which every broker speaks.
    #[default]
    Classic,
    /// KIP-848: the broker assigns. Brokers from 4.0; librdkafka mended its error handling after the version here.
    Consumer,
}

/// How this process meets the cluster. None of it changes what is decided.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Properties of librdkafka as they are: `bootstrap.servers`, TLS, SASL and whatever else a cluster wants. What
    /// correctness rests on cannot be overridden by them.
    pub properties: BTreeMap<String, String>,
    /// Stands before the name of every topic, so that several deployments can share a cluster.
    pub prefix: String,
    /// The consumer group.
    pub group: String,
    /// The lasting name of this process in the group: a restart under the same name gets its partitions back without a
    /// rebalance, and aborts what its predecessor left open.
    pub instance: String,
    /// How the group agrees.
    pub protocol: Protocol,
    /// The topics a worker reads, all with the same partitions, those first that are to be read first.
    pub inputs: Vec<Topic>,
    /// The one of them whose assignment decides who holds a partition.
    pub lead: Topic,
    /// The compacted topic that holds the state.
    pub changelog: Topic,
    /// The tables of the state.
    pub tables: Vec<Table>,
    /// Those of the tables whose rows go into the changelog many to a record: written once or changed seldom, and about
    /// nobody, because what is in a pack stays for ever.
    pub packed: Vec<Table>,
    /// How many partitions every topic has.
    pub partitions: Partition,
    /// How many workers this process runs. Partition p is worked by number p modulo this.
    pub workers: usize,
    /// Whether this process keeps the state of partitions warm that others hold.
    pub standby: bool,
    /// How many records at most wait in a worker's inbox before its partitions are paused.
    pub inbox: usize,
    /// How long a poll goes on gathering after its first record. It is the least time a lone record takes, and the most
    /// that a batch gains.
    pub linger: Duration,
    /// How long a transaction may be open before the broker aborts it: also how long others wait for what a dead worker
    /// left open.
    pub transaction_timeout: Duration,
    /// How long a member may be silent before its partitions are given to others.
    pub session_timeout: Duration,
    /// For how long the changelog is surely not compacted (`min.compaction.lag.ms`): so long a batch must be whole.
    pub uncompacted: Duration,
    /// For how long deletes surely stand in the changelog (`delete.retention.ms`). A state that is older and is not at
    /// the changelog's end is restored from nothing: it may have missed some.
    pub tombstones: Duration,
}

impl Settings {
    /// The settings that measurements led to, for a group that reads `inputs`, of which `lead` decides.
    pub fn new(bootstrap: &str, inputs: Vec<Topic>, lead: Topic, tables: Vec<Table>, partitions: Partition) -> Self {
        Self {
            properties: BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap.to_owned())]),
            prefix: String::new(),
            group: "stitcher".to_owned(),
            instance: "stitcher-0".to_owned(),
            protocol: Protocol::Classic,
            inputs,
            lead,
            changelog: Topic::constant("changelog"),
            tables,
            packed: Vec::new(),
            partitions,
            workers: 1,
            standby: false,
            inbox: 40_000,
            linger: Duration::from_millis(5),
            transaction_timeout: Duration::from_secs(10),
            session_timeout: Duration::from_secs(30),
            uncompacted: Duration::from_secs(6 * 60 * 60),
            tombstones: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// The name of a topic on the cluster.
    pub fn name(&self, topic: &Topic) -> String {
        format!("{}{topic}", self.prefix)
    }
}

//! Topics: their partitions, their settings, and Kafka's defaults for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kafka_protocol::ResponseError;
use uuid::Uuid;

use crate::log::{Answer, Log};

/// Settings of a topic that the broker knows, with Kafka's defaults and type codes (`DescribeConfigs`).
pub(crate) const KNOWN: &[(&str, &str, i8)] = &[
    ("cleanup.policy", "delete", LIST),
    ("compression.type", "producer", STRING),
    ("delete.retention.ms", "86400000", LONG),
    ("file.delete.delay.ms", "60000", LONG),
    ("flush.messages", "9223372036854775807", LONG),
    ("flush.ms", "9223372036854775807", LONG),
    ("index.interval.bytes", "4096", INT),
    ("max.compaction.lag.ms", "9223372036854775807", LONG),
    ("max.message.bytes", "1048588", INT),
    ("message.timestamp.after.max.ms", "3600000", LONG),
    ("message.timestamp.before.max.ms", "9223372036854775807", LONG),
    ("message.timestamp.type", "CreateTime", STRING),
    ("min.cleanable.dirty.ratio", "0.5", DOUBLE),
    ("min.compaction.lag.ms", "0", LONG),
    ("min.insync.replicas", "1", INT),
    ("preallocate", "false", BOOLEAN),
    ("retention.bytes", "-1", LONG),
    ("retention.ms", "604800000", LONG),
    ("segment.bytes", "1073741824", INT),
    ("segment.index.bytes", "10485760", INT),
    ("segment.jitter.ms", "0", LONG),
    ("segment.ms", "604800000", LONG),
    ("unclean.leader.election.enable", "false", BOOLEAN),
];
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const DOUBLE: i8 = 6;
const LIST: i8 = 7;

/// Settings of a topic that differ from the defaults.
pub(crate) type Configs = BTreeMap<String, String>;

/// One partition, shared by everybody who reads or writes it.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) log: Mutex<Log>,
}

/// A topic as it is now; a change makes a new one that shares the partitions.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Arc<Partition>>,
    pub(crate) configs: Configs,
}

impl Topic {
    /// When it was made, in ms since 1970: its id begins with it.
    pub(crate) fn born(&self) -> u64 {
        self.id.as_u64_pair().0
    }

    pub(crate) fn partition(&self, index: i32) -> Answer<&Arc<Partition>> {
        let partition = usize::try_from(index).ok().and_then(|index| self.partitions.get(index));
        partition.ok_or(ResponseError::UnknownTopicOrPartition)
    }

    pub(crate) fn config(&self, name: &str) -> &str {
        let default = || KNOWN.iter().find(|(known, ..)| *known == name).map_or("", |(_, value, _)| value);
        self.configs.get(name).map_or_else(default, String::as_str)
    }

    /// A setting that is a number; Kafka's "unlimited" -1 is the greatest.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.config(name).parse().ok().filter(|&value| value >= 0).unwrap_or(i64::MAX)
    }

    pub(crate) fn is_compacted(&self) -> bool {
        self.config("cleanup.policy").split(',').any(|policy| policy.trim() == "compact")
    }

    pub(crate) fn is_deleted_from(&self) -> bool {
        self.config("cleanup.policy").split(',').any(|policy| policy.trim() == "delete")
    }
}

/// What is wrong with a setting, if anything is.
pub(crate) fn fault_in(name: &str, value: &str) -> Option<String> {
    let Some((_, _, kind)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
        return Some(format!("unknown topic config name: {name}"));
    };
    let fine = match *kind {
        BOOLEAN => matches!(value, "true" | "false"),
        INT => value.parse::<i32>().is_ok(),
        LONG => value.parse::<i64>().is_ok(),
        DOUBLE => value.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)),
        LIST => value.split(',').all(|policy| matches!(policy.trim(), "compact" | "delete")),
        // The test broker stamps no records and packs none anew.
        _ if name == "message.timestamp.type" => value == "CreateTime",
        _ => value == "producer",
    };
    (!fine).then(|| format!("invalid value `{value}` for configuration `{name}`"))
}

/// Kafka's rule for a topic's name.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..250).contains(&name.len()) && name.bytes().all(plain) && name != "." && name != ".."
}

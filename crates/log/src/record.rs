//! Where a record stands in the log, and what it holds.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

/// The number of a partition within a topic, from 0.
pub type Partition = u32;

/// The place of a record in its topic and partition, from 0. It never changes, whatever is deleted around it.
pub type Offset = u64;

/// The name of a topic. Cloning one made by [`Topic::constant`] costs nothing, and any other a reference count.
#[derive(Clone)]
pub struct Topic(Name);

#[derive(Clone)]
enum Name {
    Constant(&'static str),
    Shared(Arc<str>),
}

impl Topic {
    /// A topic whose name is known when the program is built.
    pub const fn constant(name: &'static str) -> Self {
        Self(Name::Constant(name))
    }

    /// A topic whose name comes from outside.
    pub fn new(name: &str) -> Self {
        Self(Name::Shared(Arc::from(name)))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Constant(name) => name,
            Name::Shared(name) => name,
        }
    }
}

impl PartialEq for Topic {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (self.as_str(), other.as_str());
        // Nearly every comparison is of one topic with itself: the address says so before the letters do.
        std::ptr::eq(left, right) || left == right
    }
}

impl Eq for Topic {}

impl PartialOrd for Topic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Topic {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Topic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A note that travels beside a record's value.
pub type Header = (Cow<'static, str>, Bytes);

/// What a producer says: bytes under a key.
///
/// The bytes of a polled record are slices of the buffer that it was read with, so a record kept for long should be
/// copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What the record is about. A compacted topic keeps the last record of each key, and refuses records without one.
    pub key: Option<Bytes>,
    /// What is said. None is a tombstone: there is nothing under this key any more.
    pub value: Option<Bytes>,
    /// Notes beside the value, in the order given.
    pub headers: Vec<Header>,
    /// Milliseconds since 1970-01-01T00:00:00Z, as the producer gives it; retention by age goes by it.
    pub timestamp_ms: i64,
}

impl Record {
    /// A record without headers.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>, timestamp_ms: i64) -> Self {
        Self { key: Some(key.into()), value: Some(value.into()), headers: Vec::new(), timestamp_ms }
    }

    /// The record that says there is nothing under this key any more.
    pub fn tombstone(key: impl Into<Bytes>, timestamp_ms: i64) -> Self {
        Self { key: Some(key.into()), value: None, headers: Vec::new(), timestamp_ms }
    }

    /// Its size in bytes as budgets count it: key, value and headers.
    pub fn size(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        length(&self.key) + length(&self.value) + headers
    }
}

/// A record to be written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The topic.
    pub topic: Topic,
    /// The partition, chosen by the producer.
    pub partition: Partition,
    /// The record.
    pub record: Record,
}

/// A record that was read, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The record's offset.
    pub offset: Offset,
    /// The record.
    pub record: Record,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_its_name_however_it_was_made() {
        let (constant, shared) = (Topic::constant("mesh"), Topic::new("mesh"));
        assert_eq!(constant, shared);
        assert_eq!(constant.cmp(&shared), Ordering::Equal);
        assert_ne!(constant, Topic::new("meshes"));
    }

    #[test]
    fn a_prefix_at_the_same_address_is_another_topic() {
        let name = "profiles-changes";
        assert_ne!(Topic::constant(name), Topic::constant(&name[..8]));
    }
}

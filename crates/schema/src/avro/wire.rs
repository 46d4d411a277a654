//! Pieces of records as serde sees them: names are those of the schemas.

use std::sync::Arc;

use musubi_core::time::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// An identifier.
#[derive(serde::Serialize)]
#[serde(rename = "Identifier")]
pub(super) struct Pair<'a> {
    pub(super) namespace: &'a str,
    pub(super) value: &'a str,
}

/// A list, each item as `show` makes it.
pub(super) struct Items<'a, T, S>(pub(super) &'a [T], pub(super) fn(&'a T) -> S);

impl<T, S: Serialize> Serialize for Items<'_, T, S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

/// An object, each entry as `show` makes it.
pub(super) struct Entries<'a, T, S>(pub(super) &'a [T], pub(super) fn(&'a T) -> (&'a str, S));

impl<T, S: Serialize> Serialize for Entries<'_, T, S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter().map(self.1) {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

pub(super) fn pair((namespace, value): &(Arc<str>, Arc<str>)) -> Pair<'_> {
    Pair { namespace, value }
}

pub(super) fn consent((purpose, given): &(Arc<str>, bool)) -> (&str, bool) {
    (purpose, *given)
}

/// Microseconds, as the schemas have them.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_micros()
}

/// A count as Avro's signed `long`. Counts beyond it do not occur.
pub(super) fn long(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// JSON as text.
pub(super) fn json(write: impl FnOnce(&mut Vec<u8>)) -> String {
    const COMMON_BYTES: usize = 256;
    let mut out = Vec::with_capacity(COMMON_BYTES);
    write(&mut out);
    String::from_utf8(out).expect("JSON is made of texts")
}

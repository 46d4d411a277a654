//! The digest of a touchpoint's content, by which a copy is told from a second event under the same name.

use std::sync::Arc;

use musubi_core::decimal::Parts;
use musubi_core::touchpoint::Touchpoint;
use musubi_core::value::Value;
use xxhash_rust::xxh3::xxh3_64;

/// Room for the bytes of a common touchpoint, so that they are gathered without growing.
const COMMON_BYTES: usize = 512;

/// What stands in the place of the time of an event that has none: no instant, since it is before all of them.
const NO_TIME: i64 = i64::MIN;

/// A digest of everything in a touchpoint except when it was received, so that a copy delivered later is still a copy.
/// Where it happened when it was received, because the sender gave no time of its own, neither instant is looked at: each
/// attempt of such a sender is received, and so happens, at another.
///
/// Equal for touchpoints that say the same: the order of identifiers and copies among them mean nothing. Not keyed and
/// not proof against somebody who makes collisions on purpose; those would only hide a sender's own second version.
pub fn content_digest(touchpoint: &Touchpoint) -> u64 {
    let mut bytes = Bytes(Vec::with_capacity(COMMON_BYTES));
    for text in [&touchpoint.source, &touchpoint.event_id, &touchpoint.channel, &touchpoint.kind] {
        bytes.text(text);
    }
    let own_time = Some(touchpoint.occurred_at).filter(|at| touchpoint.received_at != Some(*at));
    bytes.0.extend_from_slice(&own_time.map_or(NO_TIME, |at| at.as_micros()).to_le_bytes());
    bytes.identifiers(&touchpoint.identifiers);
    bytes.fields(&touchpoint.traits);
    bytes.fields(&touchpoint.properties);
    bytes.size(touchpoint.consent.len());
    for (purpose, given) in &touchpoint.consent {
        bytes.text(purpose);
        bytes.0.push((*given).into());
    }
    bytes.optional(touchpoint.household.as_deref());
    bytes.optional(touchpoint.account.as_deref());
    xxh3_64(&bytes.0)
}

/// Canonical bytes. Every text and list goes with its length, so no two contents run together.
struct Bytes(Vec<u8>);

impl Bytes {
    fn identifiers(&mut self, identifiers: &[(Arc<str>, Arc<str>)]) {
        let mut sorted: Vec<&(Arc<str>, Arc<str>)> = identifiers.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        self.size(sorted.len());
        for (namespace, value) in sorted {
            self.text(namespace);
            self.text(value);
        }
    }

    fn fields(&mut self, fields: &[(Arc<str>, Value)]) {
        self.size(fields.len());
        for (name, value) in fields {
            self.text(name);
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.push(0),
            Value::Bool(truth) => self.0.extend([1, u8::from(*truth)]),
            Value::Number(number) => self.number(&number.to_parts()),
            Value::Text(text) => {
                self.0.push(4);
                self.text(text);
            }
            Value::List(items) => {
                self.0.push(5);
                self.size(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Map(fields) => {
                self.0.push(6);
                self.fields(fields);
            }
        }
    }

    fn number(&mut self, parts: &Parts) {
        match parts {
            Parts::Small { mantissa, scale } => {
                self.0.extend([2, *scale]);
                self.0.extend_from_slice(&mantissa.to_le_bytes());
            }
            Parts::Large { mantissa, scale } => {
                self.0.push(3);
                self.0.extend_from_slice(&scale.to_le_bytes());
                self.size(mantissa.len());
                self.0.extend_from_slice(mantissa);
            }
        }
    }

    fn optional(&mut self, text: Option<&str>) {
        self.0.push(text.is_some().into());
        self.text(text.unwrap_or_default());
    }

    fn text(&mut self, text: &str) {
        self.size(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn size(&mut self, size: usize) {
        self.0.extend_from_slice(&(size as u64).to_le_bytes());
    }
}

//! The profile as others see it: one sorted list of fields and values, which diff, digest and rendering agree on.
//!
//! | field | value |
//! |---|---|
//! | `traits.NAME` | what survived; absent where a null removed it |
//! | `computed.NAME`, `computed.NAME.CHANNEL` | the computed trait over all, and in one channel |
//! | `consent.PURPOSE` | true or false |
//! | `households`, `accounts` | an object: id → `first_seen`, `last_seen` |
//! | `channels.CHANNEL` | what happened in it: `first_seen`, `last_seen`, `touchpoints` |
//! | `recent` | a list, newest first, of `channel`, `event_id`, `properties`, `source`, `time`, `type` |
//! | `first_seen`, `last_seen` | over all channels |
//!
//! Instants are numbers: microseconds since 1970. What is empty is absent.

use std::sync::Arc;

use super::{Activity, Field, Membership, Profile, Recent};
use crate::decimal::Decimal;
use crate::time::Timestamp;
use crate::value::Value;

/// Every visible field of a profile with its value, sorted by field.
///
/// Two profiles with equal views are the same to everybody downstream, though one may remember more.
pub fn view(profile: &Profile) -> Vec<(Arc<str>, Value)> {
    let mut fields: Vec<Field> = profile.traits.iter().map(|entry| Field::Trait(entry.name.clone())).collect();
    for computed in &profile.computed {
        fields.push(Field::Computed(computed.name.clone()));
        let channels = computed.channels.iter();
        fields.extend(channels.map(|part| Field::ComputedIn(computed.name.clone(), part.channel.clone())));
    }
    fields.extend(profile.consent.iter().map(|consent| Field::Consent(consent.purpose.clone())));
    fields.extend(profile.channels.iter().map(|activity| Field::Channel(activity.channel.clone())));
    fields.extend([Field::Accounts, Field::FirstSeen, Field::Households, Field::LastSeen, Field::Recent]);
    fields.sort_unstable();
    fields.iter().filter_map(|field| Some((field.name(), profile.shown(field)?.value()))).collect()
}

impl Profile {
    /// The traits that show, sorted by name.
    pub fn visible_traits(&self) -> impl Iterator<Item = (&Arc<str>, Value)> {
        self.traits.iter().filter_map(|entry| Some((&entry.name, entry.value()?)))
    }
}

pub(super) fn memberships(memberships: &[Membership]) -> Value {
    let fields = |names: &Names| -> Value {
        let show = |one: &Membership| {
            let span = [(&names.first_seen, micros(one.first_seen)), (&names.last_seen, micros(one.last_seen))];
            (one.id.clone(), object(span))
        };
        Value::Map(memberships.iter().map(show).collect())
    };
    NAMES.with(fields)
}

pub(super) fn activity(one: &Activity) -> Value {
    NAMES.with(|names| {
        object([
            (&names.first_seen, micros(one.first_seen)),
            (&names.last_seen, micros(one.last_seen)),
            (&names.touchpoints, Value::Number(Decimal::from(one.touchpoints))),
        ])
    })
}

pub(super) fn recent(recent: &[Recent]) -> Value {
    let shown: Vec<Value> = NAMES.with(|names| recent.iter().map(|one| touchpoint(one, names)).collect());
    Value::List(shown.into())
}

/// Brings shown touchpoints into the order in which a profile shows them.
pub(super) fn newest_first(touchpoints: &mut [Value]) {
    let order = |one: &Value| {
        ["time", "event_id", "source", "channel", "type", "properties"].map(|field| one.at(field).cloned())
    };
    touchpoints.sort_by_cached_key(|one| std::cmp::Reverse(order(one)));
}

fn touchpoint(one: &Recent, names: &Names) -> Value {
    let parts = one.parts();
    object([
        (&names.channel, Value::text(parts.channel)),
        (&names.event_id, Value::text(parts.event_id)),
        (&names.properties, Value::Map(one.properties().into())),
        (&names.source, Value::text(parts.source)),
        (&names.time, micros(parts.time)),
        (&names.kind, Value::text(parts.kind)),
    ])
}

/// An object of fields that are sorted already.
fn object<const FIELDS: usize>(fields: [(&Arc<str>, Value); FIELDS]) -> Value {
    Value::Map(Arc::new(fields.map(|(name, value)| (name.clone(), value))))
}

pub(super) fn micros(time: Timestamp) -> Value {
    Value::Number(Decimal::from(time.as_micros()))
}

/// The names of fields inside values.
struct Names {
    channel: Arc<str>,
    event_id: Arc<str>,
    first_seen: Arc<str>,
    kind: Arc<str>,
    last_seen: Arc<str>,
    properties: Arc<str>,
    source: Arc<str>,
    time: Arc<str>,
    touchpoints: Arc<str>,
}

thread_local! {
    /// A copy for each thread: partitions that share one would fight over its reference counts.
    static NAMES: Names = Names {
        channel: "channel".into(),
        event_id: "event_id".into(),
        first_seen: "first_seen".into(),
        kind: "type".into(),
        last_seen: "last_seen".into(),
        properties: "properties".into(),
        source: "source".into(),
        time: "time".into(),
        touchpoints: "touchpoints".into(),
    };
}

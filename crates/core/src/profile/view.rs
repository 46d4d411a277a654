//! The profile as others see it: one sorted list of fields and values, which diff, digest and rendering agree on.
//!
//! | field | value |
//! |---|---|
//! | `traits.NAME` | what survived; absent where a null removed it |
//! | `computed.NAME`, `computed.NAME.CHANNEL` | the computed trait over all, and in one channel |
//! | `consent.PURPOSE` | true or false |
//! | `households`, `accounts` | an object: id → `first_seen`, `last_seen` |
//! | `channels` | an object: channel → `first_seen`, `last_seen`, `touchpoints` |
//! | `recent` | a list, newest first, of `channel`, `event_id`, `properties`, `source`, `time`, `type` |
//! | `first_seen`, `last_seen` | over all channels |
//!
//! Instants are numbers: microseconds since 1970. What is empty is absent.

use std::sync::Arc;

use super::{Activity, Consent, Membership, Profile, Recent};
use crate::decimal::Decimal;
use crate::time::Timestamp;
use crate::value::Value;

/// Every visible field of a profile with its value, sorted by field.
///
/// Two profiles with equal views are the same to everybody downstream, though one may remember more.
pub fn view(profile: &Profile) -> Vec<(Arc<str>, Value)> {
    let mut fields = Vec::new();
    for (name, value) in profile.visible_traits() {
        fields.push((trait_field(name), value));
    }
    for computed in &profile.computed {
        fields.push((computed_field(&computed.name), computed.overall.value()));
        let by_channel = computed.channels.iter();
        fields.extend(by_channel.map(|part| (channel_field(&computed.name, &part.channel), part.fold.value())));
    }
    fields.extend(profile.consent.iter().map(|consent| (consent_field(consent), Value::Bool(consent.given))));
    let whole = [
        ("accounts", memberships(&profile.accounts)),
        ("channels", channels(&profile.channels)),
        ("first_seen", instant(profile.first_seen())),
        ("households", memberships(&profile.households)),
        ("last_seen", instant(profile.last_seen())),
        ("recent", recent(&profile.recent)),
    ];
    fields.extend(whole.into_iter().filter_map(|(field, value)| Some((field.into(), value?))));
    fields.sort_by(|(left, _), (right, _)| left.cmp(right));
    fields
}

impl Profile {
    /// The traits that show, sorted by name.
    pub fn visible_traits(&self) -> impl Iterator<Item = (&Arc<str>, Value)> {
        self.traits.iter().filter_map(|entry| Some((&entry.name, entry.value()?)))
    }
}

pub(super) fn trait_field(name: &str) -> Arc<str> {
    ["traits.", name].concat().into()
}

pub(super) fn computed_field(name: &str) -> Arc<str> {
    ["computed.", name].concat().into()
}

pub(super) fn channel_field(name: &str, channel: &str) -> Arc<str> {
    ["computed.", name, ".", channel].concat().into()
}

pub(super) fn consent_field(consent: &Consent) -> Arc<str> {
    ["consent.", &consent.purpose].concat().into()
}

pub(super) fn instant(time: Option<Timestamp>) -> Option<Value> {
    time.map(micros)
}

pub(super) fn memberships(memberships: &[Membership]) -> Option<Value> {
    let fields = |names: &Names| -> Value {
        let show = |one: &Membership| {
            let span = [(&names.first_seen, micros(one.first_seen)), (&names.last_seen, micros(one.last_seen))];
            (one.id.clone(), object(span))
        };
        Value::Map(memberships.iter().map(show).collect())
    };
    (!memberships.is_empty()).then(|| NAMES.with(fields))
}

pub(super) fn channels(channels: &[Activity]) -> Option<Value> {
    let fields = |names: &Names| -> Value {
        let show = |one: &Activity| {
            let fields = [
                (&names.first_seen, micros(one.first_seen)),
                (&names.last_seen, micros(one.last_seen)),
                (&names.touchpoints, Value::Number(Decimal::from(one.touchpoints))),
            ];
            (one.channel.clone(), object(fields))
        };
        Value::Map(channels.iter().map(show).collect())
    };
    (!channels.is_empty()).then(|| NAMES.with(fields))
}

pub(super) fn recent(recent: &[Arc<Recent>]) -> Option<Value> {
    list(NAMES.with(|names| recent.iter().map(|one| touchpoint(one, names)).collect()))
}

/// Brings shown touchpoints into the order in which a profile shows them.
pub(super) fn newest_first(touchpoints: &mut [Value]) {
    let order = |one: &Value| {
        ["time", "event_id", "source", "channel", "type", "properties"].map(|field| one.at(field).cloned())
    };
    touchpoints.sort_by_cached_key(|one| std::cmp::Reverse(order(one)));
}

fn list(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then(|| Value::List(items.into()))
}

fn touchpoint(one: &Recent, names: &Names) -> Value {
    object([
        (&names.channel, Value::Text(one.channel.clone())),
        (&names.event_id, Value::Text(one.event_id.clone())),
        (&names.properties, Value::Map(one.properties.as_slice().into())),
        (&names.source, Value::Text(one.source.clone())),
        (&names.time, micros(one.time)),
        (&names.kind, Value::Text(one.kind.clone())),
    ])
}

/// An object of fields that are sorted already.
fn object<const FIELDS: usize>(fields: [(&Arc<str>, Value); FIELDS]) -> Value {
    Value::Map(Arc::new(fields.map(|(name, value)| (name.clone(), value))))
}

fn micros(time: Timestamp) -> Value {
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

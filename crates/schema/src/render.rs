//! What is said downstream as NDJSON: one object for each record, written straight into bytes, without the line's end.
//!
//! Field names are a contract. Instants are RFC 3339 in UTC, numbers are exact, and what is optional is left out:
//!
//! | record | object |
//! |---|---|
//! | identity map | `namespace`, `value`, `person_id` (null where the identifier is forgotten) |
//! | redirect | `from`, `to` (null where the id is live again or forgotten) |
//! | profile | `person_id`, `version`, `shared`? (only where true), `identifiers` (of `namespace`, `value`), `traits`, `computed`, `channels`, `recent`, `consent`, `first_seen`, `last_seen` (null where there was no touchpoint), `households`?, `accounts`? |
//! | profile change | `person_id`, `version`, `kind`, `changes` (of `field`, `before`, `after`, null where absent), `joined`, `left`, `from`, `into`, `cause`, `policy_version` |
//! | identifier of a person | `person_id`, `namespace`, `value`, `version` |
//! | trait of a person | `person_id`, `name`, `value` (as text), `type`, `version` |
//! | quarantine | `source`, `event_id`, `reason`, `detail`, `file`?, `line`?, `original` (or `original_base64`, where it is not UTF-8) |
//!
//! `computed` holds each computed trait under its name: the value itself or, where its rule is `per_channel`,
//! `{"overall": value, "channels": {CHANNEL: value}}`. A change names the same two `computed.NAME` and
//! `computed.NAME.CHANNEL`. The other fields of a change hold what the profile holds under that name: `traits.NAME`,
//! `consent.PURPOSE` and `channels.CHANNEL` one by one, `households` and `accounts` whole, and of `recent` what went and
//! what came; so changes applied in order give the profile.

use std::borrow::Cow;

use musubi_core::change::{Cause, ProfileChange, Snapshot};
use musubi_core::identifier::Identifier;
use musubi_core::person::PersonId;
use musubi_core::profile::{Activity, Change, Computed, Field, Membership, Profile, Recent, Shown};
use musubi_core::time::Timestamp;
use musubi_core::value::Value;

use crate::avro::{IdentifierRow, TraitRow};
use crate::json::{self, Object};

/// Something set aside: what was refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined<'a> {
    /// The source, where it could be read.
    pub source: Option<&'a str>,
    /// The event id, where it could be read.
    pub event_id: Option<&'a str>,
    /// The reason in one of a few words: [`crate::Reason`] or `musubi_core::touchpoint::Rejection`.
    pub reason: &'a str,
    /// The reason for a person to read.
    pub detail: &'a str,
    /// The file it came from, in a bounded run.
    pub file: Option<&'a str>,
    /// The line in that file, counted from 1.
    pub line: Option<u64>,
    /// The bytes as they came.
    pub original: &'a [u8],
    /// What stood around them and is needed to take them again: a JSON object.
    pub envelope: Option<&'a str>,
}

/// Appends a row of the identity map.
pub fn render_identity(identifier: &Identifier, person: Option<PersonId>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.text("namespace", identifier.namespace_name());
    object.text("value", identifier.value());
    optional_person(object.field("person_id"), person);
    object.close();
}

/// Appends a redirect.
pub fn render_redirect(from: PersonId, to: Option<PersonId>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    person(object.field("from"), from);
    optional_person(object.field("to"), to);
    object.close();
}

/// Appends an identifier of a person.
pub(crate) fn render_identifier_row(row: &IdentifierRow<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    person(object.field("person_id"), row.person_id);
    object.text("namespace", row.identifier.namespace_name());
    object.text("value", row.identifier.value());
    object.number("version", row.version);
    object.close();
}

/// Appends a trait of a person.
pub(crate) fn render_trait_row(row: &TraitRow<'_>, out: &mut Vec<u8>) {
    let (kind, text) = flat(row.value);
    let mut object = Object::open(out);
    person(object.field("person_id"), row.person_id);
    object.text("name", row.name);
    object.text("value", &text);
    object.text("type", kind);
    object.number("version", row.version);
    object.close();
}

/// A value in one column of text, and the word for what it was: a text as it is, everything else as JSON.
pub(crate) fn flat(value: &Value) -> (&'static str, Cow<'_, str>) {
    let kind = match value {
        Value::Text(text) => return ("string", Cow::Borrowed(text)),
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    };
    (kind, Cow::Owned(value.to_string()))
}

/// Appends a person's state.
pub fn render_profile(snapshot: &Snapshot, out: &mut Vec<u8>) {
    let profile = &snapshot.profile;
    let mut object = Object::open(out);
    person(object.field("person_id"), snapshot.person_id);
    object.number("version", snapshot.version);
    if snapshot.shared {
        json::boolean(object.field("shared"), true);
    }
    identifiers(object.field("identifiers"), &snapshot.identifiers);
    traits(object.field("traits"), profile);
    computed(object.field("computed"), &profile.computed);
    channels(object.field("channels"), &profile.channels);
    json::list(object.field("recent"), &profile.recent, recent);
    consent(object.field("consent"), profile);
    optional_time(object.field("first_seen"), profile.first_seen());
    optional_time(object.field("last_seen"), profile.last_seen());
    for (name, held) in [("households", &profile.households), ("accounts", &profile.accounts)] {
        if !held.is_empty() {
            memberships(object.field(name), held);
        }
    }
    object.close();
}

/// Appends a change of a person, made under the policy of this version.
pub fn render_change(change: &ProfileChange, policy_version: &str, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    person(object.field("person_id"), change.person_id);
    object.number("version", change.version);
    object.text("kind", change.kind.as_str());
    json::list(object.field("changes"), &change.fields, field_change);
    identifiers(object.field("joined"), &change.joined);
    identifiers(object.field("left"), &change.left);
    json::list(object.field("from"), &change.from, |out, id| person(out, *id));
    optional_person(object.field("into"), change.into);
    cause(object.field("cause"), change.cause.as_ref());
    object.text("policy_version", policy_version);
    object.close();
}

/// Appends something set aside.
pub fn render_quarantined(quarantined: &Quarantined<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    optional_text(object.field("source"), quarantined.source);
    optional_text(object.field("event_id"), quarantined.event_id);
    object.text("reason", quarantined.reason);
    object.text("detail", quarantined.detail);
    if let Some(file) = quarantined.file {
        object.text("file", file);
    }
    if let Some(line) = quarantined.line {
        object.number("line", line);
    }
    match std::str::from_utf8(quarantined.original) {
        Ok(text) => object.text("original", text),
        Err(_) => base64(object.field("original_base64"), quarantined.original),
    }
    if let Some(envelope) = quarantined.envelope {
        object.field("envelope").extend_from_slice(envelope.as_bytes());
    }
    object.close();
}

fn person(out: &mut Vec<u8>, person: PersonId) {
    out.push(b'"');
    out.extend_from_slice(&person.text());
    out.push(b'"');
}

fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl Fn(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn optional_person(out: &mut Vec<u8>, id: Option<PersonId>) {
    optional(out, id, person);
}

fn optional_text(out: &mut Vec<u8>, text: Option<&str>) {
    optional(out, text, json::text);
}

fn optional_time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    optional(out, time, json::time);
}

fn identifiers(out: &mut Vec<u8>, identifiers: &[Identifier]) {
    json::list(out, identifiers, |out, one| json::identifier(out, one.namespace_name(), one.value()));
}

/// Writes the traits that show.
pub(crate) fn traits(out: &mut Vec<u8>, profile: &Profile) {
    let mut object = Object::open(out);
    profile.visible_traits().for_each(|(name, value)| json::value(object.named(name), &value));
    object.close();
}

pub(crate) fn computed(out: &mut Vec<u8>, computed: &[Computed]) {
    let mut object = Object::open(out);
    for one in computed {
        computed_trait(object.named(&one.name), one);
    }
    object.close();
}

fn computed_trait(out: &mut Vec<u8>, one: &Computed) {
    if one.channels.is_empty() {
        return json::value(out, &one.overall.value());
    }
    let mut object = Object::open(out);
    json::value(object.field("overall"), &one.overall.value());
    let mut channels = Object::open(object.field("channels"));
    one.channels.iter().for_each(|part| json::value(channels.named(&part.channel), &part.fold.value()));
    channels.close();
    object.close();
}

fn channels(out: &mut Vec<u8>, activities: &[Activity]) {
    let mut object = Object::open(out);
    for activity in activities {
        self::activity(object.named(&activity.channel), activity);
    }
    object.close();
}

fn activity(out: &mut Vec<u8>, activity: &Activity) {
    let mut object = Object::open(out);
    object.time("first_seen", activity.first_seen);
    object.time("last_seen", activity.last_seen);
    object.number("touchpoints", activity.touchpoints);
    object.close();
}

fn memberships(out: &mut Vec<u8>, memberships: &[Membership]) {
    let mut object = Object::open(out);
    for membership in memberships {
        let mut one = Object::open(object.named(&membership.id));
        one.time("first_seen", membership.first_seen);
        one.time("last_seen", membership.last_seen);
        one.close();
    }
    object.close();
}

fn recent(out: &mut Vec<u8>, recent: &Recent) {
    let parts = recent.parts();
    let mut object = Object::open(out);
    object.text("channel", parts.channel);
    object.text("event_id", parts.event_id);
    json::packed_fields(object.field("properties"), parts.properties, parts.count);
    object.text("source", parts.source);
    object.time("time", parts.time);
    object.text("type", parts.kind);
    object.close();
}

fn consent(out: &mut Vec<u8>, profile: &Profile) {
    let mut object = Object::open(out);
    profile.consent.iter().for_each(|one| json::boolean(object.named(&one.purpose), one.given));
    object.close();
}

fn field_change(out: &mut Vec<u8>, change: &Change) {
    let mut object = Object::open(out);
    field_name(object.field("field"), &change.field);
    optional(object.field("before"), change.before.as_ref(), shown);
    optional(object.field("after"), change.after.as_ref(), shown);
    object.close();
}

fn field_name(out: &mut Vec<u8>, field: &Field) {
    out.push(b'"');
    field.pieces().into_iter().for_each(|piece| json::escaped(out, piece));
    out.push(b'"');
}

/// Writes what a field shows, as the profile has it.
pub(crate) fn shown(out: &mut Vec<u8>, shown: &Shown) {
    match shown {
        Shown::Value(value) => json::value(out, value),
        Shown::Time(time) => json::time(out, *time),
        Shown::Activity(one) => activity(out, one),
        Shown::Memberships(held) => memberships(out, held),
        Shown::Recent(touchpoints) => json::list(out, touchpoints, recent),
    }
}

/// The word for what caused a change.
pub(crate) const fn cause_type(cause: &Cause) -> &'static str {
    if cause.directive { "directive" } else { "touchpoint" }
}

fn cause(out: &mut Vec<u8>, cause: Option<&Cause>) {
    optional(out, cause, |out, cause| {
        let mut object = Object::open(out);
        object.text("type", cause_type(cause));
        object.text("source", &cause.event.source);
        object.text("event_id", &cause.event.event_id);
        object.text("topic", &cause.position.topic);
        object.number("partition", cause.position.partition.into());
        object.number("offset", cause.position.offset);
        object.close();
    });
}

/// Writes bytes in quotes, in the standard alphabet of RFC 4648 with padding.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let byte = |place: usize| usize::from(chunk.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letter = |place: usize| ALPHABET[bits >> (18 - 6 * place) & 63];
        (0..4).for_each(|place| out.push(if place <= chunk.len() { letter(place) } else { b'=' }));
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;

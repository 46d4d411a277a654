//! The bodies of the records that a stitcher writes by the million, straight from the core's values to bytes.
//!
//! serde and the schema together give the same bodies in three times the time. What is here is held to them: a test reads
//! each record back by the schema, and it must be what was written the other way.

use std::sync::Arc;

use musubi_core::change::{Cause, ProfileChange, Snapshot};
use musubi_core::identifier::Identifier;
use musubi_core::person::PersonId;
use musubi_core::profile::{Activity, Change, Membership, Recent};
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;

use super::records::{IdentifierRow, Record, TraitRow};
use super::wire::{long, micros};
use crate::json;
use crate::render;

/// Appends the body of a record, where it is one of those that are many; false where it is not.
pub(super) fn body(record: &Record<'_>, out: &mut Vec<u8>) -> bool {
    let mut body = Body(out);
    match record {
        Record::Touchpoint(touchpoint) => body.touchpoint(touchpoint),
        Record::Change(change, policy_version) => body.change(change, policy_version),
        Record::Profile(snapshot) => body.profile(snapshot),
        Record::Identity(identifier, person) => {
            body.identifier(identifier);
            body.optional(*person, Body::person);
        }
        Record::Redirect(from, to) => {
            body.person(*from);
            body.optional(*to, Body::person);
        }
        Record::ProfileIdentifier(row) => body.identifier_row(row),
        Record::ProfileTrait(row) => body.trait_row(row),
        Record::Directive(_) | Record::Quarantined(_) => return false,
    }
    true
}

/// A body being written.
struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    fn touchpoint(&mut self, touchpoint: &Touchpoint) {
        self.text(&touchpoint.source);
        self.text(&touchpoint.event_id);
        self.text(&touchpoint.channel);
        self.text(&touchpoint.kind);
        self.time(touchpoint.occurred_at);
        self.optional(touchpoint.received_at, Self::time);
        self.list(&touchpoint.identifiers, |body, (namespace, value)| {
            body.text(namespace);
            body.text(value);
        });
        self.json(|out| json::fields(out, &touchpoint.traits));
        self.json(|out| json::fields(out, &touchpoint.properties));
        self.list(&touchpoint.consent, |body, (purpose, given): &(Arc<str>, bool)| {
            body.text(purpose);
            body.boolean(*given);
        });
        self.optional(touchpoint.household.as_deref(), Self::text);
        self.optional(touchpoint.account.as_deref(), Self::text);
    }

    fn change(&mut self, change: &ProfileChange, policy_version: &str) {
        self.person(change.person_id);
        self.long(long(change.version));
        self.text(change.kind.as_str());
        self.list(&change.fields, Self::field);
        self.list(&change.joined, Self::identifier);
        self.list(&change.left, Self::identifier);
        self.list(&change.from, |body, person| body.person(*person));
        self.optional(change.into, Self::person);
        self.optional(change.cause.as_ref(), Self::cause);
        self.text(policy_version);
    }

    fn field(&mut self, change: &Change) {
        let pieces = change.field.pieces();
        self.size(pieces.iter().map(|piece| piece.len()).sum());
        pieces.iter().for_each(|piece| self.0.extend_from_slice(piece.as_bytes()));
        for shown in [&change.before, &change.after] {
            self.optional(shown.as_ref(), |body, shown| body.json(|out| render::shown(out, shown)));
        }
    }

    fn cause(&mut self, cause: &Cause) {
        self.text(render::cause_type(cause));
        self.text(&cause.event.source);
        self.text(&cause.event.event_id);
        self.text(&cause.position.topic);
        self.long(cause.position.partition.into());
        self.long(long(cause.position.offset));
    }

    fn profile(&mut self, snapshot: &Snapshot) {
        let profile = &snapshot.profile;
        self.person(snapshot.person_id);
        self.long(long(snapshot.version));
        self.boolean(snapshot.shared);
        self.list(&snapshot.identifiers, Self::identifier);
        self.json(|out| render::traits(out, profile));
        self.json(|out| render::computed(out, &profile.computed));
        self.list(&profile.channels, Self::activity);
        self.list(&profile.recent, Self::recent);
        self.list(&profile.consent, |body, consent| {
            body.text(&consent.purpose);
            body.boolean(consent.given);
        });
        self.optional(profile.first_seen(), Self::time);
        self.optional(profile.last_seen(), Self::time);
        self.list(&profile.households, Self::membership);
        self.list(&profile.accounts, Self::membership);
    }

    fn activity(&mut self, activity: &Activity) {
        self.text(&activity.channel);
        self.time(activity.first_seen);
        self.time(activity.last_seen);
        self.long(long(activity.touchpoints));
    }

    fn membership(&mut self, membership: &Membership) {
        self.text(&membership.id);
        self.time(membership.first_seen);
        self.time(membership.last_seen);
    }

    fn recent(&mut self, recent: &Recent) {
        let parts = recent.parts();
        self.text(parts.channel);
        self.text(parts.event_id);
        self.json(|out| json::packed_fields(out, parts.properties, parts.count));
        self.text(parts.source);
        self.time(parts.time);
        self.text(parts.kind);
    }

    fn identifier_row(&mut self, row: &IdentifierRow<'_>) {
        self.person(row.person_id);
        self.identifier(row.identifier);
        self.long(long(row.version));
    }

    fn trait_row(&mut self, row: &TraitRow<'_>) {
        let (kind, value) = render::flat(row.value);
        self.person(row.person_id);
        self.text(row.name);
        self.text(&value);
        self.text(kind);
        self.long(long(row.version));
    }

    fn identifier(&mut self, identifier: &Identifier) {
        self.text(identifier.namespace_name());
        self.text(identifier.value());
    }

    fn person(&mut self, person: PersonId) {
        let text = person.text();
        self.size(text.len());
        self.0.extend_from_slice(&text);
    }

    fn time(&mut self, time: Timestamp) {
        self.long(micros(time));
    }

    /// A union of null and something: the number of the branch, then what is in it.
    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.long(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// An array, or a map whose entries begin with their names: one block, and the block of nothing that ends it.
    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        if !items.is_empty() {
            self.size(items.len());
            items.iter().for_each(|item| write(self, item));
        }
        self.size(0);
    }

    /// JSON as text. Its length is known when it is written, and is put before it then.
    fn json(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        write(self.0);
        let end = self.0.len();
        self.size(end - start);
        let bytes = self.0.len() - end;
        self.0[start..].rotate_right(bytes);
    }

    fn text(&mut self, text: &str) {
        self.size(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn boolean(&mut self, truth: bool) {
        self.0.push(truth.into());
    }

    fn size(&mut self, size: usize) {
        self.long(long(size as u64));
    }

    /// Zigzag, then seven bits a byte, the least first, the last without the high bit.
    fn long(&mut self, number: i64) {
        let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }
}

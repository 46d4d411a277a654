//! The records of the topics, encoded.

use std::borrow::Cow;
use std::sync::Arc;

use apache_avro::types::Value;
use musubi_core::change::{Cause, ProfileChange, Snapshot};
use musubi_core::directive::{Directive, Order};
use musubi_core::identifier::Identifier;
use musubi_core::person::PersonId;
use musubi_core::profile::{Activity, Change, Consent, Membership, Recent};
use musubi_core::touchpoint::Touchpoint;
use serde::ser::{Serialize, Serializer};

use super::wire::{Entries, Items, Pair, consent, json, long, micros, pair};
use super::{Error, Topic, codec, encode};
use crate::render::{self, Quarantined};

/// One record of a topic. Serializes by serde as the topic's schema has it, which is what
/// `apache_avro::Writer::append_ser` takes for a container file.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// An event.
    Touchpoint(&'a Touchpoint),
    /// An operator's word.
    Directive(&'a Directive),
    /// A change of a person, with the version of the policy that decided.
    Change(&'a ProfileChange, &'a str),
    /// The newest state of a person.
    Profile(&'a Snapshot),
    /// Whose an identifier is.
    Identity(&'a Identifier, Option<PersonId>),
    /// The person that an old id stands for.
    Redirect(PersonId, Option<PersonId>),
    /// What was set aside.
    Quarantined(&'a Quarantined<'a>),
    /// An identifier of a person.
    ProfileIdentifier(&'a IdentifierRow<'a>),
    /// A trait of a person.
    ProfileTrait(&'a TraitRow<'a>),
}

/// An identifier as one row of a person: it joined with this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentifierRow<'a> {
    /// Whose it is.
    pub person_id: PersonId,
    /// The identifier.
    pub identifier: &'a Identifier,
    /// The person's version.
    pub version: u64,
}

/// A trait as one row of a person: it got its value with this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraitRow<'a> {
    /// Whose it is.
    pub person_id: PersonId,
    /// The name of the trait.
    pub name: &'a str,
    /// Its value.
    pub value: &'a musubi_core::value::Value,
    /// The person's version.
    pub version: u64,
}

impl Record<'_> {
    /// The topic it belongs on.
    pub const fn topic(&self) -> Topic {
        match self {
            Self::Touchpoint(_) => Topic::Touchpoints,
            Self::Directive(_) => Topic::Directives,
            Self::Change(..) => Topic::ProfileChanges,
            Self::Profile(_) => Topic::Profiles,
            Self::Identity(..) => Topic::IdentityMap,
            Self::Redirect(..) => Topic::Redirects,
            Self::Quarantined(_) => Topic::Quarantine,
            Self::ProfileIdentifier(_) => Topic::ProfileIdentifiers,
            Self::ProfileTrait(_) => Topic::ProfileTraits,
        }
    }

    /// Appends it as JSON on one line, without the line's end: what [`render_profile`](crate::render_profile) and its
    /// like give.
    pub fn render(&self, out: &mut Vec<u8>) {
        match self {
            Self::Touchpoint(touchpoint) => crate::render_touchpoint(touchpoint, out),
            Self::Directive(directive) => crate::render_directive(directive, out),
            Self::Change(change, policy_version) => render::render_change(change, policy_version, out),
            Self::Profile(snapshot) => render::render_profile(snapshot, out),
            Self::Identity(identifier, person) => render::render_identity(identifier, *person, out),
            Self::Redirect(from, to) => render::render_redirect(*from, *to, out),
            Self::Quarantined(quarantined) => render::render_quarantined(quarantined, out),
            Self::ProfileIdentifier(row) => render::render_identifier_row(row, out),
            Self::ProfileTrait(row) => render::render_trait_row(row, out),
        }
    }

    /// Appends it as an Avro single object.
    ///
    /// # Errors
    /// [`Error::Avro`] where the record does not fit its schema, which for records of the core does not happen. Nothing
    /// is appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.encode_after(&codec(self.topic()).header, out)
    }

    /// Appends these bytes and the Avro body, or nothing.
    pub(crate) fn encode_after(&self, header: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        out.extend_from_slice(header);
        if encode::body(self, out) {
            return Ok(());
        }
        let written = codec(self.topic()).writer.write_ser(out, self).map(|_| ());
        if written.is_err() {
            out.truncate(start);
        }
        Ok(written?)
    }

    /// The record as a value of its schema, for those who do not go by serde.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn to_value(&self) -> Result<Value, Error> {
        let mut bytes = Vec::new();
        let codec = codec(self.topic());
        codec.writer.write_ser(&mut bytes, self)?;
        Ok(codec.reader.read_value(&mut bytes.as_slice())?)
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Touchpoint(touchpoint) => TouchpointWire::of(touchpoint).serialize(serializer),
            Self::Directive(directive) => DirectiveWire::of(directive).serialize(serializer),
            Self::Change(change, policy) => ChangeWire::of(change, policy).serialize(serializer),
            Self::Profile(snapshot) => ProfileWire::of(snapshot).serialize(serializer),
            Self::Identity(identifier, person) => IdentityWire {
                namespace: identifier.namespace_name(),
                value: identifier.value(),
                person_id: person.map(text),
            }
            .serialize(serializer),
            Self::Redirect(from, to) => RedirectWire { from: text(*from), to: to.map(text) }.serialize(serializer),
            Self::Quarantined(quarantined) => QuarantinedWire::of(quarantined).serialize(serializer),
            Self::ProfileIdentifier(row) => IdentifierRowWire::of(row).serialize(serializer),
            Self::ProfileTrait(row) => TraitRowWire::of(row).serialize(serializer),
        }
    }
}

fn text(person: impl std::fmt::Display) -> String {
    person.to_string()
}

fn identifier(identifier: &Identifier) -> Pair<'_> {
    Pair { namespace: identifier.namespace_name(), value: identifier.value() }
}

#[derive(serde::Serialize)]
#[serde(rename = "Touchpoint")]
struct TouchpointWire<'a> {
    source: &'a str,
    event_id: &'a str,
    channel: &'a str,
    r#type: &'a str,
    occurred_at: i64,
    received_at: Option<i64>,
    identifiers: Items<'a, (Arc<str>, Arc<str>), Pair<'a>>,
    traits: String,
    properties: String,
    consent: Entries<'a, (Arc<str>, bool), bool>,
    household: Option<&'a str>,
    account: Option<&'a str>,
}

impl<'a> TouchpointWire<'a> {
    fn of(touchpoint: &'a Touchpoint) -> Self {
        Self {
            source: &touchpoint.source,
            event_id: &touchpoint.event_id,
            channel: &touchpoint.channel,
            r#type: &touchpoint.kind,
            occurred_at: micros(touchpoint.occurred_at),
            received_at: touchpoint.received_at.map(micros),
            identifiers: Items(&touchpoint.identifiers, pair),
            traits: json(|out| crate::json::fields(out, &touchpoint.traits)),
            properties: json(|out| crate::json::fields(out, &touchpoint.properties)),
            consent: Entries(&touchpoint.consent, consent),
            household: touchpoint.household.as_deref(),
            account: touchpoint.account.as_deref(),
        }
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "Directive")]
struct DirectiveWire<'a> {
    directive: &'a str,
    directive_id: &'a str,
    source: &'a str,
    at: i64,
    identifiers: Items<'a, (Arc<str>, Arc<str>), Pair<'a>>,
    consent: Entries<'a, (Arc<str>, bool), bool>,
}

impl<'a> DirectiveWire<'a> {
    fn of(directive: &'a Directive) -> Self {
        let (word, identifiers, consents) = parts(&directive.order);
        Self {
            directive: word,
            directive_id: &directive.directive_id,
            source: &directive.source,
            at: micros(directive.at),
            identifiers: Items(identifiers, pair),
            consent: Entries(consents, consent),
        }
    }
}

/// Namespaces and values.
type Identifiers = [(Arc<str>, Arc<str>)];

/// The word of an order, whom it is about, and what they consent to.
pub(crate) fn parts(order: &Order) -> (&'static str, &Identifiers, &[(Arc<str>, bool)]) {
    match order {
        Order::Link(pair) => ("link", pair, &[]),
        Order::Unlink(pair) => ("unlink", pair, &[]),
        Order::Block(one) => ("block", std::slice::from_ref(one), &[]),
        Order::Unblock(one) => ("unblock", std::slice::from_ref(one), &[]),
        Order::Erase(one) => ("erase", std::slice::from_ref(one), &[]),
        Order::Consent(one, consents) => ("consent", std::slice::from_ref(one), consents),
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "ProfileChange")]
struct ChangeWire<'a> {
    person_id: String,
    version: i64,
    kind: &'a str,
    changes: Items<'a, Change, FieldChange>,
    joined: Items<'a, Identifier, Pair<'a>>,
    left: Items<'a, Identifier, Pair<'a>>,
    from: Items<'a, PersonId, String>,
    into: Option<String>,
    cause: Option<CauseWire<'a>>,
    policy_version: &'a str,
}

impl<'a> ChangeWire<'a> {
    fn of(change: &'a ProfileChange, policy_version: &'a str) -> Self {
        Self {
            person_id: text(change.person_id),
            version: long(change.version),
            kind: change.kind.as_str(),
            changes: Items(&change.fields, FieldChange::of),
            joined: Items(&change.joined, identifier),
            left: Items(&change.left, identifier),
            from: Items(&change.from, |person| text(*person)),
            into: change.into.map(text),
            cause: change.cause.as_ref().map(CauseWire::of),
            policy_version,
        }
    }
}

#[derive(serde::Serialize)]
struct FieldChange {
    field: String,
    before: Option<String>,
    after: Option<String>,
}

impl FieldChange {
    fn of(change: &Change) -> Self {
        let show = |shown: &_| json(|out| render::shown(out, shown));
        Self {
            field: text(&change.field),
            before: change.before.as_ref().map(show),
            after: change.after.as_ref().map(show),
        }
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "Cause")]
struct CauseWire<'a> {
    r#type: &'a str,
    source: &'a str,
    event_id: &'a str,
    topic: &'a str,
    partition: i64,
    offset: i64,
}

impl<'a> CauseWire<'a> {
    fn of(cause: &'a Cause) -> Self {
        Self {
            r#type: render::cause_type(cause),
            source: &cause.event.source,
            event_id: &cause.event.event_id,
            topic: &cause.position.topic,
            partition: cause.position.partition.into(),
            offset: long(cause.position.offset),
        }
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "Profile")]
struct ProfileWire<'a> {
    person_id: String,
    version: i64,
    shared: bool,
    identifiers: Items<'a, Identifier, Pair<'a>>,
    traits: String,
    computed: String,
    channels: Entries<'a, Activity, ActivityWire>,
    recent: Items<'a, Recent, RecentWire<'a>>,
    consent: Entries<'a, Consent, bool>,
    first_seen: Option<i64>,
    last_seen: Option<i64>,
    households: Entries<'a, Membership, MembershipWire>,
    accounts: Entries<'a, Membership, MembershipWire>,
}

impl<'a> ProfileWire<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let profile = &snapshot.profile;
        Self {
            person_id: text(snapshot.person_id),
            version: long(snapshot.version),
            shared: snapshot.shared,
            identifiers: Items(&snapshot.identifiers, identifier),
            traits: json(|out| render::traits(out, profile)),
            computed: json(|out| render::computed(out, &profile.computed)),
            channels: Entries(&profile.channels, ActivityWire::of),
            recent: Items(&profile.recent, RecentWire::of),
            consent: Entries(&profile.consent, |consent| (&consent.purpose, consent.given)),
            first_seen: profile.first_seen().map(micros),
            last_seen: profile.last_seen().map(micros),
            households: Entries(&profile.households, MembershipWire::of),
            accounts: Entries(&profile.accounts, MembershipWire::of),
        }
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "Activity")]
struct ActivityWire {
    first_seen: i64,
    last_seen: i64,
    touchpoints: i64,
}

impl ActivityWire {
    fn of(activity: &Activity) -> (&str, Self) {
        let (first_seen, last_seen) = (micros(activity.first_seen), micros(activity.last_seen));
        (&activity.channel, Self { first_seen, last_seen, touchpoints: long(activity.touchpoints) })
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "Membership")]
struct MembershipWire {
    first_seen: i64,
    last_seen: i64,
}

impl MembershipWire {
    fn of(membership: &Membership) -> (&str, Self) {
        let (first_seen, last_seen) = (micros(membership.first_seen), micros(membership.last_seen));
        (&membership.id, Self { first_seen, last_seen })
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "Recent")]
struct RecentWire<'a> {
    channel: &'a str,
    event_id: &'a str,
    properties: String,
    source: &'a str,
    time: i64,
    r#type: &'a str,
}

impl<'a> RecentWire<'a> {
    fn of(recent: &'a Recent) -> Self {
        let parts = recent.parts();
        Self {
            channel: parts.channel,
            event_id: parts.event_id,
            properties: json(|out| crate::json::packed_fields(out, parts.properties, parts.count)),
            source: parts.source,
            time: micros(parts.time),
            r#type: parts.kind,
        }
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "Identity")]
struct IdentityWire<'a> {
    namespace: &'a str,
    value: &'a str,
    person_id: Option<String>,
}

#[derive(serde::Serialize)]
#[serde(rename = "Redirect")]
struct RedirectWire {
    from: String,
    to: Option<String>,
}

#[derive(serde::Serialize)]
#[serde(rename = "Quarantined")]
struct QuarantinedWire<'a> {
    source: Option<&'a str>,
    event_id: Option<&'a str>,
    reason: &'a str,
    detail: &'a str,
    file: Option<&'a str>,
    line: Option<i64>,
    #[serde(with = "apache_avro::serde::slice")]
    original: &'a [u8],
    envelope: Option<&'a str>,
}

impl<'a> QuarantinedWire<'a> {
    fn of(quarantined: &'a Quarantined<'a>) -> Self {
        Self {
            source: quarantined.source,
            event_id: quarantined.event_id,
            reason: quarantined.reason,
            detail: quarantined.detail,
            file: quarantined.file,
            line: quarantined.line.map(long),
            original: quarantined.original,
            envelope: quarantined.envelope,
        }
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "ProfileIdentifier")]
struct IdentifierRowWire<'a> {
    person_id: String,
    namespace: &'a str,
    value: &'a str,
    version: i64,
}

impl<'a> IdentifierRowWire<'a> {
    fn of(row: &IdentifierRow<'a>) -> Self {
        let (namespace, value) = (row.identifier.namespace_name(), row.identifier.value());
        Self { person_id: text(row.person_id), namespace, value, version: long(row.version) }
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "ProfileTrait")]
struct TraitRowWire<'a> {
    person_id: String,
    name: &'a str,
    value: Cow<'a, str>,
    r#type: &'static str,
    version: i64,
}

impl<'a> TraitRowWire<'a> {
    fn of(row: &TraitRow<'a>) -> Self {
        let (r#type, value) = render::flat(row.value);
        Self { person_id: text(row.person_id), name: row.name, value, r#type, version: long(row.version) }
    }
}

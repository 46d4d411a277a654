//! What a line holds as far as it was read: the fields of touchpoints and of directives, and the first fault of each.

use std::fmt;
use std::sync::Arc;

use musubi_core::directive::Order;
use musubi_core::time::Timestamp;
use musubi_core::value::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::{NUMBER, Scalar, pass_over};
use super::value::{Fields, NameSeed, ValueSeed, settle};
use crate::interner::Interner;
use crate::malformed::{Fault, Reason};
use crate::time::parse_time;

/// An identifier as sent: namespace and value.
type Sent = (Arc<str>, Arc<str>);

/// The fields of a line, each absent until it is read.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) source: Option<Arc<str>>,
    pub(super) event_id: Option<Arc<str>>,
    pub(super) channel: Option<Arc<str>>,
    pub(super) kind: Option<Arc<str>>,
    pub(super) occurred_at: Option<Timestamp>,
    pub(super) received_at: Option<Timestamp>,
    pub(super) identifiers: Vec<Sent>,
    pub(super) traits: Fields,
    pub(super) properties: Fields,
    pub(super) consent: Vec<(Arc<str>, bool)>,
    pub(super) household: Option<Arc<str>>,
    pub(super) account: Option<Arc<str>>,
    /// Whether the key `directive` is there, whatever it holds.
    pub(super) is_directive: bool,
    pub(super) directive: Option<Arc<str>>,
    pub(super) directive_id: Option<Arc<str>>,
    pub(super) at: Option<Timestamp>,
    pub(super) faults: Faults,
}

/// The first fault in the fields of touchpoints, in those of directives, and in those that both have.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) touchpoint: Option<Fault>,
    pub(super) directive: Option<Fault>,
    pub(super) shared: Option<Fault>,
}

impl Draft {
    /// What a directive orders; none where the word is missing.
    pub(super) fn order(&mut self) -> Option<Result<Order, Fault>> {
        let word = self.directive.as_deref()?;
        Some(order(word, std::mem::take(&mut self.identifiers), std::mem::take(&mut self.consent)))
    }
}

/// The order that a word gives.
pub(crate) fn order(word: &str, identifiers: Vec<Sent>, consent: Vec<(Arc<str>, bool)>) -> Result<Order, Fault> {
    match word {
        "link" => exactly(identifiers).map(Order::Link),
        "unlink" => exactly(identifiers).map(Order::Unlink),
        "block" => exactly(identifiers).map(|[one]| Order::Block(one)),
        "unblock" => exactly(identifiers).map(|[one]| Order::Unblock(one)),
        "erase" => exactly(identifiers).map(|[one]| Order::Erase(one)),
        "consent" if consent.is_empty() => {
            Err(Fault { reason: Reason::MissingField, detail: "wanted purposes in `consent`, found none".into() })
        }
        "consent" => exactly(identifiers).map(|[one]| Order::Consent(one, consent)),
        other => {
            let wanted = "`link`, `unlink`, `block`, `unblock`, `erase` or `consent`";
            Err(Fault::wrong_type("directive", wanted, &format!("`{other}`")))
        }
    }
}

/// The fields of an object that stands alone, or what is wrong with it.
pub(super) fn read_fields<'de, D: Deserializer<'de>>(
    field: &'static str,
    names: &mut Interner,
    reader: D,
) -> Result<Result<Fields, Fault>, D::Error> {
    let (mut fields, mut fault) = (Fields::new(), None);
    Part { field, wanted: OBJECT, names, fault: &mut fault, into: &mut fields }.deserialize(reader)?;
    Ok(fault.map_or(Ok(fields), Err))
}

/// As many identifiers as a directive names.
fn exactly<const COUNT: usize>(identifiers: Vec<Sent>) -> Result<[Sent; COUNT], Fault> {
    identifiers.try_into().map_err(|found: Vec<_>| {
        let reason = if found.len() < COUNT { Reason::MissingField } else { Reason::WrongType };
        Fault { reason, detail: format!("wanted {COUNT} in `identifiers`, found {}", found.len()) }
    })
}

/// The keys of a line that we know.
enum Key {
    Source,
    EventId,
    Channel,
    Type,
    OccurredAt,
    ReceivedAt,
    Identifiers,
    Traits,
    Properties,
    Consent,
    Context,
    Directive,
    DirectiveId,
    At,
    Unknown,
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            "source" => Key::Source,
            "event_id" => Key::EventId,
            "channel" => Key::Channel,
            "type" => Key::Type,
            "occurred_at" => Key::OccurredAt,
            "received_at" => Key::ReceivedAt,
            "identifiers" => Key::Identifiers,
            "traits" => Key::Traits,
            "properties" => Key::Properties,
            "consent" => Key::Consent,
            "context" => Key::Context,
            "directive" => Key::Directive,
            "directive_id" => Key::DirectiveId,
            "at" => Key::At,
            _ => Key::Unknown,
        })
    }
}

/// The object that a line is.
pub(super) struct Top<'a> {
    pub(super) draft: &'a mut Draft,
    pub(super) names: &'a mut Interner,
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (draft, names) = (self.draft, self.names);
        let faults = &mut draft.faults;
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key {
                Key::Source => draft.source = name(&mut map, "source", names, &mut faults.shared)?,
                Key::Channel => draft.channel = name(&mut map, "channel", names, &mut faults.touchpoint)?,
                Key::Type => draft.kind = name(&mut map, "type", names, &mut faults.touchpoint)?,
                Key::EventId => draft.event_id = text(map.next_value()?, "event_id", &mut faults.touchpoint),
                Key::OccurredAt => draft.occurred_at = time(map.next_value()?, "occurred_at", &mut faults.touchpoint),
                Key::ReceivedAt => draft.received_at = time(map.next_value()?, "received_at", &mut faults.touchpoint),
                Key::Directive => {
                    draft.is_directive = true;
                    draft.directive = name(&mut map, "directive", names, &mut faults.directive)?;
                }
                Key::DirectiveId => draft.directive_id = text(map.next_value()?, "directive_id", &mut faults.directive),
                Key::At => draft.at = time(map.next_value()?, "at", &mut faults.directive),
                Key::Identifiers => {
                    let (into, fault) = (&mut draft.identifiers, &mut faults.shared);
                    into.clear();
                    map.next_value_seed(Part { field: "identifiers", wanted: LIST, names, fault, into })?;
                }
                Key::Traits => {
                    let (into, fault) = (&mut draft.traits, &mut faults.touchpoint);
                    into.clear();
                    map.next_value_seed(Part { field: "traits", wanted: OBJECT, names, fault, into })?;
                }
                Key::Properties => {
                    let (into, fault) = (&mut draft.properties, &mut faults.touchpoint);
                    into.clear();
                    map.next_value_seed(Part { field: "properties", wanted: OBJECT, names, fault, into })?;
                }
                Key::Consent => {
                    let (into, fault) = (&mut draft.consent, &mut faults.shared);
                    into.clear();
                    map.next_value_seed(Part { field: "consent", wanted: OBJECT, names, fault, into })?;
                }
                Key::Context => {
                    let mut context = Context::default();
                    let (into, fault) = (&mut context, &mut faults.touchpoint);
                    map.next_value_seed(Part { field: "context", wanted: OBJECT, names, fault, into })?;
                    (draft.household, draft.account) = (context.household, context.account);
                }
                Key::Unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

const LIST: &str = "a list";
const OBJECT: &str = "an object";

/// A text that names something, shared.
fn name<'de, A: MapAccess<'de>>(
    map: &mut A,
    field: &str,
    names: &mut Interner,
    fault: &mut Option<Fault>,
) -> Result<Option<Arc<str>>, A::Error> {
    Ok(match map.next_value()? {
        Scalar::Null => None,
        Scalar::Text(text) => (!text.is_empty()).then(|| names.intern(&text)),
        other => {
            fault.get_or_insert_with(|| Fault::wrong_type(field, "a text", other.kind()));
            None
        }
    })
}

/// A text, or a number as it was written. Empty is absent.
fn text(scalar: Scalar<'_>, field: &str, fault: &mut Option<Fault>) -> Option<Arc<str>> {
    match scalar {
        Scalar::Null => None,
        Scalar::Text(text) => (!text.is_empty()).then(|| text.as_ref().into()),
        Scalar::Number(number) => Some(number.into()),
        other @ (Scalar::Bool(_) | Scalar::List | Scalar::Map) => {
            fault.get_or_insert_with(|| Fault::wrong_type(field, "a text", other.kind()));
            None
        }
    }
}

fn time(scalar: Scalar<'_>, field: &str, fault: &mut Option<Fault>) -> Option<Timestamp> {
    match scalar {
        Scalar::Null => None,
        Scalar::Text(text) if text.is_empty() => None,
        Scalar::Text(text) => parse_time(&text).or_else(|| {
            fault.get_or_insert_with(|| invalid_time(field, &text));
            None
        }),
        other => {
            fault.get_or_insert_with(|| Fault::wrong_type(field, "an instant as a text", other.kind()));
            None
        }
    }
}

fn invalid_time(field: &str, text: &str) -> Fault {
    const SHOWN: usize = 40;
    let shown: String = text.chars().take(SHOWN).collect();
    let detail =
        format!("wanted an RFC 3339 instant with an offset, of the years 1900 to 2199, in `{field}`, found `{shown}`");
    Fault { reason: Reason::InvalidTime, detail }
}

/// What was found, where it was not what was wanted.
type Wrong = Option<&'static str>;

/// Something that is filled from a list or an object.
trait Fill: Sized {
    /// Takes a list in, where it is filled from lists.
    fn fill_list<'de, A: SeqAccess<'de>>(_part: Part<'_, Self>, items: &mut A) -> Result<Wrong, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some("a list"))
    }

    /// Takes an object in, where it is filled from objects.
    fn fill_map<'de, A: MapAccess<'de>>(_part: Part<'_, Self>, fields: &mut A) -> Result<Wrong, A::Error> {
        let first = fields.next_key::<std::borrow::Cow<'de, str>>()?;
        let number = first.as_deref() == Some(NUMBER);
        if first.is_some() {
            fields.next_value::<IgnoredAny>()?;
        }
        pass_over(fields)?;
        Ok(Some(if number { "a number" } else { "an object" }))
    }
}

/// The rest of what turned out to be a number.
fn number<'de, A: MapAccess<'de>>(fields: &mut A) -> Result<Wrong, A::Error> {
    fields.next_value::<IgnoredAny>()?;
    Ok(Some("a number"))
}

/// A field of the line that is a list or an object, and where it goes.
struct Part<'a, T> {
    field: &'static str,
    wanted: &'static str,
    names: &'a mut Interner,
    fault: &'a mut Option<Fault>,
    into: &'a mut T,
}

impl<T> Part<'_, T> {
    fn again(&mut self) -> Part<'_, T> {
        Part { field: self.field, wanted: self.wanted, names: self.names, fault: self.fault, into: self.into }
    }

    fn wrong(&mut self, found: &str) {
        self.fault.get_or_insert_with(|| Fault::wrong_type(self.field, self.wanted, found));
    }
}

impl<'de, T: Fill> DeserializeSeed<'de> for Part<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fill> Visitor<'de> for Part<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(mut self, _: u64) -> Result<(), E> {
        self.wrong("a number");
        Ok(())
    }

    fn visit_i64<E>(mut self, _: i64) -> Result<(), E> {
        self.wrong("a number");
        Ok(())
    }

    fn visit_bool<E>(mut self, _: bool) -> Result<(), E> {
        self.wrong("true or false");
        Ok(())
    }

    fn visit_str<E>(mut self, _: &str) -> Result<(), E> {
        self.wrong("a text");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        if let Some(found) = T::fill_list(self.again(), &mut items)? {
            self.wrong(found);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        if let Some(found) = T::fill_map(self.again(), &mut fields)? {
            self.wrong(found);
        }
        Ok(())
    }
}

impl Fill for Fields {
    fn fill_map<'de, A: MapAccess<'de>>(part: Part<'_, Self>, fields: &mut A) -> Result<Wrong, A::Error> {
        let Part { names, fault, into, .. } = part;
        while let Some(name) = fields.next_key_seed(NameSeed(names))? {
            if name.as_ref() == NUMBER {
                return number(fields);
            }
            let value: Value = fields.next_value_seed(ValueSeed { names, fault, depth: 1 })?;
            into.push((name, value));
        }
        settle(into, |(name, _)| name);
        Ok(None)
    }
}

impl Fill for Vec<(Arc<str>, bool)> {
    fn fill_map<'de, A: MapAccess<'de>>(part: Part<'_, Self>, fields: &mut A) -> Result<Wrong, A::Error> {
        while let Some(purpose) = fields.next_key_seed(NameSeed(part.names))? {
            if purpose.as_ref() == NUMBER {
                return number(fields);
            }
            match fields.next_value()? {
                Scalar::Bool(given) => part.into.push((purpose, given)),
                Scalar::Null => part.into.retain(|(held, _)| *held != purpose),
                other => {
                    part.fault.get_or_insert_with(|| Fault::wrong_type("consent", "true or false", other.kind()));
                }
            }
        }
        settle(part.into, |(purpose, _)| purpose);
        Ok(None)
    }
}

/// Where the person of a touchpoint belongs.
#[derive(Default)]
struct Context {
    household: Option<Arc<str>>,
    account: Option<Arc<str>>,
}

impl Fill for Context {
    fn fill_map<'de, A: MapAccess<'de>>(part: Part<'_, Self>, fields: &mut A) -> Result<Wrong, A::Error> {
        while let Some(key) = fields.next_key_seed(NameSeed(part.names))? {
            match key.as_ref() {
                "household" => part.into.household = text(fields.next_value()?, "household", part.fault),
                "account" => part.into.account = text(fields.next_value()?, "account", part.fault),
                NUMBER => return number(fields),
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(None)
    }
}

impl Fill for Vec<Sent> {
    fn fill_list<'de, A: SeqAccess<'de>>(part: Part<'_, Self>, items: &mut A) -> Result<Wrong, A::Error> {
        let Part { names, fault, into, .. } = part;
        loop {
            let mut one = Pair::default();
            let entry = Part { field: "identifiers", wanted: "objects", names, fault, into: &mut one };
            if items.next_element_seed(entry)?.is_none() {
                return Ok(None);
            }
            match (one.namespace, one.value) {
                (Some(namespace), Some(value)) => into.push((namespace, value)),
                (None, Some(_)) => drop(fault.get_or_insert_with(|| Fault::missing("namespace"))),
                (_, None) => {}
            }
        }
    }
}

/// One identifier as sent. Without a value it is absent.
#[derive(Default)]
struct Pair {
    namespace: Option<Arc<str>>,
    value: Option<Arc<str>>,
}

impl Fill for Pair {
    fn fill_map<'de, A: MapAccess<'de>>(part: Part<'_, Self>, fields: &mut A) -> Result<Wrong, A::Error> {
        while let Some(key) = fields.next_key_seed(PairKeySeed)? {
            match key {
                PairKey::Namespace => part.into.namespace = name(fields, "namespace", part.names, part.fault)?,
                PairKey::Value => part.into.value = text(fields.next_value()?, "value", part.fault),
                PairKey::Number => return number(fields),
                PairKey::Unknown => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(None)
    }
}

enum PairKey {
    Namespace,
    Value,
    Number,
    Unknown,
}

struct PairKeySeed;

impl<'de> DeserializeSeed<'de> for PairKeySeed {
    type Value = PairKey;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<PairKey, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PairKeySeed {
    type Value = PairKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<PairKey, E> {
        Ok(match key {
            "namespace" => PairKey::Namespace,
            "value" => PairKey::Value,
            NUMBER => PairKey::Number,
            _ => PairKey::Unknown,
        })
    }
}

//! Records of the topics, decoded from whatever framing: touchpoints and directives to values of the core, all of them
//! to JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::types::Value as Avro;
use musubi_core::directive::Directive;
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Error, Topic, Writer, body, codec};
use crate::framing::Form;
use crate::json::{self, Object};
use crate::malformed::{Fault, Malformed, Reason};
use crate::read::{Parser, malformed, order};
use crate::render::{self, Quarantined};
use crate::time::of_our_centuries;
use crate::writers::{Found, Writers};

/// The touchpoint of a record in any [framing](crate::Framing), held to the same rules as a line of JSON, since any
/// client may produce. `parser` lends the names that it has seen, and may read JSON lines between; `writers` has the
/// schemas that are known by number.
///
/// # Errors
/// [`Error`] where the bytes are no touchpoint under any schema that we know.
pub fn decode_touchpoint(bytes: &[u8], parser: &mut Parser, writers: &Writers) -> Result<Touchpoint, Error> {
    let wire = match found(Topic::Touchpoints, bytes, writers)? {
        Found::Ours(mut body) => match body::touchpoint(body) {
            Some(wire) => wire,
            None => codec(Topic::Touchpoints).reader.read_deser(&mut body)?,
        },
        Found::Value(value) => apache_avro::from_value(&value)?,
        Found::Json(text) => return Ok(parser.parse_touchpoint(text)?),
    };
    let (source, event_id) = (parser.share(&wire.source), Arc::<str>::from(wire.event_id.as_ref()));
    touchpoint(wire, parser).map_err(|refused| Error::Malformed(refused.of(&source, &event_id)))
}

fn touchpoint(wire: TouchpointWire<'_>, parser: &mut Parser) -> Result<Touchpoint, Malformed> {
    let texts: [(&str, &str); 4] =
        [("source", &wire.source), ("event_id", &wire.event_id), ("channel", &wire.channel), ("type", &wire.kind)];
    present(&texts)?;
    Ok(Touchpoint {
        source: parser.share(&wire.source),
        channel: parser.share(&wire.channel),
        kind: parser.share(&wire.kind),
        event_id: wire.event_id.into(),
        occurred_at: instant("occurred_at", wire.occurred_at)?,
        received_at: wire.received_at.map(|micros| instant("received_at", micros)).transpose()?,
        identifiers: pairs(wire.identifiers, parser)?,
        traits: parser.parse_fields("traits", &wire.traits)?,
        properties: parser.parse_fields("properties", &wire.properties)?,
        consent: consent(&wire.consent, parser),
        household: wire.household.filter(|id| !id.is_empty()).map(Into::into),
        account: wire.account.filter(|id| !id.is_empty()).map(Into::into),
    })
}

/// The directive of a record, likewise.
///
/// # Errors
/// [`Error`] where the bytes are no directive under any schema that we know.
pub fn decode_directive(bytes: &[u8], parser: &mut Parser, writers: &Writers) -> Result<Directive, Error> {
    let wire: DirectiveWire = match read(Topic::Directives, bytes, writers)? {
        Read::Wire(wire) => wire,
        Read::Json(text) => return Ok(parser.parse_directive(text)?),
    };
    let (source, directive_id) = (parser.share(&wire.source), Arc::<str>::from(wire.directive_id.as_str()));
    directive(wire, parser).map_err(|refused| Error::Malformed(refused.of(&source, &directive_id)))
}

fn directive(wire: DirectiveWire, parser: &mut Parser) -> Result<Directive, Malformed> {
    present(&[("source", &wire.source), ("directive_id", &wire.directive_id)])?;
    let consent = consent(&wire.consent, parser);
    Ok(Directive {
        source: parser.share(&wire.source),
        at: instant("at", wire.at)?,
        order: order(&wire.directive, pairs(wire.identifiers, parser)?, consent).map_err(refused)?,
        directive_id: wire.directive_id.into(),
    })
}

/// That none of these texts is empty.
fn present(texts: &[(&str, &str)]) -> Result<(), Malformed> {
    let empty = texts.iter().find(|(_, text)| text.is_empty());
    empty.map_or(Ok(()), |(field, _)| Err(refused(Fault::missing(field))))
}

fn instant(field: &str, micros: i64) -> Result<Timestamp, Malformed> {
    of_our_centuries(micros).ok_or_else(|| {
        let detail = format!("wanted an instant of the years 1900 to 2199 in `{field}`, found {micros} microseconds");
        refused(Fault { reason: Reason::InvalidTime, detail })
    })
}

fn refused(fault: Fault) -> Malformed {
    malformed(fault, None, None)
}

/// Appends the record of a topic as JSON on one line: the same text that [`crate::render_profile`] and its like give.
///
/// # Errors
/// [`Error`] where the bytes are no record of the topic under any schema that we know.
pub fn to_json(topic: Topic, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    to_json_with(topic, bytes, &Writers::default(), out)
}

/// The same, with the schemas that are known by number.
///
/// # Errors
/// [`Error`] where the bytes are no record of the topic under any schema that we know.
pub fn to_json_with(topic: Topic, bytes: &[u8], writers: &Writers, out: &mut Vec<u8>) -> Result<(), Error> {
    let parser = &mut Parser::new();
    match topic {
        Topic::Touchpoints => crate::render_touchpoint(&decode_touchpoint(bytes, parser, writers)?, out),
        Topic::Directives => crate::render_directive(&decode_directive(bytes, parser, writers)?, out),
        Topic::Quarantine => match read::<QuarantinedWire>(topic, bytes, writers)? {
            Read::Wire(wire) => render::render_quarantined(&wire.quarantined(), out),
            Read::Json(text) => copy(text, out)?,
        },
        Topic::ProfileChanges
        | Topic::Profiles
        | Topic::IdentityMap
        | Topic::Redirects
        | Topic::ProfileIdentifiers
        | Topic::ProfileTraits => match read_value(topic, bytes, writers)? {
            Read::Wire(value) => show(&value, Shown::Value, out),
            Read::Json(text) => copy(text, out)?,
        },
    }
    Ok(())
}

/// Whether a text is a JSON object on one line.
fn is_object(text: &str) -> bool {
    text.starts_with('{') && !text.contains('\n') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Appends JSON as it stands, once it is known to be JSON.
fn copy(text: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let text = text.trim_ascii();
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(text);
    let detail = read
        .err()
        .map(|why| why.to_string())
        .or_else(|| text.contains(&b'\n').then(|| "more than one line".to_owned()));
    match detail {
        None => out.extend_from_slice(text),
        Some(detail) => return Err(refused(Fault { reason: Reason::InvalidJson, detail }).into()),
    }
    Ok(())
}

/// What a record holds.
enum Read<'a, T> {
    /// Avro, read.
    Wire(T),
    /// JSON, not read yet.
    Json(&'a [u8]),
}

/// A record by serde. What was written under another schema takes the long way round.
fn read<'a, T: DeserializeOwned>(topic: Topic, bytes: &'a [u8], writers: &Writers) -> Result<Read<'a, T>, Error> {
    Ok(match found(topic, bytes, writers)? {
        Found::Ours(mut body) => Read::Wire(codec(topic).reader.read_deser(&mut body)?),
        Found::Value(value) => Read::Wire(apache_avro::from_value(&value)?),
        Found::Json(text) => Read::Json(text),
    })
}

fn read_value<'a>(topic: Topic, bytes: &'a [u8], writers: &Writers) -> Result<Read<'a, Avro>, Error> {
    Ok(match found(topic, bytes, writers)? {
        Found::Ours(mut body) => Read::Wire(codec(topic).reader.read_value(&mut body)?),
        Found::Value(value) => Read::Wire(value),
        Found::Json(text) => Read::Json(text),
    })
}

fn found<'a>(topic: Topic, bytes: &'a [u8], writers: &Writers) -> Result<Found<'a>, Error> {
    match Form::of(bytes)? {
        Form::Object(header, mut body) => match codec(topic).writer_of(header) {
            Some(Writer::Ours) => Ok(Found::Ours(body)),
            Some(Writer::Earlier(reader)) => Ok(Found::Value(reader.read_value(&mut body)?)),
            None => Err(Error::UnknownSchema { topic: topic.name(), fingerprint: fingerprint(header) }),
        },
        Form::Numbered(id, body) => writers.read(topic, id, body),
        Form::Json(text) => Ok(Found::Json(text)),
    }
}

fn fingerprint(header: &[u8]) -> u64 {
    header.iter().skip(2).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// What stands in a record, borrowed from its bytes where that is how it was read.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename = "Identifier")]
pub(super) struct PairWire<'a> {
    pub(super) namespace: Cow<'a, str>,
    pub(super) value: Cow<'a, str>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename = "Touchpoint")]
pub(super) struct TouchpointWire<'a> {
    pub(super) source: Cow<'a, str>,
    pub(super) event_id: Cow<'a, str>,
    pub(super) channel: Cow<'a, str>,
    #[serde(rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) occurred_at: i64,
    pub(super) received_at: Option<i64>,
    pub(super) identifiers: Vec<PairWire<'a>>,
    pub(super) traits: Cow<'a, str>,
    pub(super) properties: Cow<'a, str>,
    pub(super) consent: BTreeMap<Cow<'a, str>, bool>,
    pub(super) household: Option<Cow<'a, str>>,
    pub(super) account: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename = "Directive")]
struct DirectiveWire {
    directive: String,
    directive_id: String,
    source: String,
    at: i64,
    identifiers: Vec<PairWire<'static>>,
    consent: BTreeMap<Cow<'static, str>, bool>,
}

#[derive(Deserialize)]
#[serde(rename = "Quarantined")]
struct QuarantinedWire {
    source: Option<String>,
    event_id: Option<String>,
    reason: String,
    detail: String,
    file: Option<String>,
    line: Option<i64>,
    #[serde(with = "apache_avro::serde::bytes")]
    original: Vec<u8>,
    envelope: Option<String>,
}

impl QuarantinedWire {
    fn quarantined(&self) -> Quarantined<'_> {
        Quarantined {
            source: self.source.as_deref(),
            event_id: self.event_id.as_deref(),
            reason: &self.reason,
            detail: &self.detail,
            file: self.file.as_deref(),
            line: self.line.and_then(|line| u64::try_from(line).ok()),
            original: &self.original,
            envelope: self.envelope.as_deref().filter(|text| is_object(text)),
        }
    }
}

/// An identifier as sent: namespace and value.
type Sent = (Arc<str>, Arc<str>);

/// The identifiers. One without a value is absent.
fn pairs(pairs: Vec<PairWire<'_>>, parser: &mut Parser) -> Result<Vec<Sent>, Malformed> {
    let with_value = pairs.into_iter().filter(|pair| !pair.value.is_empty());
    let share = |pair: PairWire<'_>| {
        present(&[("namespace", &pair.namespace)])?;
        Ok((parser.share(&pair.namespace), pair.value.into()))
    };
    with_value.map(share).collect()
}

fn consent(consent: &BTreeMap<Cow<'_, str>, bool>, parser: &mut Parser) -> Vec<(Arc<str>, bool)> {
    consent.iter().map(|(purpose, given)| (parser.share(purpose), *given)).collect()
}

/// How a field is shown in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// By its type.
    Value,
    /// As it stands: it is JSON already.
    Json,
    /// By its type, and not at all where it is false or empty.
    IfAny,
}

pub(crate) fn shown(field: &str) -> Shown {
    match field {
        "traits" | "computed" | "properties" | "before" | "after" | "envelope" => Shown::Json,
        "shared" | "households" | "accounts" => Shown::IfAny,
        _ => Shown::Value,
    }
}

fn is_nothing(value: &Avro) -> bool {
    match value {
        Avro::Boolean(truth) => !truth,
        Avro::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

fn show(value: &Avro, as_shown: Shown, out: &mut Vec<u8>) {
    match value {
        Avro::Union(_, inner) => show(inner, as_shown, out),
        Avro::String(text) if as_shown == Shown::Json => out.extend_from_slice(text.as_bytes()),
        Avro::String(text) => json::text(out, text),
        Avro::Boolean(truth) => json::boolean(out, *truth),
        Avro::Long(number) => json::decimal(out, &(*number).into()),
        Avro::TimestampMicros(micros) => json::time(out, Timestamp::from_micros(*micros)),
        Avro::Array(items) => json::list(out, items, |out, item| show(item, Shown::Value, out)),
        Avro::Map(entries) => {
            let sorted: BTreeMap<&String, &Avro> = entries.iter().collect();
            let mut object = Object::open(out);
            sorted.into_iter().for_each(|(name, entry)| show(entry, Shown::Value, object.named(name)));
            object.close();
        }
        Avro::Record(fields) => {
            let mut object = Object::open(out);
            for (name, field) in fields {
                if shown(name) != Shown::IfAny || !is_nothing(field) {
                    show(field, shown(name), object.named(name));
                }
            }
            object.close();
        }
        // Null, and the types that our schemas do not use.
        _ => out.extend_from_slice(b"null"),
    }
}

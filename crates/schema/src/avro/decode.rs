//! Records of the topics, decoded: touchpoints and directives to values of the core, all of them to JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::types::Value as Avro;
use musubi_core::directive::Directive;
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Error, HEADER, Topic, codec};
use crate::json::{self, Object};
use crate::read::{Parser, order};
use crate::render::{self, Quarantined};

/// The touchpoint of a single object. `parser` lends the names that it has seen, and may read JSON lines between.
///
/// # Errors
/// [`Error`] where the bytes are no touchpoint under any schema that we know.
pub fn decode_touchpoint(bytes: &[u8], parser: &mut Parser) -> Result<Touchpoint, Error> {
    let wire: TouchpointWire = read(Topic::Touchpoints, bytes)?;
    let traits = parser.parse_fields("traits", &wire.traits)?;
    let properties = parser.parse_fields("properties", &wire.properties)?;
    Ok(Touchpoint {
        source: parser.share(&wire.source),
        event_id: wire.event_id.into(),
        channel: parser.share(&wire.channel),
        kind: parser.share(&wire.kind),
        occurred_at: Timestamp::from_micros(wire.occurred_at),
        received_at: wire.received_at.map(Timestamp::from_micros),
        identifiers: pairs(wire.identifiers, parser),
        traits,
        properties,
        consent: consent(&wire.consent, parser),
        household: wire.household.map(Into::into),
        account: wire.account.map(Into::into),
    })
}

/// The directive of a single object.
///
/// # Errors
/// [`Error`] where the bytes are no directive under any schema that we know.
pub fn decode_directive(bytes: &[u8], parser: &mut Parser) -> Result<Directive, Error> {
    let wire: DirectiveWire = read(Topic::Directives, bytes)?;
    let identifiers = pairs(wire.identifiers, parser);
    let consent = consent(&wire.consent, parser);
    let (source, directive_id) = (parser.share(&wire.source), Arc::from(wire.directive_id));
    let order = order(&wire.directive, identifiers, consent)
        .map_err(|fault| crate::read::malformed(fault, Some(Arc::clone(&source)), Some(Arc::clone(&directive_id))))?;
    Ok(Directive { source, directive_id, at: Timestamp::from_micros(wire.at), order })
}

/// Appends the record of a topic as JSON on one line: the same text that [`crate::render_profile`] and its like give.
///
/// # Errors
/// [`Error`] where the bytes are no record of the topic under any schema that we know.
pub fn to_json(topic: Topic, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    match topic {
        Topic::Touchpoints => crate::render_touchpoint(&decode_touchpoint(bytes, &mut Parser::new())?, out),
        Topic::Directives => crate::render_directive(&decode_directive(bytes, &mut Parser::new())?, out),
        Topic::Quarantine => {
            let wire: QuarantinedWire = read(topic, bytes)?;
            render::render_quarantined(&wire.quarantined(), out);
        }
        Topic::ProfileChanges | Topic::Profiles | Topic::IdentityMap | Topic::Redirects => {
            show(&read_value(topic, bytes)?, Shown::Value, out);
        }
    }
    Ok(())
}

/// The header and the body of a single object.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    const MARKER: [u8; 2] = [0xc3, 0x01];
    match bytes.split_at_checked(HEADER) {
        Some((header, body)) if header.starts_with(&MARKER) => Ok((header, body)),
        Some(_) | None => Err(Error::NotSingleObject),
    }
}

/// A record by serde. What was written under an earlier schema takes the long way round.
fn read<T: DeserializeOwned>(topic: Topic, bytes: &[u8]) -> Result<T, Error> {
    let (header, mut body) = split(bytes)?;
    let codec = codec(topic);
    if header == codec.header {
        return Ok(codec.reader.read_deser(&mut body)?);
    }
    Ok(apache_avro::from_value(&read_value(topic, bytes)?)?)
}

fn read_value(topic: Topic, bytes: &[u8]) -> Result<Avro, Error> {
    let (header, mut body) = split(bytes)?;
    let codec = codec(topic);
    let earlier = || codec.predecessors.iter().find(|(of, _)| of == header).map(|(_, reader)| reader);
    let reader = if header == codec.header { Some(&codec.reader) } else { earlier() };
    match reader {
        Some(reader) => Ok(reader.read_value(&mut body)?),
        None => Err(Error::UnknownSchema { topic: topic.name(), fingerprint: fingerprint(header) }),
    }
}

fn fingerprint(header: &[u8]) -> u64 {
    header.iter().skip(2).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[derive(Deserialize)]
#[serde(rename = "Identifier")]
struct PairWire {
    namespace: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename = "Touchpoint")]
struct TouchpointWire {
    source: String,
    event_id: String,
    channel: String,
    #[serde(rename = "type")]
    kind: String,
    occurred_at: i64,
    received_at: Option<i64>,
    identifiers: Vec<PairWire>,
    traits: String,
    properties: String,
    consent: BTreeMap<String, bool>,
    household: Option<String>,
    account: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename = "Directive")]
struct DirectiveWire {
    directive: String,
    directive_id: String,
    source: String,
    at: i64,
    identifiers: Vec<PairWire>,
    consent: BTreeMap<String, bool>,
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
        }
    }
}

fn pairs(pairs: Vec<PairWire>, parser: &mut Parser) -> Vec<(Arc<str>, Arc<str>)> {
    pairs.into_iter().map(|pair| (parser.share(&pair.namespace), pair.value.into())).collect()
}

fn consent(consent: &BTreeMap<String, bool>, parser: &mut Parser) -> Vec<(Arc<str>, bool)> {
    consent.iter().map(|(purpose, given)| (parser.share(purpose), *given)).collect()
}

/// How a field is shown in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// By its type.
    Value,
    /// As it stands: it is JSON already.
    Json,
    /// By its type, and not at all where it is false or empty.
    IfAny,
}

fn shown(field: &str) -> Shown {
    match field {
        "traits" | "computed" | "properties" | "before" | "after" => Shown::Json,
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

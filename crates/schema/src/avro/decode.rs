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
use crate::malformed::{Fault, Malformed, Reason};
use crate::read::{Parser, malformed, order};
use crate::render::{self, Quarantined};
use crate::time::of_our_centuries;

/// The touchpoint of a single object, held to the same rules as a line of JSON, since any client may produce.
/// `parser` lends the names that it has seen, and may read JSON lines between.
///
/// # Errors
/// [`Error`] where the bytes are no touchpoint under any schema that we know.
pub fn decode_touchpoint(bytes: &[u8], parser: &mut Parser) -> Result<Touchpoint, Error> {
    let wire: TouchpointWire = read(Topic::Touchpoints, bytes)?;
    let (source, event_id) = (parser.share(&wire.source), Arc::<str>::from(wire.event_id.as_str()));
    touchpoint(wire, parser).map_err(|refused| Error::Malformed(refused.of(&source, &event_id)))
}

fn touchpoint(wire: TouchpointWire, parser: &mut Parser) -> Result<Touchpoint, Malformed> {
    let texts =
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

/// The directive of a single object, likewise.
///
/// # Errors
/// [`Error`] where the bytes are no directive under any schema that we know.
pub fn decode_directive(bytes: &[u8], parser: &mut Parser) -> Result<Directive, Error> {
    let wire: DirectiveWire = read(Topic::Directives, bytes)?;
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
fn present(texts: &[(&str, &String)]) -> Result<(), Malformed> {
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

/// An identifier as sent: namespace and value.
type Sent = (Arc<str>, Arc<str>);

/// The identifiers. One without a value is absent.
fn pairs(pairs: Vec<PairWire>, parser: &mut Parser) -> Result<Vec<Sent>, Malformed> {
    let with_value = pairs.into_iter().filter(|pair| !pair.value.is_empty());
    let share = |pair: PairWire| {
        present(&[("namespace", &pair.namespace)])?;
        Ok((parser.share(&pair.namespace), pair.value.into()))
    };
    with_value.map(share).collect()
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

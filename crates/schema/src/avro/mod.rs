//! Avro: every record of every topic as a body of its schema, and back from whatever framing it came in.
//!
//! A *single object* is `C3 01`, the CRC-64-AVRO fingerprint of the schema, and the body; the other framings are
//! [`Framing`](crate::Framing)'s.
//!
//! Values of any shape (`traits`, `properties`, `computed`, and before and after of a change) travel as JSON text in a
//! string: every consumer has a JSON parser, numbers stay exact, and it costs less than a recursive union.

mod body;
mod decode;
mod encode;
#[cfg(test)]
mod history;
mod records;
mod wire;

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::headers::{HeaderBuilder, RabinFingerprintHeader};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

pub(crate) use decode::{Shown, shown};
pub use decode::{decode_directive, decode_touchpoint, to_json, to_json_with};
pub(crate) use records::parts;
pub use records::{IdentifierRow, Record, TraitRow};

/// How many topics have a schema.
pub const TOPICS: usize = 9;

/// What is written on a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Events from sources.
    Touchpoints,
    /// Words of operators.
    Directives,
    /// Changes of persons.
    ProfileChanges,
    /// Newest states of persons.
    Profiles,
    /// Whose identifiers are.
    IdentityMap,
    /// Persons that old ids stand for.
    Redirects,
    /// What was set aside.
    Quarantine,
    /// Identifiers of persons, a row for each.
    ProfileIdentifiers,
    /// Traits of persons, a row for each.
    ProfileTraits,
}

impl Topic {
    /// Every topic, in the order of its declaration.
    pub const ALL: [Self; TOPICS] = [
        Self::Touchpoints,
        Self::Directives,
        Self::ProfileChanges,
        Self::Profiles,
        Self::IdentityMap,
        Self::Redirects,
        Self::Quarantine,
        Self::ProfileIdentifiers,
        Self::ProfileTraits,
    ];

    /// The name of the topic, and of its schema's file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Touchpoints => "touchpoints",
            Self::Directives => "directives",
            Self::ProfileChanges => "profile-changes",
            Self::Profiles => "profiles",
            Self::IdentityMap => "identity-map",
            Self::Redirects => "redirects",
            Self::Quarantine => "quarantine",
            Self::ProfileIdentifiers => "profile-identifiers",
            Self::ProfileTraits => "profile-traits",
        }
    }

    /// The schema as its file has it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Touchpoints => include_str!("../../../../schemas/touchpoints.avsc"),
            Self::Directives => include_str!("../../../../schemas/directives.avsc"),
            Self::ProfileChanges => include_str!("../../../../schemas/profile-changes.avsc"),
            Self::Profiles => include_str!("../../../../schemas/profiles.avsc"),
            Self::IdentityMap => include_str!("../../../../schemas/identity-map.avsc"),
            Self::Redirects => include_str!("../../../../schemas/redirects.avsc"),
            Self::Quarantine => include_str!("../../../../schemas/quarantine.avsc"),
            Self::ProfileIdentifiers => include_str!("../../../../schemas/profile-identifiers.avsc"),
            Self::ProfileTraits => include_str!("../../../../schemas/profile-traits.avsc"),
        }
    }
}

/// Every version of every schema that records may have been written under, with its topic and number: the files of
/// `schemas/history`. The last of a topic is the schema as it is now. A test holds the two together.
const VERSIONS: &[(Topic, u32, &str)] = &[
    (Topic::Touchpoints, 1, include_str!("../../../../schemas/history/touchpoints.1.avsc")),
    (Topic::Directives, 1, include_str!("../../../../schemas/history/directives.1.avsc")),
    (Topic::ProfileChanges, 1, include_str!("../../../../schemas/history/profile-changes.1.avsc")),
    (Topic::Profiles, 1, include_str!("../../../../schemas/history/profiles.1.avsc")),
    (Topic::IdentityMap, 1, include_str!("../../../../schemas/history/identity-map.1.avsc")),
    (Topic::Redirects, 1, include_str!("../../../../schemas/history/redirects.1.avsc")),
    (Topic::Quarantine, 1, include_str!("../../../../schemas/history/quarantine.1.avsc")),
    (Topic::Quarantine, 2, include_str!("../../../../schemas/history/quarantine.2.avsc")),
    (Topic::ProfileIdentifiers, 1, include_str!("../../../../schemas/history/profile-identifiers.1.avsc")),
    (Topic::ProfileTraits, 1, include_str!("../../../../schemas/history/profile-traits.1.avsc")),
];

/// The most that one length in a record may make the decoder reserve. A record of a topic is far smaller; what claims
/// more is broken, or wants us to run out of memory.
const MOST_BYTES: usize = 64 << 20;

/// Why something is not a record that we know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the framings.
    #[error("wanted an Avro single object, the number of a schema with a body, or a JSON object, found {}", start(*.0))]
    Unframed([u8; 2]),
    /// A fingerprint of none of the schemas of the topic, those before it included.
    #[error("no schema of `{topic}` has the fingerprint `{fingerprint:016x}`")]
    UnknownSchema {
        /// The topic.
        topic: &'static str,
        /// The fingerprint found.
        fingerprint: u64,
    },
    /// A number under which we know of no schema: the registry does not know it either, or none is configured.
    #[error("no registry knows a schema `{id}` for a record of `{topic}`")]
    UnknownId {
        /// The topic.
        topic: &'static str,
        /// The number found.
        id: u32,
    },
    /// A schema whose records cannot be read as those of the topic.
    #[error("the schema `{id}` cannot be read as one of `{topic}`: {why}")]
    Unreadable {
        /// The topic.
        topic: &'static str,
        /// The number of the schema.
        id: u32,
        /// Why not.
        why: String,
    },
    /// A body that is not of its schema, or a value that does not fit it.
    #[error(transparent)]
    Avro(#[from] apache_avro::Error),
    /// A field that is of its schema and yet means nothing, such as traits that are not JSON.
    #[error("{0}")]
    Malformed(#[from] crate::Malformed),
}

fn start(bytes: [u8; 2]) -> String {
    format!("bytes that begin with `{:02x} {:02x}`", bytes[0], bytes[1])
}

/// The schema of a topic's records: for container files and for schema registries.
pub fn schema(topic: Topic) -> &'static Schema {
    codec(topic).schema
}

/// A schema with its header and its writer.
pub(crate) struct Codec {
    schema: &'static Schema,
    header: Vec<u8>,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
    /// Readers of what was written under earlier schemas, by header.
    predecessors: Vec<(Vec<u8>, GenericDatumReader<'static>)>,
}

/// Which schema of a topic a writer had.
pub(crate) enum Writer {
    /// The one of now.
    Ours,
    /// One before it.
    Earlier(&'static GenericDatumReader<'static>),
}

/// The codec of a topic. The schemas are part of the program, and live as long as it does.
pub(crate) fn codec(topic: Topic) -> &'static Codec {
    static CODECS: LazyLock<[Codec; TOPICS]> = LazyLock::new(|| Topic::ALL.map(Codec::new));
    &CODECS[topic as usize]
}

impl Codec {
    fn new(topic: Topic) -> Self {
        apache_avro::util::max_allocation_bytes(MOST_BYTES);
        let schema = parse(topic.text());
        let header = header(schema);
        let earlier = VERSIONS.iter().filter(|(of, ..)| *of == topic).map(|(.., text)| parse(text));
        let resolve = |writer: &'static Schema| {
            (self::header(writer), resolving(writer, schema).expect("a test builds every codec"))
        };
        Self {
            schema,
            writer: GenericDatumWriter::builder(schema)
                .human_readable(false)
                .build()
                .expect("a test builds every codec"),
            reader: GenericDatumReader::builder(schema)
                .human_readable(false)
                .build()
                .expect("a test builds every codec"),
            predecessors: earlier.map(resolve).filter(|(of, _)| *of != header).collect(),
            header,
        }
    }

    /// The schema with this header, among those of the topic.
    fn writer_of(&'static self, header: &[u8]) -> Option<Writer> {
        if header == self.header {
            return Some(Writer::Ours);
        }
        self.predecessors.iter().find(|(of, _)| of == header).map(|(_, reader)| Writer::Earlier(reader))
    }

    /// A reader of what was written under `writer`, as the schema of now has it.
    pub(crate) fn reader_of<'s>(&self, writer: &'s Schema) -> Result<GenericDatumReader<'s>, apache_avro::Error> {
        resolving(writer, self.schema)
    }

    /// Which of the topic's schemas this one is, if any.
    ///
    /// The canonical form, and with it the fingerprint, knows nothing of logical types, and milliseconds are not
    /// microseconds: so these are compared beside.
    pub(crate) fn recognise(&'static self, writer: &Schema, text: &str) -> Option<Writer> {
        let (header, times) = (header(writer), logical_types(text));
        let known = VERSIONS.iter().any(|(_, _, known)| {
            Schema::parse_str(known).is_ok_and(|known| self::header(&known) == header) && logical_types(known) == times
        });
        self.writer_of(&header).filter(|_| known)
    }
}

/// The logical types of a schema, as they come in its text.
fn logical_types(text: &str) -> Vec<String> {
    fn gather(schema: &serde_json::Value, types: &mut Vec<String>) {
        types.extend(schema.get("logicalType").map(ToString::to_string));
        match schema {
            serde_json::Value::Object(parts) => {
                ["type", "fields", "items", "values"]
                    .iter()
                    .filter_map(|name| parts.get(*name))
                    .for_each(|part| gather(part, types));
            }
            serde_json::Value::Array(parts) => parts.iter().for_each(|part| gather(part, types)),
            _ => {}
        }
    }
    let mut types = Vec::new();
    gather(&serde_json::from_str(text).unwrap_or_default(), &mut types);
    types
}

fn resolving<'s>(writer: &'s Schema, reader: &'s Schema) -> Result<GenericDatumReader<'s>, apache_avro::Error> {
    GenericDatumReader::builder(writer).reader_schema(reader).human_readable(false).build()
}

fn parse(text: &str) -> &'static Schema {
    Box::leak(Box::new(Schema::parse_str(text).expect("a test parses every schema")))
}

fn header(schema: &Schema) -> Vec<u8> {
    RabinFingerprintHeader::from_schema(schema).build_header()
}

#[cfg(test)]
mod tests;

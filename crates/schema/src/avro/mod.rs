//! Avro: every record of every topic as a single object (`C3 01`, the CRC-64-AVRO fingerprint of its schema, the
//! body), and back.
//!
//! Values of any shape (`traits`, `properties`, `computed`, and before and after of a change) travel as JSON text in a
//! string: every consumer has a JSON parser, numbers stay exact, and it costs less than a recursive union.

mod decode;
mod records;
mod wire;

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::headers::{HeaderBuilder, RabinFingerprintHeader};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

pub use decode::{decode_directive, decode_touchpoint, to_json};
pub use records::Record;
pub(crate) use records::parts;

/// Bytes before the body: a two-byte marker and the fingerprint of the schema.
const HEADER: usize = 10;

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
}

impl Topic {
    /// Every topic, in the order of its declaration.
    pub const ALL: [Self; 7] = [
        Self::Touchpoints,
        Self::Directives,
        Self::ProfileChanges,
        Self::Profiles,
        Self::IdentityMap,
        Self::Redirects,
        Self::Quarantine,
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
        }
    }
}

/// Schemas that were written before, with their topics: the files of `schemas/history`. A test holds the two together.
const PREDECESSORS: &[(Topic, &str)] = &[];

/// Why something is not the Avro that we know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too short, or without the marker of a single object.
    #[error("not an Avro single object")]
    NotSingleObject,
    /// A fingerprint of none of the schemas of the topic, those before it included.
    #[error("no schema of `{topic}` has the fingerprint `{fingerprint:016x}`")]
    UnknownSchema {
        /// The topic.
        topic: &'static str,
        /// The fingerprint found.
        fingerprint: u64,
    },
    /// A body that is not of its schema, or a value that does not fit it.
    #[error(transparent)]
    Avro(#[from] apache_avro::Error),
    /// A field that is of its schema and yet means nothing, such as traits that are not JSON.
    #[error("{0}")]
    Malformed(#[from] crate::Malformed),
}

/// The schema of a topic's records: for container files and for schema registries.
pub fn schema(topic: Topic) -> &'static Schema {
    codec(topic).schema
}

/// A schema with its header and its writer.
struct Codec {
    schema: &'static Schema,
    header: Vec<u8>,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
    /// Readers of what was written under earlier schemas, by header.
    predecessors: Vec<(Vec<u8>, GenericDatumReader<'static>)>,
}

/// The codec of a topic. The schemas are part of the program, and live as long as it does.
fn codec(topic: Topic) -> &'static Codec {
    static CODECS: LazyLock<[Codec; 7]> = LazyLock::new(|| Topic::ALL.map(Codec::new));
    &CODECS[topic as usize]
}

impl Codec {
    fn new(topic: Topic) -> Self {
        let schema = parse(topic.text());
        let earlier = PREDECESSORS.iter().filter(|(of, _)| *of == topic).map(|(_, text)| parse(text));
        let resolve = |writer: &'static Schema| {
            let reader = GenericDatumReader::builder(writer).reader_schema(schema).human_readable(false).build();
            (header(writer), reader.expect("a test builds every codec"))
        };
        Self {
            schema,
            header: header(schema),
            writer: GenericDatumWriter::builder(schema)
                .human_readable(false)
                .build()
                .expect("a test builds every codec"),
            reader: GenericDatumReader::builder(schema)
                .human_readable(false)
                .build()
                .expect("a test builds every codec"),
            predecessors: earlier.map(resolve).collect(),
        }
    }
}

fn parse(text: &str) -> &'static Schema {
    Box::leak(Box::new(Schema::parse_str(text).expect("a test parses every schema")))
}

fn header(schema: &Schema) -> Vec<u8> {
    RabinFingerprintHeader::from_schema(schema).build_header()
}

#[cfg(test)]
mod tests;

//! The numbers of our own schemas: found, or registered where they can follow on what is there.

use apache_avro::Schema;
use apache_avro::headers::{HeaderBuilder, RabinFingerprintHeader};
use apache_avro::schema_compatibility::SchemaCompatibility;
use musubi_schema::avro::Topic;
use musubi_schema::{Ids, json_schema};
use schema_registry_converter::blocking::schema_registry::{get_all_versions, perform_sr_call, post_schema};
use schema_registry_converter::schema_registry_common::{RawRegisteredSchema, SchemaType, SrCall, SuppliedSchema};
use serde_json::json;

use crate::ask::Answer;
use crate::{Error, Registry};

/// In which notation values and their schemas are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Avro.
    Avro,
    /// JSON, described by JSON Schema.
    Json,
}

impl Notation {
    /// The word of the registry.
    const fn word(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
        }
    }
}

/// One of our schemas on its way to a subject.
struct Candidate {
    topic: Topic,
    notation: Notation,
    subject: String,
    text: String,
}

impl Registry {
    /// The number of every topic's schema. One that is not there yet is registered, if the settings say so and it reads
    /// what every version under its subject wrote (`BACKWARD_TRANSITIVE`), whatever level the registry itself checks.
    ///
    /// # Errors
    /// [`Error`], with the subject, what was wanted and what was found. What was registered before it stays registered.
    pub fn ids(&self, notation: Notation) -> Result<Ids, Error> {
        Ids::try_of(|topic| {
            let subject = format!("{}{}-value", self.settings.prefix, topic.name());
            let text = match notation {
                Notation::Avro => topic.text().to_owned(),
                Notation::Json => json_schema(topic),
            };
            self.id(&Candidate { topic, notation, subject, text })
        })
    }

    fn id(&self, candidate: &Candidate) -> Result<u32, Error> {
        if let Some(id) = self.look_up(candidate)? {
            return Ok(id);
        }
        let question = format!("the versions of `{}`", candidate.subject);
        let versions = self.ask_for(&question, || get_all_versions(&self.client, candidate.subject.clone()))?;
        let versions = versions.unwrap_or_default();
        if !self.settings.register {
            let newest = versions.last().map(|version| self.version(candidate, *version)).transpose()?.flatten();
            let found = newest.map_or_else(|| "nothing".to_owned(), |found| described(&found));
            return Err(Error::NotRegistered {
                subject: candidate.subject.clone(),
                wanted: candidate.described(),
                found,
            });
        }
        for version in versions {
            if let Some(found) = self.version(candidate, version)? {
                candidate.follows_on(&found)?;
            }
        }
        self.register(candidate)
    }

    /// The number of just this schema under its subject.
    fn look_up(&self, candidate: &Candidate) -> Result<Option<u32>, Error> {
        let body = json!({ "schema": candidate.text, "schemaType": candidate.notation.word() }).to_string();
        let call = || perform_sr_call(&self.client, SrCall::PostForVersion(&candidate.subject, &body));
        let found = self.ask_for(&format!("our schema under `{}`", candidate.subject), call)?;
        Ok(found.and_then(|found| found.id))
    }

    /// A version under the subject; none where somebody deleted it meanwhile.
    fn version(&self, candidate: &Candidate, version: u32) -> Result<Option<RawRegisteredSchema>, Error> {
        let subject = &candidate.subject;
        let call = || perform_sr_call(&self.client, SrCall::GetBySubjectAndVersion(subject, version));
        self.ask_for(&format!("version {version} of `{subject}`"), call)
    }

    fn register(&self, candidate: &Candidate) -> Result<u32, Error> {
        /// What a registry answers where its own compatibility level forbids it.
        const CONFLICT: u16 = 409;
        let question = format!("the registration of `{}`", candidate.subject);
        let kind = match candidate.notation {
            Notation::Avro => SchemaType::Avro,
            Notation::Json => SchemaType::Json,
        };
        let call = || {
            let supplied = SuppliedSchema::new(None, kind.clone(), candidate.text.clone());
            post_schema(&self.client, candidate.subject.clone(), supplied)
        };
        match self.ask(&question, call)? {
            Answer::Found(registered) => Ok(registered.id),
            Answer::Refused(CONFLICT, why) => {
                Err(candidate.incompatible("what is there, as the registry has it".to_owned(), why))
            }
            Answer::Refused(_, why) => Err(Error::Refused { question, why }),
            Answer::Missing => Err(Error::Refused { question, why: "there is nothing to register it with".to_owned() }),
        }
    }
}

impl Candidate {
    /// That this schema reads what was written under the one that is there.
    fn follows_on(&self, found: &RawRegisteredSchema) -> Result<(), Error> {
        let (kind, text) =
            (found.schema_type.as_deref().unwrap_or("AVRO"), found.schema.as_deref().unwrap_or_default());
        let refuse = |why: String| Err(self.incompatible(described(found), why));
        if kind != self.notation.word() {
            return refuse(format!("wanted {}, found {kind}", self.notation.word()));
        }
        match self.notation {
            Notation::Avro => {
                let written = match Schema::parse_str(text) {
                    Ok(written) => written,
                    Err(why) => return refuse(why.to_string()),
                };
                let read = SchemaCompatibility::can_read(&written, musubi_schema::avro::schema(self.topic));
                read.map(drop).or_else(|why| refuse(why.to_string()))
            }
            // Of JSON Schemas the registry is the judge.
            Notation::Json => Ok(()),
        }
    }

    fn incompatible(&self, found: String, why: String) -> Error {
        Error::Incompatible { subject: self.subject.clone(), wanted: self.described(), found, why }
    }

    fn described(&self) -> String {
        named(self.notation.word(), &self.text)
    }
}

fn described(found: &RawRegisteredSchema) -> String {
    let kind = found.schema_type.as_deref().unwrap_or("AVRO");
    let schema = named(kind, found.schema.as_deref().unwrap_or_default());
    found.version.map_or_else(|| schema.clone(), |version| format!("version {version}, {schema}"))
}

/// A schema in few words: its notation, name and, for Avro, the fingerprint that tells it from another.
fn named(kind: &str, text: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let name = ["name", "title"].iter().find_map(|part| json.get(part)?.as_str()).unwrap_or("nameless");
    match Schema::parse_str(text) {
        Ok(schema) if kind == "AVRO" => {
            let header = RabinFingerprintHeader::from_schema(&schema).build_header();
            let fingerprint: String = header.iter().skip(2).rev().map(|byte| format!("{byte:02x}")).collect();
            format!("{kind} `{name}` ({fingerprint})")
        }
        Ok(_) | Err(_) => format!("{kind} `{name}`"),
    }
}

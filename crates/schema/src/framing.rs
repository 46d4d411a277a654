//! Framing: how the bytes of a value say what they are.
//!
//! | framing | bytes | for |
//! |---|---|---|
//! | [`Framing::SingleObject`] | `C3 01`, fingerprint, Avro body | whoever holds the schema files; needs no registry |
//! | [`Framing::Confluent`] | `00`, number (4 bytes, big-endian), Avro body | clients of a Schema Registry |
//! | [`Framing::Json`] | JSON, with the same five bytes before it where a registry numbers the schemas | whoever wants JSON |
//!
//! Writing is by one framing; reading takes any of them, by the first byte, so that producers may differ and a topic may
//! change over.

use crate::avro::{Error, Record, TOPICS, Topic};

/// The first byte of a value whose schema has a number in a registry.
const NUMBERED: u8 = 0;

/// The bytes before the body of such a value.
const PREFIX: usize = 5;

/// The bytes before the body of a single object: a two-byte marker and the fingerprint of the schema.
const HEADER: usize = 10;

/// How values are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Avro's single object.
    #[default]
    SingleObject,
    /// Avro behind the number of its schema.
    Confluent(Ids),
    /// JSON, behind the number of its JSON Schema where a registry gave one.
    Json(Option<Ids>),
}

/// The number under which a registry knows the schema of each topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids([u32; TOPICS]);

impl Ids {
    /// The numbers that `id` gives.
    ///
    /// # Errors
    /// The first that `id` gives.
    pub fn try_of<E>(mut id: impl FnMut(Topic) -> Result<u32, E>) -> Result<Self, E> {
        let mut ids = [0; TOPICS];
        for topic in Topic::ALL {
            ids[topic as usize] = id(topic)?;
        }
        Ok(Self(ids))
    }

    /// The number of a topic's schema.
    pub const fn of(&self, topic: Topic) -> u32 {
        self.0[topic as usize]
    }
}

impl Framing {
    /// Appends a record.
    ///
    /// # Errors
    /// As for [`Record::encode`]; nothing is appended then.
    pub fn encode(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::SingleObject => record.encode(out)?,
            Self::Confluent(ids) => record.encode_after(&prefix(ids.of(record.topic())), out)?,
            Self::Json(ids) => {
                out.extend(ids.iter().flat_map(|ids| prefix(ids.of(record.topic()))));
                record.render(out);
            }
        }
        Ok(())
    }

    /// The media type of what it writes.
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::SingleObject | Self::Confluent(_) => "application/avro",
            Self::Json(_) => "application/json",
        }
    }
}

fn prefix(id: u32) -> [u8; PREFIX] {
    let [first, second, third, fourth] = id.to_be_bytes();
    [NUMBERED, first, second, third, fourth]
}

/// The bytes of a value, by its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// A single object: its header and its body.
    Object(&'a [u8], &'a [u8]),
    /// A body behind the number of its schema.
    Numbered(u32, &'a [u8]),
    /// JSON.
    Json(&'a [u8]),
}

impl<'a> Form<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, Error> {
        const MARKER: [u8; 2] = [0xc3, 0x01];
        if let Some((header, body)) = bytes.split_at_checked(HEADER)
            && header.starts_with(&MARKER)
        {
            return Ok(Self::Object(header, body));
        }
        if let Some(([NUMBERED, id @ ..], body)) = bytes.split_first_chunk::<PREFIX>() {
            return Ok(Self::Numbered(u32::from_be_bytes(*id), body));
        }
        if bytes.trim_ascii_start().starts_with(b"{") {
            return Ok(Self::Json(bytes));
        }
        let byte = |place: usize| bytes.get(place).copied().unwrap_or_default();
        Err(Error::Unframed([byte(0), byte(1)]))
    }
}

#[cfg(test)]
mod tests;

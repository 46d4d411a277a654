//! Whose records we can read: the schemas that producers wrote under, by their numbers in a registry.
//!
//! Decoding is pure given a table of them. The table is filled beforehand, by [`Writers::learn`], from a [`Source`] that
//! may ask the network; so a record is never set aside because the network was away.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::Name;
use apache_avro::types::Value;

use crate::avro::{self, Error, Topic, codec};
use crate::framing::{Form, Framing, Ids};

/// So many foreign schemas are kept ready to read for as long as the process lives. A registry has a few for each topic;
/// beyond this number they are read all the same, only slower.
const READY: usize = 256;

/// What a registry holds under a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// An Avro schema, as text.
    Avro(String),
    /// A JSON Schema: the values are JSON.
    Json,
    /// Something whose records we do not read, such as `PROTOBUF`.
    Other(String),
}

/// A registry could not be asked: whether a record can be read is not known, and asking again later may tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema `{id}` cannot be fetched now: {why}")]
pub struct Unavailable {
    /// The number asked for.
    pub id: u32,
    /// What went wrong.
    pub why: String,
}

/// Where the schema of a number is found. It may ask the network, and so must not be called on a thread of an async
/// runtime.
pub trait Source: Send + Sync {
    /// The schema of this number; none where there is none.
    ///
    /// # Errors
    /// [`Unavailable`] where that could not be found out.
    fn schema(&self, id: u32) -> Result<Option<Registered>, Unavailable>;
}

/// The schemas that records may have been written under, for each topic.
#[derive(Clone, Default)]
pub struct Writers {
    source: Option<Arc<dyn Source>>,
    known: HashMap<(Topic, u32), Writer>,
}

#[derive(Clone)]
enum Writer {
    Ours,
    Earlier(&'static GenericDatumReader<'static>),
    Ready(Arc<GenericDatumReader<'static>>),
    Held(Arc<Schema>),
    Json,
    Unreadable(String),
}

/// What stands behind the number.
pub(crate) enum Found<'a> {
    /// A body under our own schema.
    Ours(&'a [u8]),
    /// A value that our schema has taken over.
    Value(Value),
    /// JSON.
    Json(&'a [u8]),
}

impl Writers {
    /// A table that is filled from this source.
    pub fn from_source(source: Arc<dyn Source>) -> Self {
        Self { source: Some(source), known: HashMap::new() }
    }

    /// The schemas that we write under, so that nobody has to be asked for them.
    pub fn add_ours(&mut self, framing: &Framing) {
        let mut add = |ids: &Ids, writer: &Writer| {
            Topic::ALL.into_iter().for_each(|topic| drop(self.known.insert((topic, ids.of(topic)), writer.clone())));
        };
        match framing {
            Framing::Confluent(ids) => add(ids, &Writer::Ours),
            Framing::Json(Some(ids)) => add(ids, &Writer::Json),
            Framing::SingleObject | Framing::Json(None) => {}
        }
    }

    /// Sees to it that the schema of this value is known, if there is one. To be called before the value is decoded.
    ///
    /// # Errors
    /// [`Unavailable`] where the source could not be asked.
    pub fn learn(&mut self, topic: Topic, value: &[u8]) -> Result<(), Unavailable> {
        let Ok(Form::Numbered(id, _)) = Form::of(value) else { return Ok(()) };
        let Some(source) = self.source.as_ref().filter(|_| !self.known.contains_key(&(topic, id))) else {
            return Ok(());
        };
        if let Some(registered) = source.schema(id)? {
            self.add(topic, id, &registered);
        }
        Ok(())
    }

    /// Adds a schema to the table.
    pub fn add(&mut self, topic: Topic, id: u32, registered: &Registered) {
        let writer = match registered {
            Registered::Avro(text) => self.avro(topic, text).unwrap_or_else(Writer::Unreadable),
            Registered::Json => Writer::Json,
            Registered::Other(kind) => Writer::Unreadable(format!("wanted Avro or JSON, found {kind}")),
        };
        self.known.insert((topic, id), writer);
    }

    fn avro(&self, topic: Topic, text: &str) -> Result<Writer, String> {
        let schema = Schema::parse_str(text).map_err(|why| why.to_string())?;
        match codec(topic).recognise(&schema, text) {
            Some(avro::Writer::Ours) => return Ok(Writer::Ours),
            Some(avro::Writer::Earlier(reader)) => return Ok(Writer::Earlier(reader)),
            None => {}
        }
        if is_recursive(&schema, &mut Vec::new()) {
            return Err("a record that holds itself has no bounds".to_owned());
        }
        if self.known.len() >= READY {
            return Ok(Writer::Held(Arc::new(schema)));
        }
        // The reader borrows its schema: as those of the program, it lives as long as the process. READY bounds them.
        let schema: &'static Schema = Box::leak(Box::new(schema));
        let reader = codec(topic).reader_of(schema).map_err(|why| why.to_string())?;
        Ok(Writer::Ready(Arc::new(reader)))
    }

    /// The value of a body behind this number.
    pub(crate) fn read<'a>(&self, topic: Topic, id: u32, mut body: &'a [u8]) -> Result<Found<'a>, Error> {
        match self.known.get(&(topic, id)) {
            None => Err(Error::UnknownId { topic: topic.name(), id }),
            Some(Writer::Ours) => Ok(Found::Ours(body)),
            Some(Writer::Earlier(reader)) => Ok(Found::Value(reader.read_value(&mut body)?)),
            Some(Writer::Ready(reader)) => Ok(Found::Value(reader.read_value(&mut body)?)),
            Some(Writer::Held(schema)) => Ok(Found::Value(codec(topic).reader_of(schema)?.read_value(&mut body)?)),
            Some(Writer::Json) => Ok(Found::Json(body)),
            Some(Writer::Unreadable(why)) => Err(Error::Unreadable { topic: topic.name(), id, why: why.clone() }),
        }
    }
}

impl fmt::Debug for Writers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.keys();
        formatter.debug_struct("Writers").field("source", &self.source.is_some()).field("known", &known).finish()
    }
}

/// Whether a schema refers to itself from within. Its records could be nested without end, and our stack is not.
fn is_recursive<'a>(schema: &'a Schema, within: &mut Vec<&'a Name>) -> bool {
    match schema {
        Schema::Ref { name } => within.iter().any(|outer| outer.name() == name.name()),
        Schema::Array(array) => is_recursive(&array.items, within),
        Schema::Map(map) => is_recursive(&map.types, within),
        Schema::Union(union) => union.variants().iter().any(|variant| is_recursive(variant, within)),
        Schema::Record(record) => {
            within.push(&record.name);
            let found = record.fields.iter().any(|field| is_recursive(&field.schema, within));
            within.pop();
            found
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;

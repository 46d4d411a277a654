//! The schemas that others wrote under, by their numbers, remembered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use musubi_schema::{Registered, Source, Unavailable};
use schema_registry_converter::blocking::schema_registry::get_schema_by_id;
use schema_registry_converter::schema_registry_common::{RegisteredSchema, SchemaType};

use crate::Registry;

/// How long a number stays unknown before it is asked for again: long enough that a stream of records that are none
/// does not become a stream of questions, short enough that a late schema is seen.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// So many unknown numbers are remembered: random bytes can name four billion.
const UNKNOWN: usize = 4_096;

/// Numbers that the registry did not know, and when it said so.
pub(crate) type Missing = HashMap<u32, Instant>;

impl Source for Registry {
    /// The schema of this number. What is known is never asked for again, since a number never changes its meaning.
    ///
    /// # Errors
    /// [`Unavailable`] where the registry cannot be reached, or refuses to say.
    fn schema(&self, id: u32) -> Result<Option<Registered>, Unavailable> {
        if let Some(known) = lock(&self.known).get(&id) {
            return Ok(Some(known.clone()));
        }
        if lock(&self.missing).get(&id).is_some_and(|since| since.elapsed() < UNKNOWN_FOR) {
            return Ok(None);
        }
        let asked = self.ask_for(&format!("the schema `{id}`"), || get_schema_by_id(id, &self.client));
        let found = asked.map_err(|why| Unavailable { id, why: why.to_string() })?.map(registered);
        match &found {
            Some(registered) => drop(lock(&self.known).insert(id, registered.clone())),
            None => self.note_missing(id),
        }
        Ok(found)
    }
}

impl Registry {
    fn note_missing(&self, id: u32) {
        let mut missing = lock(&self.missing);
        if missing.len() >= UNKNOWN {
            missing.clear();
        }
        missing.insert(id, Instant::now());
    }
}

fn registered(schema: RegisteredSchema) -> Registered {
    match schema.schema_type {
        SchemaType::Avro if schema.references.is_empty() => Registered::Avro(schema.schema),
        SchemaType::Avro => Registered::Other("AVRO with references to other subjects".to_owned()),
        SchemaType::Json => Registered::Json,
        SchemaType::Protobuf => Registered::Other("PROTOBUF".to_owned()),
        SchemaType::Other(kind) => Registered::Other(kind),
        other => Registered::Other(format!("{other:?}")),
    }
}

/// What is behind the lock is whole at any time: whoever panicked with it left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

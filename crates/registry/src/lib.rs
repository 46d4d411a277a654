//! Schemas by their number, from any Schema Registry that speaks Confluent's HTTP API.
//!
//! At the start, [`Registry::ids`] finds or registers the schema of every topic, under the subject `TOPIC-value`
//! (`TopicNameStrategy`), and gives the numbers that [`Framing`](musubi_schema::Framing) writes. Later the same registry
//! is the [`Source`](musubi_schema::Source) of the schemas that others wrote under.
//!
//! What this crate is not: it encodes and decodes nothing, and it sets no compatibility level, which is the operator's.
//!
//! **Every call blocks**, up to `attempts` times the timeout and the pauses between. Call it, and also make and drop a
//! [`Registry`], on a thread of your own or by `spawn_blocking`: on a worker thread of an async runtime the HTTP client
//! panics rather than block it.

mod ask;
mod error;
mod ids;
mod lookup;
mod settings;

use std::collections::HashMap;
use std::sync::Mutex;

use musubi_schema::Registered;
use schema_registry_converter::blocking::schema_registry::SrSettings;

pub use error::Error;
pub use ids::Notation;
pub use settings::{Credentials, Settings};

/// A Schema Registry. Many threads may ask it at once.
pub struct Registry {
    settings: Settings,
    client: SrSettings,
    known: Mutex<HashMap<u32, Registered>>,
    missing: Mutex<lookup::Missing>,
}

impl Registry {
    /// A registry with these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Settings`] where they cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let client = settings.client()?;
        Ok(Self { settings, client, known: Mutex::default(), missing: Mutex::default() })
    }
}

//! Values of other people's topics as JSON: they are JSON already, or Avro under a schema of the registry.
//!
//! A decimal of Avro comes as the list of its bytes, since its value alone does not tell its scale: let the writer send
//! decimals as texts (Debezium: `decimal.handling.mode=string`).

use std::borrow::Cow;
use std::collections::HashMap;

use anyhow::{Context as _, Result, anyhow, bail};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use musubi_registry::Registry;
use musubi_schema::{Registered, Source as _};

/// Reads values.
pub(super) struct Values {
    registry: Option<Registry>,
    schemas: HashMap<u32, Schema>,
}

/// Why a value is no JSON.
pub(super) enum Unread {
    /// It never will be, and why.
    Never(String),
    /// The registry cannot be asked now.
    Later(anyhow::Error),
}

impl Values {
    pub(super) fn new(registry: Option<Registry>) -> Self {
        Self { registry, schemas: HashMap::new() }
    }

    /// The value as JSON.
    pub(super) fn read<'a>(&mut self, value: &'a [u8]) -> Result<Cow<'a, [u8]>, Unread> {
        // A zero byte and four of a number stand before what a registry's serializers wrote; no JSON begins so.
        let Some((&[0, a, b, c, d], body)) = value.split_first_chunk::<5>() else { return Ok(value.into()) };
        let id = u32::from_be_bytes([a, b, c, d]);
        if !self.schemas.contains_key(&id) {
            let schema = self.fetch(id)?;
            self.schemas.insert(id, schema);
        }
        decode(&self.schemas[&id], body).map(Cow::Owned).map_err(|why| Unread::Never(format!("schema {id}: {why:#}")))
    }

    fn fetch(&self, id: u32) -> Result<Schema, Unread> {
        let registry = self.registry.as_ref();
        let registry = registry
            .ok_or_else(|| Unread::Later(anyhow!("the topic is in Avro: wanted `schemas.url` in the configuration")))?;
        match registry.schema(id).map_err(|why| Unread::Later(why.into()))? {
            Some(Registered::Avro(text)) => Schema::parse_str(&text).map_err(|why| Unread::Never(why.to_string())),
            Some(Registered::Json | Registered::Other(_)) => Err(Unread::Never(format!("schema {id} is not Avro"))),
            None => Err(Unread::Never(format!("the registry has no schema {id}"))),
        }
    }
}

fn decode(schema: &Schema, mut body: &[u8]) -> Result<Vec<u8>> {
    let reader = GenericDatumReader::builder(schema).build()?;
    let value = reader.read_value(&mut body)?;
    if !body.is_empty() {
        bail!("{} bytes are left behind the value", body.len());
    }
    let value = serde_json::Value::try_from(value).context("no JSON")?;
    Ok(serde_json::to_vec(&value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avro_becomes_json_and_what_is_left_over_is_told() {
        let schema = r#"{"type":"record","name":"Row","fields":[{"name":"id","type":"long"},{"name":"mail","type":["null","string"]}]}"#;
        let schema = Schema::parse_str(schema).expect("a schema");
        let read = |bytes: &[u8]| decode(&schema, bytes).map_err(|why| why.to_string());
        assert_eq!(read(&[14, 2, 2, b'x']), Ok(br#"{"id":7,"mail":"x"}"#.to_vec()));
        assert!(read(&[14, 0, 9]).is_err_and(|why| why.contains("1 bytes are left")));
        assert!(read(&[14, 2, 200]).is_err());
    }

    #[test]
    fn what_has_no_number_before_it_is_left_as_it_is() {
        let mut values = Values::new(None);
        assert!(values.read(b"{}").is_ok_and(|value| *value == *b"{}"));
        assert!(matches!(values.read(&[0, 0, 0, 0, 7, 1]), Err(Unread::Later(_))));
    }
}

//! JSON Schemas of the topics, made from the Avro ones: one source, two notations.
//!
//! Objects are closed (`additionalProperties: false`), because only then is a new optional field a compatible change to a
//! Schema Registry: an open object may already hold anything under its name.

use serde_json::{Map, Value, json};

use crate::avro::{Shown, Topic, shown};

/// The JSON Schema (draft 7) of what [`Framing::Json`](crate::Framing::Json) writes on a topic, on many lines.
pub fn json_schema(topic: Topic) -> String {
    from_avro(topic.text())
}

/// The JSON Schema of the records of an Avro schema of ours.
///
/// # Panics
/// If it is not one of ours: they are part of the program, and a test goes through all.
pub(crate) fn from_avro(schema: &str) -> String {
    let avro: Value = serde_json::from_str(schema).expect("a test parses every schema");
    let mut named = Map::new();
    let mut root = record(&avro, &mut named);
    root.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    serde_json::to_string_pretty(&root).expect("a tree of texts has a text")
}

fn record(avro: &Value, named: &mut Map<String, Value>) -> Map<String, Value> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in avro["fields"].as_array().into_iter().flatten() {
        let name = text(&field["name"]);
        if field.get("default").is_none() && field["type"] != "bytes" {
            required.push(Value::from(name));
        }
        let mut of = match shown(name) {
            // A value before or after a change can be anything; the others are objects.
            Shown::Json if matches!(name, "before" | "after") => Map::new(),
            Shown::Json => object([("type", "object".into())]),
            Shown::Value | Shown::IfAny => schema(&field["type"], named),
        };
        of.insert("description".to_owned(), described(text(&field["doc"])).into());
        place(&mut properties, name, of);
    }
    let mut record = object([
        ("type", "object".into()),
        ("title", avro["name"].clone()),
        ("description", avro["doc"].clone()),
        ("properties", properties.into()),
        ("additionalProperties", false.into()),
    ]);
    if !required.is_empty() {
        record.insert("required".to_owned(), required.into());
    }
    named.insert(text(&avro["name"]).to_owned(), record.clone().into());
    record
}

/// Puts a property where the JSON has it, which for three fields is not where Avro has them.
fn place(properties: &mut Map<String, Value>, name: &str, of: Map<String, Value>) {
    match name {
        "household" | "account" => {
            let context = properties.entry("context").or_insert_with(|| {
                let description = "Whom the person belongs to, where the source knows it.";
                json!({ "type": "object", "description": description, "properties": {}, "additionalProperties": false })
            });
            context["properties"][name] = of.into();
        }
        "original" => {
            let encoded = json!({
                "type": "string",
                "contentEncoding": "base64",
                "description": "The bytes as they came, where they are not UTF-8.",
            });
            properties.insert("original_base64".to_owned(), encoded);
            properties.insert(name.to_owned(), of.into());
        }
        _ => drop(properties.insert(name.to_owned(), of.into())),
    }
}

fn schema(avro: &Value, named: &mut Map<String, Value>) -> Map<String, Value> {
    match avro {
        Value::Array(variants) => {
            let variants = variants.iter().map(|variant| schema(variant, named).into()).collect();
            object([("oneOf", Value::Array(variants))])
        }
        Value::Object(fields) if fields.contains_key("logicalType") => {
            object([("type", "string".into()), ("format", "date-time".into())])
        }
        Value::Object(fields) => match text(&fields["type"]) {
            "record" => record(avro, named),
            "array" => object([("type", "array".into()), ("items", schema(&fields["items"], named).into())]),
            "map" => {
                let values = schema(&fields["values"], named);
                object([("type", "object".into()), ("additionalProperties", values.into())])
            }
            plain => plain_type(plain, named),
        },
        plain => plain_type(text(plain), named),
    }
}

fn plain_type(word: &str, named: &Map<String, Value>) -> Map<String, Value> {
    let of = |word: &str| object([("type", word.into())]);
    match word {
        "null" | "string" | "boolean" => of(word),
        "long" => of("integer"),
        "bytes" => of("string"),
        name => named.get(name).and_then(Value::as_object).cloned().expect("a type is told before it is named"),
    }
}

/// What Avro has as text, JSON has as it is.
fn described(doc: &str) -> String {
    doc.replace(": a JSON object as text", "").replace(", as JSON text", "")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn object<const FIELDS: usize>(fields: [(&str, Value); FIELDS]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;

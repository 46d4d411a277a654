//! The files are what the Avro schemas say, and what we write is what the files say.

use std::path::Path;

use expect_test::expect_file;

use super::*;
use crate::avro::Record;
use crate::samples;

#[test]
fn the_files_are_made_from_the_avro_schemas() {
    for topic in Topic::ALL {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../schemas/json/{}.json", topic.name()));
        let wanted = json_schema(topic);
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        // The order of names means nothing, and another crate of the workspace may change it.
        if serde_json::from_str::<Value>(&found).ok() != serde_json::from_str(&wanted).ok() {
            expect_file![file].assert_eq(&format!("{wanted}\n"));
        }
    }
}

#[test]
fn every_record_is_valid_under_its_schema() {
    samples::each_record(|record| assert_eq!(faults(record), Vec::<String>::new()));
}

/// The checks above can fail.
#[test]
fn what_is_not_valid_is_seen() {
    let redirects: Value = serde_json::from_str(&json_schema(Topic::Redirects)).expect("JSON");
    let faults = |text: &str| {
        let mut faults = Vec::new();
        check(&redirects, &serde_json::from_str(text).expect("JSON"), "", &mut faults);
        faults
    };
    assert_eq!(faults(r#"{"to":1,"at":2}"#), [" lacks `from`", "/at is not of the schema", "/to is no variant"]);
    assert_eq!(faults(r#"{"from":"a","to":null}"#), Vec::<String>::new());
}

proptest::proptest! {
    #[test]
    fn every_touchpoint_is_valid_under_its_schema(touchpoint in samples::touchpoints()) {
        proptest::prop_assert_eq!(faults(Record::Touchpoint(&touchpoint)), Vec::<String>::new());
    }
}

fn faults(record: Record<'_>) -> Vec<String> {
    let schema: Value = serde_json::from_str(&json_schema(record.topic())).expect("JSON");
    let mut text = Vec::new();
    record.render(&mut text);
    let mut faults = Vec::new();
    check(&schema, &serde_json::from_slice(&text).expect("JSON"), "", &mut faults);
    faults
}

/// As much of a validator as our schemas need.
fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(variants) = schema["oneOf"].as_array() {
        let fits = |variant: &&Value| {
            let mut faults = Vec::new();
            check(variant, value, at, &mut faults);
            faults.is_empty()
        };
        if variants.iter().filter(fits).count() != 1 {
            faults.push(format!("{at} is no variant"));
        }
        return;
    }
    if let Some(kind) = schema["type"].as_str()
        && !is_of(kind, value)
    {
        return faults.push(format!("{at} is not of type {kind}"));
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| check(&schema["items"], item, at, faults)),
        Value::Object(fields) => object(schema, fields, at, faults),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, at: &str, faults: &mut Vec<String>) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            faults.push(format!("{at} lacks `{name}`"));
        }
    }
    for (name, value) in fields {
        let at = format!("{at}/{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(property), _) => check(property, value, &at, faults),
            (None, Some(Value::Bool(false))) => faults.push(format!("{at} is not of the schema")),
            (None, Some(others)) => check(others, value, &at, faults),
            (None, None) => {}
        }
    }
}

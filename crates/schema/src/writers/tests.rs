//! Producers with schemas of their own.

use std::sync::Mutex;

use musubi_core::touchpoint::Touchpoint;
use serde_json::{Value as Json, json};

use super::*;
use crate::avro::{Record, decode_touchpoint};
use crate::{Parser, samples};

const ID: u32 = 41;

/// Our schema of touchpoints, changed.
fn evolved(change: impl FnOnce(&mut Vec<Json>)) -> String {
    let mut schema: Json = serde_json::from_str(Topic::Touchpoints.text()).expect("JSON");
    change(schema["fields"].as_array_mut().expect("fields"));
    schema.to_string()
}

/// A touchpoint as somebody writes it under this schema, who leaves to their defaults what it does not know.
fn written(schema: &str, more: &[(&str, Value)]) -> Vec<u8> {
    let ours = Record::Touchpoint(&samples::touchpoint()).to_value().expect("a value");
    let Value::Record(mut fields) = ours else { panic!("wanted a record") };
    fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let schema = Schema::parse_str(schema).expect("a schema");
    let Schema::Record(record) = &schema else { panic!("wanted a record") };
    fields.retain(|(name, _)| record.fields.iter().any(|field| field.name == *name));
    fields.sort_by_key(|(name, _)| record.fields.iter().position(|field| field.name == *name));
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().expect("a writer");
    let mut bytes = [&[0][..], &ID.to_be_bytes()].concat();
    writer.write_value_ref(&mut bytes, &Value::Record(fields)).expect("it fits");
    bytes
}

fn knowing(schema: &str) -> Writers {
    let mut writers = Writers::default();
    writers.add(Topic::Touchpoints, ID, &Registered::Avro(schema.to_owned()));
    writers
}

fn decode(bytes: &[u8], writers: &Writers) -> Result<Touchpoint, Error> {
    decode_touchpoint(bytes, &mut Parser::new(), writers)
}

fn refusal(bytes: &[u8], writers: &Writers) -> String {
    decode(bytes, writers).expect_err("it cannot be read").to_string()
}

#[test]
fn a_schema_of_ours_is_known_whatever_its_documentation_says() {
    let schema = Topic::Touchpoints.text().replace("One event from one source.", "Ours, too.");
    assert!(matches!(knowing(&schema).known[&(Topic::Touchpoints, ID)], Writer::Ours));
    assert_eq!(decode(&written(&schema, &[]), &knowing(&schema)).expect("a touchpoint"), samples::touchpoint());
}

#[test]
fn a_producer_may_know_a_field_more_and_some_fields_less() {
    let schema = evolved(|fields| {
        fields.retain(|field| field["name"] != "household" && field["name"] != "consent");
        fields.insert(0, json!({ "name": "till", "type": ["null", "string"] }));
    });
    let till = ("till", Value::Union(1, Box::new(Value::String("7".to_owned()))));
    let wanted = Touchpoint { household: None, consent: Vec::new(), ..samples::touchpoint() };
    let bytes = written(&schema, &[till]);
    assert_eq!(decode(&bytes, &knowing(&schema)).expect("a touchpoint"), wanted);
    let mut full = knowing(&schema);
    full.known.extend((0..).take(READY).map(|id| ((Topic::Profiles, id), Writer::Json)));
    full.add(Topic::Touchpoints, ID, &Registered::Avro(schema));
    assert!(matches!(full.known[&(Topic::Touchpoints, ID)], Writer::Held(_)));
    assert_eq!(decode(&bytes, &full).expect("a touchpoint"), wanted, "as well where no more are kept ready");
}

#[test]
fn a_schema_without_what_a_touchpoint_must_have_is_refused_by_name() {
    let schema = evolved(|fields| fields.retain(|field| field["name"] != "occurred_at"));
    assert!(refusal(&written(&schema, &[]), &knowing(&schema)).contains("occurred_at"));
}

#[test]
fn milliseconds_are_not_taken_for_microseconds() {
    let schema = Topic::Touchpoints.text().replacen("timestamp-micros", "timestamp-millis", 1);
    let millis = |fields: &mut Vec<(String, Value)>| {
        let at = fields.iter_mut().find(|(name, _)| name == "occurred_at").expect("a field");
        at.1 = Value::TimestampMillis(1_775_000_000_000);
    };
    let Value::Record(mut fields) = Record::Touchpoint(&samples::touchpoint()).to_value().expect("a value") else {
        panic!("wanted a record");
    };
    millis(&mut fields);
    let parsed = Schema::parse_str(&schema).expect("a schema");
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&parsed).build().expect("a writer");
    let mut bytes = [&[0][..], &ID.to_be_bytes()].concat();
    writer.write_value_ref(&mut bytes, &Value::Record(fields)).expect("it fits");
    assert!(decode(&bytes, &knowing(&schema)).is_err());
}

#[test]
fn what_is_no_avro_or_has_no_bounds_is_refused_with_the_reason() {
    let bytes = written(Topic::Touchpoints.text(), &[]);
    assert_eq!(refusal(&bytes, &Writers::default()), "no registry knows a schema `41` for a record of `touchpoints`");
    let mut writers = Writers::default();
    writers.add(Topic::Touchpoints, ID, &Registered::Other("PROTOBUF".to_owned()));
    assert!(refusal(&bytes, &writers).ends_with("wanted Avro or JSON, found PROTOBUF"));
    let endless = evolved(|fields| {
        let next = json!(["null", "Touchpoint"]);
        fields.push(json!({ "name": "next", "type": next, "default": null }));
    });
    assert!(refusal(&bytes, &knowing(&endless)).ends_with("a record that holds itself has no bounds"));
    assert!(matches!(knowing("{").known[&(Topic::Touchpoints, ID)], Writer::Unreadable(_)));
}

/// A registry that notes what it is asked for.
#[derive(Default)]
struct Asked(Mutex<Vec<u32>>);

impl Source for Asked {
    fn schema(&self, id: u32) -> Result<Option<Registered>, Unavailable> {
        self.0.lock().expect("nobody panics").push(id);
        match id {
            ID => Ok(Some(Registered::Json)),
            500 => Err(Unavailable { id, why: "it is away".to_owned() }),
            _ => Ok(None),
        }
    }
}

#[test]
fn a_registry_is_asked_once_for_what_it_knows_and_again_for_what_it_does_not() {
    let source = Arc::new(Asked::default());
    let mut writers = Writers::from_source(Arc::clone(&source) as Arc<dyn Source>);
    let numbered = |id: u32| [&[0][..], &id.to_be_bytes(), samples::FULL.as_bytes()].concat();
    let learn = |writers: &mut Writers, bytes: &[u8]| writers.learn(Topic::Touchpoints, bytes);
    for _ in 0..2 {
        learn(&mut writers, &numbered(ID)).expect("it answers");
        learn(&mut writers, &numbered(9)).expect("it answers");
        learn(&mut writers, b"{}").expect("nothing to ask");
        assert!(learn(&mut writers, &numbered(500)).is_err());
    }
    assert_eq!(*source.0.lock().expect("nobody panics"), [ID, 9, 500, 9, 500]);
    assert_eq!(decode(&numbered(ID), &writers).expect("a touchpoint"), samples::touchpoint());
    assert!(matches!(decode(&numbered(9), &writers), Err(Error::UnknownId { id: 9, .. })));
}

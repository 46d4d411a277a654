//! The schemas, the round trips, and what is no Avro of ours.

use apache_avro::schema_compatibility::SchemaCompatibility;
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;

use super::*;
use crate::{Line, Parser, Writers, render_directive, samples};

/// The bytes before the body of a single object.
const HEADER_BYTES: usize = 10;

fn encoded(record: Record<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode(&mut out).expect("a record fits its schema");
    out
}

/// The bytes that are written straight are those that serde and the schema give, but for how a list is cut into blocks:
/// read by the schema they are the same value, to the last byte.
fn check_body(record: Record<'_>) {
    let bytes = encoded(record);
    let mut body = &bytes[codec(record.topic()).header.len()..];
    let value = codec(record.topic()).reader.read_value(&mut body).expect("a body of its schema");
    assert!(body.is_empty(), "{record:?}");
    assert_eq!(value, record.to_value().expect("a value"));
}

/// The record through Avro is what it is without.
fn check(record: Record<'_>) {
    check_body(record);
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    record.render(&mut direct);
    to_json(record.topic(), &encoded(record), &mut through).expect("what we wrote");
    assert_eq!(String::from_utf8(through), String::from_utf8(direct));
    let mut file = apache_avro::Writer::new(schema(record.topic()), Vec::new()).expect("a writer");
    file.append_ser(record).expect("a record fits its schema");
    file.append_value(record.to_value().expect("a value")).expect("a value fits its schema");
    let file = file.into_inner().expect("a container file");
    let values: Vec<_> =
        apache_avro::Reader::new(&file[..]).expect("a reader").map(|value| value.expect("a value")).collect();
    assert_eq!(values.len(), 2);
    assert_eq!(values[0], values[1]);
}

#[test]
fn every_schema_parses_and_says_what_each_field_means() {
    for topic in Topic::ALL {
        let _ = codec(topic);
        let text: serde_json::Value = serde_json::from_str(topic.text()).expect("JSON");
        every_record(&text, &mut |record| {
            for field in record["fields"].as_array().expect("fields") {
                assert!(field["doc"].is_string(), "{}: {}", topic.name(), field["name"]);
            }
        });
    }
}

fn every_record(schema: &serde_json::Value, visit: &mut impl FnMut(&serde_json::Value)) {
    if schema["type"] == "record" {
        visit(schema);
    }
    match schema {
        serde_json::Value::Object(fields) => fields.values().for_each(|inner| every_record(inner, visit)),
        serde_json::Value::Array(items) => items.iter().for_each(|inner| every_record(inner, visit)),
        _ => {}
    }
}

/// That every version reads what those before it wrote is checked in `history.rs`. The check can fail: here it is held
/// against a schema with a field that has no default.
#[test]
fn a_new_field_without_a_default_is_seen_and_one_with_a_default_is_fine() {
    let shorter = |name: &str| {
        let mut earlier: serde_json::Value = serde_json::from_str(Topic::Profiles.text()).expect("JSON");
        earlier["fields"].as_array_mut().expect("fields").retain(|field| field["name"] != name);
        Schema::parse_str(&earlier.to_string()).expect("a schema")
    };
    assert!(SchemaCompatibility::can_read(&shorter("version"), schema(Topic::Profiles)).is_err());
    assert!(SchemaCompatibility::can_read(&shorter("shared"), schema(Topic::Profiles)).is_ok());
}

#[test]
fn every_record_through_avro_is_what_it_is_without() {
    samples::each_record(check);
}

#[test]
fn a_directive_comes_back() {
    for directive in samples::directives() {
        let bytes = encoded(Record::Directive(&directive));
        assert_eq!(decode_directive(&bytes, &mut Parser::new(), &Writers::default()).expect("a directive"), directive);
        let mut line = Vec::new();
        render_directive(&directive, &mut line);
        assert_eq!(Parser::new().parse_line(&line), Ok(Line::Directive(directive)));
    }
}

#[test]
fn what_is_not_of_a_known_schema_is_refused() {
    let mut bytes = encoded(Record::Touchpoint(&samples::touchpoint()));
    assert!(matches!(
        decode_directive(&bytes, &mut Parser::new(), &Writers::default()),
        Err(Error::UnknownSchema { .. })
    ));
    bytes[0] = 0;
    assert!(matches!(decode(&bytes), Err(Error::UnknownId { topic: "touchpoints", id: 0x0100_0000.. })));
    bytes[0] = b'x';
    assert!(matches!(decode(&bytes), Err(Error::Unframed([b'x', 1]))));
    assert!(matches!(decode(b""), Err(Error::Unframed([0, 0]))));
}

#[test]
fn a_touchpoint_that_no_line_of_json_could_be_is_refused_with_its_sender() {
    let good = samples::touchpoint();
    let cases = [
        (Touchpoint { channel: "".into(), ..good.clone() }, "missing-field"),
        (Touchpoint { occurred_at: Timestamp::from_micros(i64::MAX), ..good.clone() }, "invalid-time"),
        (Touchpoint { received_at: Some(Timestamp::from_micros(i64::MIN)), ..good.clone() }, "invalid-time"),
        (Touchpoint { identifiers: vec![("".into(), "v".into())], ..good.clone() }, "missing-field"),
    ];
    for (touchpoint, reason) in cases {
        let Err(Error::Malformed(refused)) = decode(&encoded(Record::Touchpoint(&touchpoint))) else {
            panic!("wanted a refusal for {reason}");
        };
        assert_eq!((refused.reason, refused.event_id.as_deref()), (reason, Some("r-1001")));
    }
    let empty = Touchpoint { identifiers: vec![("email".into(), "".into())], ..good };
    assert!(decode(&encoded(Record::Touchpoint(&empty))).expect("a touchpoint").identifiers.is_empty());
}

fn decode(bytes: &[u8]) -> Result<Touchpoint, Error> {
    decode_touchpoint(bytes, &mut Parser::new(), &Writers::default())
}

proptest::proptest! {
    #[test]
    fn a_touchpoint_is_written_as_serde_writes_it(touchpoint in samples::touchpoints()) {
        check_body(Record::Touchpoint(&touchpoint));
    }

    /// Where the straight reading has an answer, it is the schema's; and it has one for every body that we write.
    #[test]
    fn a_body_read_straight_is_what_the_schema_reads(
        touchpoint in samples::touchpoints(),
        change in proptest::option::of((0usize..10_000, proptest::num::u8::ANY)),
    ) {
        let mut bytes = encoded(Record::Touchpoint(&touchpoint)).split_off(HEADER_BYTES);
        if let Some((place, byte)) = change {
            let length = bytes.len();
            bytes[place % length] = byte;
        }
        let straight = body::touchpoint(&bytes);
        proptest::prop_assert!(straight.is_some() || change.is_some());
        if let Some(straight) = straight {
            let reader = &codec(Topic::Touchpoints).reader;
            let read: decode::TouchpointWire<'_> = reader.read_deser(&mut bytes.as_slice()).expect("a body of its schema");
            proptest::prop_assert_eq!(straight, read);
        }
    }

    #[test]
    fn a_touchpoint_comes_back(touchpoint in samples::touchpoints()) {
        proptest::prop_assert_eq!(decode(&encoded(Record::Touchpoint(&touchpoint))).expect("a touchpoint"), touchpoint);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(place in 0usize..400, byte in proptest::num::u8::ANY, cut in proptest::bool::ANY) {
        let mut bytes = encoded(Record::Touchpoint(&samples::touchpoint()));
        let header = codec(Topic::Touchpoints).header.len();
        let place = header + place % (bytes.len() - header);
        bytes[place] = byte;
        if cut {
            bytes.truncate(place);
        }
        let _ = decode(&bytes);
    }
}

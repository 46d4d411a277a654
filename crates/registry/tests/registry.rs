//! Registering, looking up and refusing, against a stub; what holds of any registry also against the real one that
//! `SCHEMA_REGISTRY_URL` names.

mod stub;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use musubi_registry::{Credentials, Error, Notation, Registry, Settings};
use musubi_schema::avro::{Topic, decode_touchpoint};
use musubi_schema::{Framing, Ids, Parser, Registered, Source, Writers};
use schema_registry_converter::blocking::schema_registry::{SrSettings, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};
use serde_json::json;
use stub::Stub;

fn quick(url: &str) -> Settings {
    Settings { pause: Duration::from_millis(1), ..Settings::new(url) }
}

fn registry(settings: Settings) -> Registry {
    Registry::new(settings).expect("good settings")
}

/// Each id of a topic, in order.
fn all(ids: &Ids) -> Vec<u32> {
    Topic::ALL.iter().map(|topic| ids.of(*topic)).collect()
}

/// A touchpoint as a producer writes it who has our schema from the registry.
const LINE: &str = r#"{"source":"pos","event_id":"e","channel":"store","type":"visit","occurred_at":"2026-04-01T00:00:00Z","identifiers":[{"namespace":"email","value":"a@x.jp"}],"traits":{},"properties":{}}"#;

/// What holds of any registry: schemas are registered once and found again, others find them by number, and values
/// written under the numbers are read.
fn holds_of(url: &str) {
    static ROUND: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_millis();
    let prefix = format!("t{since}-{}-", ROUND.fetch_add(1, Ordering::Relaxed));
    for (notation, framing) in [
        (Notation::Avro, Framing::Confluent as fn(Ids) -> Framing),
        (Notation::Json, (|ids| Framing::Json(Some(ids))) as fn(Ids) -> Framing),
    ] {
        let prefix = format!("{prefix}{notation:?}-");
        let settings = Settings { prefix: prefix.clone(), ..quick(url) };
        let only_look = Settings { register: false, ..settings.clone() };
        let refused = registry(only_look.clone()).ids(notation).expect_err("nothing is there yet");
        let subject = format!("{prefix}touchpoints-value");
        assert!(
            matches!(&refused, Error::NotRegistered { subject: of, found, .. } if *of == subject && found == "nothing")
        );
        let ids = registry(settings.clone()).ids(notation).expect("they are registered");
        assert_eq!(all(&registry(only_look).ids(notation).expect("they are there")), all(&ids));
        let mut distinct = all(&ids);
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), Topic::ALL.len());
        reads_back(registry(settings), &framing(ids));
    }
    evolves(url, &prefix);
}

/// A registry that holds an earlier schema takes ours where ours can follow on it, and not where it cannot.
fn evolves(url: &str, prefix: &str) {
    let subject = |prefix: &str| format!("{prefix}profiles-value");
    let without = |field: &str| {
        let mut schema: serde_json::Value = serde_json::from_str(Topic::Profiles.text()).expect("JSON");
        schema["fields"].as_array_mut().expect("fields").retain(|one| one["name"] != field);
        schema.to_string()
    };
    let put = |prefix: &str, schema: String| {
        let settings = SrSettings::new(url.to_owned());
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema);
        post_schema(&settings, subject(prefix), supplied).expect("it is taken");
    };
    let (fine, broken) = (format!("{prefix}fine-"), format!("{prefix}broken-"));
    put(&fine, without("shared"));
    put(&broken, without("version"));
    registry(Settings { prefix: fine, ..quick(url) }).ids(Notation::Avro).expect("a field with a default is new");
    let refused = registry(Settings { prefix: broken.clone(), ..quick(url) }).ids(Notation::Avro);
    let Err(Error::Incompatible { subject: of, wanted, found, why }) = refused else { panic!("{refused:?}") };
    assert_eq!(of, subject(&broken));
    assert!(wanted.starts_with("AVRO `Profile` ("), "{wanted}");
    assert!(found.starts_with("version 1, AVRO `Profile` (") && found[10..] != wanted, "{found}");
    assert!(why.contains("version"), "{why}");
}

fn reads_back(registry: Registry, framing: &Framing) {
    let mut writers = Writers::from_source(Arc::new(registry));
    let touchpoint = Parser::new().parse_touchpoint(LINE.as_bytes()).expect("a touchpoint");
    let mut bytes = Vec::new();
    framing.encode(&musubi_schema::avro::Record::Touchpoint(&touchpoint), &mut bytes).expect("it fits");
    writers.learn(Topic::Touchpoints, &bytes).expect("it answers");
    assert_eq!(decode_touchpoint(&bytes, &mut Parser::new(), &writers).expect("a touchpoint"), touchpoint);
}

#[test]
fn schemas_are_registered_once_found_by_everybody_and_hold_to_their_predecessors() {
    let stub = Stub::start();
    holds_of(&stub.url);
    if let Ok(real) = std::env::var("SCHEMA_REGISTRY_URL") {
        holds_of(&real);
    }
}

#[test]
fn what_is_there_already_is_not_registered_again_even_where_newer_versions_are() {
    let stub = Stub::start();
    let first = registry(quick(&stub.url)).ids(Notation::Avro).expect("they are registered");
    stub.keep("profiles-value", "AVRO", r#"{"type":"record","name":"Profile","fields":[]}"#, json!([]));
    let again = registry(quick(&stub.url)).ids(Notation::Avro).expect("they are there");
    assert_eq!(all(&again), all(&first));
}

#[test]
fn a_schema_of_another_notation_or_a_registry_that_forbids_it_is_told_with_the_subject() {
    let stub = Stub::start();
    stub.keep("touchpoints-value", "JSON", r#"{"title":"Touchpoint"}"#, json!([]));
    let refused = registry(quick(&stub.url)).ids(Notation::Avro).expect_err("it is JSON");
    let text = refused.to_string();
    assert!(text.starts_with("subject `touchpoints-value`: wanted AVRO `Touchpoint` ("), "{text}");
    assert!(text.ends_with("cannot follow on version 1, JSON `Touchpoint`: wanted AVRO, found JSON"), "{text}");
    let stub = Stub::start();
    stub.state().refuse = true;
    let refused = registry(quick(&stub.url)).ids(Notation::Avro).expect_err("it forbids it").to_string();
    assert!(refused.contains("is not to be changed"), "{refused}");
}

#[test]
fn where_it_may_not_be_registered_what_is_found_is_told() {
    let stub = Stub::start();
    stub.keep("touchpoints-value", "AVRO", r#"{"type":"record","name":"Old","fields":[]}"#, json!([]));
    let refused = registry(Settings { register: false, ..quick(&stub.url) }).ids(Notation::Avro);
    let Err(Error::NotRegistered { found, .. }) = refused else { panic!("{refused:?}") };
    assert!(found.starts_with("version 1, AVRO `Old` ("), "{found}");
    assert!(stub.state().asked.iter().all(|(line, _)| !line.contains("POST /subjects/touchpoints-value/versions")));
}

#[test]
fn a_number_is_asked_for_once_whether_it_is_known_or_not() {
    let stub = Stub::start();
    let known = stub.keep("a", "AVRO", Topic::Touchpoints.text(), json!([]));
    let linked = stub.keep("b", "AVRO", "{}", json!([{ "name": "a", "subject": "a", "version": 1 }]));
    let proto = stub.keep("c", "PROTOBUF", "message A {}", json!([]));
    let registry = registry(quick(&stub.url));
    for _ in 0..3 {
        assert!(matches!(registry.schema(known), Ok(Some(Registered::Avro(_)))));
        assert!(matches!(registry.schema(linked), Ok(Some(Registered::Other(kind))) if kind.contains("references")));
        assert_eq!(registry.schema(proto), Ok(Some(Registered::Other("PROTOBUF".to_owned()))));
        assert_eq!(registry.schema(7), Ok(None));
    }
    assert_eq!(stub.questions(), 4);
}

#[test]
fn trouble_that_passes_is_sat_out_and_trouble_that_stays_is_told() {
    let stub = Stub::start();
    let id = stub.keep("a", "JSON", "{}", json!([]));
    for status in [500, 503, 429] {
        stub.state().fail = (2, status);
        assert_eq!(registry(quick(&stub.url)).schema(id), Ok(Some(Registered::Json)), "{status}");
    }
    stub.state().fail = (u32::MAX, 503);
    let before = stub.questions();
    let why = registry(quick(&stub.url)).schema(id).expect_err("it never answers").to_string();
    assert!(why.contains("(5 attempts)") && why.contains("503"), "{why}");
    assert_eq!(stub.questions() - before, 5);
    // Somebody else listens there: that is not a word on the schema.
    stub.state().fail = (u32::MAX, 404);
    assert!(registry(quick(&stub.url)).schema(id).is_err());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    assert!(registry(quick(&format!("http://{closed}"))).schema(id).is_err());
}

#[test]
fn a_refusal_is_not_repeated_and_no_password_is_shown() {
    let stub = Stub::start();
    let credentials = Some(Credentials { user: "musubi".to_owned(), password: "secret".to_owned() });
    let settings = Settings { credentials, ..quick(&format!("{}/", stub.url)) };
    assert!(!format!("{settings:?}").contains("secret"));
    stub.state().fail = (1, 401);
    let why = registry(settings).ids(Notation::Avro).expect_err("it refuses").to_string();
    assert!(why.starts_with("the schema registry refuses our schema under `touchpoints-value`"), "{why}");
    assert!(!why.contains("secret"));
    let asked = stub.state().asked.clone();
    let basic = Some("Basic bXVzdWJpOnNlY3JldA==".to_owned());
    assert_eq!(asked, [("POST /subjects/touchpoints-value?deleted=false".to_owned(), basic)]);
}

#[test]
fn the_next_address_answers_where_the_first_does_not_and_none_is_no_registry() {
    let stub = Stub::start();
    let id = stub.keep("a", "JSON", "{}", json!([]));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let settings = Settings { urls: vec![format!("http://{closed}"), stub.url.clone()], ..quick("") };
    assert_eq!(registry(settings).schema(id), Ok(Some(Registered::Json)));
    assert!(matches!(Registry::new(Settings { urls: Vec::new(), ..quick("") }), Err(Error::Settings(_))));
}

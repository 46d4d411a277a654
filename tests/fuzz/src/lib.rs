//! What the fuzzer calls, a function for each family of adapters, and what the tests call with the corpus that it has
//! found: bytes in, and nothing may panic, hang or be lost without a word.

use musubi_channels::files::{Csv, Line, Rows};
use musubi_channels::samples::{SAMPLES, Sample};
use musubi_channels::{Record, Request, Row, Secret, Secrets, Source, Taken};
use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_core::time::Timestamp;

/// A family, by its name, and what is done with its bytes.
pub type Family = (&'static str, fn(&[u8]));

/// All families; each is a target of the fuzzer, and a directory of the corpus.
pub const FAMILIES: [Family; 8] = [
    ("sdks", |bytes| every(&["segment", "posthog", "snowplow", "ga4"], bytes)),
    ("commerce", |bytes| every(&["shopify", "square", "smaregi"], bytes)),
    ("talk", |bytes| every(&["line", "meta", "zendesk", "intercom", "twilio", "amazon-connect"], bytes)),
    ("mail", |bytes| {
        every(&["sendgrid", "ses"], bytes);
        signed(bytes);
    }),
    ("sales", |bytes| every(&["hubspot", "zoom", "salesforce-cdc"], bytes)),
    ("generic", |bytes| every(&["webhook", "cloudevents", "debezium"], bytes)),
    ("files", files),
    ("identifiers", identifiers),
];

thread_local! {
    static SOURCES: Vec<(&'static Sample, Source)> = SAMPLES.iter().map(|sample| (sample, sample.source())).collect();
    static SIGNED: Source = of_sns();
    static POLICY: (Policy, DeploymentKey) = (Policy::recommended(), DeploymentKey::derive(b"fuzz"));
}

fn received() -> Timestamp {
    Timestamp::from_micros(1_775_012_400_000_000)
}

/// As the body of a request, as the value of a record, and as an item that was set aside.
fn every(presets: &[&str], bytes: &[u8]) {
    SOURCES.with(|sources| {
        for (sample, source) in sources.iter().filter(|(sample, _)| presets.contains(&sample.preset)) {
            let outcome = sample.take_body(source, bytes);
            assert!(matches!(outcome.answer.status, 200 | 403 | 413), "{} {}", sample.preset, outcome.answer.status);
            check(&outcome.taken);
            let position = ("topic", 0, 1);
            let record =
                Record { position, key: Some(bytes), value: Some(bytes), headers: &[], received_at: received() };
            check(&source.take_record(&record));
            check(&source.take_item(bytes, received()));
            check(&source.take_whole(bytes, &String::from_utf8_lossy(bytes), received()));
        }
    });
}

/// A source that takes what SNS signed, by a certificate of the tests.
fn of_sns() -> Source {
    let settings = r#"{"name":"s","preset":"ses","signature":{"sns":{"topics":["arn:aws:sns:ap-northeast-1:123456789012:mail"]}}}"#;
    let certificate = include_str!("../../../crates/channels/tests/fixtures/sns/signing.pem");
    let secrets = Secrets { key: None, signing: vec![Secret::new(certificate)] };
    Source::new(serde_json::from_str(settings).expect("settings"), None, secrets).expect("a source")
}

/// As a message that SNS may have signed.
fn signed(body: &[u8]) {
    SIGNED.with(|source| {
        let request = Request { method: "POST", path: "", query: "", headers: &[], body, received_at: received() };
        let outcome = source.take(&request);
        assert!(matches!(outcome.answer.status, 200 | 401), "{}", outcome.answer.status);
        assert!(outcome.proven || outcome.taken.touchpoints.is_empty(), "nobody signed it");
        check(&outcome.taken);
    });
}

/// As a file of each encoding, and as a line of NDJSON.
fn files(bytes: &[u8]) {
    let settings = [
        r#"{"columns":{"a":{"pad":13},"b":{"date":true}}}"#,
        r#"{"encoding":"cp932","headings":["a","b"],"columns":{"a":{"pad":8},"b":{"date":true}}}"#,
        r#"{"encoding":"euc-jp","delimiter":"\t"}"#,
        r#"{"encoding":"utf-8","delimiter":";"}"#,
    ];
    SOURCES.with(|sources| {
        let Some((_, source)) = sources.iter().find(|(sample, _)| sample.preset == "csv") else { return };
        for settings in settings {
            let settings: Csv = serde_json::from_str(settings).expect("settings");
            let Ok(rows) = Rows::new(bytes, &settings) else { continue };
            for line in rows.map_while(Result::ok) {
                check(&source.take_row(&Row { file: "f", sha256: "00", line: &line, received_at: received() }));
            }
        }
        let line = Line::ndjson(1, bytes.to_vec());
        check(&source.take_row(&Row { file: "f", sha256: "00", line: &line, received_at: received() }));
    });
}

/// As a value of every namespace: what it is normalised to is in its one spelling.
fn identifiers(bytes: &[u8]) {
    let Ok(value) = std::str::from_utf8(bytes) else { return };
    POLICY.with(|(policy, key)| {
        for namespace in &policy.namespaces {
            if let Ok(identifier) = policy.identifier(&namespace.name, value, key) {
                let again = policy.identifier(&namespace.name, identifier.value(), key).expect("it was one before");
                assert_eq!(again.text(), identifier.text());
            }
        }
    });
}

/// What was set aside says why, in words that metrics and people can tell apart.
fn check(taken: &Taken) {
    for aside in &taken.set_aside {
        let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!aside.reason.is_empty() && aside.reason.chars().all(is_kebab), "{}", aside.reason);
    }
}

/// Does with bytes what is done in the family of this name.
pub fn family(name: &str, bytes: &[u8]) {
    FAMILIES.iter().filter(|(family, _)| *family == name).for_each(|(_, take)| take(bytes));
}

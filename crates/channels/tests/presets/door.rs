//! The door of a source: keys, signatures, packing, sizes, handshakes, and what clients are told.

use std::io::Write as _;

use expect_test::expect;
use musubi_channels::{Outcome, Request, Secret, Secrets, Settings, Source};

use crate::common::{keyed, open, post, received, signed, told};

fn get(source: &Source, path: &str, query: &str) -> Outcome {
    source.take(&Request { method: "GET", path, query, headers: &[], body: b"", received_at: received() })
}

/// Status, body, and what came of it, on one line.
fn said(outcome: &Outcome) -> String {
    let body = String::from_utf8_lossy(&outcome.answer.body);
    let taken = told(&outcome.taken);
    format!("{} {body} | {}\n", outcome.answer.status, taken.lines().next().unwrap_or("nothing"))
}

const TRACK: &[u8] = br#"{"messageId":"m","userId":"u","event":"x","writeKey":"w-1"}"#;

#[test]
fn a_key_is_found_wherever_clients_put_it() {
    let source = keyed("preset = \"segment\"\nkey_header = \"X-Shop\"", "w-1");
    let bare = br#"{"messageId":"m","userId":"u","event":"x"}"#;
    let in_header = [
        ("Authorization", "Basic dy0xOg=="),
        ("authorization", "Basic dy0x"),
        ("Authorization", "Bearer w-1"),
        ("X-API-Key", "w-1"),
        ("x-shop", "w-1"),
    ];
    for header in in_header {
        assert_eq!(post(&source, "/v1/t", &[header], bare).taken.touchpoints.len(), 1, "{header:?}");
    }
    assert_eq!(post(&source, "/v1/t", &[], TRACK).taken.touchpoints.len(), 1, "in the body");
    let query = Request {
        method: "POST",
        path: "/v1/t",
        query: "writeKey=w-1",
        headers: &[],
        body: bare,
        received_at: received(),
    };
    assert_eq!(source.take(&query).taken.touchpoints.len(), 1, "in the query");
    for header in [
        ("Authorization", "Basic b3RoZXI6"),
        ("Authorization", "Bearer w-2"),
        ("Authorization", "w-1"),
        ("x-api-key", ""),
    ] {
        assert!(post(&source, "/v1/t", &[header], bare).taken.touchpoints.is_empty(), "{header:?}");
    }
}

#[test]
fn a_wrong_key_is_set_aside_and_only_told_to_whom_it_helps() {
    let mut out = said(&post(&keyed("preset = \"segment\"", "k"), "/v1/t", &[], TRACK));
    out += &said(&post(&keyed("preset = \"segment\"\non_bad_key = \"refuse\"", "k"), "/v1/t", &[], TRACK));
    out += &said(&post(&keyed("preset = \"webhook\"", "k"), "", &[], b"{}"));
    let no_door: Settings = toml::from_str("name = \"s\"\npreset = \"csv\"").expect("settings");
    out += &said(&post(&Source::new(no_door, None, Secrets::default()).expect("a source"), "", &[], b"{}"));
    expect![[r#"
        200 {"success":true} | aside whole ? bad-key: wanted the source's key, found none or another
        401 {"error":"bad-key"} | aside whole ? bad-key: wanted the source's key, found none or another
        401 {"error":"bad-key"} | aside whole ? bad-key: wanted the source's key, found none or another
        401 {"error":"bad-key"} | aside whole ? bad-key: wanted the source's key, found none or another
    "#]]
    .assert_eq(&out);
}

#[test]
fn every_sdk_hears_its_own_word_for_success() {
    let mut out = String::new();
    for (preset, path, body) in [
        ("segment", "/v1/batch", "{\"batch\":[]}"),
        ("posthog", "/batch/", "{\"batch\":[]}"),
        ("snowplow", "/com.snowplowanalytics.snowplow/tp2", "{\"data\":[]}"),
        ("line", "", "{\"events\":[]}"),
        ("twilio", "", "a=1"),
        ("meta", "", "{\"object\":\"page\",\"entry\":[]}"),
        ("webhook", "", "[{\"type\":\"t\"},1]"),
        ("segment", "/v1/batch", "{\"batch\":"),
    ] {
        out +=
            &format!("{preset}: {}", said(&post(&open(&format!("preset = \"{preset}\"")), path, &[], body.as_bytes())));
    }
    expect![[r#"
        segment: 200 {"success":true} | nothing
        posthog: 200 {"status":1} | nothing
        snowplow: 200 ok | nothing
        line: 200 {} | nothing
        twilio: 200 <Response/> | phone call_updated sha256:9afeb0f2b203f254312ec8ded441d0318b7c34c57f8695ede42d2215a30c0960 2026-04-01T03:00:00Z
        meta: 200 EVENT_RECEIVED | nothing
        webhook: 200 {"accepted":1,"set_aside":1,"rejected":[{"item":1,"reason":"wrong-type","detail":"wanted an object for an item"}]} | web received sha256:2241608e8271eac800d4d4ac804b3f39352a4a383bb9c7ba12629724bc9d60ab 2026-04-01T03:00:00Z
        segment: 200 {"success":true} | aside whole ? invalid-json: EOF while parsing a value at line 1 column 9
    "#]].assert_eq(&out);
}

#[test]
fn packing_is_seen_by_its_bytes_and_size_counts_unpacked() {
    let pack = |bytes: &[u8]| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(bytes).expect("memory");
        writer.finish().expect("memory")
    };
    let source = open("preset = \"segment\"\nmax_body = 10_000");
    let wrong_type = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(post(&source, "/v1/t", &wrong_type, &pack(TRACK)).taken.touchpoints.len(), 1);
    let mut out = said(&post(&source, "/v1/t", &[], &pack(&[b' '; 1_000_000])));
    out += &said(&post(&source, "/v1/t", &[], &[b' '; 10_001]));
    out += &said(&post(&source, "/v1/t", &[], &pack(TRACK)[..20]));
    expect![[r#"
        413 {"error":"too-large"} | aside whole ? too-large: wanted at most `max_body` bytes, unpacked
        413 {"error":"too-large"} | aside whole ? too-large: wanted at most `max_body` bytes, unpacked
        200 {"success":true} | aside whole ? invalid-gzip: incomplete deflate stream
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_signature_is_checked_before_anything_is_read() {
    let line = signed("preset = \"line\"", "line-secret");
    let body = r#"{"events":[]}"#;
    let mut out = said(&post(&line, "", &[], body.as_bytes()));
    out += &said(&post(&line, "", &[("x-line-signature", "bm8=")], body.as_bytes()));
    // Computed with another implementation: HMAC-SHA256 of the body under `line-secret`.
    out += &said(&post(
        &line,
        "",
        &[("X-Line-Signature", "PPa4QqevUGV8UO2apjR9ZWG24X4aYwLsG3KzECKE81c=")],
        body.as_bytes(),
    ));
    expect![[r#"
        401 {"error":"missing-signature"} | aside whole ? missing-signature: wanted the header `x-line-signature`, found none
        401 {"error":"bad-signature"} | aside whole ? bad-signature: wanted the signature of these bytes under the source's secret
        200 {} | nothing
    "#]].assert_eq(&out);
}

#[test]
fn who_asks_before_sending_is_answered() {
    let settings: Settings = toml::from_str("name = \"s\"\npreset = \"meta\"").expect("settings");
    let secrets = Secrets { key: Some(Secret::new("agreed")), signing: vec![Secret::new("appsec")] };
    let meta = Source::new(settings, None, secrets).expect("a source");
    let mut out = said(&get(&meta, "", "hub.mode=subscribe&hub.verify_token=agreed&hub.challenge=1158201444"));
    out += &said(&get(&meta, "", "hub.mode=subscribe&hub.verify_token=guess&hub.challenge=1"));
    out += &said(&get(&meta, "", "hub.verify_token=agreed&hub.challenge=<b>"));
    let settings: Settings =
        toml::from_str("name = \"s\"\npreset = \"zoom\"\nsignature = \"none\"\nopen = true").expect("settings");
    let secrets = Secrets { key: None, signing: vec![Secret::new("zoomsecret")] };
    let zoom = Source::new(settings, None, secrets).expect("a source");
    out += &said(&post(
        &zoom,
        "",
        &[],
        br#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#,
    ));
    let segment = open("preset = \"rudderstack\"");
    out += &said(&get(&segment, "/v1/projects/w-1/settings", ""));
    let rudder = get(&segment, "/sourceConfig/", "p=npm&v=3&writeKey=w-1\"");
    assert_eq!(rudder.answer.status, 200);
    let config: serde_json::Value = serde_json::from_slice(&rudder.answer.body).expect("JSON");
    assert_eq!((&config["source"]["writeKey"], &config["source"]["enabled"]), (&"w-1".into(), &true.into()));
    expect![[r#"
        200 1158201444 | nothing
        403 wanted the agreed `hub.verify_token` | nothing
        403 wanted the agreed `hub.verify_token` | nothing
        200 {"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"83b2a60d4bbe49dc93763ed9e727a9a7690cbe4c1f8bb0adc0ffccd09ecb1384"} | nothing
        200 {"integrations":{"Segment.io":{"apiKey":"w-1","unbundledIntegrations":[],"addBundledMetadata":true}},"plan":{},"edgeFunction":{}} | nothing
    "#]].assert_eq(&out);
}

#[test]
fn what_posthog_asks_and_records_beside_its_events_is_no_event() {
    let source = open("preset = \"posthog\"");
    let recorded = br#"[{"event":"$snapshot","distinct_id":"d"}]"#;
    for path in ["/flags/", "/decide/", "/array/k/config", "/s/"] {
        let outcome = post(&source, path, &[], recorded);
        assert_eq!((outcome.answer.status, outcome.taken.touchpoints.len()), (200, 0), "{path}");
    }
    assert_eq!(post(&source, "/e/", &[], recorded).taken.touchpoints.len(), 1);
}

#[test]
fn attributes_of_cloudevents_are_what_they_were_before_they_were_headers() {
    let source = open("preset = \"cloudevents\"\nfields = { identifiers = { \"ce.subject\" = \"user_id\" } }");
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/shop"),
        ("ce-type", "t"),
        ("ce-subject", "%E9%A1%A7%E5%AE%A2-7"),
    ];
    let taken = post(&source, "", &headers, b"{}").taken;
    assert_eq!(taken.touchpoints[0].identifiers[0].1.as_ref(), "顧客-7", "{taken:?}");
}

#[test]
fn only_an_address_of_sns_is_confirmed() {
    let confirm = |url: &str| {
        let body = format!(r#"{{"Type":"SubscriptionConfirmation","SubscribeURL":"{url}"}}"#);
        post(&open("preset = \"ses\""), "", &[], body.as_bytes())
    };
    let good = "https://sns.ap-northeast-1.amazonaws.com/?Action=ConfirmSubscription";
    assert_eq!(confirm(good).confirm.as_deref(), Some(good));
    for bad in [
        "http://sns.x.amazonaws.com/",
        "https://sns.x.amazonaws.com.evil.jp/",
        "https://sns.a@evil.jp/.amazonaws.com/",
        "https://sns.evil.jp#.amazonaws.com/",
        "",
    ] {
        let outcome = confirm(bad);
        assert_eq!((outcome.confirm, outcome.answer.status), (None, 403), "{bad}");
    }
}

#[test]
fn settings_that_cannot_stand_are_named() {
    let mut out = String::new();
    for settings in [
        "preset = \"shopfy\"",
        "preset = \"shopify\"",
        "preset = \"square\"\nsecret = { env = \"X\" }",
        "timezone = \"Mars/Base\"",
        "phone_region = \"XX\"",
        "replay_window = \"soon\"",
    ] {
        let settings: Settings = toml::from_str(&format!("name = \"s\"\n{settings}")).expect("settings");
        let secrets = Secrets {
            key: None,
            signing: if settings.secret.is_empty() { Vec::new() } else { vec![Secret::new("x")] },
        };
        match Source::new(settings, None, secrets) {
            Ok(_) => out += "taken\n",
            Err(error) => out += &format!("{error}\n"),
        }
    }
    let settings: Settings = toml::from_str("name = \"s\"\nmapping = \"my.jq\"").expect("settings");
    let error =
        Source::new(settings, Some("def touchpoints:\n  {type: };"), Secrets::default()).err().expect("an error");
    out += &error.to_string();
    expect![[r#"
        source `s`: wanted the name of a preset in `preset`, found `shopfy`
        source `s`: wanted `secret`, which its signatures need, found none
        source `s`: wanted `public_url`, which its signatures need, found none
        source `s`: wanted a time zone or an offset in `timezone`, found `Mars/Base`
        source `s`: wanted a region with telephone numbers in `phone_region`, found `XX`
        source `s`: wanted a duration such as `5m` in `replay_window`, found `soon`
        source `s`: mapping `my.jq`, line 2, column 10: wanted term, found `}`"#]]
    .assert_eq(&out);
}

#[test]
fn names_hashes_and_regions_are_as_the_settings_say() {
    let settings = r#"
        hashes = true
        phone_region = "GB"
        namespaces = { user_id = "member_id", cookie = "" }
    "#;
    let body = r#"{"type":"t","identifiers":[{"namespace":"user_id","value":"u"},{"namespace":"cookie","value":"c"},{"namespace":"phone","value":"020 7946 0018"},{"namespace":"email","value":"A.B@gmail.com"}]}"#;
    expect![[r#"
        web t sha256:dea1b243ce2aaa8648ebbb30fdfaee7f881a46c5b622a20d5093b846c70061b0 2026-04-01T03:00:00Z
          ids member_id:u phone:+442079460018 email:A.B@gmail.com phone_sha256:faad3b10918e39b5f4d5334f1e1e128719608e8bd3ad3b963dc30187b4518e23 phone_sha256_meta:99a4599795d24445a5be21117f375c1bbe9e795daf7f62666686ce081e1f32dc email_sha256:c31db464b739c6136e3909ed341774d025ee64abffb5f46110fff74961bc8f3c email_sha256_google:86ca2ad27318696b41cfc650acfad97bb32194c43e119e465a16359ea74c7105
    "#]].assert_eq(&told(&post(&open(settings), "", &[], body.as_bytes()).taken));
}

#[test]
fn an_item_that_was_set_aside_is_taken_again_when_the_mapping_is_mended() {
    let settings: Settings = toml::from_str("name = \"s\"\nopen = true\nmapping = \"m.jq\"").expect("settings");
    let broken = Source::new(
        settings.clone(),
        Some("def touchpoints: {event_id: .id, type: \"t\", occurred_at: .at | instant(\"UTC\")};"),
        Secrets::default(),
    )
    .expect("compiles");
    let outcome = post(&broken, "", &[], br#"[{"id":"a","at":"gestern"},{"id":"b","at":1767323045}]"#);
    assert_eq!((outcome.taken.touchpoints.len(), outcome.taken.set_aside.len()), (1, 1));
    let mended = Source::new(
        settings,
        Some("def touchpoints: {event_id: .id, type: \"t\", occurred_at: at(.at | numbers)};"),
        Secrets::default(),
    )
    .expect("compiles");
    let again = mended.take_item(&outcome.taken.set_aside[0].original, received());
    expect![[r#"
        web t a 2026-04-01T03:00:00Z
          ids 
    "#]]
    .assert_eq(&told(&again));
}

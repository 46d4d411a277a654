//! The law of the natives: what a source makes of a payload is the same with its native and without, to the last field of
//! what is taken and of what is set aside. A preset's mapping given as a file of one's own has no native.

use std::sync::LazyLock;

use musubi_channels::samples::SAMPLES;
use musubi_channels::{Outcome, Request, Secrets, Settings, Source, preset};
use musubi_core::time::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// What a native is tried with: the sample of its preset, what the fuzzer kept, and what is rare or nearly common.
struct Case {
    preset: &'static str,
    /// Of its items, how many are made natively, and how many there are.
    made: [usize; 2],
    body: &'static str,
}

const fn case(preset: &'static str, made: [usize; 2], body: &'static str) -> Case {
    Case { preset, made, body }
}

macro_rules! corpus {
    ($file:literal) => {
        include_str!(concat!("../../../tests/corpus/", $file))
    };
}

const CASES: &[Case] = &[
    case("segment", [4, 5], include_str!("../samples/segment.json")),
    case("segment", [4, 5], corpus!("sdks/segment.json")),
    case(
        "segment",
        [6, 7],
        r#"{"batch":[
      {"type":"track","event":"Order Completed","messageId":"m","userId":18446744073709551616,"properties":{"orderId":"1","total":12800.10,"path":"/p","order_id":12e400,"email":"a@b.jp","original_timestamp":1},"originalTimestamp":"2026-04-01T00:00:00Z"},
      {"type":"track","event":"x","userId":"u","anonymousId":"a","traits":{"email":"q@x.jp","phone":"1"},"context":{"page":{"url":"https://x.jp/a?ajs_uid=u&ajs%5Faid=a&ajs_trait_email=q%40x.jp#f"}}},
      {"type":"page","name":"Home","messageId":"","context":{"consent":{"categoryPreferences":{"ads":true,"more":false,"odd":"x"}},"page":{"search":"?a=%20&utm=1","path":"/h","title":"結"},"campaign":{"name":"c"},"traits":{"email":"c@x.jp","a":1}},"traits":{"a":2,"Big One":{"b":null,"c":{}}}},
      {"type":"screen","userId":7,"context":{"device":{"id":"D","token":"T","type":"Android","adTrackingEnabled":true,"advertisingId":"ABC"},"os":{"name":"Android"}},"integrations":{"Google Analytics":{"clientId":"ga.1"}}},
      {"type":"alias","userId":"u","previousId":"p","properties":{"cart_id":"c","value":"5","currency":"JPY"}},
      {"type":"group","groupId":"g","traits":{"Name":"Acme"}},{"event":"only"}],"context":{"groupId":"cg","traits":{"A":3,"b":4}}}"#,
    ),
    case(
        "segment",
        [1, 1],
        r#"{"batch":[{"type":"track","event":"a","event":"b","userId":"1","userId":"2","properties":{"A b":1,"a_b":2}}]}"#,
    ),
    case("segment", [1, 1], r#"{"userId":"u","event":"x","context":{"page":{"path":"/"}}}"#),
    case("segment", [1, 2], r#"[{"type":"track","event":"x","userId":"u"},null]"#),
    case("posthog", [4, 4], include_str!("../samples/posthog.json")),
    case("posthog", [4, 4], corpus!("sdks/posthog.json")),
    case(
        "posthog",
        [3, 3],
        r#"[{"event":"$pageview","properties":{"distinct_id":"d","$device_id":"d","$time":1775012400.123,"$is_identified":false,"$insert_id":"i","utm_campaign":"c","$title":"T","title":"own","page":1,
         "$set":{"email":"a@b.jp","A":1},"$set_once":{"a":2,"phone":"090-1","$initial":"x"},"$groups":{"company":7},"Plan Kind":{"x":null},"list":[null,{}]},"$set":{"a":{"b":[{"c":null}]}},"$set_once":{"email":"o@b.jp"}},
         {"event":"$create_alias","distinct_id":5,"uuid":7,"timestamp":"2026-04-01 10:00","properties":{"alias":5.0,"$anon_id":"z","$user_id":"d"}},
         {"event":"$merge_dangerously","distinct_id":"a","properties":{"alias":"b","$process_person_profile":false}}]"#,
    ),
    case("snowplow", [2, 2], include_str!("../samples/snowplow.json")),
    case("snowplow", [2, 2], corpus!("sdks/snowplow.json")),
    case(
        "snowplow",
        [4, 5],
        r#"{"data":[{"e":"se","se_ac":"Add To","se_ca":"c","se_la":"l","se_pr":"p","se_va":"1.5","tr_tt":"12","tr_cu":"JPY","tr_id":"o","p":"mob","uid":"u","url":"https://x.jp","refr":"r","eid":"1","dtm":1775008800000},
         {"e":"ue","ue_pr":"{\"data\":{\"schema\":\"iglu:a/B c/jsonschema/1-0-0\",\"data\":{\"email\":\"a@b.jp\",\"Total\":5,\"total\":1,\"loyalty_card\":1}}}","co":"{\"data\":[{\"schema\":\"iglu:x/mobile_context/jsonschema/1-0-1\",\"data\":{\"appleIdfa\":\"ABC\",\"androidIdfa\":\"\",\"appleIdfv\":\"V\"}},1,{\"schema\":null}]}","nuid":"n"},
         {"e":"xx","cx":"bnVsbA=="},{"e":"tr","co":"{"},{"e":"pp","dtm":""}]}"#,
    ),
    case("snowplow", [1, 1], r#"{"e":"ti","eid":"x"}"#),
    case("line", [7, 7], include_str!("../samples/line.json")),
    case("line", [7, 7], corpus!("talk/line.json")),
    case(
        "line",
        [5, 6],
        r#"{"events":[{"type":"membership","membership":{"type":"joined"},"source":{"userId":"U"},"timestamp":"1775008800123"},
         {"type":"membership","source":{"userId":5}},{"type":"delivery","source":{"userId":"U"},"delivery":{"data":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}},
         {"type":"beacon","beacon":{"type":"leave","dm":"x"},"source":{"userId":"U","groupId":"g","roomId":"r"}},{"type":"unfollow","source":{"userId":"U"},"message":{"text":"t","id":1}},7]}"#,
    ),
    case("shopify", [1, 1], include_str!("../samples/shopify.json")),
    case("shopify", [1, 1], corpus!("commerce/shopify.json")),
    case(
        "shopify",
        [1, 1],
        r#"{"id":5,"token":"t","created_at":"2026-04-01T10:00:00+09:00","source_name":"pos","transactions":[{"amount":"5"}],"currency":"JPY","line_items":[7,{"sku":null,"price":1.50}],
         "customer":{"id":1,"tags":"","default_address":{"country_code":"JP"},"orders_count":2,"sms_marketing_consent":{"state":"redacted"},"email_marketing_consent":{"state":"pending"}},"cancel_reason":"x",
         "note_attributes":[{"name":"user_id","value":"u"},{"name":"member_card","value":5},{"name":"x","value":1},3],"email":"b@x.jp","contact_email":"a@x.jp","phone":"1"}"#,
    ),
    case("sendgrid", [2, 2], include_str!("../samples/sendgrid.json")),
    case("sendgrid", [2, 2], corpus!("mail/sendgrid.json")),
    case(
        "sendgrid",
        [2, 3],
        r#"[{"email":"a@b.jp","event":"Open Up","category":["a",{"b":null}],"asm_group_id":5,"sg_machine_open":true,"reason":{"x":null}},null,{"event":"spamreport","timestamp":"1775008800"},5]"#,
    ),
    case("sendgrid", [1, 1], r#"{"event":"group_resubscribe","email":7}"#),
];

/// A source with its native, and one without.
struct Pair {
    preset: &'static str,
    sources: [Source; 2],
}

static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let more = ["", r#","scope":"s","timezone":"America/New_York","trust_link_identifiers":true,"hashes":true"#];
    let presets =
        SAMPLES.iter().map(|sample| sample.preset).filter(|name| preset(name).is_some_and(|preset| preset.is_native()));
    let pairs = presets.flat_map(|name| {
        more.map(|more| {
            let settings = format!("{{\"name\":\"s\",\"preset\":\"{name}\",\"open\":true{more}}}");
            let settings: Settings = serde_json::from_str(&settings).expect("settings");
            let source = |mapping| Source::new(settings.clone(), mapping, Secrets::default()).expect("a source");
            let mapping = preset(name).map(|preset| preset.mapping);
            Pair { preset: name, sources: [source(None), source(mapping)] }
        })
    });
    pairs.collect()
});

/// A path and headers under which a body comes.
const ENVELOPES: [(&str, &[(&str, &str)]); 4] = [
    ("/v1/batch", &[("x-shopify-topic", "orders/create"), ("x-shopify-event-id", "e"), ("anonymousid", "YS0x")]),
    ("/v1/t/", &[("x-shopify-topic", "customers/update"), ("x-shopify-webhook-id", "w"), ("AnonymousId", "??")]),
    ("/refunds/create", &[("x-shopify-triggered-at", "2026-04-01T00:00:00Z"), ("X-Shopify-Event-Id", "e")]),
    ("", &[("x-shopify-topic", "checkouts/update"), ("x-shopify-event-id", "")]),
];

fn request<'a>((path, headers): (&'a str, &'a [(&'a str, &'a str)]), body: &'a [u8]) -> Request<'a> {
    let received_at = Timestamp::from_micros(1_775_012_400_000_001);
    Request { method: "POST", path, query: "", headers, body, received_at }
}

/// Holds a source with its native to the one without.
fn compare(pair: &Pair, envelope: (&str, &[(&str, &str)]), body: &[u8]) {
    let request = request(envelope, body);
    let [Outcome { answer, taken, .. }, by_jq] = [0, 1].map(|which| pair.sources[which].take(&request));
    assert_eq!(taken, by_jq.taken, "{} {} {}", pair.preset, request.path, String::from_utf8_lossy(body));
    assert_eq!(answer, by_jq.answer);
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Puts another value in the place of one, or takes that away, chosen by its number among all.
fn put(value: &mut Value, number: &mut usize, other: Option<&Value>) -> bool {
    if *number == 0 {
        *value = other.cloned().unwrap_or_default();
        return true;
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| put(item, number, other)),
        Value::Object(fields) => {
            let mut gone = None;
            let done = fields.iter_mut().any(|(name, field)| {
                if *number == 0 && other.is_none() {
                    gone = Some(name.clone());
                    return true;
                }
                put(field, number, other)
            });
            if let Some(name) = gone {
                fields.remove(&name);
            }
            done
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn other() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        Just(Some(json!(""))),
        Just(Some(json!([["a"], {"type": "x", "id": 1}]))),
        Just(Some(json!({"a": {"B c": null}, "email": "x@y.jp"}))),
        Just(Some(
            json!({"id": "x", "type": "track", "state": "subscribed", "token": "t", "data": [1], "batch": [{}]})
        )),
        Just(Some(json!({}))),
        Just(Some(json!({"a": null}))),
        any::<bool>().prop_map(|truth| Some(json!(truth))),
        any::<i64>().prop_map(|number| Some(json!(number))),
        "[0-9]{1,40}(\\.[0-9]{1,30})?(e[0-9]{1,3})?".prop_map(|text| serde_json::from_str(&text).ok()),
        "\\PC{0,12}".prop_map(|text| Some(json!(text))),
        Just(Some(json!("?ajs_uid=u&ajs_aid=a"))),
        Just(Some(json!("2026-04-01T00:00:00.5+09:00"))),
        Just(Some(json!("20260401 2530"))),
        Just(Some(json!("$identify"))),
        Just(Some(json!("iglu:a/client_session/b/1"))),
    ]
}

#[test]
fn what_is_ordinary_is_made_natively_and_all_is_made_as_jq_makes_it() {
    for Case { preset, made, body } in CASES {
        for pair in PAIRS.iter().filter(|pair| pair.preset == *preset) {
            let taken =
                pair.sources.each_ref().map(|source| source.taken_natively(&request(ENVELOPES[0], body.as_bytes())));
            assert_eq!(taken, [Some(*made), None], "{preset} {body}");
            ENVELOPES.iter().for_each(|envelope| compare(pair, *envelope, body.as_bytes()));
        }
    }
}

#[test]
fn every_native_is_tried() {
    for pair in PAIRS.iter() {
        assert!(CASES.iter().any(|case| case.preset == pair.preset), "{}", pair.preset);
    }
}

#[test]
fn beyond_the_most_items_a_native_takes_no_more_than_jq() {
    let many = format!("[{}]", vec!["7"; 10_002].join(","));
    let pair = PAIRS.iter().find(|pair| pair.preset == "posthog").expect("it has a native");
    compare(pair, ENVELOPES[0], many.as_bytes());
}

#[test]
fn what_is_too_long_or_too_deep_is_what_jq_says_it_is() {
    let long = "x".repeat(1 << 20);
    let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    let wide: String = (0..300).map(|number| format!("\"k{number}\":1,")).collect();
    for text in [
        format!(r#"[{{"event":"x","userId":"u","messageId":"m","properties":{{"a":"{long}"}}}}]"#),
        format!(r#"[{{"event":"x","userId":"u","messageId":"m","properties":{{"a":{deep},"b":{{"c":{deep}}}}}}}]"#),
        format!(
            r#"[{{"event":"x","userId":"u","messageId":"m","traits":{{{wide}"a":1}},"context":{{"traits":{{{wide}"b":2}}}}}}]"#
        ),
        "\u{feff}{}".into(),
        "{}\n{}".into(),
        String::new(),
        "[]".into(),
        "[".into(),
        r#"[{"a":1,"$serde_json::private::Number":"1"}]"#.into(),
    ] {
        for pair in PAIRS.iter() {
            compare(pair, ENVELOPES[0], text.as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_source_makes_the_same_with_its_native_and_without(
        which in any::<Index>(),
        settings in 0..2_usize,
        envelope in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), other()), 1..4),
    ) {
        let case = &CASES[which.index(CASES.len())];
        let mut value: Value = serde_json::from_str(case.body).expect("JSON");
        for (place, other) in changes {
            let mut number = place.index(size(&value));
            put(&mut value, &mut number, other.as_ref());
        }
        let pair = PAIRS.iter().filter(|pair| pair.preset == case.preset).nth(settings).expect("two of each");
        compare(pair, ENVELOPES[envelope.index(ENVELOPES.len())], value.to_string().as_bytes());
    }
}

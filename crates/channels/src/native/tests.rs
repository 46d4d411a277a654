//! The law of the natives: each declines or makes exactly what its jq makes, and it does not decline what is ordinary.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::json::{object, read, text, write};
use crate::mapping::Mapping;

/// What a native is tried with beside its preset's sample and corpus: what is common, and what is nearly so.
const SEGMENT: &[&str] = &[
    include_str!("../../samples/segment.json"),
    include_str!("../../../../tests/corpus/sdks/segment.json"),
    r#"{"batch":[
      {"type":"track","event":"Order Completed","messageId":"m","userId":18446744073709551616,"properties":{"orderId":"1","total":12800.10,"path":"/p","order_id":12e400,"email":"a@b.jp","original_timestamp":1},"originalTimestamp":"2026-04-01T00:00:00Z"},
      {"type":"track","event":"x","userId":"u","anonymousId":"a","traits":{"email":"q@x.jp","phone":"1"},"context":{"page":{"url":"https://x.jp/a?ajs_uid=u&ajs%5Faid=a&ajs_trait_email=q%40x.jp#f"}}},
      {"type":"page","name":"Home","messageId":"","context":{"consent":{"categoryPreferences":{"ads":true,"more":false,"odd":"x"}},"page":{"search":"?a=%20&utm=1","path":"/h","title":"結"},"campaign":{"name":"c"},"traits":{"email":"c@x.jp","a":1}},"traits":{"a":2,"Big One":{"b":null,"c":{}}}},
      {"type":"screen","userId":7,"context":{"device":{"id":"D","token":"T","type":"Android","adTrackingEnabled":true,"advertisingId":"ABC"},"os":{"name":"Android"}},"integrations":{"Google Analytics":{"clientId":"ga.1"}}},
      {"type":"alias","userId":"u","previousId":"p","properties":{"cart_id":"c","value":"5","currency":"JPY"}},
      {"type":"group","groupId":"g","traits":{"Name":"Acme"}},{"event":"only"}],"context":{"groupId":"cg"}}"#,
];

fn globals(trusting: bool) -> Globals {
    let trusts = ("trust_link_identifiers", Val::Bool(trusting));
    let source = object([("timezone", text("Asia/Tokyo")), ("scope", Val::Null), trusts]);
    Globals { source, received_at: text("2026-04-01T00:00:00Z") }
}

fn mapping() -> &'static Mapping {
    static MAPPING: std::sync::OnceLock<Mapping> = std::sync::OnceLock::new();
    let compile =
        || Mapping::compile("segment", crate::preset("segment").expect("a preset").mapping).expect("it compiles");
    MAPPING.get_or_init(compile)
}

fn written(value: &Val) -> String {
    let mut out = Vec::new();
    let _too_deep = write(value, &mut out).is_err();
    String::from_utf8(out).expect("text")
}

/// Holds the native to the jq for every item of a body; how many it made, and of how many.
fn compare(body: &[u8], trusting: bool) -> [usize; 2] {
    let native = native("segment").expect("a native");
    let Ok(body) = read(body) else { return [0, 0] };
    let globals = globals(trusting);
    let empty = || object([]);
    let payload = object([("body", body), ("headers", empty()), ("query", empty()), ("path", text("/v1/batch"))]);
    let (mut made, mut all) = (0, 0);
    for item in mapping().items(payload, &globals).map_while(Result::ok) {
        all += 1;
        let Some(native) = native(&item, &globals) else { continue };
        made += 1;
        let by_jq: Vec<_> = mapping().touchpoints(item.clone(), &globals).collect();
        let [Ok(by_jq)] = &by_jq[..] else { panic!("{by_jq:?} of {}", written(&item)) };
        assert_eq!(written(&native), written(by_jq), "{}", written(&item));
    }
    [made, all]
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
        Just(Some(json!({}))),
        any::<bool>().prop_map(|truth| Some(json!(truth))),
        any::<i64>().prop_map(|number| Some(json!(number))),
        "[0-9]{1,40}(\\.[0-9]{1,30})?(e[0-9]{1,3})?".prop_map(|text| serde_json::from_str(&text).ok()),
        "\\PC{0,12}".prop_map(|text| Some(json!(text))),
        Just(Some(json!("?ajs_uid=u&ajs_aid=a"))),
        Just(Some(json!("2026-04-01T00:00:00.5+09:00"))),
    ]
}

#[test]
fn what_is_ordinary_is_made_natively_and_as_jq_makes_it() {
    for (body, wanted) in SEGMENT.iter().zip([[4, 5], [4, 5], [7, 7]]) {
        assert_eq!(compare(body.as_bytes(), false), wanted, "{body}");
        assert_eq!(compare(body.as_bytes(), true), wanted, "{body}");
    }
}

#[test]
fn a_key_given_twice_is_to_both_what_it_is_to_the_reader() {
    let body = br#"{"batch":[{"type":"track","event":"a","event":"b","userId":"1","userId":"2","properties":{"A b":1,"a_b":2}}]}"#;
    assert_eq!(compare(body, false), [1, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_native_declines_or_makes_what_jq_makes(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), other()), 1..4),
        trusting in any::<bool>(),
    ) {
        let mut value: Value = serde_json::from_str(SEGMENT[which.index(SEGMENT.len())]).expect("JSON");
        for (place, other) in changes {
            let mut number = place.index(size(&value));
            put(&mut value, &mut number, other.as_ref());
        }
        compare(value.to_string().as_bytes(), trusting);
    }
}

//! What nobody would send: no bytes make any preset or the reader of files panic, lose an item silently, or answer
//! anything that a client would take for an order to give up.

use musubi_channels::files::{Csv, Rows};
use musubi_channels::samples::{SAMPLES, Sample};
use musubi_channels::{PRESETS, Source};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

fn sources() -> &'static [(&'static Sample, Source)] {
    static SOURCES: std::sync::OnceLock<Vec<(&'static Sample, Source)>> = std::sync::OnceLock::new();
    SOURCES.get_or_init(|| SAMPLES.iter().map(|sample| (sample, sample.source())).collect())
}

#[test]
fn every_preset_has_a_sample_and_each_is_taken_whole() {
    for preset in PRESETS {
        assert!(SAMPLES.iter().any(|sample| sample.preset == preset.name), "{}", preset.name);
    }
    for (sample, source) in sources() {
        let taken = sample.take(source).taken;
        assert_eq!((taken.touchpoints.len(), &*taken.set_aside), (sample.touchpoints, &[][..]), "{}", sample.preset);
        assert!(taken.touchpoints.iter().all(|touchpoint| !touchpoint.identifiers.is_empty()), "{}", sample.preset);
    }
}

#[test]
fn a_payload_sent_twice_is_the_same_events() {
    for (sample, source) in sources() {
        let (once, again) = (sample.take(source).taken, sample.take(source).taken);
        assert_eq!(once, again, "{}", sample.preset);
        let mut ids: Vec<_> = once.touchpoints.iter().map(|touchpoint| &touchpoint.event_id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), once.touchpoints.len(), "{}: events of one payload are told apart", sample.preset);
    }
}

/// Takes a body everywhere that nothing may break.
fn survive(sample: &Sample, source: &Source, body: &[u8]) {
    let outcome = sample.take_body(source, body);
    assert!(matches!(outcome.answer.status, 200 | 403), "{} {}", sample.preset, outcome.answer.status);
    for aside in &outcome.taken.set_aside {
        let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!aside.reason.is_empty() && aside.reason.chars().all(is_kebab), "{}", aside.reason);
        if aside.item.is_some() {
            let again = source.take_item(&aside.original, musubi_core::time::Timestamp::from_micros(0));
            assert_eq!(again.touchpoints.len(), 0, "what was set aside is so again: {aside:?}");
        }
    }
}

/// A JSON value of any shape, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(-1.5e300)),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("2026-04-01T00:00:00Z")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = prop_oneof!["[a-z_$]{0,8}", Just("type".to_owned()), Just("identifiers".to_owned())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Puts another value in the place of one, chosen by its number among all.
fn put(value: &mut Value, number: &mut usize, other: &Value) -> bool {
    if *number == 0 {
        *value = other.clone();
        return true;
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| put(item, number, other)),
        Value::Object(fields) => fields.values_mut().any(|field| put(field, number, other)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_survived_by_every_preset(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (sample, source) in sources() {
            survive(sample, source, &bytes);
        }
    }

    #[test]
    fn any_json_is_survived_by_every_preset(value in any_json()) {
        for (sample, source) in sources() {
            survive(sample, source, value.to_string().as_bytes());
        }
    }

    #[test]
    fn a_sample_with_anything_in_one_place_is_survived(place in any::<Index>(), other in any_json()) {
        for (sample, source) in sources() {
            let Ok(mut value) = serde_json::from_str::<Value>(sample.body) else { continue };
            let mut number = place.index(size(&value));
            put(&mut value, &mut number, &other);
            survive(sample, source, value.to_string().as_bytes());
        }
    }

    #[test]
    fn a_sample_cut_or_spoilt_is_survived(place in any::<Index>(), byte in any::<u8>()) {
        for (sample, source) in sources() {
            let mut bytes = sample.body.as_bytes().to_vec();
            let place = place.index(bytes.len());
            survive(sample, source, &bytes[..place]);
            bytes[place] = byte;
            survive(sample, source, &bytes);
        }
    }

    #[test]
    fn any_bytes_are_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2_000), heading in "\\PC{0,20}") {
        let file = [heading.as_bytes(), b"\n", &bytes].concat();
        for text in ["{}", r#"{"encoding":"cp932"}"#, r#"{"encoding":"utf-8"}"#, r#"{"encoding":"euc-jp","delimiter":"\t"}"#] {
            let settings: Csv = serde_json::from_str(text).expect("settings");
            let Ok(rows) = Rows::new(file.as_slice(), &settings) else { continue };
            for line in rows {
                let Ok(line) = line else { break };
                prop_assert!(serde_json::from_slice::<Value>(&line.json).is_ok_and(|row| row.is_object()));
            }
        }
    }
}

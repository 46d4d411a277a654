//! What a mapping may be, what it is told when it is not, and what bounds it.

use expect_test::{Expect, expect};

use super::*;
use crate::json::{object, read, text, write};

fn globals() -> Globals {
    let fields = read(br#"{"identifiers":{},"traits":{},"consent":{},"event_id":[],"occurred_at":[]}"#).expect("JSON");
    let source = object([("timezone", text("Asia/Tokyo")), ("scope", text("shop")), ("fields", fields)]);
    Globals { source, received_at: text("2026-04-01T00:00:00Z") }
}

fn refused(code: &str, told: &Expect) {
    let error = Mapping::compile("mine.jq", code).err().map_or_else(|| "taken".into(), |error| error.to_string());
    told.assert_eq(&error);
}

fn mapped(expression: &str, item: &str) -> String {
    let code = format!("def touchpoints: {expression};");
    let mapping = Mapping::compile("test", &code).expect("it compiles");
    let item = read(item.as_bytes()).expect("JSON");
    let told: Vec<String> = mapping
        .touchpoints(item, &globals())
        .map(|result| match result {
            Ok(value) => {
                let mut out = Vec::new();
                write(&value, &mut out).expect("not deep");
                String::from_utf8(out).expect("text")
            }
            Err(told) => format!("error: {told}"),
        })
        .collect();
    told.join(" | ")
}

#[test]
fn every_preset_compiles() {
    for preset in crate::PRESETS {
        if let Err(error) = Mapping::compile(preset.name, preset.mapping) {
            panic!("{error}");
        }
    }
}

#[test]
fn a_mapping_is_told_where_it_is_wrong() {
    refused("def touchpoints: {a: };", &expect!["mapping `mine.jq`, line 1, column 22: wanted term, found `}`"]);
    refused(
        "def items: .body;\ndef touchpoints:\n  nmae(.x);",
        &expect!["mapping `mine.jq`, line 3, column 3: wanted a filter that is defined, found `nmae/1`"],
    );
    refused(
        "def touchpoints: $sourc;",
        &expect!["mapping `mine.jq`, line 1, column 18: wanted a variable that is defined, found `$sourc`"],
    );
    refused(
        "def touchpoints: \"abc;",
        &expect!["mapping `mine.jq`, line 1, column 23: wanted closing quote, found the end"],
    );
    refused("{type: .x}", &expect!["mapping `mine.jq`, line 1, column 1: wanted definition, found `{type:`"]);
    refused("def items: .;", &expect!["mapping `mine.jq`: wanted a definition `touchpoints`, found `items`"]);
    refused(
        "import \"a\" as a; def touchpoints: a::b;",
        &expect!["mapping `mine.jq`, line 1, column 1: wanted definition, found `import`"],
    );
}

#[test]
fn a_mapping_that_need_not_end_is_refused() {
    refused(
        "def touchpoints:\n  def down: down;\n  down;",
        &expect![
            "mapping `mine.jq`, line 2, column 13: wanted definitions that do not call themselves, found `down` inside itself"
        ],
    );
    refused(
        "def touchpoints: [repeat(.)];",
        &expect!["mapping `mine.jq`, line 1, column 19: `repeat/1` is not for mappings: it need not end"],
    );
    refused(
        "def touchpoints: recurse(.a);",
        &expect!["mapping `mine.jq`, line 1, column 18: `recurse/1` is not for mappings: it need not end"],
    );
    refused(
        "def touchpoints: now;",
        &expect![
            "mapping `mine.jq`, line 1, column 18: `now/0` is not for mappings: a mapping sees its payload and nothing else"
        ],
    );
    refused(
        "def touchpoints: env;",
        &expect![
            "mapping `mine.jq`, line 1, column 18: `env/0` is not for mappings: a mapping sees its payload and nothing else"
        ],
    );
    refused(
        "def f(g): g; def touchpoints: f(halt);",
        &expect![
            "mapping `mine.jq`, line 1, column 33: `halt/0` is not for mappings: a mapping sees its payload and nothing else"
        ],
    );
    assert!(
        Mapping::compile("mine", "def while(a; b): a, b; def touchpoints: while(1; 2), ..;").is_ok(),
        "its own `while`"
    );
    assert!(
        Mapping::compile("mine", "def f: def f: 1; f; def touchpoints: f;").is_ok(),
        "an inner one of the same name"
    );
}

#[test]
fn whoever_tries_a_mapping_is_told_where_it_fails_when_it_runs() {
    let code = r#"# A comment counts as a line.
def items: .body.items[];
def price: .price | tonumber;
def touchpoints:
  (try (.note | fromjson) catch "no note: \(. | length > 0)") as $note
  | {
      event_id: .id,
      type: "t",
      occurred_at: at(.day),
      properties: {price: price, tax: (.tax + 1), of: .a.b, note: $note}
    };"#;
    let mapping = Mapping::compile_to_try("mine.jq", code).expect("it compiles");
    let globals = globals();
    let told = |item: &str| {
        let results = mapping.touchpoints(read(item.as_bytes()).expect("JSON"), &globals);
        let told: Vec<String> = results.map(|result| result.map_or_else(|told| told, |_| "taken".into())).collect();
        told.join(" | ")
    };
    let good = r#"{"id":"e","day":"2026-04-01","price":"5","tax":1,"a":{"b":2},"note":"{"}"#;
    assert_eq!(told(good), "taken");
    expect!["line 9, column 20: wanted an instant, found `\"gestern\"`"]
        .assert_eq(&told(&good.replace("2026-04-01", "gestern")));
    assert!(told(&good.replace("\"5\"", "\"five\"")).starts_with("line 3, column 21: "), "in a definition of its own");
    assert!(told(&good.replace("\"tax\":1", "\"tax\":\"x\"")).starts_with("line 10, column 4"), "arithmetic");
    assert!(told(&good.replace("{\"b\":2}", "7")).starts_with("line 10, column 5"), "a field of what has none");
    let payload = read(br#"{"body":{"items":7}}"#).expect("JSON");
    let told: Vec<_> = mapping.items(payload, &globals).map(|item| item.err().unwrap_or_default()).collect();
    assert!(told[0].starts_with("line 2, column 1"), "{told:?}");
}

#[test]
fn a_mapping_that_tells_its_places_gives_what_it_gives_without() {
    for sample in crate::samples::SAMPLES {
        let preset = crate::preset(sample.preset).expect("a preset");
        let source = crate::Source::to_try(sample.source().settings().clone(), None).expect("a source");
        assert_eq!(sample.take(&source).taken, sample.take(&sample.source()).taken, "{}", preset.name);
    }
}

#[test]
fn numbers_without_end_are_refused_when_they_come() {
    assert_eq!(mapped("[range(3)]", "0"), "[0,1,2]");
    expect!["error: `range` gives at most 65536 numbers in a mapping"]
        .assert_eq(&mapped("[range(1000000000)] | length", "0"));
    expect!["error: `range` wants whole numbers and a step above 0"].assert_eq(&mapped("range(0; 1; 0)", "0"));
}

#[test]
fn the_prelude_takes_what_is_given_and_nothing_else() {
    let item = r#"{"a":" x ","n":42,"z":null,"e":"","o":{},"l":[1]}"#;
    expect![[r#"[{"namespace":"ns","value":" x "},{"namespace":"ns","value":"42"}]"#]]
        .assert_eq(&mapped(r#"[id("ns"; .a, .n, .z, .e, .o, .l)]"#, item));
    expect![[r#"[{"namespace":"ns","value":"shop:42"}] | 42 | {"d":42}"#]]
        .assert_eq(&mapped(r#"[scoped("ns"; .n)], either(.z, .e, .n), ({a: .z, b: {c: .e}, d: .n} | compact)"#, item));
    expect![[r#"[{"amount":"12800.10","currency":"JPY"},{"amount":"5"}]"#]]
        .assert_eq(&mapped(r#"[money("12800.10"; "JPY"), money(null; "JPY"), money(5; null)]"#, item));
    expect![[r#"["19.99","1999","-0.05"]"#]]
        .assert_eq(&mapped(r#"[minor(1999; "USD"), minor(1999; "JPY"), minor(-5; "EUR"), minor(null; "USD")]"#, item));
    expect![[r#""2026-01-02T03:04:05.678000Z" | "2026-04-01T00:00:00Z" | "2026-04-01T00:00:00Z" | error: wanted an instant, found `"when?"`"#]].assert_eq(&mapped(r#"at(.z, 1767323045678), at("2026/4/1 9:00"), at(null), at("when?")"#, item));
    expect![[r#"{"a":1} | {"a":"1","b":" "} | "490" | true"#]].assert_eq(&mapped(
        r#"("eyJhIjoxfQ" | base64url | fromjson), ("a=1&b=%20" | form), ("４９-0" | card), ("49123456" | jan)"#,
        item,
    ));
    expect!["1 | null | 1"].assert_eq(&mapped(r#"dig("l.0"), dig("o.x.y"), ({"a.b": 1} | dig("a.b"))"#, item));
}

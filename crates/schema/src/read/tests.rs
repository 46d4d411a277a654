//! Lines that read, and lines that do not.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::{content_digest, render_touchpoint};

const ORDER: &str = r#"{"source":"ginza-pos","event_id":"r-1001","channel":"store","type":"order_completed","occurred_at":"2026-04-01T10:00:00+09:00","identifiers":[{"namespace":"loyalty_card","value":"4901"},{"namespace":"email","value":"Hana@example.jp"}],"traits":{"name":"花"},"properties":{"total":{"amount":"12800","currency":"JPY"},"points":128.50},"consent":{"email_marketing":true},"context":{"household":"h-1"}}"#;

fn touchpoint(line: &str) -> Touchpoint {
    Parser::new().parse_touchpoint(line.as_bytes()).expect("a touchpoint")
}

/// A line of the required fields and these more.
fn with(more: &str) -> String {
    format!(r#"{{"source":"s","event_id":"e","channel":"c","type":"t","occurred_at":"2026-04-01T10:00:00Z",{more}}}"#)
}

fn refusal(line: &[u8]) -> String {
    let Malformed { reason, detail, source, event_id } =
        Parser::new().parse_touchpoint(line).expect_err("a refusal of a malformed line");
    format!("{} {} {reason}: {detail}\n", source.as_deref().unwrap_or("-"), event_id.as_deref().unwrap_or("-"))
}

fn check(lines: &[&[u8]], expected: &Expect) {
    expected.assert_eq(&lines.iter().map(|line| refusal(line)).collect::<String>());
}

fn rendered(touchpoint: &Touchpoint) -> String {
    let mut out = Vec::new();
    render_touchpoint(touchpoint, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn a_canonical_line_reads_whole() {
    expect![[r#"{"source":"ginza-pos","event_id":"r-1001","channel":"store","type":"order_completed","occurred_at":"2026-04-01T01:00:00Z","identifiers":[{"namespace":"loyalty_card","value":"4901"},{"namespace":"email","value":"Hana@example.jp"}],"traits":{"name":"花"},"properties":{"points":128.5,"total":{"amount":"12800","currency":"JPY"}},"consent":{"email_marketing":true},"context":{"household":"h-1"}}"#]]
        .assert_eq(&rendered(&touchpoint(ORDER)));
}

#[test]
fn null_is_absent_and_the_last_of_a_key_counts() {
    let line = with(
        r#""source":"later","received_at":null,"traits":null,"properties":{"a":1,"b":2,"a":3},"consent":{"x":true,"x":false,"y":true,"y":null},"context":{"household":"","account":7},"unknown":[{}],"identifiers":[{"namespace":"card","value":4901},{"namespace":"email","value":null},{"namespace":"phone","value":""},null,{"value":null}]"#,
    );
    expect![[r#"{"source":"later","event_id":"e","channel":"c","type":"t","occurred_at":"2026-04-01T10:00:00Z","identifiers":[{"namespace":"card","value":"4901"}],"traits":{},"properties":{"a":3,"b":2},"consent":{"x":false},"context":{"account":"7"}}"#]]
        .assert_eq(&rendered(&touchpoint(&line)));
}

#[test]
fn what_is_not_json_is_refused_with_its_sender() {
    check(
        &[
            b"",
            b"null",
            b"[1]",
            b"5",
            b"\"text\"",
            b"{",
            br#"{"source":"s","event_id":"e","chan"#,
            br#"{"source":"s","event_id":17,"channel":"c"} {}"#,
            br#"{"traits":{"x":NaN},"source":"s","event_id":"e"}"#,
            br#"{"source":"s","event_id":"e","traits":{"x":01}}"#,
            br#"{"source":"s","event_id":"e","traits":{"x":"\ud800"}}"#,
            b"{\"source\":\"s\",\"event_id\":\"e\",\"channel\":\"\xff\"}",
            br#"{'source':'s'}"#,
        ],
        &expect![[r#"
            - - invalid-json: EOF while parsing a value at line 1 column 0
            - - wrong-type: invalid type: null, expected an object at line 1 column 4
            - - wrong-type: invalid type: sequence, expected an object at line 1 column 1
            - - wrong-type: invalid type: integer `5`, expected an object at line 1 column 1
            - - wrong-type: invalid type: string "text", expected an object at line 1 column 6
            - - invalid-json: EOF while parsing an object at line 1 column 1
            s e invalid-json: EOF while parsing a string at line 1 column 34
            s 17 invalid-json: trailing characters at line 1 column 44
            s e invalid-json: expected value at line 1 column 16
            s e invalid-json: invalid number at line 1 column 45
            s e invalid-json: unexpected end of hex escape at line 1 column 51
            s e invalid-utf8: invalid utf-8 sequence of 1 bytes from index 40
            - - invalid-json: key must be a string at line 1 column 2
        "#]],
    );
}

#[test]
fn what_is_json_of_another_shape_is_refused_with_its_sender() {
    let cases = [
        r#""source":null"#,
        r#""source":"""#,
        r#""source":5"#,
        r#""source":{"a":1}"#,
        r#""event_id":[1]"#,
        r#""event_id":true"#,
        r#""channel":[]"#,
        r#""type":1.5"#,
        r#""occurred_at":1775005200"#,
        r#""occurred_at":"0000-01-01T00:00:00Z""#,
        r#""occurred_at":"9999-12-31T23:59:59Z""#,
        r#""occurred_at":"2026-04-01T10:00:00""#,
        r#""occurred_at":null"#,
        r#""received_at":"soon""#,
        r#""identifiers":{"namespace":"a","value":"b"}"#,
        r#""identifiers":"a:b""#,
        r#""identifiers":[["a","b"]]"#,
        r#""identifiers":[1]"#,
        r#""identifiers":[1.5]"#,
        r#""identifiers":[{"value":"b"}]"#,
        r#""identifiers":[{"namespace":1,"value":"b"}]"#,
        r#""identifiers":[{"namespace":"a","value":true}]"#,
        r#""identifiers":[{"namespace":"a","value":{}}]"#,
        r#""traits":[]"#,
        r#""traits":"x""#,
        r#""traits":1.5"#,
        r#""properties":7"#,
        r#""properties":{"x":123456789012345678901234567890123456789012345678901234567890}"#,
        r#""properties":{"x":1e400}"#,
        r#""properties":{"$serde_json::private::Number":"1"}"#,
        r#""properties":{"x":{"$serde_json::private::Number":"one"}}"#,
        r#""properties":{"x":{"$serde_json::private::Number":[]}}"#,
        r#""consent":{"x":"yes"}"#,
        r#""consent":1.5"#,
        r#""context":"h-1""#,
        r#""context":1.5"#,
        r#""context":{"household":[]}"#,
    ];
    let lines: Vec<String> = cases.iter().map(|case| with(case)).collect();
    let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    check(
        &lines,
        &expect![[r#"
        - e missing-field: wanted a text in `source`, found nothing
        - e missing-field: wanted a text in `source`, found nothing
        - e wrong-type: wanted a text in `source`, found a number
        - e wrong-type: wanted a text in `source`, found an object
        s - wrong-type: wanted a text in `event_id`, found a list
        s - wrong-type: wanted a text in `event_id`, found true or false
        s e wrong-type: wanted a text in `channel`, found a list
        s e wrong-type: wanted a text in `type`, found a number
        s e wrong-type: wanted an instant as a text in `occurred_at`, found a number
        s e invalid-time: wanted an RFC 3339 instant with an offset, of the years 1900 to 2199, in `occurred_at`, found `0000-01-01T00:00:00Z`
        s e invalid-time: wanted an RFC 3339 instant with an offset, of the years 1900 to 2199, in `occurred_at`, found `9999-12-31T23:59:59Z`
        s e invalid-time: wanted an RFC 3339 instant with an offset, of the years 1900 to 2199, in `occurred_at`, found `2026-04-01T10:00:00`
        s e missing-field: wanted a text in `occurred_at`, found nothing
        s e invalid-time: wanted an RFC 3339 instant with an offset, of the years 1900 to 2199, in `received_at`, found `soon`
        s e wrong-type: wanted a list in `identifiers`, found an object
        s e wrong-type: wanted a list in `identifiers`, found a text
        s e wrong-type: wanted objects in `identifiers`, found a list
        s e wrong-type: wanted objects in `identifiers`, found a number
        s e wrong-type: wanted objects in `identifiers`, found a number
        s e missing-field: wanted a text in `namespace`, found nothing
        s e wrong-type: wanted a text in `namespace`, found a number
        s e wrong-type: wanted a text in `value`, found true or false
        s e wrong-type: wanted a text in `value`, found an object
        s e wrong-type: wanted an object in `traits`, found a list
        s e wrong-type: wanted an object in `traits`, found a text
        s e wrong-type: wanted an object in `traits`, found a number
        s e wrong-type: wanted an object in `properties`, found a number
        s e invalid-number: wanted a number that we can hold, found more than 40 significant digits
        s e invalid-number: wanted a number that we can hold, found an exponent beyond 40
        s e wrong-type: wanted an object in `properties`, found a number
        s e invalid-number: wanted a number that we can hold, found not a decimal number
        s e wrong-type: invalid type: sequence, expected a string at line 1 column 141
        s e wrong-type: wanted true or false in `consent`, found a text
        s e wrong-type: wanted an object in `consent`, found a number
        s e wrong-type: wanted an object in `context`, found a text
        s e wrong-type: wanted an object in `context`, found a number
        s e wrong-type: wanted a text in `household`, found a list
    "#]],
    );
}

fn nested(levels: usize) -> String {
    with(&format!(
        r#""traits":{{"x":{}{}}}"#,
        r#"[{"y":"#.repeat(levels / 2),
        "1".to_owned() + &"}]".repeat(levels / 2)
    ))
}

#[test]
fn nesting_is_bounded_and_so_is_the_line() {
    assert!(Parser::new().parse_touchpoint(nested(MAX_DEPTH).as_bytes()).is_ok());
    let deep = with(&format!(r#""unknown":{}{}"#, "[".repeat(100_000), "]".repeat(100_000)));
    assert!(Parser::new().parse_touchpoint(deep.as_bytes()).is_ok(), "nobody looks into an unknown key");
    let long = with(&format!(r#""traits":{{"x":"{}"}}"#, "x".repeat(MAX_LINE)));
    let abyss = with(&format!(r#""traits":{{"x":{}"#, "[".repeat(100_000)));
    let lines = [nested(MAX_DEPTH + 2), nested(10_000), long, abyss];
    check(
        &lines.each_ref().map(|line| line.as_bytes()),
        &expect![[r#"
        s e too-deep: wanted at most 64 levels of nesting
        s e too-deep: wanted at most 64 levels of nesting
        s e line-too-long: wanted at most 1048576 bytes, found 1048685
        s e invalid-json: expected value at line 1 column 100106
    "#]],
    );
}

#[test]
fn long_texts_and_many_identifiers_are_fine() {
    let many = vec![r#"{"namespace":"card","value":"1"}"#; 40].join(",");
    let line = with(&format!(r#""traits":{{"x":"{}"}},"identifiers":[{many}]"#, "x".repeat(100_000)));
    assert_eq!(touchpoint(&line).identifiers.len(), 40);
}

#[test]
fn a_directive_is_told_from_a_touchpoint_by_its_key() {
    let a = r#"{"namespace":"email","value":"a@x.jp"}"#;
    let directive = |word: &str, more: &str| {
        format!(r#"{{"directive":"{word}","directive_id":"d-1","source":"ops","at":"2026-04-01T10:00:00Z",{more}}}"#)
    };
    let one = format!(r#""identifiers":[{a}],"channel":5"#);
    let two = format!(r#""identifiers":[{a},{{"namespace":"card","value":7}}]"#);
    let consent = format!(r#"{one},"consent":{{"email":true}}"#);
    let lines = [
        directive("link", &two),
        directive("unlink", &two),
        directive("block", &one),
        directive("unblock", &one),
        directive("erase", &one),
        directive("consent", &consent),
        directive("link", &one),
        directive("erase", &two),
        directive("consent", &one),
        directive("merge", &two),
        directive("erase", r#""identifiers":null"#),
        format!(r#"{{"directive":"block",{one}}}"#),
        format!(r#"{{"directive":7,"directive_id":"d-2",{one}}}"#),
        ORDER.to_owned(),
    ];
    let mut parser = Parser::new();
    let shown = lines.iter().map(|line| match parser.parse_line(line.as_bytes()) {
        Ok(Line::Directive(directive)) => format!("{:?}\n", directive.order),
        Ok(Line::Touchpoint(touchpoint)) => format!("touchpoint {}\n", touchpoint.event_id),
        Err(refused) => format!("{refused} ({:?})\n", refused.event_id),
    });
    expect![[r#"
        Link([("email", "a@x.jp"), ("card", "7")])
        Unlink([("email", "a@x.jp"), ("card", "7")])
        Block(("email", "a@x.jp"))
        Unblock(("email", "a@x.jp"))
        Erase(("email", "a@x.jp"))
        Consent(("email", "a@x.jp"), [("email", true)])
        missing-field: wanted 2 in `identifiers`, found 1 (Some("d-1"))
        wrong-type: wanted 1 in `identifiers`, found 2 (Some("d-1"))
        missing-field: wanted purposes in `consent`, found none (Some("d-1"))
        wrong-type: wanted `link`, `unlink`, `block`, `unblock`, `erase` or `consent` in `directive`, found `merge` (Some("d-1"))
        missing-field: wanted 1 in `identifiers`, found 0 (Some("d-1"))
        missing-field: wanted a text in `directive_id`, found nothing (None)
        wrong-type: wanted a text in `directive`, found a number (Some("d-2"))
        touchpoint r-1001
    "#]].assert_eq(&shown.collect::<String>());
    assert!(is_directive(lines[0].as_bytes()) && !is_directive(ORDER.as_bytes()));
    assert!(!is_directive(with(r#""traits":{"directive":"link"}"#).as_bytes()), "only the top level counts");
}

#[test]
fn a_copy_has_the_digest_of_the_first_and_a_second_version_has_not() {
    let digest = |line: &str| content_digest(&touchpoint(line));
    let first = digest(ORDER);
    let later = ORDER.replace(r#""occurred_at""#, r#""received_at":"2026-05-01T00:00:00Z","occurred_at""#);
    assert_eq!(digest(&later.replace("128.50", "1285e-1").replace("+09:00", ".000+09:00")), first);
    for (from, to) in
        [("r-1001", "r-1002"), ("4901", "4902"), ("花", "華"), ("JPY", "USD"), ("true", "false"), ("h-1", "h")]
    {
        assert_ne!(digest(&ORDER.replace(from, to)), first, "{from}");
    }
    assert_ne!(digest(&ORDER.replace("household", "account")), first);
}

#[test]
fn an_event_without_a_time_of_its_own_is_the_same_whenever_it_is_received() {
    let at = |received: &str, occurred: &str| {
        let times = format!(r#""received_at":"{received}","occurred_at":"{occurred}""#);
        content_digest(&touchpoint(&ORDER.replace(r#""occurred_at":"2026-04-01T10:00:00+09:00""#, &times)))
    };
    let (noon, later) = ("2026-04-01T12:00:00Z", "2026-04-01T12:00:07Z");
    assert_eq!(at(noon, noon), at(later, later), "a sender's second attempt");
    assert_eq!(at(later, noon), at("2026-04-02T00:00:00Z", noon));
    assert_ne!(at(later, noon), at(later, "2026-04-01T11:00:00Z"), "another time is another content");
}

proptest! {
    #[test]
    fn what_is_rendered_reads_back(touchpoint in crate::samples::touchpoints()) {
        let again = Parser::new().parse_touchpoint(rendered(&touchpoint).as_bytes());
        prop_assert_eq!(again, Ok(touchpoint));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Parser::new().parse_line(&line);
    }

    #[test]
    fn a_line_with_a_byte_changed_or_cut_is_read_or_refused(
        place in 0..ORDER.len(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut line = ORDER.as_bytes().to_vec();
        line[place] = byte;
        if cut {
            line.truncate(place);
        }
        if let Ok(touchpoint) = Parser::new().parse_touchpoint(&line) {
            let again = Parser::new().parse_touchpoint(rendered(&touchpoint).as_bytes());
            prop_assert_eq!(again, Ok(touchpoint));
        }
    }
}

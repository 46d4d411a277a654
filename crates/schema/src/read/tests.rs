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

//! Renderings as consumers read them.

use expect_test::{Expect, expect};
use musubi_core::profile::diff;

use super::*;
use crate::samples;

fn check(render: impl FnOnce(&mut Vec<u8>), expected: &Expect) {
    let mut out = Vec::new();
    render(&mut out);
    serde_json::from_slice::<serde_json::Value>(&out).expect("JSON");
    expected.assert_eq(std::str::from_utf8(&out).expect("UTF-8"));
}

#[test]
fn an_identity_and_a_redirect_are_small() {
    let (identifier, person) = (samples::identifier("email", "a\"b\u{1}@x.jp"), samples::person(1));
    check(
        |out| render_identity(&identifier, Some(person), out),
        &expect![[
            r#"{"namespace":"email","value":"a\"b\u0001@x.jp","person_id":"01010101-0101-8101-8101-010101010101"}"#
        ]],
    );
    check(
        |out| render_identity(&identifier, None, out),
        &expect![[r#"{"namespace":"email","value":"a\"b\u0001@x.jp","person_id":null}"#]],
    );
    check(
        |out| render_redirect(person, Some(samples::person(2)), out),
        &expect![[r#"{"from":"01010101-0101-8101-8101-010101010101","to":"02020202-0202-8202-8202-020202020202"}"#]],
    );
    check(
        |out| render_redirect(person, None, out),
        &expect![[r#"{"from":"01010101-0101-8101-8101-010101010101","to":null}"#]],
    );
}

#[test]
fn a_profile_shows_all_that_is_known() {
    check(
        |out| render_profile(&samples::snapshot(), out),
        &expect![[
            r#"{"person_id":"01010101-0101-8101-8101-010101010101","version":3,"identifiers":[{"namespace":"email","value":"hana@example.jp"},{"namespace":"loyalty_card","value":"4901"}],"traits":{"name":"花","tags":["a",null,{"deep":-1.5}]},"computed":{"orders":{"overall":1,"channels":{"store":1}},"spent":{"JPY":"12800"}},"channels":{"store":{"first_seen":"2026-04-01T01:00:00Z","last_seen":"2026-04-01T01:00:00Z","touchpoints":1}},"recent":[{"channel":"store","event_id":"r-1001","properties":{"total":{"amount":"12800","currency":"JPY"}},"source":"ginza-pos","time":"2026-04-01T01:00:00Z","type":"order_completed"}],"consent":{"email_marketing":true,"sms":false},"first_seen":"2026-04-01T01:00:00Z","last_seen":"2026-04-01T01:00:00Z","households":{"h-1":{"first_seen":"2026-04-01T01:00:00Z","last_seen":"2026-04-01T01:00:00Z"}},"accounts":{"acme":{"first_seen":"2026-04-01T01:00:00Z","last_seen":"2026-04-01T01:00:00Z"}}}"#
        ]],
    );
    let nobody = Snapshot { shared: true, identifiers: Vec::new(), profile: Profile::default(), ..samples::snapshot() };
    check(
        |out| render_profile(&nobody, out),
        &expect![[
            r#"{"person_id":"01010101-0101-8101-8101-010101010101","version":3,"shared":true,"identifiers":[],"traits":{},"computed":{},"channels":{},"recent":[],"consent":{},"first_seen":null,"last_seen":null}"#
        ]],
    );
}

#[test]
fn a_change_says_what_and_why() {
    check(
        |out| render_change(&samples::change(), "v1", out),
        &expect![[
            r#"{"person_id":"01010101-0101-8101-8101-010101010101","version":3,"kind":"merged","changes":[{"field":"consent.email_marketing","before":true,"after":false}],"joined":[{"namespace":"email","value":"hana@example.jp"},{"namespace":"loyalty_card","value":"4901"}],"left":[],"from":["02020202-0202-8202-8202-020202020202"],"into":null,"cause":{"type":"directive","source":"ops","event_id":"d-1","topic":"directives","partition":3,"offset":1234},"policy_version":"v1"}"#
        ]],
    );
}

#[test]
fn a_change_of_everything_has_the_values_of_the_profile() {
    let profile = samples::snapshot().profile;
    let mut rendered = Vec::new();
    render_profile(&samples::snapshot(), &mut rendered);
    let rendered: serde_json::Value = serde_json::from_slice(&rendered).expect("JSON");
    let whole = ["accounts", "channels.store", "first_seen", "households", "last_seen", "recent"];
    let mut seen = 0;
    for change in diff(&Profile::default(), &profile) {
        let mut out = Vec::new();
        shown(&mut out, change.after.as_ref().expect("something new"));
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let name = change.field.to_string();
        if whole.contains(&name.as_str()) {
            let pointer = format!("/{}", name.replace('.', "/"));
            assert_eq!(Some(&value), rendered.pointer(&pointer), "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, whole.len());
}

#[test]
fn what_was_refused_is_kept_as_it_came() {
    let text = Quarantined {
        source: Some("pos"),
        event_id: None,
        reason: "invalid-json",
        detail: "expected value",
        file: Some("day.ndjson"),
        line: Some(7),
        original: b"{\"x\":",
        envelope: None,
    };
    check(
        |out| render_quarantined(&text, out),
        &expect![[
            r#"{"source":"pos","event_id":null,"reason":"invalid-json","detail":"expected value","file":"day.ndjson","line":7,"original":"{\"x\":"}"#
        ]],
    );
    let mut shown = String::new();
    for original in [&b"\xff"[..], b"\xff\xfe", b"\xff\xfe\xfd", b"\xff\xfe\xfd\xfc"] {
        let mut out = Vec::new();
        base64(&mut out, original);
        shown.push_str(std::str::from_utf8(&out).expect("ASCII"));
    }
    expect![[r#""/w==""//4=""//79""//79/A==""#]].assert_eq(&shown);
    let envelope = Some(r#"{"path":"/v1"}"#);
    let bytes = Quarantined { file: None, line: None, original: b"\xff", envelope, ..text };
    check(
        |out| render_quarantined(&bytes, out),
        &expect![[
            r#"{"source":"pos","event_id":null,"reason":"invalid-json","detail":"expected value","original_base64":"/w==","envelope":{"path":"/v1"}}"#
        ]],
    );
}

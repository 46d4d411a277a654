//! What the policy keeps of a touchpoint, drops of it, and refuses.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::value::Value;

const POLICY: &str = r#"
    namespace = [
        { name = "user_id", unique = true },
        { name = "loyalty_card", unique = true },
        { name = "email" },
        { name = "phone" },
        { name = "cookie" },
    ]
    blocked = { values = ["guest", "ゲスト", "taro@junk.jp", "+819012345678"], patterns = ['^0+$'] }
    computed = [{ name = "spent", function = "sum", of = "total.amount" }]
    limits = { max_identifiers_per_touchpoint = 4, recent_properties = ["page"] }
"#;

fn policy() -> Policy {
    Policy::parse(POLICY).expect("a policy")
}

fn key() -> DeploymentKey {
    DeploymentKey::derive(b"test")
}

fn naming(identifiers: Vec<(Arc<str>, Arc<str>)>) -> Touchpoint {
    Touchpoint { identifiers, ..touchpoint() }
}

/// The identifiers of `namespace:value namespace:value …`, or the reason.
fn identified(text: &str) -> Result<String, &'static str> {
    let sent = |part: &str| part.split_once(':').map(|(namespace, value)| (namespace.into(), value.into()));
    let sent: Vec<(Arc<str>, Arc<str>)> = text.split('|').filter_map(sent).collect();
    let read = policy().identify(&naming(sent), &key()).map_err(Rejection::reason)?;
    let kept: Vec<&str> = read.kept.iter().map(Identifier::text).collect();
    Ok(format!("{} unknown {} dropped {}", kept.join("|"), read.unknown_namespaces, read.dropped))
}

#[test]
fn identifiers_are_normalised_and_sorted_from_the_strongest() {
    let cases = [
        (
            "cookie:c1|email:Taro@Example.JP|user_id: taro ",
            "user_id:taro|email:taro@example.jp|cookie:c1 unknown 0 dropped 0",
        ),
        ("email:a@x.jp|email:A@x.jp|email:ａ@x.jp", "email:a@x.jp unknown 0 dropped 0"),
        ("phone:03-1111-0001|loyalty_card:0010-01", "loyalty_card:001001|phone:+81311110001 unknown 0 dropped 0"),
        ("session:1|cookie:c1|fax:2", "cookie:c1 unknown 2 dropped 0"),
        ("cookie:|email:nobody|phone:110|cookie:c1", "cookie:c1 unknown 0 dropped 3"),
        ("cookie:Guest|cookie:c1", "cookie:c1 unknown 0 dropped 1"),
        ("loyalty_card:1001|loyalty_card:10-01", "loyalty_card:1001 unknown 0 dropped 0"),
        ("loyalty_card:1001|loyalty_card:0000", "loyalty_card:1001 unknown 0 dropped 1"),
    ];
    for (sent, expected) in cases {
        assert_eq!(identified(sent).as_deref(), Ok(expected), "{sent}");
    }
}

#[test]
fn a_touchpoint_is_set_aside_for_its_reason() {
    let cases = [
        ("loyalty_card:1001|loyalty_card:1002", "conflicting-identifiers"),
        ("cookie:c1|user_id:taro|user_id:Taro", "conflicting-identifiers"),
        ("cookie:1|cookie:1|cookie:1|cookie:1|cookie:1", "too-many-identifiers"),
        ("a:1|a:1|a:1|a:1|a:1", "too-many-identifiers"),
        ("", "no-identifiers"),
        ("cookie: |email:", "no-identifiers"),
        ("phone:110|fax:1", "no-identifiers"),
        ("fax:1|session:2", "unknown-namespaces"),
        ("cookie: guest |fax:1|email:", "blocked-identifiers"),
        ("email:TARO@junk.jp", "blocked-identifiers"),
        ("email:ｔａｒｏ@junk.jp", "blocked-identifiers"),
        ("phone:090-1234-5678", "blocked-identifiers"),
        ("user_id:０００", "blocked-identifiers"),
        ("user_id:ゲスト", "blocked-identifiers"),
    ];
    for (sent, expected) in cases {
        assert_eq!(identified(sent), Err(expected), "{sent}");
    }
}

#[test]
fn ties_inside_a_namespace_go_by_the_key() {
    let sent = |order: [&str; 3]| order.map(|value| (Arc::from("cookie"), Arc::from(value))).to_vec();
    let one = policy().identify(&naming(sent(["c1", "c2", "c3"])), &key()).expect("read");
    let other = policy().identify(&naming(sent(["c3", "c1", "c2"])), &key()).expect("read");
    assert_eq!(one, other);
    assert!(one.kept.is_sorted_by_key(Identifier::key));
}

#[test]
fn a_value_that_is_too_long_is_dropped() {
    let identify = |value: &str| policy().identifier("cookie", value, &key());
    assert!(identify(&"x".repeat(1_024)).is_ok());
    assert_eq!(identify(&"x".repeat(1_025)), Err(Unusable::Invalid));
    let wide = "ｘ".repeat(1_024);
    assert_eq!(identify(&wide), Err(Unusable::Invalid), "exact: as long as it is sent");
    let user = policy().identifier("user_id", &wide, &key()).expect("short enough when normalised");
    assert_eq!(user.value().len(), 1_024);
    assert_eq!(policy().identifier("user_id", &"ｘ".repeat(2_000), &key()), Err(Unusable::Invalid));
}

#[test]
fn an_identifier_that_is_none_says_why() {
    let identifier = |namespace: &str, value: &str| policy().identifier(namespace, value, &key());
    assert_eq!(identifier("email", "Taro@x.jp").expect("valid").text(), "email:taro@x.jp");
    assert_eq!(identifier("fax", "1"), Err(Unusable::UnknownNamespace));
    assert_eq!(identifier("email", "taro"), Err(Unusable::Invalid));
    assert_eq!(identifier("cookie", "GUEST"), Err(Unusable::Blocked));
}

fn touchpoint() -> Touchpoint {
    let named = |name: &str| (Arc::from(name), Value::text(name));
    Touchpoint {
        source: "shop".into(),
        event_id: "e1".into(),
        channel: "web".into(),
        kind: "page_viewed".into(),
        occurred_at: Timestamp::from_micros(20),
        received_at: Some(Timestamp::from_micros(10)),
        identifiers: vec![("cookie".into(), "c1".into()), ("fax".into(), "1".into()), ("email".into(), "x".into())],
        traits: vec![named("name")],
        properties: vec![named("agent"), named("page"), named("total")],
        consent: vec![("mail".into(), true)],
        household: Some("h".into()),
        account: None,
    }
}

#[test]
fn an_effect_keeps_what_the_policy_reads_and_the_clamped_time() {
    let reading = policy().read(touchpoint(), &key()).expect("read");
    assert_eq!(reading.identifiers.len(), 1);
    assert_eq!((reading.unknown_namespaces, reading.dropped), (1, 1));
    let kept: Vec<&str> = reading.effect.properties.iter().map(|(name, _)| name.as_ref()).collect();
    assert_eq!(kept, ["page", "total"]);
    assert_eq!(reading.effect.time, Timestamp::from_micros(10));
    assert_eq!(reading.effect.received, Timestamp::from_micros(10));
    let sent = touchpoint();
    assert_eq!((reading.effect.traits, reading.effect.consent), (sent.traits, sent.consent));
    assert_eq!((reading.effect.household, reading.effect.account), (sent.household, sent.account));
}

#[test]
fn the_identifiers_of_the_known_answers_are_themselves() {
    let policy = Policy::recommended();
    let values = [
        ("user_id", "taro"),
        ("user_id", "2"),
        ("loyalty_card", "1001"),
        ("email", "j@x.jp"),
        ("email", "fam@x.jp"),
        ("phone", "+81300000001"),
        ("phone", "+81311110001"),
        ("phone", "+81311110002"),
        ("device_id", "ios-a"),
        ("cookie", "c1"),
    ];
    for (namespace, value) in values {
        let identifier = policy.identifier(namespace, value, &key()).expect(value);
        assert_eq!(identifier.value(), value);
    }
}

const HASHES: &str = r#"
    namespace = [
        { name = "user_id", unique = true },
        { name = "email" },
        { name = "phone" },
        { name = "mail_hash", hash_of = "email", spelling = "meta" },
        { name = "mail_hash_google", hash_of = "email", spelling = "google" },
        { name = "phone_hash", hash_of = "phone", spelling = "google" },
        { name = "phone_hash_meta", hash_of = "phone", spelling = "meta" },
    ]
    blocked = { values = ["nobody@x.jp"] }
"#;

/// The identifiers of these under a policy, as a set of texts.
fn texts(policy: &Policy, identifiers: &[(&str, &str)]) -> BTreeSet<String> {
    let sent = identifiers.iter().map(|(namespace, value)| ((*namespace).into(), (*value).into())).collect();
    let read = policy.identify(&naming(sent), &key()).expect("identifiers");
    read.kept.iter().map(|identifier| identifier.text().to_owned()).collect()
}

#[test]
fn a_hash_in_either_spelling_meets_its_plain_form() {
    let policy = Policy::parse(HASHES).expect("a policy");
    let plain = texts(&policy, &[("email", " Taro.Yamada+shop@GMAIL.com"), ("phone", "090-1234-5678")]);
    assert_eq!(plain.len(), 6);
    // Of taro.yamada+shop@gmail.com, taroyamada@gmail.com, +819012345678 and 819012345678.
    let hashes = [
        ("mail_hash", "d9392948eb18ff534cfbb98928cbd98c5860fed19f0351920e4b3979ec83de0f"),
        ("mail_hash_google", "500e875041bfda81c4f67bc68f0d75ec996286151e1bdc7afe65d48ca8850e24"),
        ("phone_hash", "3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64"),
        ("phone_hash_meta", "0ad07193350775c6d4377f8b039d32877e66c69a454ed886b05279771c0fca0b"),
    ];
    for (namespace, value) in hashes {
        let hashed = texts(&policy, &[(namespace, &value.to_uppercase())]);
        assert_eq!(plain.intersection(&hashed).count(), 1, "{namespace}:{value} among {plain:?}");
    }
    assert_eq!(texts(&policy, &[("user_id", "1"), ("email", "nobody@x.jp")]).len(), 1, "what is blocked has no hashes");
}

#[test]
fn the_order_and_the_spelling_in_which_identifiers_come_changes_no_hash() {
    let policy = Policy::parse(HASHES).expect("a policy");
    let one = texts(&policy, &[("email", "Taro@Example.JP"), ("phone", "+81 90 1234 5678")]);
    assert_eq!(one, texts(&policy, &[("phone", "０９０ー１２３４ー５６７８"), ("email", "taro@example.jp.")]));
}

fn bridging() -> Policy {
    let text = "namespace = [{ name = 'user_id' }, { name = 'order', normalise = 'text', expires = '30d' }]";
    Policy::parse(text).expect("a policy")
}

fn order_at(micros: i64) -> BTreeSet<String> {
    let touchpoint = Touchpoint {
        occurred_at: Timestamp::from_micros(micros),
        received_at: None,
        ..naming(vec![("order".into(), " A-1 ".into())])
    };
    let read = bridging().identify(&touchpoint, &key()).expect("an order");
    read.kept.iter().map(|identifier| identifier.text().to_owned()).collect()
}

#[test]
fn a_value_that_expires_is_itself_with_its_epochs() {
    assert_eq!(order_at(0), ["order:A-1@0".to_owned(), "order:A-1@1".to_owned()].into());
    assert_eq!(order_at(-1), ["order:A-1@-1".to_owned(), "order:A-1@0".to_owned()].into());
    let published = bridging().identifier("order", "A-1@0", &key()).expect("as it stands on a topic");
    assert!(order_at(0).contains(published.text()));
    let touchpoint = naming(vec![("user_id".into(), "1".into()), ("order".into(), "A-1".into())]);
    assert_eq!(bridging().identify(&touchpoint, &key()).expect("read").kept.len(), 3);
}

proptest! {
    #[test]
    fn a_bridge_holds_within_its_life_and_not_beyond_two(at: i64, apart in 0..4 * 30 * 86_400_000_000i64) {
        const LIFE: i64 = 30 * 86_400_000_000;
        let (one, other) = (order_at(at), order_at(at.saturating_add(apart)));
        let apart = at.saturating_add(apart) - at;
        let meet = one.intersection(&other).next().is_some();
        prop_assert!(apart > LIFE || meet, "within one life");
        prop_assert!(apart < 2 * LIFE || !meet, "beyond two");
    }
}

//! Made-up persons for the tests of this crate.

use std::sync::Arc;

use musubi_core::change::{Cause, Kind, Position, ProfileChange, Snapshot};
use musubi_core::directive::Directive;
use musubi_core::identifier::{DeploymentKey, Identifier, IdentifierKey, NamespaceId};
use musubi_core::person::PersonId;
use musubi_core::policy::Policy;
use musubi_core::profile::{Profile, diff};
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::{EventRef, Touchpoint};

use musubi_core::decimal::Decimal;
use musubi_core::value::Value;
use proptest::prelude::*;

use crate::avro::{IdentifierRow, Record, TraitRow};
use crate::{Parser, Quarantined};

/// A touchpoint with something in every field.
pub(crate) const FULL: &str = r#"{"source":"ginza-pos","event_id":"r-1001","channel":"store","type":"order_completed","occurred_at":"2026-04-01T10:00:00+09:00","received_at":"2026-04-01T10:00:01.5+09:00","identifiers":[{"namespace":"loyalty_card","value":"4901"},{"namespace":"email","value":"Hana@example.jp"}],"traits":{"name":"花","tags":["a",null,{"deep":-1.50}]},"properties":{"total":{"amount":"12800","currency":"JPY"},"points":128.5,"big":123456789012345678901234567890},"consent":{"email_marketing":true,"sms":false},"context":{"household":"h-1","account":"acme"}}"#;

const POLICY: &str = r#"
[[namespace]]
name = "loyalty_card"
normalise = "exact"
unique = true
[[namespace]]
name = "email"
normalise = "email"
[[computed]]
name = "orders"
function = "count"
types = ["order_completed"]
per_channel = true
[[computed]]
name = "spent"
function = "sum"
of = "total"
[limits]
recent_properties = ["total"]
"#;

pub(crate) fn key() -> DeploymentKey {
    DeploymentKey::derive(b"samples")
}

pub(crate) fn identifier(namespace: &str, value: &str) -> Identifier {
    Identifier::new(NamespaceId(0), namespace, value, &key())
}

pub(crate) fn person(number: u8) -> PersonId {
    PersonId::of(IdentifierKey([number; 16]))
}

pub(crate) fn touchpoint() -> Touchpoint {
    Parser::new().parse_touchpoint(FULL.as_bytes()).expect("a touchpoint")
}

pub(crate) fn snapshot() -> Snapshot {
    let policy = Policy::parse(POLICY).expect("a policy");
    let reading = policy.read(touchpoint(), &key()).expect("a reading");
    let mut profile = Profile::default();
    profile.observe(&reading.effect, &policy);
    let (mut identifiers, version) = (reading.identifiers, 3);
    identifiers.sort();
    Snapshot { person_id: person(1), version, shared: false, identifiers, profile }
}

pub(crate) fn directives() -> Vec<Directive> {
    let lines = [
        r#"{"directive":"link","directive_id":"d","source":"ops","at":"2026-04-01T10:00:00Z","identifiers":[{"namespace":"a","value":"1"},{"namespace":"b","value":"2"}]}"#,
        r#"{"directive":"consent","directive_id":"d","source":"ops","at":"2026-04-01T10:00:00Z","identifiers":[{"namespace":"a","value":"1"}],"consent":{"sms":true}}"#,
        r#"{"directive":"erase","directive_id":"d","source":"ops","at":"2026-04-01T10:00:00Z","identifiers":[{"namespace":"a","value":"1"}]}"#,
    ];
    lines.iter().map(|line| Parser::new().parse_directive(line.as_bytes()).expect("a directive")).collect()
}

/// Shows a record of every kind, most of them with something in every field, in an order that stays.
pub(crate) fn each_record(mut show: impl FnMut(Record<'_>)) {
    show(Record::Touchpoint(&touchpoint()));
    directives().iter().for_each(|directive| show(Record::Directive(directive)));
    show(Record::Change(&change(), "v1"));
    let snapshot = snapshot();
    show(Record::Profile(&snapshot));
    let nobody = Snapshot { shared: true, identifiers: Vec::new(), profile: Profile::default(), ..snapshot };
    show(Record::Profile(&nobody));
    let identifier = identifier("email", "a@x.jp");
    for to in [Some(person(1)), None] {
        show(Record::Identity(&identifier, to));
        show(Record::Redirect(person(2), to));
    }
    let set_aside = |line, original, envelope| Quarantined {
        source: Some("pos"),
        event_id: None,
        reason: "invalid-utf8",
        detail: "",
        file: None,
        line,
        original,
        envelope,
    };
    show(Record::Quarantined(&set_aside(None, b"{}", Some(r#"{"headers":{"x-topic":"花"},"path":"/v1"}"#))));
    show(Record::Quarantined(&set_aside(Some(7), b"\xff\x00", None)));
    show(Record::ProfileIdentifier(&IdentifierRow { person_id: person(1), identifier: &identifier, version: 3 }));
    for value in trait_values() {
        show(Record::ProfileTrait(&TraitRow { person_id: person(1), name: "tags", value: &value, version: 3 }));
    }
}

fn trait_values() -> [Value; 5] {
    let number = |text: &str| Value::Number(text.parse().expect("a number"));
    [
        Value::text("花 \"x\""),
        number("128.50"),
        Value::Bool(true),
        Value::List([Value::text("a"), Value::Null].into()),
        Value::map(vec![("deep".into(), number("-1.5"))]),
    ]
}

pub(crate) fn change() -> ProfileChange {
    let Snapshot { person_id, version, identifiers, profile, .. } = snapshot();
    let consent: Arc<str> = "email_marketing".into();
    let mut after = profile.clone();
    after.observe_consent(&consent, false, Timestamp::from_micros(1_775_010_000_000_000));
    ProfileChange {
        person_id,
        version,
        kind: Kind::Merged,
        fields: diff(&profile, &after),
        joined: identifiers,
        left: Vec::new(),
        from: vec![person(2)],
        into: None,
        cause: Some(Cause {
            directive: true,
            event: EventRef { source: "ops".into(), event_id: "d-1".into() },
            position: Position { topic: "directives".into(), partition: 3, offset: 1_234 },
        }),
    }
}

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-z_]{1,8}", ".{1,20}", "[\\PC\"\\\\]{1,10}"].prop_map(Into::into)
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (-2_208_988_800_000_000i64..7_258_118_400_000_000).prop_map(Timestamp::from_micros)
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof!["-?[1-9][0-9]{0,37}", "-?0\\.[0-9]{1,30}", "-?[0-9]{1,5}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(|number| Value::Number(number.parse::<Decimal>().expect("a number"))),
        text().prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| Value::List(items.into())),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|fields| Value::Map(fields.into_iter().collect::<Vec<_>>().into())),
        ]
    })
}

fn fields() -> impl Strategy<Value = Vec<(Arc<str>, Value)>> {
    prop::collection::btree_map(text(), value(), 0..4).prop_map(|fields| fields.into_iter().collect())
}

/// Touchpoints of any content.
pub(crate) fn touchpoints() -> impl Strategy<Value = Touchpoint> {
    let names = (text(), text(), text(), text());
    let times = (instant(), prop::option::of(instant()));
    let content = (prop::collection::vec((text(), text()), 0..5), fields(), fields());
    let more =
        (prop::collection::btree_map(text(), any::<bool>(), 0..3), prop::option::of(text()), prop::option::of(text()));
    (names, times, content, more).prop_map(|(names, times, content, (consent, household, account))| Touchpoint {
        source: names.0,
        event_id: names.1,
        channel: names.2,
        kind: names.3,
        occurred_at: times.0,
        received_at: times.1,
        identifiers: content.0,
        traits: content.1,
        properties: content.2,
        consent: consent.into_iter().collect(),
        household,
        account,
    })
}

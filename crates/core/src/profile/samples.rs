//! Policies and effects for tests: written as one line, or drawn at random from few names, so that they meet often.

use std::sync::Arc;

use proptest::prelude::*;

use super::Profile;
use crate::decimal::Decimal;
use crate::policy::{Blocked, ComputedRule, Function, Limits, Policy, Survivorship, TraitRule};
use crate::time::Timestamp;
use crate::touchpoint::Effect;
use crate::value::Value;

pub(super) fn name(text: &str) -> Arc<str> {
    text.into()
}

pub(super) fn names(text: &str) -> Vec<Arc<str>> {
    text.split_whitespace().map(name).collect()
}

pub(super) fn policy(mut traits: Vec<TraitRule>, computed: Vec<ComputedRule>, recent: u32, shown: &str) -> Policy {
    traits.sort_by(|left, right| left.name.cmp(&right.name));
    let limits = Limits {
        max_cluster: 1000,
        max_identifiers_per_touchpoint: 32,
        dedup_horizon: 0,
        recent_touchpoints: recent,
        recent_properties: names(shown),
    };
    let blocked = Blocked::default();
    let kept_properties = Vec::new();
    Policy {
        version: name("test"),
        namespaces: Vec::new(),
        blocked,
        traits,
        computed,
        limits,
        kept_properties,
        hashed: Vec::new(),
    }
}

pub(super) fn trait_rule(text: &str, survivorship: Survivorship, sources: &str) -> TraitRule {
    TraitRule { name: name(text), survivorship, sources: names(sources) }
}

/// A rule such as `spent of total of order`, its types separated by blanks.
pub(super) fn rule(text: &str, function: Function, of: &str, types: &str, per_channel: bool) -> ComputedRule {
    let of = (!of.is_empty()).then(|| name(of));
    ComputedRule { name: name(text), function, of, types: names(types), per_channel }
}

pub(super) fn fold<'a>(effects: impl IntoIterator<Item = &'a Effect>, policy: &Policy) -> Profile {
    let mut profile = Profile::default();
    effects.into_iter().for_each(|effect| profile.observe(effect, policy));
    profile
}

/// An effect from `time source event_id channel kind` and then words: `name=value` is a trait, `.name=value` a
/// property, `+purpose` and `-purpose` consent, `@id` a household, `#id` an account. Values are JSON or else texts.
pub(super) fn effect(line: &str) -> Effect {
    let mut words = line.split_whitespace();
    let mut next = || words.next().expect("a line starts with five words");
    let time = Timestamp::from_micros(next().parse().expect("a time"));
    let [source, event_id, channel, kind] = [next(), next(), next(), next()].map(name);
    let (traits, properties, consent) = (Vec::new(), Vec::new(), Vec::new());
    let (household, account, received) = (None, None, time);
    let mut effect =
        Effect { source, event_id, channel, kind, time, received, traits, properties, consent, household, account };
    words.for_each(|word| say(&mut effect, word));
    effect.traits.sort();
    effect.properties.sort();
    effect.consent.sort();
    effect
}

fn say(effect: &mut Effect, word: &str) {
    match (word.split_at(1), word.split_once('=')) {
        (("+", purpose), _) => effect.consent.push((name(purpose), true)),
        (("-", purpose), _) => effect.consent.push((name(purpose), false)),
        (("@", id), _) => effect.household = Some(name(id)),
        (("#", id), _) => effect.account = Some(name(id)),
        ((".", _), Some((field, text))) => effect.properties.push((name(&field[1..]), value(text))),
        (_, Some((field, text))) => effect.traits.push((name(field), value(text))),
        (_, None) => panic!("`{word}` says nothing"),
    }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).map_or_else(|_| Value::text(text), |json| from_json(&json))
}

fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => Value::Number(number.to_string().parse().expect("a number")),
        serde_json::Value::String(text) => Value::text(text),
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(fields) => {
            Value::map(fields.iter().map(|(field, json)| (name(field), from_json(json))).collect())
        }
    }
}

/// One of a few names.
fn any_of(text: &'static str) -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(names(text))
}

fn decimals() -> impl Strategy<Value = Decimal> {
    let wide = "-?[0-9]{1,20}\\.[0-9]{1,20}".prop_map(|text| text.parse().expect("a number"));
    let small = (-20i64..20, 0u8..=2).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).expect("at most 18"));
    prop_oneof![3 => small, 1 => wide]
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        decimals().prop_map(Value::Number),
        decimals().prop_map(|number| Value::text(&number.to_string())),
        any_of("a b ab").prop_map(Value::Text),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let money = (scalars(), prop_oneof![any_of("JPY EUR").prop_map(Value::Text), Just(Value::text("")), scalars()])
        .prop_map(|(amount, currency)| Value::map(vec![(name("amount"), amount), (name("currency"), currency)]));
    let list = prop::collection::vec(scalars(), 0..3).prop_map(|items| Value::List(items.into()));
    prop_oneof![6 => scalars(), 3 => money, 1 => list]
}

fn fields(text: &'static str) -> impl Strategy<Value = Vec<(Arc<str>, Value)>> {
    let chosen = prop::collection::btree_map(any_of(text), values(), 0..4);
    chosen.prop_map(|fields| fields.into_iter().collect())
}

/// Effects of which no two are one event, though many are at one time or have one event id.
pub(super) fn effects() -> impl Strategy<Value = Vec<Effect>> {
    prop::collection::vec(any_effect(), 0..14).prop_map(|mut effects| {
        let mut seen = std::collections::BTreeSet::new();
        effects.retain(|effect| seen.insert((effect.source.clone(), effect.event_id.clone())));
        effects
    })
}

fn any_effect() -> impl Strategy<Value = Effect> {
    let event = (any_of("pos web app"), any_of("1 2 3 4 5 6 7 8"), any_of("store ec"), any_of("order view"), 0i64..6);
    let consents = prop::collection::btree_map(any_of("mail sms"), any::<bool>(), 0..3);
    let said = (fields("name age tags plan city"), fields("total amount currency page"), consents);
    let company = (prop::option::of(any_of("h1 h2")), prop::option::of(any_of("a1 a2")));
    (event, said, company).prop_map(|(event, (traits, properties, consent), (household, account))| {
        let (source, event_id, channel, kind, micros) = event;
        let time = Timestamp::from_micros(micros);
        let consent = consent.into_iter().collect();
        let received = time;
        Effect { source, event_id, channel, kind, time, received, traits, properties, consent, household, account }
    })
}

fn functions() -> impl Strategy<Value = Function> {
    prop_oneof![
        prop::sample::select(vec![Function::Count, Function::Sum, Function::Min, Function::Max]),
        prop::sample::select(vec![Function::First, Function::Last, Function::Distinct]),
        (0u32..4).prop_map(Function::LastN),
    ]
}

fn survivorships() -> impl Strategy<Value = Survivorship> {
    prop::sample::select(vec![
        Survivorship::Newest,
        Survivorship::Oldest,
        Survivorship::SourcePriority,
        Survivorship::Max,
        Survivorship::Min,
        Survivorship::Union,
    ])
}

/// Policies with rules for most traits and for every kind of path.
pub(super) fn policies() -> impl Strategy<Value = Policy> {
    let sources = prop::sample::select(vec!["", "app", "app web", "web pos app"]);
    let traits = prop::collection::vec((survivorships(), sources), 4);
    let paths = prop::sample::select(vec!["total", "total.amount", "amount", "page", "absent", ""]);
    let computed = prop::collection::vec((functions(), paths, any_of("order view"), any::<[bool; 2]>()), 0..5);
    let recent = (0u32..5, prop::sample::select(vec!["", "page", "total page"]));
    (traits, computed, recent).prop_map(|(traits, computed, (recent, shown))| {
        let traits = ["name", "age", "tags", "plan"].into_iter().zip(traits);
        let traits = traits.map(|(name, (survivorship, sources))| trait_rule(name, survivorship, sources)).collect();
        let computed = computed.into_iter().zip(["e", "b", "c", "a", "d"]);
        let computed = computed.map(|((function, of, kind, [every_kind, per_channel]), name)| {
            rule(name, function, of, if every_kind { "" } else { &kind }, per_channel)
        });
        policy(traits, computed.collect(), recent, shown)
    })
}

//! The recommended policy and the generator speak of the same properties: a rule that reads what nobody writes would
//! look like a feature and cost like one.

use std::collections::BTreeSet;

use musubi_core::policy::Policy;
use musubi_core::profile::Profile;
use musubi_core::touchpoint::Touchpoint;
use musubi_generator::{Generator, Line as Generated, Options, Shape};
use musubi_schema::{Line, Parser};

fn a_retail_stream() -> Vec<Touchpoint> {
    let mut generator = Generator::new(Options::new(500, 20_000, 11, Shape::Retail));
    let (mut parser, mut touchpoints, mut line) = (Parser::new(), Vec::new(), Vec::new());
    while let Some(Generated::Touchpoint(_) | Generated::Duplicate | Generated::Malformed) =
        generator.write_next(&mut line)
    {
        if let Ok(Line::Touchpoint(touchpoint)) = parser.parse_line(&line) {
            touchpoints.push(touchpoint);
        }
        line.clear();
    }
    touchpoints
}

#[test]
fn every_property_that_the_recommended_policy_keeps_is_one_that_the_generator_writes() {
    let policy = Policy::recommended();
    let stream = a_retail_stream();
    let written: BTreeSet<&str> =
        stream.iter().flat_map(|touchpoint| &touchpoint.properties).map(|(name, _)| name.as_ref()).collect();
    let nobody_writes: Vec<_> = policy.kept_properties.iter().filter(|name| !written.contains(name.as_ref())).collect();
    assert_eq!(nobody_writes, Vec::<&std::sync::Arc<str>>::new(), "of {written:?}");
}

#[test]
fn every_computed_trait_of_the_recommended_policy_says_something_of_somebody() {
    let policy = Policy::recommended();
    let key = musubi_core::identifier::DeploymentKey::derive(b"vocabulary");
    let mut everybody = Profile::default();
    for touchpoint in a_retail_stream() {
        if let Ok(reading) = policy.read(touchpoint, &key) {
            everybody.observe(&reading.effect, &policy);
        }
    }
    let said: BTreeSet<&str> = everybody.computed.iter().map(|computed| computed.name.as_ref()).collect();
    let rules: BTreeSet<&str> = policy.computed.iter().map(|rule| rule.name.as_ref()).collect();
    assert_eq!(said, rules);
}

/// The namespaces that the text of a mapping names, and those that its sample was seen to use.
fn namespaces_of(preset: &musubi_channels::Preset) -> BTreeSet<String> {
    let named = preset.mapping.split(['(', ' ']).zip(preset.mapping.split(['(', ' ']).skip(1));
    let literal = |text: &str| Some(text.strip_prefix('"')?.split('"').next()?.to_owned());
    named.filter(|(call, _)| matches!(*call, "id" | "scoped")).filter_map(|(_, text)| literal(text)).collect()
}

#[test]
fn the_recommended_policy_knows_every_namespace_that_a_preset_names() {
    let policy = Policy::recommended();
    // Chosen by a condition in the mapping, so no literal stands behind `id(`.
    let chosen = ["gaid", "idfa", "psid", "ig_scoped_id", "user_id", "anonymous_id"].map(str::to_owned);
    let hashed = ["email_sha256", "email_sha256_google", "phone_sha256", "phone_sha256_meta"].map(str::to_owned);
    let named: BTreeSet<String> =
        musubi_channels::PRESETS.iter().flat_map(namespaces_of).chain(chosen).chain(hashed).collect();
    assert!(named.len() > 30, "found only {named:?}");
    let unknown: Vec<&String> = named.iter().filter(|name| policy.find(name).is_none()).collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

#[test]
fn the_recommended_policy_reads_an_identifier_of_every_touchpoint_of_every_sample() {
    let policy = Policy::recommended();
    let key = musubi_core::identifier::DeploymentKey::derive(b"vocabulary");
    for sample in musubi_channels::samples::SAMPLES {
        for touchpoint in sample.take(&sample.source()).taken.touchpoints {
            let read = policy.identify(&touchpoint, &key).expect(sample.preset);
            assert_eq!(read.unknown_namespaces, 0, "{}: {:?}", sample.preset, touchpoint.identifiers);
        }
    }
}

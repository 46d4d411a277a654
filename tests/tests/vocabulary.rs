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

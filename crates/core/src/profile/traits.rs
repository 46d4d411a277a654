//! Traits: what touchpoints said about a person, and which of it survives.

use std::sync::Arc;

use super::sorted::{self, Named};
use super::stamped::{Claim, Stamped};
use crate::policy::{Policy, Survivorship};
use crate::tight;
use crate::touchpoint::Effect;
use crate::value::Value;

/// One trait: as much of what was said as its survivorship needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trait {
    /// Its name.
    pub name: Arc<str>,
    /// What survives of it so far.
    pub state: TraitState,
}

/// What survives of a trait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraitState {
    /// `newest`, `oldest` and `source_priority`: the one that was chosen. Its value may be null: it then removes the
    /// trait, and still has to be survived by whatever comes.
    Chosen(Stamped),
    /// `max` and `min`: the value furthest out, never null.
    Extreme(Value),
    /// `union`: the distinct values, sorted, without null.
    Union(Vec<Value>),
}

/// How a trait survives under a policy.
#[derive(Clone, Copy)]
struct Rule<'a> {
    survivorship: Survivorship,
    sources: &'a [Arc<str>],
}

impl Named for Trait {
    fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl Trait {
    /// What the profile shows; none where a null removed it.
    pub fn value(&self) -> Option<Value> {
        match &self.state {
            TraitState::Chosen(stamped) => Some(&stamped.value).filter(|value| !value.is_null()).cloned(),
            TraitState::Extreme(value) => Some(value.clone()),
            TraitState::Union(values) => Some(Value::List(values.as_slice().into())),
        }
    }
}

/// Takes in every trait that an effect names.
pub(super) fn observe(traits: &mut Vec<Trait>, effect: &Effect, policy: &Policy) {
    for (name, value) in &effect.traits {
        let rule = rule_of(policy, name);
        match sorted::find(traits, name) {
            Ok(place) => take(&mut traits[place].state, Claim::new(effect, value), rule),
            Err(place) => {
                if let Some(state) = start(Claim::new(effect, value), rule) {
                    tight::insert(traits, place, Trait { name: name.clone(), state });
                }
            }
        }
    }
}

/// Joins the traits of other effects.
pub(super) fn merge(traits: &mut Vec<Trait>, other: &[Trait], policy: &Policy) {
    sorted::merge_named(traits, other, |ours, theirs| {
        let rule = rule_of(policy, &ours.name);
        match &theirs.state {
            TraitState::Chosen(stamped) => take(&mut ours.state, stamped.claim(), rule),
            TraitState::Extreme(value) => take_value(&mut ours.state, value, rule),
            TraitState::Union(values) => match &mut ours.state {
                TraitState::Union(held) => sorted::merge_set(held, values),
                TraitState::Chosen(_) | TraitState::Extreme(_) => {}
            },
        }
    });
}

/// The rule of a trait: the newest survives where the policy says nothing.
fn rule_of<'a>(policy: &'a Policy, name: &str) -> Rule<'a> {
    let default = Rule { survivorship: Survivorship::Newest, sources: &[] };
    policy.trait_rule(name).map_or(default, |rule| Rule { survivorship: rule.survivorship, sources: &rule.sources })
}

/// The state after the first claim; none where it says nothing under this rule.
fn start(claim: Claim<'_>, rule: Rule<'_>) -> Option<TraitState> {
    match rule.survivorship {
        Survivorship::Newest | Survivorship::Oldest | Survivorship::SourcePriority => {
            Some(TraitState::Chosen(claim.keep()))
        }
        Survivorship::Max | Survivorship::Min => {
            Some(claim.value).filter(|value| !value.is_null()).cloned().map(TraitState::Extreme)
        }
        Survivorship::Union => {
            let mut set = Vec::new();
            add(&mut set, claim.value);
            Some(set).filter(|set| !set.is_empty()).map(TraitState::Union)
        }
    }
}

fn take(state: &mut TraitState, claim: Claim<'_>, rule: Rule<'_>) {
    match state {
        TraitState::Chosen(held) => {
            if claim.survives(held.claim(), rule.survivorship, rule.sources) {
                *held = claim.keep();
            }
        }
        TraitState::Extreme(_) => take_value(state, claim.value, rule),
        TraitState::Union(set) => add(set, claim.value),
    }
}

fn take_value(state: &mut TraitState, value: &Value, rule: Rule<'_>) {
    if let TraitState::Extreme(held) = state
        && !value.is_null()
        && if rule.survivorship == Survivorship::Min { value < held } else { value > held }
    {
        *held = value.clone();
    }
}

/// Adds a value to a set; a list adds what it contains, null adds nothing.
fn add(set: &mut Vec<Value>, value: &Value) {
    match value {
        Value::Null => {}
        Value::List(items) => items.iter().filter(|item| !item.is_null()).for_each(|item| sorted::insert(set, item)),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => sorted::insert(set, value),
    }
}

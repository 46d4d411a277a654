//! Computed traits: what the policy's rules fold touchpoints into, over all and for each channel.

mod amount;
mod fold;

use std::sync::Arc;

use super::sorted::{self, Named};
use crate::policy::{ComputedRule, Function, Policy};
use crate::tight;
use crate::touchpoint::Effect;
use amount::Part;
pub use fold::{Fold, PerCurrency};

/// One computed trait of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed {
    /// The name of its rule.
    pub name: Arc<str>,
    /// Over all channels.
    pub overall: Fold,
    /// For each channel, sorted; empty where the rule is not `per_channel`.
    pub channels: Vec<ChannelFold>,
}

/// A computed trait in one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFold {
    /// The channel.
    pub channel: Arc<str>,
    /// Its value there.
    pub fold: Fold,
}

impl Named for Computed {
    fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl Named for ChannelFold {
    fn name(&self) -> &Arc<str> {
        &self.channel
    }
}

/// Takes an effect into every rule that it speaks to, of each of which `before` sees what is held.
pub(super) fn observe(
    computed: &mut Vec<Computed>,
    effect: &Effect,
    policy: &Policy,
    mut before: impl FnMut(&ComputedRule, Option<&Computed>),
) {
    for rule in policy.computed.iter().filter(|rule| concerns(rule, effect)) {
        if let Some(part) = Part::read(rule, effect).filter(|_| keep(rule) > 0) {
            let place = sorted::find(computed, &rule.name);
            before(rule, place.ok().map(|place| &computed[place]));
            take(computed, place, rule, &part);
        }
    }
}

fn concerns(rule: &ComputedRule, effect: &Effect) -> bool {
    rule.types.is_empty() || rule.types.contains(&effect.kind)
}

fn take(computed: &mut Vec<Computed>, place: Result<usize, usize>, rule: &ComputedRule, part: &Part<'_>) {
    let place = match place {
        Ok(place) => {
            computed[place].overall.take(part, keep(rule));
            place
        }
        Err(place) => {
            let overall = Fold::start(part, rule.function);
            tight::insert(computed, place, Computed { name: rule.name.clone(), overall, channels: Vec::new() });
            place
        }
    };
    if rule.per_channel {
        take_channel(&mut computed[place].channels, rule, part);
    }
}

fn take_channel(channels: &mut Vec<ChannelFold>, rule: &ComputedRule, part: &Part<'_>) {
    let channel = &part.effect.channel;
    match sorted::find(channels, channel) {
        Ok(place) => channels[place].fold.take(part, keep(rule)),
        Err(place) => {
            let fold = Fold::start(part, rule.function);
            tight::insert(channels, place, ChannelFold { channel: channel.clone(), fold });
        }
    }
}

/// Joins the computed traits of other effects.
pub(super) fn merge(computed: &mut Vec<Computed>, other: &[Computed], policy: &Policy) {
    sorted::merge_named(computed, other, |ours, theirs| {
        let keep = policy.computed.iter().find(|rule| rule.name == ours.name).map_or(usize::MAX, keep);
        ours.overall.merge(&theirs.overall, keep);
        sorted::merge_named(&mut ours.channels, &theirs.channels, |ours, theirs| ours.fold.merge(&theirs.fold, keep));
    });
}

/// How many values a rule keeps: only `last_n` has a bound.
fn keep(rule: &ComputedRule) -> usize {
    match rule.function {
        Function::LastN(keep) => usize::try_from(keep).unwrap_or(usize::MAX),
        Function::Count
        | Function::Sum
        | Function::Min
        | Function::Max
        | Function::First
        | Function::Last
        | Function::Distinct => usize::MAX,
    }
}

//! The newest touchpoints of a person, as many as the policy keeps.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::policy::Limits;
use crate::time::Timestamp;
use crate::touchpoint::Effect;
use crate::value::Value;

/// A touchpoint as a profile remembers it. Ordered by (time, event id, source) first, so the greatest is the newest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recent {
    /// Event time.
    pub time: Timestamp,
    /// The source's name of the event.
    pub event_id: Arc<str>,
    /// The source.
    pub source: Arc<str>,
    /// Where it happened.
    pub channel: Arc<str>,
    /// What happened.
    pub kind: Arc<str>,
    /// Those of its properties which the policy's `recent_properties` name, sorted by name.
    pub properties: Vec<(Arc<str>, Value)>,
}

/// How many the policy keeps.
pub(super) fn keep(limits: &Limits) -> usize {
    usize::try_from(limits.recent_touchpoints).unwrap_or(usize::MAX)
}

/// Takes one touchpoint in, where it is among the newest. Says which came into the list and which went from it.
pub(super) fn observe(
    recent: &mut Vec<Arc<Recent>>,
    effect: &Effect,
    limits: &Limits,
) -> (Option<Arc<Recent>>, Option<Arc<Recent>>) {
    let keep = keep(limits);
    let place = recent.iter().position(|held| order(effect, held, limits).is_gt()).unwrap_or(recent.len());
    if place >= keep {
        return (None, None);
    }
    let came = Arc::new(remember(effect, limits));
    let went = if recent.len() >= keep { recent.pop() } else { None };
    recent.insert(place, Arc::clone(&came));
    (Some(came), went)
}

/// How an effect, once remembered, would compare with a touchpoint held: the order of [`Recent`].
fn order(effect: &Effect, held: &Recent, limits: &Limits) -> Ordering {
    let texts = || {
        let ours = (&effect.event_id, &effect.source, &effect.channel, &effect.kind);
        ours.cmp(&(&held.event_id, &held.source, &held.channel, &held.kind))
    };
    effect.time.cmp(&held.time).then_with(texts).then_with(|| shown(effect, limits).cmp(&held.properties))
}

fn remember(effect: &Effect, limits: &Limits) -> Recent {
    Recent {
        time: effect.time,
        event_id: effect.event_id.clone(),
        source: effect.source.clone(),
        channel: effect.channel.clone(),
        kind: effect.kind.clone(),
        properties: shown(effect, limits).cloned().collect(),
    }
}

/// The properties that the policy shows.
fn shown<'a>(effect: &'a Effect, limits: &'a Limits) -> impl Iterator<Item = &'a (Arc<str>, Value)> {
    effect.properties.iter().filter(|(name, _)| limits.recent_properties.contains(name))
}

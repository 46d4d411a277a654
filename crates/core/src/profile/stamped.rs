//! A value with the touchpoint that said it, which is what decides between two values.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use crate::policy::Survivorship;
use crate::time::Timestamp;
use crate::touchpoint::Effect;
use crate::value::Value;

/// A value and the touchpoint that said it. Ordered by (time, event id, source, value).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamped {
    /// Event time of the touchpoint.
    pub time: Timestamp,
    /// The source's name of the event.
    pub event_id: Arc<str>,
    /// The source of the touchpoint.
    pub source: Arc<str>,
    /// What it said.
    pub value: Value,
}

/// A [`Stamped`] that is still part of something else: deciding between two of these moves no reference count.
/// Ordered as [`Stamped`] is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim<'a> {
    pub(super) time: Timestamp,
    pub(super) event_id: &'a Arc<str>,
    pub(super) source: &'a Arc<str>,
    pub(super) value: &'a Value,
}

impl Stamped {
    pub(super) const fn claim(&self) -> Claim<'_> {
        Claim { time: self.time, event_id: &self.event_id, source: &self.source, value: &self.value }
    }
}

impl<'a> Claim<'a> {
    /// What an effect says with one of its values.
    pub(super) const fn new(effect: &'a Effect, value: &'a Value) -> Self {
        Self { time: effect.time, event_id: &effect.event_id, source: &effect.source, value }
    }

    pub(super) fn keep(self) -> Stamped {
        let (event_id, source, value) = (self.event_id.clone(), self.source.clone(), self.value.clone());
        Stamped { time: self.time, event_id, source, value }
    }

    /// Whether this one survives the other. Of two at one time the stronger source survives, whether the newest or the
    /// oldest is asked for. `sources` are the policy's, strongest first.
    ///
    /// Total, so that no order of arrival can matter. `max`, `min` and `union` look at values alone and never ask.
    pub(super) fn survives(self, other: Self, survivorship: Survivorship, sources: &[Arc<str>]) -> bool {
        let by_time = self.time.cmp(&other.time);
        let by_source = || strength(self.source, sources).cmp(&strength(other.source, sources));
        let by_text = || self.text().cmp(&other.text());
        let order = match survivorship {
            Survivorship::SourcePriority => by_source().then(by_time).then_with(by_text),
            Survivorship::Oldest => by_time.reverse().then_with(by_source).then_with(|| by_text().reverse()),
            Survivorship::Newest | Survivorship::Max | Survivorship::Min | Survivorship::Union => {
                by_time.then_with(by_source).then_with(by_text)
            }
        };
        order == Ordering::Greater
    }

    const fn text(self) -> (&'a Arc<str>, &'a Arc<str>, &'a Value) {
        (self.event_id, self.source, self.value)
    }
}

/// The strength of a source: greater is stronger, and those not listed are weakest, all alike.
fn strength(source: &Arc<str>, sources: &[Arc<str>]) -> Reverse<usize> {
    Reverse(sources.iter().position(|listed| listed == source).unwrap_or(sources.len()))
}

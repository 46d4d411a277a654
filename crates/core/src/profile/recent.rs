//! The newest touchpoints of a person, as many as the policy keeps.
//!
//! They are most of what a profile holds and nearly all of it is only ever carried along, so each is one packed piece of
//! bytes: it is read from disk, written there, copied and digested without being looked into.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::packed::{Packer, Unpacker, unpack_fields};
use crate::policy::Limits;
use crate::tight;
use crate::time::Timestamp;
use crate::touchpoint::Effect;
use crate::value::Value;

/// A touchpoint as a profile remembers it. Ordered by (time, event id, source) first, so the greatest is the newest.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Recent(Arc<[u8]>);

/// A [`Recent`] taken apart.
#[derive(Clone, Copy, Debug)]
pub struct RecentParts<'a> {
    /// Event time.
    pub time: Timestamp,
    /// The source's name of the event.
    pub event_id: &'a str,
    /// The source.
    pub source: &'a str,
    /// Where it happened.
    pub channel: &'a str,
    /// What happened.
    pub kind: &'a str,
    /// How many properties there are: those of its own which the policy's `recent_properties` name, sorted by name.
    pub count: usize,
    /// The properties, one field after another.
    pub properties: Unpacker<'a>,
}

impl<'a> RecentParts<'a> {
    const fn texts(&self) -> [&'a str; 4] {
        [self.event_id, self.source, self.channel, self.kind]
    }
}

impl Recent {
    /// What is remembered of a touchpoint.
    fn of(effect: &Effect, limits: &Limits) -> Self {
        let mut packer = Packer(Vec::with_capacity(COMMON_BYTES));
        packer.time(effect.time);
        for text in [&effect.event_id, &effect.source, &effect.channel, &effect.kind] {
            packer.text(text);
        }
        packer.size(shown(effect, limits).count());
        for (name, value) in shown(effect, limits) {
            packer.text(name);
            packer.value(value);
        }
        Self(packer.0.into())
    }

    /// Event time.
    pub fn time(&self) -> Timestamp {
        Unpacker(&self.0).time().expect("a packed touchpoint begins with its time")
    }

    /// It taken apart.
    pub fn parts(&self) -> RecentParts<'_> {
        take_apart(&self.0).expect("it was packed here, or looked through when it was read")
    }

    /// Its properties as values.
    pub fn properties(&self) -> Vec<(Arc<str>, Value)> {
        let parts = self.parts();
        unpack_fields(parts.properties, parts.count).unwrap_or_default()
    }

    /// Its bytes, in the form of [`crate::packed`]: equal where it is equal.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The one with these bytes; none where they are of no touchpoint.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut parts = take_apart(bytes)?;
        (0..parts.count).try_for_each(|_| parts.properties.field().map(drop))?;
        parts.properties.0.is_empty().then(|| Self(bytes.into()))
    }
}

/// Room for the bytes of a common touchpoint.
const COMMON_BYTES: usize = 160;

fn take_apart(bytes: &[u8]) -> Option<RecentParts<'_>> {
    let mut unpacker = Unpacker(bytes);
    let time = unpacker.time()?;
    let [event_id, source] = [unpacker.text()?, unpacker.text()?];
    let [channel, kind] = [unpacker.text()?, unpacker.text()?];
    let count = unpacker.size()?;
    Some(RecentParts { time, event_id, source, channel, kind, count, properties: unpacker })
}

impl Ord for Recent {
    fn cmp(&self, other: &Self) -> Ordering {
        self.time().cmp(&other.time()).then_with(|| {
            let (ours, theirs) = (self.parts().texts(), other.parts().texts());
            ours.cmp(&theirs).then_with(|| self.properties().cmp(&other.properties()))
        })
    }
}

impl PartialOrd for Recent {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        write!(f, "{:?} {} {} {} {}", parts.time, parts.source, parts.event_id, parts.channel, parts.kind)?;
        f.debug_list().entries(self.properties()).finish()
    }
}

/// How many the policy keeps.
pub(super) fn keep(limits: &Limits) -> usize {
    usize::try_from(limits.recent_touchpoints).unwrap_or(usize::MAX)
}

/// Takes one touchpoint in, where it is among the newest. Says which came into the list and which went from it.
pub(super) fn observe(recent: &mut Vec<Recent>, effect: &Effect, limits: &Limits) -> (Option<Recent>, Option<Recent>) {
    let keep = keep(limits);
    let place = recent.iter().position(|held| order(effect, held, limits).is_gt()).unwrap_or(recent.len());
    if place >= keep {
        return (None, None);
    }
    let came = Recent::of(effect, limits);
    let went = if recent.len() >= keep { recent.pop() } else { None };
    tight::insert(recent, place, came.clone());
    (Some(came), went)
}

/// How an effect, once remembered, would compare with a touchpoint held: the order of [`Recent`].
fn order(effect: &Effect, held: &Recent, limits: &Limits) -> Ordering {
    effect.time.cmp(&held.time()).then_with(|| Recent::of(effect, limits).cmp(held))
}

/// The properties that the policy shows.
fn shown<'a>(effect: &'a Effect, limits: &'a Limits) -> impl Iterator<Item = &'a (Arc<str>, Value)> {
    effect.properties.iter().filter(|(name, _)| limits.recent_properties.contains(name))
}

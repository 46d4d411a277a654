//! Where and in what company a person was seen: channels, households, accounts. None of these joins persons.

use std::sync::Arc;

use super::sorted::{self, Named};
use crate::tight;
use crate::time::Timestamp;
use crate::touchpoint::Effect;

/// That a person was seen in a household or an account, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The household or the account.
    pub id: Arc<str>,
    /// The first time, by event time.
    pub first_seen: Timestamp,
    /// The last time, by event time.
    pub last_seen: Timestamp,
}

/// What a person did in one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The channel, such as `store`.
    pub channel: Arc<str>,
    /// The first time, by event time.
    pub first_seen: Timestamp,
    /// The last time, by event time.
    pub last_seen: Timestamp,
    /// How many touchpoints.
    pub touchpoints: u64,
}

impl Named for Membership {
    fn name(&self) -> &Arc<str> {
        &self.id
    }
}

impl Named for Activity {
    fn name(&self) -> &Arc<str> {
        &self.channel
    }
}

impl Membership {
    fn widen(&mut self, first: Timestamp, last: Timestamp) {
        self.first_seen = self.first_seen.min(first);
        self.last_seen = self.last_seen.max(last);
    }
}

impl Activity {
    fn add(&mut self, first: Timestamp, last: Timestamp, touchpoints: u64) {
        self.first_seen = self.first_seen.min(first);
        self.last_seen = self.last_seen.max(last);
        self.touchpoints = self.touchpoints.saturating_add(touchpoints);
    }
}

pub(super) fn observe(memberships: &mut Vec<Membership>, id: &Arc<str>, time: Timestamp) {
    match sorted::find(memberships, id) {
        Ok(place) => memberships[place].widen(time, time),
        Err(place) => {
            tight::insert(memberships, place, Membership { id: id.clone(), first_seen: time, last_seen: time })
        }
    }
}

pub(super) fn merge(memberships: &mut Vec<Membership>, other: &[Membership]) {
    sorted::merge_named(memberships, other, |ours, theirs| ours.widen(theirs.first_seen, theirs.last_seen));
}

pub(super) fn observe_activity(channels: &mut Vec<Activity>, effect: &Effect) {
    let (channel, time) = (&effect.channel, effect.time);
    match sorted::find(channels, channel) {
        Ok(place) => channels[place].add(time, time, 1),
        Err(place) => {
            let activity = Activity { channel: channel.clone(), first_seen: time, last_seen: time, touchpoints: 1 };
            tight::insert(channels, place, activity);
        }
    }
}

pub(super) fn merge_activity(channels: &mut Vec<Activity>, other: &[Activity]) {
    sorted::merge_named(channels, other, |ours, theirs| {
        ours.add(theirs.first_seen, theirs.last_seen, theirs.touchpoints);
    });
}

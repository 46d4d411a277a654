//! What changed between two states of a profile, field by field, in the words of [`view`](super::view()).

use std::sync::Arc;

use super::sorted::side_by_side;
use super::view::{
    channel_field, channels, computed_field, consent_field, instant, memberships, newest_first, recent, trait_field,
};
use super::{ChannelFold, Computed, Consent, Profile, Recent, Trait};
use crate::value::Value;

/// The one field whose changes are told by what went and what came, and not whole: nearly every touchpoint moves it by
/// one place.
const RECENT: &str = "recent";

/// One visible field that changed. Of `recent`, `before` holds only the touchpoints that went and `after` only those
/// that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The field, as [`view`](super::view()) names it.
    pub field: Arc<str>,
    /// Its value before; none where it was absent.
    pub before: Option<Value>,
    /// Its value after; none where it went.
    pub after: Option<Value>,
}

/// Every visible field that differs, sorted by field.
///
/// Applied to the view of `before` (see [`apply`]) it gives the view of `after`; it is empty where the views are equal.
pub fn diff(before: &Profile, after: &Profile) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.facts(before, after);
    changes.movement(before, after);
    changes.sorted()
}

/// The part of [`diff`] that says something about the person: traits, computed traits, consent, households and
/// accounts. For callers that render the rest from the profiles themselves.
pub fn diff_of_facts(before: &Profile, after: &Profile) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.facts(before, after);
    changes.sorted()
}

/// The other part of [`diff`], which nearly every touchpoint moves: `channels`, `first_seen`, `last_seen`, `recent`.
pub fn diff_of_movement(before: &Profile, after: &Profile) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.movement(before, after);
    changes.sorted()
}

/// Makes changes to a view, which stays sorted. What a consumer of changes does.
pub fn apply(view: &mut Vec<(Arc<str>, Value)>, changes: &[Change]) {
    for change in changes {
        if change.field.as_ref() == RECENT {
            apply_recent(view, change);
            continue;
        }
        match (view.binary_search_by(|(field, _)| field.cmp(&change.field)), &change.after) {
            (Ok(place), Some(value)) => view[place].1 = value.clone(),
            (Ok(place), None) => drop(view.remove(place)),
            (Err(place), Some(value)) => view.insert(place, (change.field.clone(), value.clone())),
            (Err(_), None) => {}
        }
    }
}

fn apply_recent(view: &mut Vec<(Arc<str>, Value)>, change: &Change) {
    let items = |value: Option<&Value>| match value {
        Some(Value::List(items)) => items.to_vec(),
        Some(_) | None => Vec::new(),
    };
    let place = view.binary_search_by(|(field, _)| field.as_ref().cmp(RECENT));
    let mut held = items(place.ok().map(|place| &view[place].1));
    let went = items(change.before.as_ref());
    held.retain(|one| !went.contains(one));
    held.extend(items(change.after.as_ref()));
    newest_first(&mut held);
    match place {
        Ok(place) if held.is_empty() => drop(view.remove(place)),
        Ok(place) => view[place].1 = Value::List(held.into()),
        Err(_) if held.is_empty() => {}
        Err(place) => view.insert(place, (change.field.clone(), Value::List(held.into()))),
    }
}

fn channels_of(computed: Option<&Computed>) -> &[ChannelFold] {
    computed.map_or(&[], |computed| &computed.channels)
}

/// Changes as they are found. Parts are compared as they stand before any value is built from them.
struct Changes(Vec<Change>);

impl Changes {
    fn facts(&mut self, before: &Profile, after: &Profile) {
        self.traits(before, after);
        side_by_side(&before.computed, &after.computed, |name, old, new| self.computed(name, old, new));
        side_by_side(&before.consent, &after.consent, |_, old, new| {
            if let Some(either) = old.or(new) {
                let given = |consent: &Consent| Value::Bool(consent.given);
                self.note(|| consent_field(either), old.map(given), new.map(given));
            }
        });
        self.whole("households", &before.households, &after.households, |part| memberships(part));
        self.whole("accounts", &before.accounts, &after.accounts, |part| memberships(part));
    }

    fn movement(&mut self, before: &Profile, after: &Profile) {
        self.whole("channels", &before.channels, &after.channels, |part| channels(part));
        if before.recent != after.recent {
            let without = |these: &[Arc<Recent>], those: &[Arc<Recent>]| -> Vec<Arc<Recent>> {
                these.iter().filter(|one| !those.contains(one)).cloned().collect()
            };
            let went = without(&before.recent, &after.recent);
            let came = without(&after.recent, &before.recent);
            self.note(|| RECENT.into(), recent(&went), recent(&came));
        }
        self.whole("first_seen", &before.first_seen(), &after.first_seen(), |time| instant(*time));
        self.whole("last_seen", &before.last_seen(), &after.last_seen(), |time| instant(*time));
    }

    fn traits(&mut self, before: &Profile, after: &Profile) {
        side_by_side(&before.traits, &after.traits, |name, old, new| {
            if old != new {
                let value = |entry: Option<&Trait>| entry.and_then(Trait::value);
                self.note(|| trait_field(name), value(old), value(new));
            }
        });
    }

    fn computed(&mut self, name: &str, old: Option<&Computed>, new: Option<&Computed>) {
        if old == new {
            return;
        }
        let overall = |computed: Option<&Computed>| computed.map(|computed| computed.overall.value());
        self.note(|| computed_field(name), overall(old), overall(new));
        side_by_side(channels_of(old), channels_of(new), |channel, old, new| {
            let fold = |part: Option<&ChannelFold>| part.map(|part| part.fold.value());
            if old != new {
                self.note(|| channel_field(name, channel), fold(old), fold(new));
            }
        });
    }

    fn whole<T: PartialEq>(&mut self, field: &str, before: &T, after: &T, show: impl Fn(&T) -> Option<Value>) {
        if before != after {
            self.note(|| field.into(), show(before), show(after));
        }
    }

    fn note(&mut self, field: impl FnOnce() -> Arc<str>, before: Option<Value>, after: Option<Value>) {
        if before != after {
            self.0.push(Change { field: field(), before, after });
        }
    }

    fn sorted(mut self) -> Vec<Change> {
        self.0.sort_by(|left, right| left.field.cmp(&right.field));
        self.0
    }
}

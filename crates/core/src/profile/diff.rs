//! What changed between two states of a profile, field by field, in the words of [`view`](super::view()).

use std::sync::Arc;

use super::sorted::side_by_side;
use super::view::newest_first;
use super::{ChannelFold, Computed, Field, Profile, Recent, Shown, Trait};
use crate::value::Value;

/// One visible field that changed. Of `recent`, the one field that nearly every touchpoint moves by one place, `before`
/// holds only the touchpoints that went and `after` only those that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The field.
    pub field: Field,
    /// What it showed before; none where it was absent.
    pub before: Option<Shown>,
    /// What it shows after; none where it went.
    pub after: Option<Shown>,
}

/// Every visible field that differs, sorted by field.
///
/// Applied to the view of `before` (see [`apply`]) it gives the view of `after`; it is empty where the views are equal.
/// Where `after` comes of `before` by taking effects in, [`Profile::take_in`] says the same for less.
pub fn diff(before: &Profile, after: &Profile) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.facts(before, after);
    changes.movement(before, after);
    changes.0.sort_unstable_by(|left, right| left.field.cmp(&right.field));
    changes.0
}

/// Makes changes to a view, which stays sorted. What a consumer of changes does.
pub fn apply(view: &mut Vec<(Arc<str>, Value)>, changes: &[Change]) {
    for change in changes {
        let name = change.field.name();
        if change.field == Field::Recent {
            apply_recent(view, name, change);
            continue;
        }
        match (view.binary_search_by(|(field, _)| field.cmp(&name)), &change.after) {
            (Ok(place), Some(shown)) => view[place].1 = shown.value(),
            (Ok(place), None) => drop(view.remove(place)),
            (Err(place), Some(shown)) => view.insert(place, (name, shown.value())),
            (Err(_), None) => {}
        }
    }
}

fn apply_recent(view: &mut Vec<(Arc<str>, Value)>, name: Arc<str>, change: &Change) {
    let items = |value: Option<&Value>| match value {
        Some(Value::List(items)) => items.to_vec(),
        Some(_) | None => Vec::new(),
    };
    let place = view.binary_search_by(|(field, _)| field.cmp(&name));
    let mut held = items(place.ok().map(|place| &view[place].1));
    let went = items(change.before.as_ref().map(Shown::value).as_ref());
    held.retain(|one| !went.contains(one));
    held.extend(items(change.after.as_ref().map(Shown::value).as_ref()));
    newest_first(&mut held);
    match place {
        Ok(place) if held.is_empty() => drop(view.remove(place)),
        Ok(place) => view[place].1 = Value::List(held.into()),
        Err(_) if held.is_empty() => {}
        Err(place) => view.insert(place, (name, Value::List(held.into()))),
    }
}

fn channels_of(computed: Option<&Computed>) -> &[ChannelFold] {
    computed.map_or(&[], |computed| &computed.channels)
}

/// Changes as they are found. Parts are compared as they stand before anything is built from them.
struct Changes(Vec<Change>);

impl Changes {
    fn facts(&mut self, before: &Profile, after: &Profile) {
        side_by_side(&before.traits, &after.traits, |name, old, new| {
            if old != new {
                let value = |entry: Option<&Trait>| entry.and_then(Trait::value).map(Shown::Value);
                self.note(|| Field::Trait(name.clone()), value(old), value(new));
            }
        });
        side_by_side(&before.computed, &after.computed, |name, old, new| self.computed(name, old, new));
        let consents = (&before.consent, &after.consent);
        side_by_side(consents.0, consents.1, |purpose, _, _| {
            self.whole(|| Field::Consent(purpose.clone()), before, after);
        });
        for field in [Field::Households, Field::Accounts] {
            self.whole(|| field.clone(), before, after);
        }
    }

    fn movement(&mut self, before: &Profile, after: &Profile) {
        side_by_side(&before.channels, &after.channels, |channel, old, new| {
            if old != new {
                let show = |one: Option<&_>| one.cloned().map(Shown::Activity);
                self.note(|| Field::Channel(channel.clone()), show(old), show(new));
            }
        });
        if before.recent != after.recent {
            let without = |these: &[Recent], those: &[Recent]| -> Vec<Recent> {
                these.iter().filter(|one| !those.contains(one)).cloned().collect()
            };
            let went = without(&before.recent, &after.recent);
            let came = without(&after.recent, &before.recent);
            self.note(|| Field::Recent, shown_recent(went), shown_recent(came));
        }
        for field in [Field::FirstSeen, Field::LastSeen] {
            self.whole(|| field.clone(), before, after);
        }
    }

    fn computed(&mut self, name: &Arc<str>, old: Option<&Computed>, new: Option<&Computed>) {
        if old == new {
            return;
        }
        let overall = |computed: Option<&Computed>| computed.map(|computed| Shown::Value(computed.overall.value()));
        self.note(|| Field::Computed(name.clone()), overall(old), overall(new));
        side_by_side(channels_of(old), channels_of(new), |channel, old, new| {
            let fold = |part: Option<&ChannelFold>| part.map(|part| Shown::Value(part.fold.value()));
            if old != new {
                self.note(|| Field::ComputedIn(name.clone(), channel.clone()), fold(old), fold(new));
            }
        });
    }

    fn whole(&mut self, field: impl Fn() -> Field, before: &Profile, after: &Profile) {
        let name = field();
        self.note(field, before.shown(&name), after.shown(&name));
    }

    fn note(&mut self, field: impl FnOnce() -> Field, before: Option<Shown>, after: Option<Shown>) {
        if before != after {
            self.0.push(Change { field: field(), before, after });
        }
    }
}

/// Recent touchpoints, where there are any.
pub(super) fn shown_recent(touchpoints: Vec<Recent>) -> Option<Shown> {
    (!touchpoints.is_empty()).then_some(Shown::Recent(touchpoints))
}

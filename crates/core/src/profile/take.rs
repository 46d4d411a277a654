//! Taking effects into a profile and saying in the same breath what they changed: what is published of nearly every
//! touchpoint. No copy of the profile is made to compare with.

use std::sync::Arc;

use super::diff::shown_recent;
use super::{Change, Computed, Field, Profile, Recent, Shown, computed, membership, recent, sorted, traits};
use crate::policy::{ComputedRule, Policy};
use crate::touchpoint::Effect;

impl Profile {
    /// Takes effects in, none of which were before, and says what [`diff`](super::diff()) would say of the profile before
    /// and after.
    pub fn take_in<'a>(&mut self, effects: impl IntoIterator<Item = &'a Effect>, policy: &Policy) -> Vec<Change> {
        let mut noted = Noted::default();
        for effect in effects {
            noted.take_in(self, effect, policy);
            noted.some = true;
        }
        noted.changes(self)
    }

    /// What a field shows; none where it is absent.
    pub fn shown(&self, field: &Field) -> Option<Shown> {
        match field {
            Field::Accounts => shown_memberships(&self.accounts),
            Field::Households => shown_memberships(&self.households),
            Field::Channel(channel) => {
                let place = sorted::find(&self.channels, channel).ok()?;
                Some(Shown::Activity(self.channels[place].clone()))
            }
            Field::Computed(name) => Some(Shown::Value(self.computed_trait(name)?.overall.value())),
            Field::ComputedIn(name, channel) => {
                let channels = &self.computed_trait(name)?.channels;
                let place = sorted::find(channels, channel).ok()?;
                Some(Shown::Value(channels[place].fold.value()))
            }
            Field::Consent(purpose) => {
                let place = sorted::find(&self.consent, purpose).ok()?;
                Some(Shown::Value(crate::value::Value::Bool(self.consent[place].given)))
            }
            Field::FirstSeen => self.first_seen().map(Shown::Time),
            Field::LastSeen => self.last_seen().map(Shown::Time),
            Field::Recent => shown_recent(self.recent.clone()),
            Field::Trait(name) => {
                let place = sorted::find(&self.traits, name).ok()?;
                self.traits[place].value().map(Shown::Value)
            }
        }
    }

    fn computed_trait(&self, name: &Arc<str>) -> Option<&Computed> {
        Some(&self.computed[sorted::find(&self.computed, name).ok()?])
    }
}

fn shown_memberships(held: &[super::Membership]) -> Option<Shown> {
    (!held.is_empty()).then(|| Shown::Memberships(held.into()))
}

/// What the fields that effects speak to showed before the first of them. `after` is filled in at the end.
#[derive(Default)]
struct Noted {
    before: Vec<Change>,
    /// Whether an effect was taken in already, so that a field may have been noted.
    some: bool,
    went: Vec<Recent>,
    came: Vec<Recent>,
}

/// How many fields a common touchpoint speaks to.
const COMMON_FIELDS: usize = 8;

impl Noted {
    fn take_in(&mut self, profile: &mut Profile, effect: &Effect, policy: &Policy) {
        if self.before.capacity() == 0 {
            self.before.reserve(COMMON_FIELDS);
        }
        self.note(profile, Field::Channel(effect.channel.clone()));
        if !self.some {
            self.note(profile, Field::FirstSeen);
            self.note(profile, Field::LastSeen);
        }
        membership::observe_activity(&mut profile.channels, effect);
        let (came, went) = recent::observe(&mut profile.recent, effect, &policy.limits);
        self.move_recent(came, went);
        for (name, _) in &effect.traits {
            self.note(profile, Field::Trait(name.clone()));
        }
        traits::observe(&mut profile.traits, effect, policy);
        computed::observe(&mut profile.computed, effect, policy, |rule, held| self.note_computed(rule, held, effect));
        for (purpose, given) in &effect.consent {
            self.note(profile, Field::Consent(purpose.clone()));
            profile.observe_consent(purpose, *given, effect.time);
        }
        if let Some(id) = &effect.household {
            self.note(profile, Field::Households);
            membership::observe(&mut profile.households, id, effect.time);
        }
        if let Some(id) = &effect.account {
            self.note(profile, Field::Accounts);
            membership::observe(&mut profile.accounts, id, effect.time);
        }
    }

    fn note(&mut self, profile: &Profile, field: Field) {
        if !self.is_noted(&field) {
            let before = profile.shown(&field);
            self.before.push(Change { field, before, after: None });
        }
    }

    fn is_noted(&self, field: &Field) -> bool {
        self.some && self.before.iter().any(|change| change.field == *field)
    }

    fn note_computed(&mut self, rule: &ComputedRule, held: Option<&Computed>, effect: &Effect) {
        let field = Field::Computed(rule.name.clone());
        if !self.is_noted(&field) {
            let before = held.map(|held| Shown::Value(held.overall.value()));
            self.before.push(Change { field, before, after: None });
        }
        let field = Field::ComputedIn(rule.name.clone(), effect.channel.clone());
        if rule.per_channel && !self.is_noted(&field) {
            let part = |held: &Computed| {
                let place = sorted::find(&held.channels, &effect.channel).ok()?;
                Some(Shown::Value(held.channels[place].fold.value()))
            };
            self.before.push(Change { field, before: held.and_then(part), after: None });
        }
    }

    /// Notes that a touchpoint came into the list and another went from it, perhaps one that came a moment ago.
    fn move_recent(&mut self, came: Option<Recent>, went: Option<Recent>) {
        self.came.extend(came);
        let Some(went) = went else { return };
        match self.came.iter().position(|one| *one == went) {
            Some(place) => drop(self.came.swap_remove(place)),
            None => self.went.push(went),
        }
    }

    fn changes(mut self, profile: &Profile) -> Vec<Change> {
        self.before.retain_mut(|change| {
            change.after = profile.shown(&change.field);
            change.before != change.after
        });
        for list in [&mut self.went, &mut self.came] {
            list.sort_unstable_by(|left, right| right.cmp(left));
        }
        let (before, after) = (shown_recent(self.went), shown_recent(self.came));
        if before != after {
            self.before.push(Change { field: Field::Recent, before, after });
        }
        self.before.sort_unstable_by(|left, right| left.field.cmp(&right.field));
        self.before
    }
}

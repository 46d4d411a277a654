//! A person's profile: a fold of the effects of her touchpoints, in which neither order nor grouping decides anything.
//!
//! [`Profile::observe`] takes one effect in; [`Profile::merge`] joins the folds of two disjoint sets of effects and
//! gives, to the last field, the fold of their union. So a merge of persons is exact, and a split is a new fold of each
//! part. The fold counts and adds, so each touchpoint must be taken in once: copies are removed before.
//!
//! A profile is folded under one policy. When the policy changes, fold again; until then it keeps what it has.

mod computed;
mod consent;
mod diff;
mod digest;
mod field;
mod membership;
mod recent;
mod sorted;
mod stamped;
mod take;
mod traits;
mod view;

use std::sync::Arc;

pub use computed::{ChannelFold, Computed, Fold, PerCurrency};
pub use consent::Consent;
pub use diff::{Change, apply, diff};
pub use field::{Field, Shown};
pub use membership::{Activity, Membership};
pub use recent::{Recent, RecentParts};
pub use stamped::Stamped;
pub use traits::{Trait, TraitState};
pub use view::view;

use crate::policy::Policy;
use crate::time::Timestamp;
use crate::touchpoint::Effect;

/// What is known about one person, or the part of it that one identifier carries.
///
/// Every list is sorted as its field says and holds each name once, which makes two profiles of the same effects equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// What touchpoints said about the person, by name.
    pub traits: Vec<Trait>,
    /// What the policy's computed rules fold touchpoints into, by name. A rule that nothing spoke to is absent.
    pub computed: Vec<Computed>,
    /// The newest touchpoints, newest first, as many as the policy keeps.
    pub recent: Vec<Recent>,
    /// Consent given or refused, by purpose.
    pub consent: Vec<Consent>,
    /// The households that the person was seen in, by id.
    pub households: Vec<Membership>,
    /// The accounts (B2B companies) that the person was seen in, by id.
    pub accounts: Vec<Membership>,
    /// What happened in each channel, by channel.
    pub channels: Vec<Activity>,
}

impl Profile {
    /// Takes one touchpoint's effect in, which must not have been taken in before.
    pub fn observe(&mut self, effect: &Effect, policy: &Policy) {
        membership::observe_activity(&mut self.channels, effect);
        recent::observe(&mut self.recent, effect, &policy.limits);
        traits::observe(&mut self.traits, effect, policy);
        computed::observe(&mut self.computed, effect, policy, |_, _| {});
        for (purpose, given) in &effect.consent {
            self.observe_consent(purpose, *given, effect.time);
        }
        if let Some(id) = &effect.household {
            membership::observe(&mut self.households, id, effect.time);
        }
        if let Some(id) = &effect.account {
            membership::observe(&mut self.accounts, id, effect.time);
        }
    }

    /// Takes in consent that came by another way than a touchpoint, such as a directive: it is no activity.
    pub fn observe_consent(&mut self, purpose: &Arc<str>, given: bool, time: Timestamp) {
        consent::observe(&mut self.consent, purpose, given, time);
    }

    /// Joins the fold of other effects, under the same policy, to this one: the result is the fold of all of them.
    /// The two sets of effects must be disjoint. Cheapest where `other` is the smaller.
    pub fn merge(&mut self, other: &Self, policy: &Policy) {
        traits::merge(&mut self.traits, &other.traits, policy);
        computed::merge(&mut self.computed, &other.computed, policy);
        sorted::merge_greatest(&mut self.recent, &other.recent, recent::keep(&policy.limits));
        consent::merge(&mut self.consent, &other.consent);
        membership::merge(&mut self.households, &other.households);
        membership::merge(&mut self.accounts, &other.accounts);
        membership::merge_activity(&mut self.channels, &other.channels);
    }

    /// Whether nothing was ever taken in.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.consent.is_empty()
    }

    /// When the first touchpoint happened; none where there was no touchpoint.
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.channels.iter().map(|activity| activity.first_seen).min()
    }

    /// When the last touchpoint happened; none where there was no touchpoint.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.channels.iter().map(|activity| activity.last_seen).max()
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod stories;

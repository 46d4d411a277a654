//! The digest of a profile: what the fingerprint of a whole state is made of.

use super::{Activity, Fold, Membership, PerCurrency, Profile, Recent, Trait};
use crate::packed::Packer;

/// Room for the bytes of a common profile, so that they are gathered without growing.
const COMMON_BYTES: usize = 1024;

impl Profile {
    /// Feeds everything visible to a hasher, so framed that two profiles under one policy give equal bytes exactly where
    /// their [`view`](super::view())s are equal.
    pub fn digest(&self, hasher: &mut blake3::Hasher) {
        let mut bytes = Packer(Vec::with_capacity(COMMON_BYTES));
        bytes.profile(self);
        hasher.update(&bytes.0);
    }
}

/// The parts of a profile, packed.
impl Packer {
    fn profile(&mut self, profile: &Profile) {
        self.traits(&profile.traits);
        self.list(&profile.computed, |bytes, computed| {
            bytes.text(&computed.name);
            bytes.fold(&computed.overall);
            bytes.list(&computed.channels, |bytes, part| {
                bytes.text(&part.channel);
                bytes.fold(&part.fold);
            });
        });
        self.list(&profile.consent, |bytes, consent| {
            bytes.text(&consent.purpose);
            bytes.byte(consent.given.into());
        });
        self.list(&profile.households, Self::membership);
        self.list(&profile.accounts, Self::membership);
        self.list(&profile.channels, Self::activity);
        self.list(&profile.recent, |packer, recent: &Recent| packer.0.extend_from_slice(recent.bytes()));
    }

    /// The traits that show, each after a 1, and then a 0.
    fn traits(&mut self, traits: &[Trait]) {
        for (name, value) in traits.iter().filter_map(|entry| Some((&entry.name, entry.value()?))) {
            self.byte(1);
            self.text(name);
            self.value(&value);
        }
        self.byte(0);
    }

    /// What a fold shows, without the stamps that it decides by.
    fn fold(&mut self, fold: &Fold) {
        match fold {
            Fold::Count(count) => self.number(*count),
            Fold::Sum(sums) => self.currencies(sums, Packer::decimal),
            Fold::Min(values) | Fold::Max(values) => self.currencies(values, Packer::value),
            Fold::First(stamped) | Fold::Last(stamped) => self.value(&stamped.value),
            Fold::Distinct(values) => self.list(values, Self::value),
            Fold::LastN(newest) => self.list(newest, |bytes, stamped| bytes.value(&stamped.value)),
        }
    }

    fn currencies<T>(&mut self, entries: &[PerCurrency<T>], write: impl Fn(&mut Self, &T)) {
        self.list(entries, |bytes, entry| {
            bytes.text(entry.currency.as_deref().unwrap_or_default());
            write(bytes, &entry.amount);
        });
    }

    fn membership(&mut self, membership: &Membership) {
        self.text(&membership.id);
        self.time(membership.first_seen);
        self.time(membership.last_seen);
    }

    fn activity(&mut self, activity: &Activity) {
        self.text(&activity.channel);
        self.time(activity.first_seen);
        self.time(activity.last_seen);
        self.number(activity.touchpoints);
    }
}

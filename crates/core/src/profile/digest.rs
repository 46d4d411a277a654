//! The digest of a profile: what the fingerprint of a whole state is made of.

use super::{Activity, Fold, Membership, PerCurrency, Profile, Recent, Trait};
use crate::decimal::{Decimal, Parts};
use crate::time::Timestamp;
use crate::value::Value;

/// Room for the bytes of a common profile, so that they are gathered without growing.
const COMMON_BYTES: usize = 1024;

impl Profile {
    /// Feeds everything visible to a hasher, so framed that two profiles under one policy give equal bytes exactly where
    /// their [`view`](super::view())s are equal.
    pub fn digest(&self, hasher: &mut blake3::Hasher) {
        let mut bytes = Bytes(Vec::with_capacity(COMMON_BYTES));
        bytes.profile(self);
        hasher.update(&bytes.0);
    }
}

/// Canonical bytes. Every text and list goes with its length, so no two contents run together.
struct Bytes(Vec<u8>);

impl Bytes {
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
        self.list(&profile.recent, |bytes, recent| bytes.recent(recent));
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
            Fold::Sum(sums) => self.currencies(sums, Self::decimal),
            Fold::Min(values) | Fold::Max(values) => self.currencies(values, Self::value),
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

    fn recent(&mut self, recent: &Recent) {
        self.time(recent.time);
        for text in [&recent.event_id, &recent.source, &recent.channel, &recent.kind] {
            self.text(text);
        }
        self.fields(&recent.properties);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.byte(0),
            Value::Bool(truth) => self.0.extend([1, u8::from(*truth)]),
            Value::Number(number) => self.decimal(number),
            Value::Text(text) => {
                self.byte(4);
                self.text(text);
            }
            Value::List(items) => {
                self.byte(5);
                self.list(items, Self::value);
            }
            Value::Map(fields) => {
                self.byte(6);
                self.fields(fields);
            }
        }
    }

    fn decimal(&mut self, number: &Decimal) {
        match number.to_parts() {
            Parts::Small { mantissa, scale } => {
                self.0.extend([2, scale]);
                self.0.extend_from_slice(&mantissa.to_le_bytes());
            }
            Parts::Large { mantissa, scale } => {
                self.byte(3);
                self.0.extend_from_slice(&scale.to_le_bytes());
                self.size(mantissa.len());
                self.0.extend_from_slice(&mantissa);
            }
        }
    }

    fn fields(&mut self, fields: &[(std::sync::Arc<str>, Value)]) {
        self.list(fields, |bytes, (name, value)| {
            bytes.text(name);
            bytes.value(value);
        });
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.size(items.len());
        items.iter().for_each(|item| write(self, item));
    }

    fn text(&mut self, text: &str) {
        self.size(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn time(&mut self, time: Timestamp) {
        self.0.extend_from_slice(&time.as_micros().to_le_bytes());
    }

    fn size(&mut self, size: usize) {
        self.number(size as u64);
    }

    /// Seven bits a byte, the least first, the last without the high bit: nearly every length is one byte.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }
}

//! The fields of a profile as others see it, by name and by what each shows: what [`view`](super::view()) and
//! [`diff`](super::diff()) speak in. Nothing is rendered before somebody reads it.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::view::{activity, memberships, micros, recent};
use super::{Activity, Membership, Recent};
use crate::time::Timestamp;
use crate::value::Value;

/// A visible field. Ordered by its name, which is what [`fmt::Display`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `accounts`
    Accounts,
    /// `channels.CHANNEL`
    Channel(Arc<str>),
    /// `computed.NAME`, over all channels
    Computed(Arc<str>),
    /// `computed.NAME.CHANNEL`
    ComputedIn(Arc<str>, Arc<str>),
    /// `consent.PURPOSE`
    Consent(Arc<str>),
    /// `first_seen`
    FirstSeen,
    /// `households`
    Households,
    /// `last_seen`
    LastSeen,
    /// `recent`
    Recent,
    /// `traits.NAME`
    Trait(Arc<str>),
}

impl Field {
    /// The pieces that make up the name, one after another.
    pub fn pieces(&self) -> [&str; 4] {
        match self {
            Self::Accounts => ["accounts", "", "", ""],
            Self::Channel(channel) => ["channels.", channel, "", ""],
            Self::Computed(name) => ["computed.", name, "", ""],
            Self::ComputedIn(name, channel) => ["computed.", name, ".", channel],
            Self::Consent(purpose) => ["consent.", purpose, "", ""],
            Self::FirstSeen => ["first_seen", "", "", ""],
            Self::Households => ["households", "", "", ""],
            Self::LastSeen => ["last_seen", "", "", ""],
            Self::Recent => ["recent", "", "", ""],
            Self::Trait(name) => ["traits.", name, "", ""],
        }
    }

    /// The name in one text.
    pub fn name(&self) -> Arc<str> {
        self.pieces().concat().into()
    }

    /// The place of what the name begins with, in the order of the texts: none is the beginning of another.
    const fn rank(&self) -> u8 {
        match self {
            Self::Accounts => 0,
            Self::Channel(_) => 1,
            Self::Computed(_) | Self::ComputedIn(..) => 2,
            Self::Consent(_) => 3,
            Self::FirstSeen => 4,
            Self::Households => 5,
            Self::LastSeen => 6,
            Self::Recent => 7,
            Self::Trait(_) => 8,
        }
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.pieces().into_iter().flat_map(str::bytes)
    }
}

impl Ord for Field {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank()).then_with(|| match (self, other) {
            (Self::Channel(ours), Self::Channel(theirs))
            | (Self::Computed(ours), Self::Computed(theirs))
            | (Self::Consent(ours), Self::Consent(theirs))
            | (Self::Trait(ours), Self::Trait(theirs)) => ours.cmp(theirs),
            (_, _) => self.bytes().cmp(other.bytes()),
        })
    }
}

impl PartialOrd for Field {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().into_iter().try_for_each(|piece| f.write_str(piece))
    }
}

/// What a field shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A trait, a computed trait, or consent.
    Value(Value),
    /// An instant.
    Time(Timestamp),
    /// What happened in one channel.
    Activity(Activity),
    /// Households or accounts.
    Memberships(Box<[Membership]>),
    /// Recent touchpoints, newest first.
    Recent(Vec<Recent>),
}

impl Shown {
    /// It as a value of the view, in which instants are numbers.
    pub fn value(&self) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Time(time) => micros(*time),
            Self::Activity(one) => activity(one),
            Self::Memberships(held) => memberships(held),
            Self::Recent(touchpoints) => recent(touchpoints),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_ordered_by_their_names() {
        let name = |text: &str| -> Arc<str> { text.into() };
        let mut fields = vec![
            Field::Trait(name("a")),
            Field::Recent,
            Field::LastSeen,
            Field::Households,
            Field::FirstSeen,
            Field::Consent(name("mail")),
            Field::ComputedIn(name("orders"), name("web")),
            Field::Computed(name("orders.a")),
            Field::Computed(name("orders-b")),
            Field::Computed(name("orders")),
            Field::Channel(name("web")),
            Field::Accounts,
        ];
        fields.sort();
        let names: Vec<Arc<str>> = fields.iter().map(Field::name).collect();
        assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
    }
}

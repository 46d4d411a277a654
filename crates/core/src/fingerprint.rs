//! The fingerprint: one number that proves that two builds of the state agree on who is who and on every profile.

use std::fmt;

use crate::identifier::Identifier;
use crate::person::PersonId;
use crate::profile::Profile;

/// An order-independent digest of (identifier → person id) and of profile contents. Versions and redirects are left
/// out: they tell the story of arrival.
///
/// Sums of 128-bit hashes modulo 2^128, so that partitions can be added up in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// Adds that an identifier belongs to a person.
    pub fn add_identity(&mut self, identifier: &Identifier, person: PersonId) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"identity").update(&person.0).update(identifier.text().as_bytes());
        self.add(&hasher);
    }

    /// Adds what a person's profile shows.
    pub fn add_profile(&mut self, person: PersonId, shared: bool, profile: &Profile) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"profile").update(&person.0).update(&[u8::from(shared)]);
        profile.digest(&mut hasher);
        self.add(&hasher);
    }

    /// Both fingerprints in one: that of the two disjoint parts together.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    fn add(&mut self, hasher: &blake3::Hasher) {
        let hash = hasher.finalize();
        let (half, _) = hash.as_bytes().split_at(16);
        self.0 = self.0.wrapping_add(u128::from_be_bytes(half.try_into().expect("half of 32 bytes is 16")));
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

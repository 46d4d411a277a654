//! Consent per purpose: the last word counts, and of two words at one time the refusal.

use std::cmp::Reverse;
use std::sync::Arc;

use super::sorted::{self, Named};
use crate::tight;
use crate::time::Timestamp;

/// The last word on one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// What it is about, such as `email_marketing`.
    pub purpose: Arc<str>,
    /// Whether consent was given (or refused).
    pub given: bool,
    /// When that was said.
    pub time: Timestamp,
}

impl Named for Consent {
    fn name(&self) -> &Arc<str> {
        &self.purpose
    }
}

impl Consent {
    fn take(&mut self, given: bool, time: Timestamp) {
        if (time, Reverse(given)) > (self.time, Reverse(self.given)) {
            (self.given, self.time) = (given, time);
        }
    }
}

pub(super) fn observe(consents: &mut Vec<Consent>, purpose: &Arc<str>, given: bool, time: Timestamp) {
    match sorted::find(consents, purpose) {
        Ok(place) => consents[place].take(given, time),
        Err(place) => tight::insert(consents, place, Consent { purpose: purpose.clone(), given, time }),
    }
}

pub(super) fn merge(consents: &mut Vec<Consent>, other: &[Consent]) {
    sorted::merge_named(consents, other, |ours, theirs| ours.take(theirs.given, theirs.time));
}

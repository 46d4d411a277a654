//! Touchpoints: one event from one source, as it was sent and as the policy reads it.

use std::sync::Arc;

use crate::identifier::{Identifier, hashed};
use crate::time::Timestamp;
use crate::value::Value;

/// One event as a source sent it: shape and types checked, identifiers not yet normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touchpoint {
    /// The configured source, such as `ginza-pos`.
    pub source: Arc<str>,
    /// The source's own name of the event. With the source it says which event this is.
    pub event_id: Arc<str>,
    /// Where it happened: `store`, `web`, `phone`, ….
    pub channel: Arc<str>,
    /// What happened: `order_completed`, `page_viewed`, ….
    pub kind: Arc<str>,
    /// When it happened, by the source's clock.
    pub occurred_at: Timestamp,
    /// When we received it, where that is known. A clock that runs ahead is clamped to it.
    pub received_at: Option<Timestamp>,
    /// Namespace and value of each identifier as sent, in the order sent.
    pub identifiers: Vec<(Arc<str>, Arc<str>)>,
    /// What the event says about the person, sorted by name.
    pub traits: Vec<(Arc<str>, Value)>,
    /// What the event says about itself, sorted by name.
    pub properties: Vec<(Arc<str>, Value)>,
    /// Consent given (`true`) or refused (`false`), by purpose, sorted by purpose.
    pub consent: Vec<(Arc<str>, bool)>,
    /// The household that the person belongs to, where the source knows one.
    pub household: Option<Arc<str>>,
    /// The account (B2B company) that the person belongs to, where the source knows one.
    pub account: Option<Arc<str>>,
}

impl Touchpoint {
    /// Event time: `occurred_at`, or `received_at` where the source's clock ran ahead of it.
    pub fn time(&self) -> Timestamp {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is(crate::sabotage::Bug::ClockForEventTime) {
            return self.received();
        }
        self.received_at.map_or(self.occurred_at, |received| received.min(self.occurred_at))
    }

    /// When it was received; where nobody noted that, when it happened.
    pub fn received(&self) -> Timestamp {
        self.received_at.unwrap_or(self.occurred_at)
    }
}

/// What a touchpoint does to the profile of the person it belongs to: the touchpoint without its identifiers, and
/// with only those properties that the policy keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The source of the touchpoint.
    pub source: Arc<str>,
    /// The source's name of the event.
    pub event_id: Arc<str>,
    /// Where it happened.
    pub channel: Arc<str>,
    /// What happened.
    pub kind: Arc<str>,
    /// Event time, already clamped.
    pub time: Timestamp,
    /// When it was received: what an erasure compares with its instant.
    pub received: Timestamp,
    /// What it says about the person, sorted by name.
    pub traits: Vec<(Arc<str>, Value)>,
    /// The properties that a computed trait reads or the list of recent touchpoints shows, sorted by name.
    pub properties: Vec<(Arc<str>, Value)>,
    /// Consent given or refused, sorted by purpose.
    pub consent: Vec<(Arc<str>, bool)>,
    /// Household membership.
    pub household: Option<Arc<str>>,
    /// Account membership.
    pub account: Option<Arc<str>>,
}

impl Effect {
    /// The name of the touchpoint.
    pub fn event(&self) -> EventRef {
        EventRef { source: Arc::clone(&self.source), event_id: Arc::clone(&self.event_id) }
    }
}

/// The name of an event: unique within its source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef {
    /// The source.
    pub source: Arc<str>,
    /// The source's own name of the event.
    pub event_id: Arc<str>,
}

/// A touchpoint as the policy reads it: its identifiers normalised, blocked values dropped, copies removed, and the
/// rest sorted from the strongest to the weakest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The identifiers that count, strongest first; never empty.
    pub identifiers: Vec<Identifier>,
    /// What the touchpoint does to a profile.
    pub effect: Box<Effect>,
    /// How many identifiers were in a namespace that the policy does not name.
    pub unknown_namespaces: u32,
    /// How many identifiers were dropped: blocked, empty or not valid in their namespace.
    pub dropped: u32,
}

/// Why a touchpoint was set aside. The reasons are part of the contract of the quarantine topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// Two values of one unique namespace in one touchpoint.
    ConflictingIdentifiers,
    /// More identifiers than `max_identifiers_per_touchpoint`.
    TooManyIdentifiers,
    /// Every identifier was a blocked value.
    BlockedIdentifiers,
    /// No identifier was left after normalising: none sent, all empty, or none valid.
    NoIdentifiers,
    /// Only namespaces that the policy does not name.
    UnknownNamespaces,
    /// A copy of an event whose content differs from the first.
    ConflictingDuplicate,
}

impl Rejection {
    /// The reason as it stands on the quarantine topic.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ConflictingIdentifiers => "conflicting-identifiers",
            Self::TooManyIdentifiers => "too-many-identifiers",
            Self::BlockedIdentifiers => "blocked-identifiers",
            Self::NoIdentifiers => "no-identifiers",
            Self::UnknownNamespaces => "unknown-namespaces",
            Self::ConflictingDuplicate => "conflicting-duplicate",
        }
    }
}

/// The keyed hash (first 128 bits) of an event's name: how state remembers that it has seen the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKey(pub [u8; 16]);

hashed!(EventKey);

impl EventKey {
    /// The key of the event with this name.
    pub fn of(source: &str, event_id: &str) -> Self {
        let hash = in_one_piece(&[source.as_bytes(), &[0xff], event_id.as_bytes()], blake3::hash);
        let (half, _) = hash.as_bytes().split_at(16);
        Self(half.try_into().expect("half of 32 bytes is 16"))
    }
}

/// Hands pieces of bytes over as one: to hash a short text at once costs a third of hashing it piece by piece.
pub(crate) fn in_one_piece<T, const PIECES: usize>(pieces: &[&[u8]; PIECES], take: impl FnOnce(&[u8]) -> T) -> T {
    const SHORT: usize = 128;
    let mut room = [0; SHORT];
    let mut end = 0;
    for piece in pieces {
        let Some(place) = room.get_mut(end..end + piece.len()) else { return take(&pieces.concat()) };
        place.copy_from_slice(piece);
        end += piece.len();
    }
    take(&room[..end])
}

/// What is remembered of an event that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// A digest of its content, without `received_at`.
    pub content: u64,
    /// Its event time.
    pub time: Timestamp,
}

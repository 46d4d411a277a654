//! The policy: which namespaces there are, how strong each is, what limits a person, and how traits survive.

mod blocked;
mod file;
mod parse;
mod version;

use std::sync::Arc;

pub use blocked::Blocked;
pub use parse::Error;

use crate::identifier::NamespaceId;
use crate::normalise::{Normaliser, Spelling};
use crate::time::Timestamp;

/// Which of two links that exclude each other stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// The one seen last: the last login keeps a shared device.
    #[default]
    Newest,
    /// The one seen first: the first owner keeps it.
    Oldest,
}

/// The rules of one namespace. Its place in [`Policy::namespaces`] is its priority.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Its name, such as `loyalty_card`.
    pub name: Arc<str>,
    /// How its values are brought to one spelling.
    pub normalise: Normaliser,
    /// Whether a person has at most one value, which no other person can take over.
    pub unique: bool,
    /// How many values one person may have; none is no limit. A unique namespace has 1.
    pub max_per_person: Option<u32>,
    /// An identifier linked to more than this many values of one unique namespace is shared.
    pub shared_after: Option<u32>,
    /// An identifier with more distinct neighbours than this is shared.
    pub max_links: u32,
    /// Which link of this namespace's layer stands in a conflict.
    pub conflict: Conflict,
    /// Whether its values tell a browser or a device, and not who is in front of it.
    pub anonymous: bool,
    /// Whose hash a value of it is, where the policy says so: a value there is also one here.
    pub hash_of: Option<HashOf>,
    /// How long a value of it means one thing, in microseconds: see [`Namespace::epochs`]. None is for ever.
    pub expires: Option<u64>,
}

impl Namespace {
    /// The epochs in which a value that was named at `time` means one thing: the one that it falls into and the next.
    ///
    /// Time is cut into epochs as long as the namespace's values live, and a value is an identifier together with its
    /// epoch. So two touchpoints that name one value within one life always share an identifier, two that are two lives
    /// apart or more never do, and between these it depends on where the border falls. Nothing but the touchpoint's own
    /// event time decides, so neither the order of arrival nor a clock has a say.
    pub fn epochs(&self, time: Timestamp) -> Option<[i64; 2]> {
        let life = i64::try_from(self.expires?).unwrap_or(i64::MAX).max(1);
        let epoch = time.as_micros().div_euclid(life);
        Some([epoch, epoch.saturating_add(1)])
    }
}

/// The namespace whose values another holds the hashes of, and how they are spelled before they are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashOf {
    /// The namespace of the plain values: one of mail addresses or of telephone numbers.
    pub plain: NamespaceId,
    /// How they are spelled.
    pub spelling: Spelling,
}

/// How the value of a trait is chosen among what several touchpoints said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Survivorship {
    /// The newest, by (event time, source priority, event id).
    #[default]
    Newest,
    /// The oldest, by the same order.
    Oldest,
    /// The newest of the strongest source that said anything.
    SourcePriority,
    /// The greatest value.
    Max,
    /// The least value.
    Min,
    /// Every distinct value, sorted.
    Union,
}

/// The rule of one trait. A trait that the policy does not name survives as `newest`.
#[derive(Clone, Debug)]
pub struct TraitRule {
    /// The trait's name.
    pub name: Arc<str>,
    /// How its value is chosen.
    pub survivorship: Survivorship,
    /// Sources by priority, strongest first; a source not listed is weaker than all that are.
    pub sources: Vec<Arc<str>>,
}

/// What a computed trait folds touchpoints into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// How many touchpoints.
    Count,
    /// The exact sum of a number.
    Sum,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The value of the oldest touchpoint that has one.
    First,
    /// The value of the newest touchpoint that has one.
    Last,
    /// The distinct values, sorted.
    Distinct,
    /// The values of the newest touchpoints that have one, newest first.
    LastN(u32),
}

/// The rule of one computed trait.
#[derive(Clone, Debug)]
pub struct ComputedRule {
    /// Its name on the profile.
    pub name: Arc<str>,
    /// What it folds into.
    pub function: Function,
    /// A dotted path into the touchpoint's properties; `count` needs none.
    pub of: Option<Arc<str>>,
    /// Only touchpoints of these types, sorted and distinct; empty is all.
    pub types: Vec<Arc<str>>,
    /// Whether it is also kept for each channel.
    pub per_channel: bool,
}

/// Bounds on work and memory.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A cluster with more identifiers than this raises an alert and is resolved at a throttled pace.
    pub max_cluster: u32,
    /// A touchpoint with more identifiers than this is quarantined.
    pub max_identifiers_per_touchpoint: u32,
    /// How long a copy of an event is recognised, in microseconds between the two event times.
    pub dedup_horizon: u64,
    /// How many recent touchpoints a profile shows.
    pub recent_touchpoints: u32,
    /// The properties that a recent touchpoint shows, sorted and distinct.
    pub recent_properties: Vec<Arc<str>>,
}

/// What a deployment has decided about identity. Immutable once read.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A digest of everything in it: two policies with one version decide alike.
    pub version: Arc<str>,
    /// The namespaces, strongest first.
    pub namespaces: Vec<Namespace>,
    /// Values that identify nobody.
    pub blocked: Blocked,
    /// Rules of traits, sorted by name.
    pub traits: Vec<TraitRule>,
    /// Computed traits, in the policy's order.
    pub computed: Vec<ComputedRule>,
    /// Bounds on work and memory.
    pub limits: Limits,
    /// The properties that an effect keeps, sorted: those that a computed trait reads and those that a recent
    /// touchpoint shows. It follows from the two.
    pub kept_properties: Vec<Arc<str>>,
    /// The namespaces that hold hashes of another's values, by the place of that other. It follows from the namespaces.
    pub hashed: Vec<(NamespaceId, NamespaceId, Spelling)>,
}

impl Policy {
    /// The policy that a file in TOML states.
    ///
    /// # Errors
    /// The first thing in the file that is not TOML, not a key of a policy, or not a policy that could work, with its
    /// line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::policy(text)
    }

    /// The recommended policy of a retailer as a file, commented: the place to start from.
    pub const fn default_text() -> &'static str {
        include_str!("../../policies/recommended.toml")
    }

    /// The policy of [`Self::default_text`].
    pub fn recommended() -> Self {
        Self::parse(Self::default_text()).expect("the recommended policy is a policy, as a test holds")
    }

    /// The rules of a namespace.
    pub fn namespace(&self, id: NamespaceId) -> &Namespace {
        &self.namespaces[id.index()]
    }

    /// The place of the namespace with this name.
    pub fn find(&self, name: &str) -> Option<NamespaceId> {
        let index = self.namespaces.iter().position(|namespace| namespace.name.as_ref() == name)?;
        Some(NamespaceId(u16::try_from(index).expect("a policy has at most 65,535 namespaces")))
    }

    /// The rule of a trait, where the policy names it.
    pub fn trait_rule(&self, name: &str) -> Option<&TraitRule> {
        let found = self.traits.binary_search_by(|rule| rule.name.as_ref().cmp(name)).ok()?;
        Some(&self.traits[found])
    }
}

#[cfg(test)]
mod tests;

//! The version of a policy: a digest of what it means, so that a comment or an omitted default changes nothing.

use std::sync::Arc;

use super::{ComputedRule, Conflict, Function, HashOf, Limits, Namespace, Policy, Survivorship, TraitRule};
use crate::normalise::{CheckDigit, Normaliser};

/// Hexadecimal digits of the version: 64 bits tell a deployment's policies apart and still fit a line of a log.
const DIGITS: usize = 16;

/// The version of this policy, whatever its field `version` holds.
pub(super) fn of(policy: &Policy) -> Arc<str> {
    let mut digest = Digest(blake3::Hasher::new_derive_key("musubi policy version 1"));
    digest.all(&policy.namespaces, Digest::namespace);
    digest.texts(&policy.blocked.values());
    digest.texts(&policy.blocked.patterns());
    digest.all(&policy.traits, Digest::trait_rule);
    digest.all(&policy.computed, Digest::computed_rule);
    digest.limits(&policy.limits);
    let hex = digest.0.finalize().to_hex();
    hex[..DIGITS].into()
}

/// A hash over parts that cannot run into each other: texts and lists say how long they are.
struct Digest(blake3::Hasher);

impl Digest {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, number: Option<u32>) {
        self.number(number.map_or(0, |number| u64::from(number) + 1));
    }

    fn texts(&mut self, texts: &[impl AsRef<str>]) {
        self.all(texts, |digest, text| digest.text(text.as_ref()));
    }

    fn all<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }

    fn namespace(&mut self, namespace: &Namespace) {
        self.text(&namespace.name);
        match namespace.normalise {
            Normaliser::Exact => self.text("exact"),
            Normaliser::Text => self.text("text"),
            Normaliser::Email => self.text("email"),
            Normaliser::Phone(region) => self.text(&format!("phone {region}")),
            Normaliser::Digits | Normaliser::Card(CheckDigit::None) => self.text("digits"),
            Normaliser::Card(CheckDigit::Jan) => self.text("card jan"),
            Normaliser::Card(CheckDigit::Luhn) => self.text("card luhn"),
            Normaliser::Uuid => self.text("uuid"),
            Normaliser::Sha256 => self.text("sha256"),
        }
        self.number(namespace.unique.into());
        self.optional(namespace.max_per_person);
        self.optional(namespace.shared_after);
        self.number(namespace.max_links.into());
        self.text(match namespace.conflict {
            Conflict::Newest => "newest",
            Conflict::Oldest => "oldest",
        });
        self.number(namespace.anonymous.into());
        if let Some(HashOf { plain, spelling }) = namespace.hash_of {
            self.text(&format!("{spelling:?} hash of {}", plain.0));
        }
        if let Some(expires) = namespace.expires {
            self.text(&format!("expires {expires}"));
        }
    }

    fn trait_rule(&mut self, rule: &TraitRule) {
        self.text(&rule.name);
        self.text(match rule.survivorship {
            Survivorship::Newest => "newest",
            Survivorship::Oldest => "oldest",
            Survivorship::SourcePriority => "source_priority",
            Survivorship::Max => "max",
            Survivorship::Min => "min",
            Survivorship::Union => "union",
        });
        self.texts(&rule.sources);
    }

    fn computed_rule(&mut self, rule: &ComputedRule) {
        self.text(&rule.name);
        match rule.function {
            Function::Count => self.text("count"),
            Function::Sum => self.text("sum"),
            Function::Min => self.text("min"),
            Function::Max => self.text("max"),
            Function::First => self.text("first"),
            Function::Last => self.text("last"),
            Function::Distinct => self.text("distinct"),
            Function::LastN(n) => self.text(&format!("last {n}")),
        }
        self.text(rule.of.as_deref().unwrap_or_default());
        self.texts(&rule.types);
        self.number(rule.per_channel.into());
    }

    fn limits(&mut self, limits: &Limits) {
        self.number(limits.max_cluster.into());
        self.number(limits.max_identifiers_per_touchpoint.into());
        self.number(limits.dedup_horizon);
        self.number(limits.recent_touchpoints.into());
        self.texts(&limits.recent_properties);
    }
}

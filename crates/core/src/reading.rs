//! Reading: how the policy sees a touchpoint. What it drops, what it refuses, and what is left to be evidence.

use crate::identifier::{DeploymentKey, Identifier, NamespaceId};
use crate::normalise::{Normaliser, Spelling};
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::touchpoint::{Effect, Reading, Rejection, Touchpoint};

/// The longest normalised value, in bytes. Longer ones are texts that got into the wrong field.
const LONGEST_VALUE: usize = 1_024;
/// The longest value as sent, in bytes: what the longest normalised value can come from, full-width and grouped.
const LONGEST_SENT: usize = 4 * LONGEST_VALUE;

/// Why a namespace and a value are no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The policy does not name the namespace.
    #[error("the policy does not name the namespace")]
    UnknownNamespace,
    /// The value is empty, not of the namespace's kind, or too long.
    #[error("the value is not one of the namespace")]
    Invalid,
    /// The value identifies nobody.
    #[error("the value is blocked")]
    Blocked,
}

/// The identifiers of a touchpoint as the policy reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// Those that count, strongest first, each once; never empty.
    pub kept: Vec<Identifier>,
    /// How many were in a namespace that the policy does not name.
    pub unknown_namespaces: u32,
    /// How many were dropped: blocked, empty or not valid in their namespace.
    pub dropped: u32,
}

impl Policy {
    /// The touchpoint as this policy reads it. By value, since all that is kept is moved and not copied; who needs the
    /// touchpoint back after a rejection asks [`Self::identify`] first, which decides all of them.
    ///
    /// # Errors
    /// Why the touchpoint is set aside: see [`Self::identify`].
    pub fn read(&self, touchpoint: Touchpoint, deployment: &DeploymentKey) -> Result<Reading, Rejection> {
        let identifiers = self.identify(&touchpoint, deployment)?;
        Ok(Reading {
            identifiers: identifiers.kept,
            effect: self.effect(touchpoint),
            unknown_namespaces: identifiers.unknown_namespaces,
            dropped: identifiers.dropped,
        })
    }

    /// What the namespaces and values of a touchpoint, as sent, are as identifiers: each that counts, the hashes of those
    /// whose hashes the policy names, and for a value that expires one identifier for each of its epochs. A function of
    /// the touchpoint and the policy, so every replay reads the same.
    ///
    /// # Errors
    /// [`Rejection::TooManyIdentifiers`] counts what was sent, before anything is dropped.
    /// [`Rejection::ConflictingIdentifiers`] compares what is left after it. Where nothing is left,
    /// [`Rejection::BlockedIdentifiers`] if a value was blocked, else [`Rejection::UnknownNamespaces`] if all were in
    /// namespaces that the policy does not name, else [`Rejection::NoIdentifiers`].
    pub fn identify(&self, touchpoint: &Touchpoint, deployment: &DeploymentKey) -> Result<Identifiers, Rejection> {
        let sent = &touchpoint.identifiers;
        if sent.len() > self.limits.max_identifiers_per_touchpoint as usize {
            return Err(Rejection::TooManyIdentifiers);
        }
        let mut read = Identifiers { kept: Vec::with_capacity(sent.len()), ..Identifiers::default() };
        let mut blocked = false;
        for (namespace, value) in sent {
            match self.identifier(namespace, value, deployment) {
                Ok(identifier) => self.keep(identifier, touchpoint.time(), deployment, &mut read.kept),
                Err(Unusable::UnknownNamespace) => read.unknown_namespaces += 1,
                Err(Unusable::Invalid) => read.dropped += 1,
                Err(Unusable::Blocked) => (blocked, read.dropped) = (true, read.dropped + 1),
            }
        }
        if read.kept.is_empty() {
            return Err(nothing_left(&read, blocked));
        }
        self.settle(&mut read.kept)?;
        Ok(read)
    }

    /// Keeps an identifier, and what follows from it.
    fn keep(&self, identifier: Identifier, time: Timestamp, deployment: &DeploymentKey, kept: &mut Vec<Identifier>) {
        let namespace = self.namespace(identifier.namespace());
        match namespace.epochs(time) {
            Some(epochs) => kept.extend(epochs.map(|epoch| {
                let value = format!("{}@{epoch}", identifier.value());
                Identifier::new(identifier.namespace(), &namespace.name, &value, deployment)
            })),
            None => {
                kept.extend(self.hashes(&identifier, deployment));
                kept.push(identifier);
            }
        }
    }

    /// The hashes of an identifier that the policy names, as identifiers: a system that sends only a hash then meets the
    /// plain value. A hash that is blocked is none.
    pub fn hashes(&self, identifier: &Identifier, deployment: &DeploymentKey) -> impl Iterator<Item = Identifier> {
        let of_this = self.hashed.iter().filter(|(plain, _, _)| *plain == identifier.namespace());
        of_this.filter_map(move |(plain, id, spelling)| {
            let is_phone = matches!(self.namespace(*plain).normalise, Normaliser::Phone(_));
            let spell = if is_phone { Spelling::of_phone } else { Spelling::of_email };
            let hash = spell(*spelling, identifier.value());
            let name = &self.namespace(*id).name;
            (!self.blocked.contains(&hash)).then(|| Identifier::new(*id, name, &hash, deployment))
        })
    }

    /// The identifier that a value of this namespace is. Of one that expires it is the value in one epoch, as it stands
    /// on every topic: `VALUE@EPOCH`.
    ///
    /// # Errors
    /// Why it is none. A value is looked up among the blocked ones as it was sent, trimmed, and as it is normalised.
    pub fn identifier(&self, namespace: &str, value: &str, deployment: &DeploymentKey) -> Result<Identifier, Unusable> {
        let id = self.find(namespace).ok_or(Unusable::UnknownNamespace)?;
        let sent = value.trim();
        if sent.is_empty() || sent.len() > LONGEST_SENT {
            return Err(Unusable::Invalid);
        }
        if self.blocked.contains(sent) {
            return Err(Unusable::Blocked);
        }
        let namespace = self.namespace(id);
        let normal = namespace.normalise.normalise(sent).ok_or(Unusable::Invalid)?;
        if normal.len() > LONGEST_VALUE {
            return Err(Unusable::Invalid);
        }
        if normal != sent && self.blocked.contains(&normal) {
            return Err(Unusable::Blocked);
        }
        Ok(Identifier::new(id, &namespace.name, &normal, deployment))
    }

    /// Strongest first, copies removed, and not two of one unique namespace.
    fn settle(&self, identifiers: &mut Vec<Identifier>) -> Result<(), Rejection> {
        identifiers.sort_unstable_by_key(strength);
        identifiers.dedup();
        let conflict = |pair: &[Identifier]| match pair {
            [a, b] => a.namespace() == b.namespace() && self.namespace(a.namespace()).unique,
            _ => false,
        };
        if identifiers.windows(2).any(conflict) { Err(Rejection::ConflictingIdentifiers) } else { Ok(()) }
    }

    fn effect(&self, touchpoint: Touchpoint) -> Box<Effect> {
        let (time, received) = (touchpoint.time(), touchpoint.received());
        let mut properties = touchpoint.properties;
        properties.retain(|(name, _)| self.kept_properties.binary_search(name).is_ok());
        Box::new(Effect {
            source: touchpoint.source,
            event_id: touchpoint.event_id,
            channel: touchpoint.channel,
            kind: touchpoint.kind,
            time,
            received,
            traits: touchpoint.traits,
            properties,
            consent: touchpoint.consent,
            household: touchpoint.household,
            account: touchpoint.account,
        })
    }
}

/// The order in which identifiers of a touchpoint are strong: by priority, ties by hash.
fn strength(identifier: &Identifier) -> (NamespaceId, crate::identifier::IdentifierKey) {
    (identifier.namespace(), identifier.key())
}

fn nothing_left(read: &Identifiers, blocked: bool) -> Rejection {
    match (blocked, read.unknown_namespaces > 0 && read.dropped == 0) {
        (true, _) => Rejection::BlockedIdentifiers,
        (false, true) => Rejection::UnknownNamespaces,
        (false, false) => Rejection::NoIdentifiers,
    }
}

#[cfg(test)]
mod tests;

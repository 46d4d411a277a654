//! What a run found: whose each identifier is, and which persons are shared devices and not somebody.

use std::borrow::Cow;
use std::path::Path;

use anyhow::Result;
use musubi_core::identifier::{DeploymentKey, Identifier, IdentifierKey, NamespaceId};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;

use super::numbers::{Numbers, each_row};

/// The person of each identifier, as a number. Some 30 bytes for an identifier and 70 for a person, so that millions fit.
#[derive(Default)]
pub(super) struct Persons {
    /// Only ever looked up, so its order shows nowhere.
    of: FxHashMap<IdentifierKey, u32>,
    numbers: Numbers,
    shared: FxHashSet<u32>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(borrow)]
    person_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Profile<'a> {
    #[serde(borrow)]
    person_id: Cow<'a, str>,
    #[serde(default)]
    shared: bool,
}

impl Persons {
    /// The identity map in an NDJSON file. A later row of an identifier replaces an earlier one.
    ///
    /// # Errors
    /// Where it cannot be read, or a line of it is no row of an identity map, with the line.
    pub(super) fn read(file: &Path, deployment: &DeploymentKey) -> Result<Self> {
        let mut persons = Self::default();
        each_row(file, "a row of an identity map", |line| {
            let row: Row<'_> = serde_json::from_slice(line)?;
            // The key is one of the namespace's name, whatever its place in a policy.
            let key = Identifier::new(NamespaceId(0), &row.namespace, &row.value, deployment).key();
            match row.person_id {
                Some(person) => drop(persons.of.insert(key, persons.numbers.number(&person))),
                None => drop(persons.of.remove(&key)),
            }
            Ok(())
        })?;
        Ok(persons)
    }

    /// Takes in which persons are shared, from profiles in NDJSON. A later profile of a person replaces an earlier one.
    ///
    /// # Errors
    /// Where they cannot be read, or a line is no profile, with the line.
    pub(super) fn read_shared(&mut self, file: &Path) -> Result<()> {
        let word = memchr::memmem::Finder::new(b"\"shared\"");
        each_row(file, "a profile", |line| {
            // Nearly no profile has the word, and to read them all would be most of the work.
            if word.find(line).is_some() || !self.shared.is_empty() {
                self.note(&serde_json::from_slice(line)?);
            }
            Ok(())
        })
    }

    fn note(&mut self, profile: &Profile<'_>) {
        if let Some(number) = self.numbers.find(&profile.person_id) {
            if profile.shared {
                self.shared.insert(number)
            } else {
                self.shared.remove(&number)
            };
        }
    }

    /// The number of the person that an identifier belongs to.
    pub(super) fn of(&self, identifier: &Identifier) -> Option<u32> {
        self.of.get(&identifier.key()).copied()
    }

    /// Whether a person is a shared identifier and not somebody.
    pub(super) fn is_shared(&self, person: u32) -> bool {
        self.shared.contains(&person)
    }
}

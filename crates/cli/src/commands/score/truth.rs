//! The truth: whose each touchpoint really is.

use std::borrow::Cow;
use std::path::Path;

use anyhow::Result;
use musubi_core::touchpoint::EventKey;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::numbers::{Numbers, each_row};

/// Whose a touchpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The real person with this number.
    Person(u32),
    /// Nobody: a terminal at which nobody signed in, a crawler.
    Nobody,
}

/// The owner of each touchpoint by its event, until it is asked for. It is held as a whole, some 30 bytes for each
/// touchpoint, so that they may be asked for in any order.
#[derive(Default)]
pub(super) struct Truth {
    /// The person, or [`NOBODY`]. Only ever looked up, so its order shows nowhere.
    owners: FxHashMap<EventKey, u32>,
}

/// In place of the number of a person, of whom there are fewer.
const NOBODY: u32 = u32::MAX;

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    person: Option<Cow<'a, str>>,
}

impl Truth {
    /// The truth in a file.
    ///
    /// # Errors
    /// Where it cannot be read, or a line of it is no row of a truth, with the line.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let mut truth = Self::default();
        let mut numbers = Numbers::default();
        each_row(file, "a row of a truth", |line| {
            let row: Row<'_> = serde_json::from_slice(line)?;
            let owner = row.person.map_or(NOBODY, |person| numbers.number(&person));
            truth.owners.insert(EventKey::of(&row.source, &row.event_id), owner);
            Ok(())
        })?;
        Ok(truth)
    }

    /// Whose the touchpoint with this event is. Each is told once: none for one that is unknown, or a copy.
    pub(super) fn take(&mut self, source: &str, event_id: &str) -> Option<Owner> {
        let owner = self.owners.remove(&EventKey::of(source, event_id))?;
        Some(if owner == NOBODY { Owner::Nobody } else { Owner::Person(owner) })
    }

    /// How many touchpoints were not asked for.
    pub(super) fn left(&self) -> usize {
        self.owners.len()
    }
}

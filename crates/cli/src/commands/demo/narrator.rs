//! Telling what happens: profile changes and profiles, as they come, in one readable line each.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use musubi_serve::{Disk, From, Stopper, Tail};
use serde::Deserialize;
use serde_json::Value;

use crate::output;

const PATIENCE: Duration = Duration::from_millis(200);

/// What was told, added up, and who everybody is.
#[derive(Default)]
pub(super) struct Tale {
    pub(super) born: u64,
    pub(super) known: u64,
    pub(super) merged: u64,
    pub(super) split: u64,
    /// What to call a person.
    names: BTreeMap<String, String>,
    /// The identifiers of each person that is somebody.
    persons: BTreeMap<String, Vec<(String, String)>>,
}

impl Tale {
    /// The identifiers of the person with the most of them; the strongest story there is.
    pub(super) fn most_interesting(&self) -> Option<&[(String, String)]> {
        self.persons.values().max_by_key(|identifiers| identifiers.len()).map(Vec::as_slice)
    }

    fn name(&self, person: &str) -> String {
        self.names.get(person).cloned().unwrap_or_else(|| short(person))
    }
}

/// Reads what is said downstream and says it in words.
pub(super) struct Narrator {
    changes: Tail,
    profiles: Tail,
    colour: bool,
    tale: Tale,
}

#[derive(Deserialize)]
struct Record {
    key: Option<String>,
    value: Option<Value>,
}

#[derive(Deserialize)]
struct Change {
    person_id: String,
    kind: String,
    changes: Vec<Field>,
    joined: Vec<Named>,
    left: Vec<Named>,
    from: Vec<String>,
    into: Option<String>,
    cause: Option<Cause>,
}

#[derive(Deserialize)]
struct Field {
    field: String,
    after: Value,
}

#[derive(Deserialize)]
struct Named {
    namespace: String,
    value: String,
}

#[derive(Deserialize)]
struct Cause {
    source: String,
}

#[derive(Deserialize)]
struct Profile {
    person_id: String,
    #[serde(default)]
    shared: bool,
    identifiers: Vec<Named>,
    traits: BTreeMap<String, Value>,
}

/// A kind of news: its word and its colour.
#[derive(Clone, Copy)]
enum News {
    Born,
    Known,
    Merged,
    Split,
    Shared,
}

impl News {
    const fn word(self) -> (&'static str, u8) {
        match self {
            Self::Born => ("born", 32),
            Self::Known => ("known", 36),
            Self::Merged => ("merged", 35),
            Self::Split => ("split", 33),
            Self::Shared => ("shared", 31),
        }
    }
}

impl Narrator {
    /// A narrator of all that is said from now on.
    pub(super) fn open(disk: Disk, colour: bool) -> Result<Self> {
        let tail = |topic| Tail::open(disk.clone(), topic, &From::End)?.context("every deployment has this topic");
        Ok(Self { changes: tail("profile-changes")?, profiles: tail("profiles")?, colour, tale: Tale::default() })
    }

    /// Tells until it is over and nothing is left to be told.
    pub(super) fn tell(mut self, over: &AtomicBool, stopper: &Stopper) -> Result<Tale> {
        loop {
            let was_over = over.load(Ordering::Acquire) || stopper.is_stopping();
            let mark = self.changes.mark();
            let mut lines = Vec::new();
            let count = self.changes.read(&mut lines)?;
            // What is known of somebody is read first, so that it can be told by name.
            let profiles = self.read_profiles()?;
            let mut news = profiles.1;
            for record in records(&lines) {
                if let Some(value) = record.value {
                    news.extend(self.news(serde_json::from_value(value)?));
                }
            }
            self.print(&news)?;
            if count + profiles.0 == 0 {
                if was_over {
                    return Ok(self.tale);
                }
                self.changes.wait(mark, PATIENCE);
            }
        }
    }

    /// Takes the newest profiles in; what there is to be told of them.
    fn read_profiles(&mut self) -> Result<(usize, Vec<(News, String)>)> {
        let mut lines = Vec::new();
        let count = self.profiles.read(&mut lines)?;
        let mut news = Vec::new();
        for record in records(&lines) {
            match (record.value, record.key) {
                (Some(value), _) => news.extend(self.profile(serde_json::from_value(value)?)),
                (None, Some(person)) => drop(self.tale.persons.remove(&person)),
                (None, None) => {}
            }
        }
        Ok((count, news))
    }

    fn profile(&mut self, profile: Profile) -> Option<(News, String)> {
        let Profile { person_id, shared, identifiers, traits } = profile;
        if let Some(name) = traits.get("name").and_then(Value::as_str) {
            self.tale.names.insert(person_id.clone(), name.to_owned());
        } else if let Some(first) = identifiers.first() {
            self.tale.names.entry(person_id.clone()).or_insert_with(|| first.text());
        }
        if !shared {
            let identifiers = identifiers.into_iter().map(|named| (named.namespace, named.value)).collect();
            self.tale.persons.insert(person_id, identifiers);
            return None;
        }
        self.tale.persons.remove(&person_id);
        let device = identifiers.first()?.text();
        let is_new = self.tale.names.insert(person_id, format!("shared {device}")) != Some(format!("shared {device}"));
        is_new.then(|| (News::Shared, format!("{device} is used by too many to be anybody's: it joins nobody")))
    }

    fn news(&mut self, change: Change) -> Option<(News, String)> {
        let who = self.tale.name(&change.person_id);
        let via = change.cause.as_ref().map_or("", |cause| &cause.source);
        match (change.kind.as_str(), &change.into) {
            ("created", _) => {
                self.tale.born += 1;
                let by = change.joined.iter().map(Named::text).collect::<Vec<_>>().join(", ");
                let told = if by.starts_with(&who) { by } else { format!("{who}, by {by}") };
                Some((News::Born, format!("{told} ({via})")))
            }
            ("renamed", None) => {
                self.tale.known += 1;
                let was = change.from.iter().map(|old| self.tale.name(old)).collect::<Vec<_>>().join(", ");
                Some((News::Known, format!("{was} turns out to be {who} ({via})")))
            }
            ("merged", None) => {
                let others = change.from.iter().filter(|old| **old != change.person_id);
                let others: Vec<String> = others.map(|old| self.tale.name(old)).collect();
                self.tale.merged += others.len() as u64;
                Some((News::Merged, format!("{who} is also {} ({via})", others.join(" and "))))
            }
            ("split", None) => {
                self.tale.split += 1;
                let told = match change.left.iter().map(Named::text).collect::<Vec<_>>().join(", ") {
                    left if left.is_empty() => format!("{who} is somebody else ({via})"),
                    left => format!("{who} no longer has {left} ({via})"),
                };
                Some((News::Split, told))
            }
            ("updated", None) => {
                let named = change.changes.iter().find(|field| field.field == "traits.name")?;
                let by = change.joined.first().map_or_else(String::new, |joined| format!(", with {}", joined.text()));
                Some((News::Known, format!("{}{by} ({via})", named.after.as_str()?)))
            }
            _ => None,
        }
    }

    fn print(&self, news: &[(News, String)]) -> Result<()> {
        if news.is_empty() {
            return Ok(());
        }
        let mut out = output::stdout();
        for (news, told) in news {
            let (word, colour) = news.word();
            if self.colour {
                writeln!(out, "  \u{1b}[{colour}m{word:<7}\u{1b}[0m {told}")?;
            } else {
                writeln!(out, "  {word:<7} {told}")?;
            }
        }
        Ok(out.flush()?)
    }
}

impl Named {
    fn text(&self) -> String {
        format!("{}:{}", self.namespace, self.value)
    }
}

fn records(lines: &[u8]) -> impl Iterator<Item = Record> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

fn short(person: &str) -> String {
    person.chars().take(8).collect()
}

//! Somebody downstream, who starts with nothing, reads the topics as bytes and believes what they say.

use std::collections::{BTreeMap, BTreeSet};

use musubi_core::change::Snapshot;
use musubi_core::person::PersonId;
use musubi_log::{Delivery, Topic};
use musubi_schema::{avro, render_profile};
use musubi_stitcher::{Persons, topics};
use serde_json::{Map, Value};

use crate::Failed;
use crate::rest::Shelf;

type Json = Map<String, Value>;

/// The records of an output topic as JSON, each with its key; none where it is a tombstone.
pub(crate) fn documents(shelf: &dyn Shelf, topic: &Topic) -> Result<Vec<(String, Option<Json>)>, Failed> {
    let schema = avro::Topic::ALL.into_iter().find(|schema| schema.name() == topic.as_str());
    let schema = schema.ok_or_else(|| Failed(format!("`{topic}` has no schema")))?;
    let document = |delivery: Delivery| {
        let key = String::from_utf8_lossy(delivery.record.key.as_deref().unwrap_or_default()).into_owned();
        let Some(value) = delivery.record.value else { return Ok((key, None)) };
        let mut text = Vec::new();
        avro::to_json(schema, &value, &mut text)?;
        Ok((key, Some(serde_json::from_slice(&text)?)))
    };
    shelf.records(topic)?.into_iter().map(document).collect()
}

/// The last word under each key.
fn compacted(documents: Vec<(String, Option<Json>)>) -> BTreeMap<String, Json> {
    let last: BTreeMap<String, Option<Json>> = documents.into_iter().collect();
    last.into_iter().filter_map(|(key, document)| Some((key, document?))).collect()
}

/// What a follower of the changes knows of a person.
#[derive(Default)]
struct Known {
    version: u64,
    /// Whether it is somebody, as of that version.
    lives: bool,
    fields: Json,
    members: BTreeSet<String>,
}

/// Reads everything that was said downstream, checks that it holds together, and that whoever believed it ends with
/// the persons that there are.
pub(crate) fn follow(shelf: &dyn Shelf, persons: &Persons) -> Result<(), Failed> {
    let profiles = documents(shelf, &topics::PROFILES)?;
    let known = follow_changes(shelf, &by_version(&profiles))?;
    let profiles = compacted(profiles);
    check_profiles(&profiles, &known, persons)?;
    check_identities(&compacted(documents(shelf, &topics::IDENTITY_MAP)?), &known, persons)?;
    check_rows(shelf, &known, persons)?;
    check_headers(shelf)?;
    check_redirects(&compacted(documents(shelf, &topics::REDIRECTS)?), &known, persons)
}

/// That the flat rows add up to the identity map and to the traits of every person, and that a reader who keeps the row
/// with the greatest version of each key, and applies a tombstone only over an older one, comes to the same.
fn check_rows(shelf: &dyn Shelf, known: &BTreeMap<String, Known>, persons: &Persons) -> Result<(), Failed> {
    let text = |row: &Json, name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let version = |row: &Json| row.get("version").and_then(Value::as_u64).unwrap_or_default();
    let (mut owners, mut traits) = (BTreeMap::new(), BTreeMap::new());
    for row in rows(shelf, &topics::PROFILE_IDENTIFIERS)?.values() {
        let (identifier, person) = (identifier(&Value::Object(row.clone())), text(row, "person_id"));
        if let Some(other) = owners.insert(identifier.clone(), person.clone()) {
            return Err(Failed(format!("{identifier} has rows of {other} and of {person}")));
        }
    }
    for row in rows(shelf, &topics::PROFILE_TRAITS)?.values() {
        let person = text(row, "person_id");
        if known.get(&person).is_none_or(|known| known.version < version(row)) {
            return Err(Failed(format!("a row of {person} has a version that she never had: {row:?}")));
        }
        let value = (text(row, "type"), text(row, "value"));
        traits.insert(format!("{person} {}", text(row, "name")), value);
    }
    let id = |person: &Snapshot| person.person_id.to_string();
    let of =
        |person: &Snapshot| person.identifiers.iter().map(|it| (it.text().to_owned(), id(person))).collect::<Vec<_>>();
    same("the rows of identifiers", &owners, &persons.persons.iter().flat_map(of).collect())?;
    let of = |person: &Snapshot| {
        let shown = person.profile.visible_traits();
        shown.map(|(name, value)| (format!("{} {name}", id(person)), flat(&value))).collect::<Vec<_>>()
    };
    same("the rows of traits", &traits, &persons.persons.iter().flat_map(of).collect())
}

/// A value as a row has it: its type, and its text.
fn flat(value: &musubi_core::value::Value) -> (String, String) {
    use musubi_core::value::Value;
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::Text(text) => return ("string".to_owned(), text.as_ref().to_owned()),
        Value::List(_) => "array",
        Value::Map(_) => "object",
    };
    (kind.to_owned(), value.to_string())
}

/// The rows of a flat topic, kept right by the versions in the headers alone.
fn rows(shelf: &dyn Shelf, topic: &Topic) -> Result<BTreeMap<String, Json>, Failed> {
    let mut kept: BTreeMap<String, (u64, Option<Json>)> = BTreeMap::new();
    let deliveries = shelf.records(topic)?;
    // The worst order that a reader of several partitions could meet them in, but for those of one key: the last first.
    for (delivery, (key, row)) in deliveries.iter().zip(documents(shelf, topic)?).rev() {
        let version = note(delivery, "profile_version").and_then(|text| text.parse().ok()).unwrap_or_default();
        if kept.get(&key).is_none_or(|(have, _)| *have < version) {
            kept.insert(key, (version, row));
        }
    }
    let by_version: BTreeMap<String, Json> = kept.into_iter().filter_map(|(key, (_, row))| Some((key, row?))).collect();
    same("rows by offset and by version", &compacted(documents(shelf, topic)?), &by_version)?;
    Ok(by_version)
}

/// The text of a header.
fn note<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a str> {
    let (_, value) = delivery.record.headers.iter().find(|(have, _)| have == name)?;
    std::str::from_utf8(value).ok()
}

/// That every record says which it is, by a name that no other has, and that a version in the headers is the one in the
/// value.
fn check_headers(shelf: &dyn Shelf) -> Result<(), Failed> {
    let mut told: BTreeMap<(String, String), Delivery> = BTreeMap::new();
    for topic in topics::ALL.into_iter().filter(|topic| !topics::INPUTS.contains(topic)) {
        for delivery in shelf.records(&topic)? {
            let wanted = |name: &str| {
                let lacks = || Failed(format!("no header `{name}` on {delivery:?}"));
                Ok::<_, Failed>(note(&delivery, name).ok_or_else(lacks)?.to_owned())
            };
            for name in ["ce_specversion", "ce_type", "ce_subject"] {
                wanted(name)?;
            }
            if topic != topics::QUARANTINE {
                wanted("profile_version")?;
            }
            let name = (wanted("ce_source")?, wanted("ce_id")?);
            if let Some(other) = told.insert(name, delivery.clone()) {
                return Err(Failed(format!("two records of one name: {other:?} and {delivery:?}")));
            }
        }
    }
    Ok(())
}

/// Every state of a person that was ever published, by id and version.
fn by_version(profiles: &[(String, Option<Json>)]) -> BTreeMap<(String, u64), &Json> {
    let version = |document: &Json| document.get("version").and_then(Value::as_u64).unwrap_or_default();
    let published = profiles.iter().filter_map(|(key, document)| Some((key, document.as_ref()?)));
    published.map(|(key, document)| ((key.clone(), version(document)), document)).collect()
}

fn follow_changes(
    shelf: &dyn Shelf,
    states: &BTreeMap<(String, u64), &Json>,
) -> Result<BTreeMap<String, Known>, Failed> {
    let mut persons: BTreeMap<String, Known> = BTreeMap::new();
    for (id, change) in documents(shelf, &topics::PROFILE_CHANGES)? {
        let change = change.ok_or_else(|| Failed(format!("a tombstone among the changes of {id}")))?;
        let known = persons.entry(id.clone()).or_default();
        known.take(&id, &change)?;
        let state = states.get(&(id.clone(), known.version));
        match state {
            Some(state) if !known.lives => {
                return Err(Failed(format!("{id} ended with version {} and yet is {state:?}", known.version)));
            }
            Some(state) => known.agrees(&id, state)?,
            None if known.lives => {
                return Err(Failed(format!("version {} of {id} was told and never published", known.version)));
            }
            None => {}
        }
    }
    Ok(persons)
}

impl Known {
    /// Believes one change.
    fn take(&mut self, id: &str, change: &Json) -> Result<(), Failed> {
        let version = change.get("version").and_then(Value::as_u64).unwrap_or_default();
        if version != self.version + 1 {
            return Err(Failed(format!("version {version} of {id} follows on version {}", self.version)));
        }
        self.version = version;
        for field in list(change, "changes") {
            self.take_field(id, field)?;
        }
        for joined in list(change, "joined") {
            self.members.insert(identifier(joined));
        }
        for left in list(change, "left") {
            self.members.remove(&identifier(left));
        }
        let ended = change.get("into").is_some_and(|into| !into.is_null());
        self.lives = !ended && change.get("kind").and_then(Value::as_str) != Some("erased");
        let nothing = self.fields.is_empty() && self.members.is_empty();
        if !self.lives && !nothing {
            return Err(Failed(format!("{id} ended and yet has {:?} and {:?}", self.members, self.fields)));
        }
        Ok(())
    }

    fn take_field(&mut self, id: &str, change: &Value) -> Result<(), Failed> {
        let part = |name: &str| change.get(name).filter(|value| !value.is_null());
        let field = part("field").and_then(Value::as_str).unwrap_or_default();
        if field == "recent" {
            return self.take_recent(id, part("before"), part("after"));
        }
        if self.fields.get(field) != part("before") {
            let (had, before) = (self.fields.get(field), part("before"));
            return Err(Failed(format!("`{field}` of {id} was {had:?} and is said to have been {before:?}")));
        }
        match part("after") {
            Some(after) => drop(self.fields.insert(field.to_owned(), after.clone())),
            None => drop(self.fields.remove(field)),
        }
        Ok(())
    }

    /// The one field that is told by what went and what came.
    fn take_recent(&mut self, id: &str, went: Option<&Value>, came: Option<&Value>) -> Result<(), Failed> {
        let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut held = items(self.fields.get("recent"));
        for one in items(went) {
            let place = held.iter().position(|have| *have == one);
            held.remove(place.ok_or_else(|| Failed(format!("{id} lost {one} from `recent`, which it did not have")))?);
        }
        held.extend(items(came));
        let text = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        held.sort_by_cached_key(|one| {
            let names = ["event_id", "source", "channel", "type"].map(|name| text(one, name));
            std::cmp::Reverse((musubi_schema::parse_time(&text(one, "time")), names))
        });
        if held.is_empty() {
            self.fields.remove("recent");
        } else {
            self.fields.insert("recent".to_owned(), Value::Array(held));
        }
        Ok(())
    }

    /// That the changes so far add up to a state that was published.
    fn agrees(&self, id: &str, state: &Json) -> Result<(), Failed> {
        let members: BTreeSet<String> = list(state, "identifiers").map(identifier).collect();
        let fields = fields(state);
        if (&members, &fields) == (&self.members, &self.fields) {
            return Ok(());
        }
        let Self { version, members: told, fields: said, .. } = self;
        Err(Failed(format!(
            "version {version} of {id} is {members:?} {fields:?}, but its changes add up to {told:?} {said:?}"
        )))
    }
}

fn list<'a>(document: &'a Json, name: &str) -> impl Iterator<Item = &'a Value> {
    document.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn identifier(pair: &Value) -> String {
    let part = |name: &str| pair.get(name).and_then(Value::as_str).unwrap_or_default();
    format!("{}:{}", part("namespace"), part("value"))
}

/// The fields of a profile under the names that changes give them.
fn fields(state: &Json) -> Json {
    let mut fields = Json::new();
    for (name, value) in state {
        match (name.as_str(), value) {
            ("person_id" | "version" | "shared" | "identifiers", _) => {}
            ("traits" | "consent" | "channels", Value::Object(parts)) => {
                fields.extend(parts.iter().map(|(part, value)| (format!("{name}.{part}"), value.clone())));
            }
            ("computed", Value::Object(parts)) => {
                parts.iter().for_each(|(part, value)| computed(part, value, &mut fields))
            }
            (_, Value::Null) => {}
            (_, Value::Object(parts)) if parts.is_empty() => {}
            (_, Value::Array(items)) if items.is_empty() => {}
            _ => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    fields
}

fn computed(name: &str, value: &Value, fields: &mut Json) {
    let (Some(overall), Some(Value::Object(channels))) = (value.get("overall"), value.get("channels")) else {
        fields.insert(format!("computed.{name}"), value.clone());
        return;
    };
    fields.insert(format!("computed.{name}"), overall.clone());
    fields.extend(channels.iter().map(|(channel, value)| (format!("computed.{name}.{channel}"), value.clone())));
}

fn check_profiles(
    profiles: &BTreeMap<String, Json>,
    known: &BTreeMap<String, Known>,
    persons: &Persons,
) -> Result<(), Failed> {
    let live: Vec<&String> = known.iter().filter(|(_, known)| known.lives).map(|(id, _)| id).collect();
    if profiles.keys().collect::<Vec<_>>() != live {
        return Err(Failed(format!("published are {:?}, told of {live:?}", profiles.keys())));
    }
    let mut wanted = BTreeMap::new();
    for person in &persons.persons {
        let id = person.person_id.to_string();
        let version = known.get(&id).map_or(0, |known| known.version);
        let mut text = Vec::new();
        render_profile(&Snapshot { version, ..person.clone() }, &mut text);
        wanted.insert(id, serde_json::from_slice::<Json>(&text)?);
    }
    same("the topic of profiles", profiles, &wanted)
}

fn check_identities(
    identities: &BTreeMap<String, Json>,
    known: &BTreeMap<String, Known>,
    persons: &Persons,
) -> Result<(), Failed> {
    let id = |document: &Json| document.get("person_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let identities = identities.iter().map(|(key, document)| (key.clone(), id(document))).collect();
    let members = known.iter().flat_map(|(id, known)| known.members.iter().map(|member| (member.clone(), id.clone())));
    let of = |person: &Snapshot| {
        let id = person.person_id.to_string();
        person.identifiers.iter().map(|it| (it.text().to_owned(), id.clone())).collect::<Vec<_>>()
    };
    let wanted = persons.persons.iter().flat_map(of).collect();
    same("the identity map", &identities, &wanted)?;
    same("who joined and left", &members.collect(), &wanted)
}

fn check_redirects(
    redirects: &BTreeMap<String, Json>,
    known: &BTreeMap<String, Known>,
    persons: &Persons,
) -> Result<(), Failed> {
    let lives = |id: &str| known.get(id).is_some_and(|known| known.lives);
    let leads = |id: &str| redirects.get(id).and_then(|document| document.get("to")?.as_str());
    for from in redirects.keys() {
        let to = leads(from).unwrap_or_default();
        if lives(from) {
            return Err(Failed(format!("a redirect leads away from {from}, which is live")));
        }
        if !lives(to) {
            return Err(Failed(format!("a redirect leads from {from} to {to}, which is no more")));
        }
    }
    for person in &persons.persons {
        let id = person.person_id.to_string();
        for identifier in &person.identifiers {
            let own = PersonId::of(identifier.key()).to_string();
            let stray = known.contains_key(&own) && !lives(&own) && leads(&own) != Some(id.as_str());
            if stray {
                let leads = leads(&own);
                return Err(Failed(format!("the id {own} of {identifier:?} leads to {leads:?}, wanted {id}")));
            }
        }
    }
    Ok(())
}

/// That two tables say the same, and where they do not.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &BTreeMap<String, T>,
    wanted: &BTreeMap<String, T>,
) -> Result<(), Failed> {
    let keys: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    match keys.into_iter().find(|key| found.get(*key) != wanted.get(*key)) {
        None => Ok(()),
        Some(key) => {
            Err(Failed(format!("{what}, at `{key}`: found {:?}, wanted {:?}", found.get(key), wanted.get(key))))
        }
    }
}

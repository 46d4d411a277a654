//! What a turn appends to the log: messages between partitions, and what is said downstream, in its framing and with its
//! headers.
//!
//! What is said of one turn stands in this order: first where ids that ended lead, so that whoever meets a tombstone
//! knows already where to go on; then all the rest, as the machine said it.

use std::io::Write as _;

use bytes::Bytes;
use musubi_core::change::{Output, ProfileChange, Redirect};
use musubi_core::identifier::Identifier;
use musubi_core::person::PersonId;
use musubi_core::profile::Field;
use musubi_log::{Append, Delivery, Record};
use musubi_schema::Quarantined;
use musubi_schema::avro::{IdentifierRow, Record as Said, TraitRow};
use musubi_store::codec::Encode;

use crate::contract::{Event, Letterhead, Told};
use crate::intake::{MOST_BYTES, Refused};
use crate::occasion::{Occasion, Occasions};
use crate::topics::{MESH, partition_of};
use crate::worker::Error;

/// What a turn appends to the log.
pub(crate) struct Outbox<'a> {
    pub(crate) appends: Vec<Append>,
    timestamp_ms: i64,
    partitions: u32,
    letterhead: &'a Letterhead,
    /// Where values are written, to be copied at their size: most are far smaller or larger than any guess.
    scratch: Vec<u8>,
}

/// Where a record goes and what it is called.
struct Envelope<'a> {
    partition: u32,
    key: Bytes,
    id: Bytes,
    subject: Bytes,
    occasion: &'a Occasion,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(letterhead: &'a Letterhead, partitions: u32, timestamp_ms: i64) -> Self {
        Self { appends: Vec::new(), timestamp_ms, partitions, letterhead, scratch: Vec::new() }
    }

    /// A message to another partition.
    pub(crate) fn message(&mut self, partition: u32, message: &crate::message::Message) {
        let mut bytes = Vec::with_capacity(256);
        message.encode(&mut bytes);
        let record = Record { value: Some(bytes.into()), timestamp_ms: self.timestamp_ms, ..Record::default() };
        self.appends.push(Append { topic: MESH, partition, record });
    }

    /// All that a turn says downstream.
    pub(crate) fn outputs(&mut self, outputs: &[Output], policy_version: &str) -> Result<(), Error> {
        let occasions = Occasions::of(outputs);
        self.appends.reserve(outputs.len());
        // Ends are said after what they lead to, so what has no change of its own belongs to the next.
        let near = |person: PersonId, place: usize| occasions.near(person, &outputs[place..]);
        for (place, output) in outputs.iter().enumerate() {
            if let Output::Redirect(redirect @ Redirect { from, to: Some(to), .. }) = output {
                self.redirect(redirect, occasions.find(*from).unwrap_or_else(|| near(*to, place)))?;
            }
        }
        for (place, output) in outputs.iter().enumerate() {
            match output {
                Output::Change(change) => self.change(change, policy_version, occasions.get(change.person_id))?,
                Output::Profile(snapshot) => {
                    let envelope = self.of_person(occasions.get(snapshot.person_id));
                    self.say(envelope, Event::State, Some(Said::Profile(snapshot)))?;
                }
                Output::Gone(person) => {
                    let envelope = self.of_person(occasions.get(*person));
                    self.say(envelope, Event::Gone, None)?;
                }
                Output::Identity(identifier, person) => {
                    let of = person.unwrap_or_else(|| PersonId::of(identifier.key()));
                    self.identity(identifier, *person, near(of, place))?;
                }
                Output::Redirect(redirect @ Redirect { from, to: None, .. }) => match occasions.find(*from) {
                    Some(occasion) => self.redirect(redirect, occasion)?,
                    None => self.redirect(redirect, &Occasion::forgotten(redirect))?,
                },
                // Said already.
                Output::Redirect(Redirect { to: Some(_), .. }) => {}
            }
        }
        Ok(())
    }

    fn change(&mut self, change: &ProfileChange, policy_version: &str, occasion: &Occasion) -> Result<(), Error> {
        let envelope = self.of_person(occasion);
        self.say(envelope, Event::Changed(change.kind), Some(Said::Change(change, policy_version)))?;
        if self.letterhead.contract.rows { self.rows(change, occasion) } else { Ok(()) }
    }

    /// The same change as rows: what went first, then what came.
    fn rows(&mut self, change: &ProfileChange, occasion: &Occasion) -> Result<(), Error> {
        let (person_id, version) = (change.person_id, change.version);
        for identifier in &change.left {
            let envelope = self.of_row(occasion, Row::Identifier(identifier));
            self.say(envelope, Event::Left, None)?;
        }
        for identifier in &change.joined {
            let envelope = self.of_row(occasion, Row::Identifier(identifier));
            let row = IdentifierRow { person_id, identifier, version };
            self.say(envelope, Event::Joined, Some(Said::ProfileIdentifier(&row)))?;
        }
        for field in &change.fields {
            let Field::Trait(name) = &field.field else { continue };
            let envelope = self.of_row(occasion, Row::Trait(name));
            match &field.after {
                Some(shown) => {
                    let row = TraitRow { person_id, name, value: &shown.value(), version };
                    self.say(envelope, Event::TraitSet, Some(Said::ProfileTrait(&row)))?;
                }
                None => self.say(envelope, Event::TraitRemoved, None)?,
            }
        }
        Ok(())
    }

    fn identity(
        &mut self,
        identifier: &Identifier,
        person: Option<PersonId>,
        occasion: &Occasion,
    ) -> Result<(), Error> {
        let envelope = self.named(occasion, |key| key.extend_from_slice(identifier.text().as_bytes()));
        match person {
            Some(person) => self.say(envelope, Event::Assigned, Some(Said::Identity(identifier, Some(person)))),
            None => self.say(envelope, Event::Forgotten, None),
        }
    }

    fn redirect(&mut self, redirect: &Redirect, occasion: &Occasion) -> Result<(), Error> {
        let envelope = self.named(occasion, |key| write_id(key, redirect.from));
        match redirect.to {
            Some(to) => self.say(envelope, Event::Redirected, Some(Said::Redirect(redirect.from, Some(to)))),
            None => self.say(envelope, Event::Revived, None),
        }
    }

    /// What came in and is set aside. `readable` is what it is as JSON, where it is anything.
    pub(crate) fn quarantine(
        &mut self,
        refused: &Refused,
        delivery: &Delivery,
        readable: Option<&[u8]>,
    ) -> Result<(), Error> {
        let original = readable.unwrap_or(delivery.record.value.as_deref().unwrap_or_default());
        let kept = &original[..original.len().min(MOST_BYTES)];
        let mut detail = refused.detail.clone();
        if kept.len() < original.len() {
            detail.push_str(&format!(" (the first {} of {} bytes are kept)", kept.len(), original.len()));
        }
        let quarantined = Quarantined {
            source: refused.source.as_deref(),
            event_id: refused.event_id.as_deref(),
            reason: refused.reason,
            detail: &detail,
            file: None,
            line: None,
            original: kept,
            envelope: None,
        };
        let occasion = Occasion::aside(delivery);
        let key = refused.source.as_deref().unwrap_or_default();
        let (id, partition) = (occasion.stem.clone(), partition_of(key, self.partitions));
        let key = Bytes::copy_from_slice(key.as_bytes());
        let subject = key.clone();
        let envelope = Envelope { partition, key, id, subject, occasion: &occasion };
        self.say(envelope, Event::Quarantined, Some(Said::Quarantined(&quarantined)))
    }

    /// A record about the person of the occasion.
    fn of_person<'o>(&self, occasion: &'o Occasion) -> Envelope<'o> {
        let Occasion { stem, person, .. } = occasion;
        let partition = self.partition(person);
        Envelope { partition, key: person.clone(), id: stem.clone(), subject: person.clone(), occasion }
    }

    /// A row of the person of the occasion: in the partition of the person, so that her rows keep their order.
    fn of_row<'o>(&self, occasion: &'o Occasion, row: Row<'_>) -> Envelope<'o> {
        let envelope = self.named(occasion, |key| {
            key.extend_from_slice(&occasion.person);
            row.write(key);
        });
        Envelope { partition: self.partition(&occasion.person), subject: occasion.person.clone(), ..envelope }
    }

    /// A record with a key of its own. Its id is the occasion's with the key behind it.
    fn named<'o>(&self, occasion: &'o Occasion, write: impl FnOnce(&mut Vec<u8>)) -> Envelope<'o> {
        const COMMON_BYTES: usize = 128;
        let mut text = Vec::with_capacity(COMMON_BYTES);
        text.extend_from_slice(&occasion.stem);
        if !text.is_empty() {
            text.push(b'/');
        }
        let start = text.len();
        write(&mut text);
        let id = Bytes::from(text);
        let key = id.slice(start..);
        Envelope { partition: self.partition(&key), subject: key.clone(), key, id, occasion }
    }

    fn partition(&self, key: &[u8]) -> u32 {
        musubi_core::identifier::owner(key, self.partitions)
    }

    /// Appends a record of an output topic; no value is a tombstone.
    fn say(&mut self, envelope: Envelope<'_>, event: Event, value: Option<Said<'_>>) -> Result<(), Error> {
        let Envelope { partition, key, id, subject, occasion } = envelope;
        let told = Told { occasion, has_value: value.is_some() };
        let headers = self.letterhead.headers(event, id, subject, told);
        let value = match value {
            Some(value) => {
                self.scratch.clear();
                self.letterhead.contract.framing.encode(&value, &mut self.scratch)?;
                Some(Bytes::copy_from_slice(&self.scratch))
            }
            None => None,
        };
        let record = Record { key: Some(key), value, headers, timestamp_ms: self.timestamp_ms };
        self.appends.push(Append { topic: event.topic(), partition, record });
        Ok(())
    }
}

/// What a row is about.
#[derive(Clone, Copy)]
enum Row<'a> {
    Identifier(&'a Identifier),
    Trait(&'a str),
}

impl Row<'_> {
    /// Writes what stands behind the person in the row's key.
    fn write(self, key: &mut Vec<u8>) {
        let name = match self {
            Self::Identifier(identifier) => identifier.text(),
            Self::Trait(name) => name,
        };
        key.push(b'|');
        key.extend_from_slice(name.as_bytes());
    }
}

fn write_id(out: &mut Vec<u8>, person: PersonId) {
    write!(out, "{person}").expect("bytes in memory take what is written");
}

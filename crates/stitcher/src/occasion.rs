//! The occasions of what a turn says: for each person who changed, which version, when, and through which record.

use std::io::Write as _;

use bytes::Bytes;
use musubi_core::change::{Cause, Output, Position, ProfileChange, Redirect};
use musubi_core::person::PersonId;
use musubi_core::profile::{Change, Field, Shown};
use musubi_core::time::Timestamp;
use musubi_log::Delivery;
use musubi_schema::render_time;
use rustc_hash::FxHashMap;

/// Why and when something is said, as texts that many records share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Occasion {
    /// `PERSON/VERSION`: with the topic and the key it says which record this is. Empty where no person changed.
    pub(crate) stem: Bytes,
    /// The person whose change it is.
    pub(crate) person: Bytes,
    /// The person's version after the change.
    pub(crate) version: Option<Bytes>,
    /// The newest event time that the person has been seen at, as of that version.
    pub(crate) time: Option<Bytes>,
    /// Where the cause stands: `topic/partition/offset`.
    pub(crate) src: Option<Bytes>,
}

impl Occasion {
    fn of(change: &ProfileChange, time: Option<Timestamp>) -> Self {
        /// An id, a version, an instant and a place in the log.
        const COMMON_BYTES: usize = 128;
        let mut text = Vec::with_capacity(COMMON_BYTES);
        let write = "bytes in memory take what is written";
        write!(text, "{}/", change.person_id).expect(write);
        let person = text.len() - 1;
        write!(text, "{}", change.version).expect(write);
        let stem = text.len();
        if let Some(time) = time {
            render_time(time, &mut text);
        }
        let src = text.len();
        if let Some(Cause { position, .. }) = &change.cause {
            write_place(position, &mut text);
        }
        let text = Bytes::from(text);
        let some = |from: usize, to: usize| (from < to).then(|| text.slice(from..to));
        Self {
            stem: text.slice(..stem),
            person: text.slice(..person),
            version: some(person + 1, stem),
            time: some(stem, src),
            src: some(src, text.len()),
        }
    }

    /// That of an id which leads nowhere any more, because its identifier was forgotten: no person changed by that.
    pub(crate) fn forgotten(redirect: &Redirect) -> Self {
        let version = Bytes::from(redirect.version.to_string());
        let mut src = Vec::new();
        if let Some(Cause { position, .. }) = &redirect.cause {
            write_place(position, &mut src);
        }
        let src = Bytes::from(src);
        Self {
            stem: src.clone(),
            version: Some(version),
            src: Some(src).filter(|src| !src.is_empty()),
            ..Self::default()
        }
    }

    /// That of something set aside: the record itself, and the time that its producer gave it.
    pub(crate) fn aside(delivery: &Delivery) -> Self {
        let place = format!("{}/{}/{}", delivery.topic, delivery.partition, delivery.offset);
        let mut time = Vec::new();
        render_time(Timestamp::from_micros(delivery.record.timestamp_ms.saturating_mul(1_000)), &mut time);
        let src: Bytes = place.into();
        Self { stem: src.clone(), time: Some(time.into()), src: Some(src), ..Self::default() }
    }
}

/// The occasions of a turn.
pub(crate) struct Occasions {
    all: Vec<Occasion>,
    /// By the id of the person who changed, and by the id that would be that of each identifier which left.
    places: FxHashMap<PersonId, usize>,
    none: Occasion,
}

impl Occasions {
    pub(crate) fn of(outputs: &[Output]) -> Self {
        let changes = || {
            outputs.iter().enumerate().filter_map(|(place, output)| match output {
                Output::Change(change) => Some((place, change)),
                Output::Profile(_) | Output::Gone(_) | Output::Identity(..) | Output::Redirect(..) => None,
            })
        };
        let (mut all, mut places) = (Vec::new(), FxHashMap::default());
        for (place, change) in changes() {
            places.insert(change.person_id, all.len());
            all.push(Occasion::of(change, seen(change, outputs.get(place + 1))));
        }
        for (number, (_, change)) in changes().enumerate() {
            for left in &change.left {
                places.entry(PersonId::of(left.key())).or_insert(number);
            }
        }
        Self { all, places, none: Occasion::default() }
    }

    /// The change of this person, or the one by which the identifier that this id derives from left.
    pub(crate) fn find(&self, person: PersonId) -> Option<&Occasion> {
        Some(&self.all[*self.places.get(&person)?])
    }

    /// The same or, where there is none, the next change that is said: everything said of a cluster has one cause.
    pub(crate) fn near(&self, person: PersonId, said_next: &[Output]) -> &Occasion {
        let next = || {
            said_next.iter().find_map(|output| match output {
                Output::Change(change) => Some(self.get(change.person_id)),
                Output::Profile(_) | Output::Gone(_) | Output::Identity(..) | Output::Redirect(..) => None,
            })
        };
        self.find(person).or_else(next).unwrap_or(&self.none)
    }

    /// The change of this person, or one that says nothing.
    pub(crate) fn get(&self, person: PersonId) -> &Occasion {
        self.find(person).unwrap_or(&self.none)
    }
}

/// A place in the log, as a text.
fn write_place(position: &Position, text: &mut Vec<u8>) {
    let Position { topic, partition, offset } = position;
    write!(text, "{topic}/{partition}/{offset}").expect("bytes in memory take what is written");
}

/// When the person was seen last, as of this change: by the state that is published beside it or, where the person
/// ended, by what is said to have been.
fn seen(change: &ProfileChange, next: Option<&Output>) -> Option<Timestamp> {
    if let Some(Output::Profile(snapshot)) = next
        && snapshot.person_id == change.person_id
    {
        return snapshot.profile.last_seen();
    }
    let last_seen = change.fields.iter().find(|change| change.field == Field::LastSeen);
    let Change { before, after, .. } = last_seen?;
    match after.as_ref().or(before.as_ref())? {
        Shown::Time(time) => Some(*time),
        Shown::Value(_) | Shown::Activity(_) | Shown::Memberships(_) | Shown::Recent(_) => None,
    }
}

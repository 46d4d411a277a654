//! Which topics there are, and the check that the log on disk is the log that was configured.

use std::collections::BTreeMap;

use rocksdb::{DB, IteratorMode, WriteBatch, WriteOptions};

use super::family;
use super::keys::{self, BOOK, FORMAT, FORMAT_KEY, Lane, TOPIC_KIND};
use super::settings::{Cleanup, TopicSettings};
use crate::{Append, Error, Partition, Topic};

/// A topic of this log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) topic: Topic,
    pub(crate) partitions: u32,
    pub(crate) cleanup: Cleanup,
    number: u16,
    first_lane: usize,
}

/// All topics, and their partitions laid out in one row: a lane's index.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    entries: Vec<Entry>,
    lanes: Vec<(Lane, usize)>,
}

impl Catalogue {
    /// Reads the topics on disk, makes those wanted that are missing, and refuses where the two disagree.
    pub(crate) fn open(db: &DB, wanted: &[TopicSettings]) -> Result<Self, Error> {
        check_format(db)?;
        let mut found = topics_on_disk(db)?;
        let mut batch = WriteBatch::default();
        batch.put_cf(family(db, BOOK)?, FORMAT_KEY, FORMAT.to_be_bytes());
        for settings in wanted {
            admit(db, settings, &mut found, &mut batch)?;
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        db.write_opt(batch, &options)?;
        Ok(Self::lay_out(found, wanted))
    }

    fn lay_out(found: BTreeMap<String, (u16, u32)>, wanted: &[TopicSettings]) -> Self {
        let mut catalogue = Self::default();
        for (name, (number, partitions)) in found {
            let settings = wanted.iter().find(|settings| settings.topic.as_str() == name);
            // The caller's own value of the topic: if it is a constant, every delivery's copy of it is free.
            let topic = settings.map_or_else(|| Topic::new(&name), |settings| settings.topic.clone());
            let cleanup = settings.map_or(Cleanup::Keep, |settings| settings.cleanup.clone());
            let first_lane = catalogue.lanes.len();
            let index = catalogue.entries.len();
            catalogue.entries.push(Entry { topic, partitions, cleanup, number, first_lane });
            catalogue.lanes.extend((0..partitions).map(|partition| (Lane { topic: number, partition }, index)));
        }
        catalogue
    }

    /// The topic of that name.
    pub(crate) fn entry(&self, topic: &Topic) -> Result<&Entry, Error> {
        let entry = self.entries.iter().find(|entry| entry.topic == *topic);
        entry.ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })
    }

    /// The index of a topic's partition.
    pub(crate) fn lane_index(&self, topic: &Topic, partition: Partition) -> Result<usize, Error> {
        self.entry(topic)?.lane_index(partition)
    }

    /// The index of the partition a record is to be appended to, once the topic will have it.
    pub(crate) fn accept(&self, append: &Append) -> Result<usize, Error> {
        let entry = self.entry(&append.topic)?;
        if append.record.key.is_none() && entry.cleanup.compaction().is_some() {
            return Err(Error::KeyWanted { topic: append.topic.clone() });
        }
        entry.lane_index(append.partition)
    }

    /// How many lanes there are.
    pub(crate) fn lane_count(&self) -> usize {
        self.lanes.len()
    }

    /// The lane at an index, and its topic.
    pub(crate) fn lane(&self, index: usize) -> (Lane, &Entry) {
        let (lane, entry) = self.lanes[index];
        (lane, &self.entries[entry])
    }

    /// The index of a lane as it is named on disk.
    pub(crate) fn index_of(&self, lane: Lane) -> Option<usize> {
        let entry = self.entries.iter().find(|entry| entry.number == lane.topic)?;
        entry.lane_index(lane.partition).ok()
    }
}

impl Entry {
    fn lane_index(&self, partition: Partition) -> Result<usize, Error> {
        if partition < self.partitions {
            return Ok(self.first_lane + partition as usize);
        }
        Err(Error::UnknownPartition { topic: self.topic.clone(), partition, partitions: self.partitions })
    }
}

fn check_format(db: &DB) -> Result<(), Error> {
    match db.get_cf(family(db, BOOK)?, FORMAT_KEY)? {
        Some(found) if found != FORMAT.to_be_bytes() => {
            let found =
                <[u8; 4]>::try_from(found).map_or_else(|_| "?".to_owned(), |f| u32::from_be_bytes(f).to_string());
            Err(Error::Mismatch { what: "format of the log".into(), wanted: FORMAT.to_string(), found })
        }
        Some(_) | None => Ok(()),
    }
}

fn topics_on_disk(db: &DB) -> Result<BTreeMap<String, (u16, u32)>, Error> {
    let mut topics = BTreeMap::new();
    for entry in db.iterator_cf(family(db, BOOK)?, IteratorMode::From(&[TOPIC_KIND], rocksdb::Direction::Forward)) {
        let (key, value) = entry?;
        let Some(name) = key.strip_prefix(&[TOPIC_KIND]) else { break };
        let parsed = std::str::from_utf8(name).ok().zip(parse_topic(&value));
        let (name, topic) = parsed.ok_or_else(|| Error::Mismatch {
            what: "entry of a topic in the log's book".into(),
            wanted: "a name and 6 bytes".into(),
            found: format!("`{}` and {} bytes", name.escape_ascii(), value.len()),
        })?;
        topics.insert(name.to_owned(), topic);
    }
    Ok(topics)
}

fn parse_topic(value: &[u8]) -> Option<(u16, u32)> {
    let [a, b, c, d, e, f] = *value.first_chunk::<6>().filter(|_| value.len() == 6)?;
    Some((u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])))
}

fn admit(
    db: &DB,
    settings: &TopicSettings,
    found: &mut BTreeMap<String, (u16, u32)>,
    batch: &mut WriteBatch,
) -> Result<(), Error> {
    let (name, wanted) = (settings.topic.as_str(), settings.partitions);
    if let Some((_, partitions)) = found.get(name) {
        let same = *partitions == wanted;
        let what = || format!("partitions of topic `{name}`");
        return same.then_some(()).ok_or_else(|| Error::Mismatch {
            what: what(),
            wanted: wanted.to_string(),
            found: partitions.to_string(),
        });
    }
    let number = u16::try_from(found.len()).map_err(|_| Error::Misuse("more than 65,536 topics".into()))?;
    let value = [number.to_be_bytes().as_slice(), &wanted.to_be_bytes()].concat();
    batch.put_cf(family(db, BOOK)?, keys::topic(name), value);
    found.insert(name.to_owned(), (number, wanted));
    Ok(())
}

//! The durable log of one process, in RocksDB.
//!
//! Outputs, state and consumed positions of a commit are one `WriteBatch` in the database that also holds the state, so
//! state can be neither ahead of the log nor behind it. Several threads commit at once ([`ledger`]), the edge's appends
//! share their fsyncs ([`edge`]), and a reader is woken by the publication it waits for.
//!
//! A record can be read as soon as it is in the write-ahead log, and an append is answered only after its fsync. So a
//! reader may see a record that a power failure then takes away, but everything that was made of it lies behind it in
//! the same write-ahead log and goes with it.
//!
//! Offsets are dense, with two exceptions that readers pass over without noticing: what compaction removed, and what a
//! crash kept from being written while a later commit was.
//!
//! What this log is not: it starts no thread and reads no clock ([`Embedded::maintain`] is told the time), and two
//! processes cannot share it: RocksDB's lock sees to that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rocksdb::{ColumnFamily, DB, Direction, FlushOptions, IteratorMode};

use catalogue::Catalogue;
use edge::Edge;
use keys::{BOOK, Lane, POSITION_KIND, RECORDS};
use ledger::{Bounds, Ledger};
use read::Gathered;

use crate::{Append, Budget, Error, Offset, Partition, Producer, Reader, Stretch, Table, Topic};

mod catalogue;
mod chunk;
mod cleaner;
mod edge;
mod families;
mod keys;
mod ledger;
mod maintain;
mod read;
mod settings;
#[cfg(test)]
mod tests;
mod watch;
mod worker;
mod write;

pub use edge::GroupCommits;
pub use families::{configure, families};
pub use maintain::Upkeep;
pub use settings::{Cleanup, Compaction, Durability, Retention, Settings, TopicSettings};
pub use worker::Worker;

/// The embedded log. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
}

/// What all handles on the log share.
#[derive(Debug)]
pub(crate) struct Shared {
    db: Arc<DB>,
    catalogue: Catalogue,
    ledger: Ledger,
    edge: Edge,
    tables: Vec<Table>,
    durability: Durability,
    /// Held over a round of upkeep: two rounds at once would undo each other's chunks.
    maintenance: Mutex<()>,
}

impl Embedded {
    /// Opens the log in a database that was opened with [`families`]; makes the topics that are missing.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] where the format, a topic's partition count or a column family is not as wanted;
    /// [`Error::Corrupt`] and [`Error::Storage`].
    pub fn open(db: Arc<DB>, settings: Settings) -> Result<Self, Error> {
        [RECORDS, BOOK].into_iter().chain(settings.tables.iter().map(|table| table.0)).try_for_each(|name| {
            family(&db, name)?;
            Ok::<_, Error>(())
        })?;
        let catalogue = Catalogue::open(&db, &settings.topics)?;
        let mut shared = Shared {
            db,
            catalogue,
            ledger: Ledger::default(),
            edge: Edge::default(),
            tables: settings.tables,
            durability: settings.durability,
            maintenance: Mutex::new(()),
        };
        let bounds = (0..shared.catalogue.lane_count()).map(|lane| shared.find_bounds(lane));
        shared.ledger = Ledger::new(bounds.collect::<Result<_, _>>()?, shared.find_positions()?);
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A worker of the group that reads these partitions of these topics, the first topic first. It takes the
    /// partitions from any other worker of the group. A group that is new to a topic reads it from its start.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`], [`Error::Misuse`], [`Error::Storage`].
    pub fn worker(&self, group: &str, topics: &[Topic], partitions: &[Partition]) -> Result<Worker, Error> {
        Worker::open(self.shared.clone(), group, topics, partitions)
    }

    /// Deletes what the topics' settings allow at that instant. To be called now and then, from a thread that can wait:
    /// a round may read a whole topic.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Storage`]. What was done before the error stays done.
    pub fn maintain(&self, now_ms: i64) -> Result<Upkeep, Error> {
        self.shared.maintain(now_ms)
    }

    /// Returns once everything committed so far survives a power failure, whatever the durability.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`].
    pub fn flush(&self) -> Result<(), Error> {
        let shared = &self.shared;
        if shared.durability != Durability::None {
            return Ok(shared.db.flush_wal(true)?);
        }
        let names = [RECORDS, BOOK].into_iter().chain(shared.tables.iter().map(|table| table.0));
        let families = names.map(|name| family(&shared.db, name)).collect::<Result<Vec<_>, _>>()?;
        Ok(shared.db.flush_cfs_opt(&families, &FlushOptions::default())?)
    }

    /// How far the group has consumed the partition; None where it never read the topic.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`].
    pub fn committed(&self, group: &str, topic: &Topic, partition: Partition) -> Result<Option<Offset>, Error> {
        let lane = self.shared.catalogue.lane_index(topic, partition)?;
        Ok(self.shared.ledger.pages().positions.get(&(Arc::from(group), lane)).copied())
    }

    /// How well appends have shared their fsyncs since the log was opened.
    pub fn group_commits(&self) -> GroupCommits {
        self.shared.edge.counts()
    }
}

impl Producer for Embedded {
    fn append(&self, appends: Vec<Append>) -> Result<Vec<Offset>, Error> {
        self.shared.append(appends)
    }
}

impl Reader for Embedded {
    fn partitions(&self, topic: &Topic) -> Result<u32, Error> {
        Ok(self.shared.catalogue.entry(topic)?.partitions)
    }

    fn start_offset(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error> {
        let lane = self.shared.catalogue.lane_index(topic, partition)?;
        Ok(self.shared.ledger.bounds(lane).start)
    }

    fn end_offset(&self, topic: &Topic, partition: Partition) -> Result<Offset, Error> {
        let lane = self.shared.catalogue.lane_index(topic, partition)?;
        Ok(self.shared.ledger.bounds(lane).end)
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, budget: Budget) -> Result<Stretch, Error> {
        let shared = &self.shared;
        let lane = shared.catalogue.lane_index(topic, partition)?;
        let deadline = Instant::now() + budget.patience;
        let mut next = from;
        loop {
            let mark = shared.ledger.mark();
            let bounds = shared.ledger.bounds(lane);
            let mut gathered = Gathered::new(budget);
            next = shared.gather(lane, next, bounds.end, budget.records, &mut gathered)?;
            let records = gathered.deliveries;
            if !records.is_empty() || next < bounds.end || !shared.ledger.wait_past(mark, deadline) {
                return Ok(Stretch { records, next });
            }
        }
    }
}

impl Shared {
    fn find_bounds(&self, lane: usize) -> Result<Bounds, Error> {
        let sheet = self.sheet(lane)?;
        let (on_disk, _) = self.catalogue.lane(lane);
        let mut last = self.db.raw_iterator_cf(family(&self.db, RECORDS)?);
        last.seek_for_prev(on_disk.chunk(Offset::MAX));
        last.status()?;
        let mut bounds = Bounds { start: sheet.start, end: sheet.start.max(sheet.end_floor), reserved: 0, bytes: 0 };
        let offset = last.key().and_then(keys::offset).filter(|offset| last.key() == Some(&on_disk.chunk(*offset)));
        if let Some(chunk) = offset.map(|offset| self.chunks(lane, offset, Offset::MAX)?.next()).transpose()?.flatten()
        {
            bounds.end = bounds.end.max(chunk.last + 1);
            bounds.bytes = chunk.bytes_before + chunk.size() as u64;
        }
        bounds.reserved = bounds.end;
        Ok(bounds)
    }

    fn find_positions(&self) -> Result<BTreeMap<(Arc<str>, usize), Offset>, Error> {
        let mut positions = BTreeMap::new();
        let from = IteratorMode::From(&[POSITION_KIND], Direction::Forward);
        for entry in self.db.iterator_cf(family(&self.db, BOOK)?, from) {
            let (key, value) = entry?;
            if key.first() != Some(&POSITION_KIND) {
                break;
            }
            let (group, lane) = Lane::parse_position(&key)
                .and_then(|(group, lane)| Some((Arc::from(group), self.catalogue.index_of(lane)?)))
                .ok_or_else(|| Error::Mismatch {
                    what: "entry of a position in the log's book".into(),
                    wanted: "a group and one of the log's partitions".into(),
                    found: key.escape_ascii().to_string(),
                })?;
            let next = <[u8; 8]>::try_from(value.as_ref()).map(u64::from_be_bytes);
            let next = next.map_err(|_| self.corrupt(lane, 0, "wanted a group's position of 8 bytes"))?;
            positions.insert((group, lane), next);
        }
        Ok(positions)
    }
}

/// The handle of a column family that must be there.
fn family<'a>(db: &'a DB, name: &str) -> Result<&'a ColumnFamily, Error> {
    db.cf_handle(name).ok_or_else(|| Error::Mismatch {
        what: "column families of the log's database".into(),
        wanted: format!("`{name}`"),
        found: "none of that name".into(),
    })
}

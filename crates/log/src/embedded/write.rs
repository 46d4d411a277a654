//! Turning a transaction into one RocksDB batch.

use std::collections::BTreeSet;

use rocksdb::{ColumnFamily, WriteBatch, WriteOptions};

use super::chunk::{Builder, NO_HORIZON};
use super::keys::RECORDS;
use super::ledger::{Reservation, Wanted};
use super::settings::Durability;
use super::{Shared, family};
use crate::{Append, Error, Mutation, Mutations, Offset, Partition, Table};

/// Records sorted into chunks that have no offsets yet.
#[derive(Debug)]
pub(crate) struct Encoded {
    chunks: Vec<(usize, Builder)>,
    /// For each append: its chunk, and its place in there.
    places: Vec<(u32, u32)>,
}

impl Encoded {
    /// What the ledger must give places to.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Wanted> {
        self.chunks.iter().map(|(lane, chunk)| Wanted { lane: *lane, records: chunk.count(), bytes: chunk.size() })
    }

    /// The offsets of the appends, in their order.
    pub(crate) fn offsets(&self, reservation: &Reservation<'_>) -> Vec<Offset> {
        let first = |chunk: u32| reservation.places()[chunk as usize].first;
        self.places.iter().map(|(chunk, within)| first(*chunk) + u64::from(*within)).collect()
    }
}

impl Shared {
    /// Sorts the appends into chunks by lane; refuses all where one is refused.
    pub(crate) fn encode<'a>(&self, appends: impl Iterator<Item = &'a Append>) -> Result<Encoded, Error> {
        let mut open = vec![None; self.catalogue.lane_count()];
        let mut encoded = Encoded { chunks: Vec::new(), places: Vec::with_capacity(appends.size_hint().0) };
        for append in appends {
            let lane = self.catalogue.accept(append)?;
            let chunk = *open[lane].get_or_insert_with(|| {
                encoded.chunks.push((lane, Builder::new(0)));
                encoded.chunks.len() - 1
            });
            let builder = &mut encoded.chunks[chunk].1;
            encoded.places.push((chunk as u32, builder.count()));
            builder.push(&append.record);
            if builder.is_full() {
                open[lane] = None;
            }
        }
        Ok(encoded)
    }

    /// Adds the chunks to the batch, each in its place.
    pub(crate) fn add_chunks(
        &self,
        batch: &mut WriteBatch,
        encoded: Encoded,
        reservation: &Reservation<'_>,
    ) -> Result<(), Error> {
        let records = family(&self.db, RECORDS)?;
        for ((lane, chunk), place) in encoded.chunks.into_iter().zip(reservation.places()) {
            let span = u64::from(chunk.count()) - 1;
            let (on_disk, _) = self.catalogue.lane(lane);
            batch.put_cf(records, on_disk.chunk(place.last), chunk.finish(span, place.bytes_before, NO_HORIZON));
        }
        Ok(())
    }

    /// Adds the state writes to the batch and returns the partitions they belong to.
    pub(crate) fn add_state(&self, batch: &mut WriteBatch, state: &Mutations) -> Result<BTreeSet<Partition>, Error> {
        let mut partitions = BTreeSet::new();
        let mut last: Option<(Table, &ColumnFamily)> = None;
        let mut last_partition = None;
        for mutation in state.sorted() {
            let partition = Mutations::partition_of(mutation.key()).ok_or_else(|| partition_wanted(mutation))?;
            if last_partition.replace(partition) != Some(partition) {
                partitions.insert(partition);
            }
            let table = match last {
                Some((table, family)) if table == mutation.table() => family,
                _ => self.table(mutation.table())?,
            };
            last = Some((mutation.table(), table));
            match mutation {
                Mutation::Put { key, value, .. } => batch.put_cf(table, key, value),
                Mutation::Delete { key, .. } => batch.delete_cf(table, key),
                Mutation::DeleteRange { from, to, .. } => batch.delete_range_cf(table, from, to),
            }
        }
        Ok(partitions)
    }

    /// Writes the batch, as safe as the durability makes it without an fsync.
    pub(crate) fn write(&self, batch: WriteBatch) -> Result<(), rocksdb::Error> {
        let mut options = WriteOptions::default();
        options.disable_wal(self.durability == Durability::None);
        self.db.write_opt(batch, &options)
    }

    fn table(&self, table: Table) -> Result<&ColumnFamily, Error> {
        if !self.tables.contains(&table) {
            return Err(Error::Misuse(format!("table `{}` is not among the log's settings", table.0)));
        }
        family(&self.db, table.0)
    }
}

fn partition_wanted(mutation: Mutation<'_>) -> Error {
    let (table, key) = (mutation.table().0, mutation.key().escape_ascii());
    Error::Misuse(format!("a state key begins with its partition in two bytes: found `{key}` in table `{table}`"))
}

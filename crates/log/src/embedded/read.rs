//! Reading a lane.

use bytes::Bytes;
use rocksdb::{DBRawIterator, ReadOptions};

use super::chunk::Chunk;
use super::keys::{self, RECORDS};
use super::ledger::Bounds;
use super::{Shared, family};
use crate::{Budget, Delivery, Error, Offset, Record};

/// Records gathered under a budget.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) deliveries: Vec<Delivery>,
    records_left: usize,
    bytes_left: usize,
}

impl Gathered {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { deliveries: Vec::new(), records_left: budget.records, bytes_left: budget.bytes }
    }

    /// How many more records it takes.
    pub(crate) fn room(&self) -> usize {
        self.records_left
    }

    /// A record of any size is taken while there is none, so that no budget is too small to go on.
    fn takes(&self, record: &Record) -> bool {
        self.records_left > 0 && (self.deliveries.is_empty() || record.size() <= self.bytes_left)
    }

    fn push(&mut self, delivery: Delivery) {
        self.records_left -= 1;
        self.bytes_left = self.bytes_left.saturating_sub(delivery.record.size());
        self.deliveries.push(delivery);
    }
}

impl Shared {
    /// Gathers at most `share` records of `from..end` and returns where to go on. It is `end` where nothing is left,
    /// whatever gaps there are, and `from` where the budget took nothing.
    pub(crate) fn gather(
        &self,
        lane: usize,
        from: Offset,
        end: Offset,
        share: usize,
        gathered: &mut Gathered,
    ) -> Result<Offset, Error> {
        let mut share = share;
        let (_, entry) = self.catalogue.lane(lane);
        let mut chunks = self.chunks(lane, from, end)?;
        // Retention moves the start before it deletes: if `from` is still in range now, this walk misses nothing.
        self.check_range(lane, from, self.ledger.bounds(lane))?;
        while let Some(chunk) = chunks.next()? {
            for record in chunk.records() {
                let (offset, record) = record.map_err(|reason| self.corrupt(lane, chunk.last, reason))?;
                if offset < from {
                    continue;
                }
                if share == 0 || !gathered.takes(&record) {
                    return Ok(offset);
                }
                share -= 1;
                let (topic, partition) = (entry.topic.clone(), self.catalogue.lane(lane).0.partition);
                gathered.push(Delivery { topic, partition, offset, record });
            }
        }
        Ok(end)
    }

    /// The chunks with records in `from..end`, in order, as of now.
    pub(crate) fn chunks(&self, lane: usize, from: Offset, end: Offset) -> Result<Chunks<'_>, Error> {
        let (on_disk, _) = self.catalogue.lane(lane);
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(on_disk.chunk(end));
        options.fill_cache(false);
        let mut iterator = self.db.raw_iterator_cf_opt(family(&self.db, RECORDS)?, options);
        iterator.seek(on_disk.chunk(from));
        Ok(Chunks { shared: self, lane, iterator })
    }

    /// The error of a chunk that is not what was written.
    pub(crate) fn corrupt(&self, lane: usize, offset: Offset, reason: &'static str) -> Error {
        let (on_disk, entry) = self.catalogue.lane(lane);
        Error::Corrupt { topic: entry.topic.clone(), partition: on_disk.partition, offset, reason }
    }

    /// Refuses an offset outside what the lane holds.
    pub(crate) fn check_range(&self, lane: usize, wanted: Offset, bounds: Bounds) -> Result<(), Error> {
        if (bounds.start..=bounds.end).contains(&wanted) {
            return Ok(());
        }
        let (on_disk, entry) = self.catalogue.lane(lane);
        let (topic, partition) = (entry.topic.clone(), on_disk.partition);
        Err(Error::OutOfRange { topic, partition, wanted, start: bounds.start, end: bounds.end })
    }
}

/// A walk over chunks, on a snapshot taken when it began.
pub(crate) struct Chunks<'a> {
    shared: &'a Shared,
    lane: usize,
    iterator: DBRawIterator<'a>,
}

impl Chunks<'_> {
    /// The next chunk.
    pub(crate) fn next(&mut self) -> Result<Option<Chunk>, Error> {
        let Some((key, value)) = self.iterator.item() else {
            self.iterator.status()?;
            return Ok(None);
        };
        let last = keys::offset(key).unwrap_or_default();
        let chunk = Chunk::parse(last, Bytes::copy_from_slice(value))
            .map_err(|reason| self.shared.corrupt(self.lane, last, reason))?;
        self.iterator.next();
        Ok(Some(chunk))
    }
}
